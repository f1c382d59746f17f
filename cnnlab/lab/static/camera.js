// A camera where the browser lets the page use one: its picture as it is, and a photograph that goes in as a file does.
import { made, say, settling } from "./dom.js";

const WHY = {
  NotAllowedError: "This browser was not allowed to use the camera. Allow it for this page, and start again.",
  NotFoundError: "There is no camera on this machine.",
  NotReadableError: "The camera is used by another program. End that one, and start again.",
};

/** The sides of what is cut out of a frame: as much of its middle as has the model's proportions; all, where that takes any. */
const cutOf = ({ videoWidth: width, videoHeight: height }, [high, wide]) => {
  if (!high || !wide) return [width, height];
  const scale = Math.min(width / wide, height / high);
  return [Math.round(wide * scale), Math.round(high * scale)];
};

/** The camera in `place`; `take(files)` is called with a photograph, and `model()` gives the model that it is for. */
export const cameraIn = (place, model, take) => {
  if (!navigator.mediaDevices?.getUserMedia) {
    place.append(made("p", { class: "told" }, "This browser lets a page use the camera only on this machine itself or over HTTPS: open it at 127.0.0.1, or choose a file."));
    return;
  }
  const video = made("video", { muted: true, playsinline: true, hidden: true, "aria-label": "What the camera sees" });
  const start = made("button", { type: "button", onclick: () => begin() }, "Start the camera");
  const shoot = made("button", { type: "button", hidden: true, onclick: () => photograph() }, "Take the photograph");
  const stop = made("button", { type: "button", hidden: true, onclick: () => end(true) }, "Stop the camera");
  const told = made("p", { class: "told", role: "status" });
  let stream = null;
  let wanted = 0; // counts starts and stops: the camera may be allowed when nobody wants it any more

  const lay = () => {
    start.hidden = stream !== null;
    video.hidden = shoot.hidden = stop.hidden = stream === null;
  };

  const begin = async () => {
    wanted += 1;
    const mine = wanted;
    told.textContent = "Waiting for the browser to let the page use the camera ...";
    const settle = settling();
    try {
      const found = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
      if (mine !== wanted) {
        for (const track of found.getTracks()) track.stop();
        return;
      }
      stream = found;
      for (const track of found.getTracks()) track.addEventListener("ended", () => end());
      video.muted = true; // the attribute alone does not count where an element is made by a script
      video.srcObject = stream;
      await video.play();
      const [wide, high] = cutOf(video, model().shape);
      video.style.aspectRatio = `${wide} / ${high}`; // what is seen is what goes in
      told.textContent = "";
      settle();
      lay();
      shoot.focus();
    } catch (error) {
      if (mine !== wanted) return;
      end();
      told.textContent = WHY[error.name] ?? `The camera cannot be used: ${error.message}.`;
    }
  };

  const end = (asked = false) => {
    wanted += 1;
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = video.srcObject = null;
    told.textContent = "";
    lay();
    if (asked) start.focus();
  };

  const photograph = () => {
    const [width, height] = cutOf(video, model().shape);
    const canvas = made("canvas", { width, height });
    const [left, top] = [(video.videoWidth - width) / 2, (video.videoHeight - height) / 2];
    canvas.getContext("2d").drawImage(video, left, top, width, height, 0, 0, width, height);
    canvas.toBlob((content) => {
      say("Taken.");
      take([new File([content], "photograph.png", { type: "image/png" })]);
    }, "image/png");
  };

  place.append(video, made("div", { class: "tools" }, start, shoot, stop), told);
  // A camera that nobody looks at is not left on.
  new MutationObserver(() => place.closest("[hidden]") && stream && end()).observe(place.closest("[role=tabpanel]"), { attributes: true, attributeFilter: ["hidden"] });
  document.addEventListener("visibilitychange", () => document.hidden && stream && end());
};
