// One piece of work under way: its bar, what it says of itself and shows meanwhile, and the button that ends it.
import { contentOf, made } from "./dom.js";
import { answer } from "./drawings.js";

const time = (seconds) => {
  if (seconds === undefined || seconds === null) return "";
  if (seconds < 1) return ", less than a second left";
  return seconds < 120 ? `, ${Math.ceil(seconds)} s left` : `, ${Math.ceil(seconds / 60)} min left`;
};

/** The part of the page for it; `show` takes what an event holds that tells how far it is, a note, or a preview. */
export const running = (name, ending = "Cancel") => {
  const bar = made("progress", { "aria-label": `Progress of ${name}` });
  const told = made("p", { class: "told" }, "waits for its turn");
  const cancel = made("button", { type: "button" }, ending);
  const notes = made("div", { class: "notes", role: "status" });
  const preview = made("div", { class: "preview found", role: "group", "aria-label": `So far: ${name}`, hidden: true });
  const element = made("div", { class: "running" }, made("p", { class: "label" }, name), bar, cancel, told, notes, preview);
  const show = ({ task, done, total, seconds_left: left, note, html }) => {
    if (note) notes.append(made("p", { class: "warning" }, `Note: ${note}`));
    if (html !== undefined && !preview.contains(document.activeElement)) { // it stays while somebody reads it by keyboard
      const drawn = made("div", {}, contentOf(html)); // with its listeners it goes when the next one comes
      preview.replaceChildren(drawn);
      preview.hidden = false;
      answer(drawn);
    }
    if (done === undefined) return;
    if (total) {
      bar.max = total;
      bar.value = done;
    } else bar.removeAttribute("value");
    told.textContent = `${task || "working"}${total || done ? `: ${done}` : " ..."}${total ? ` of ${total}` : ""}${time(left)}`;
  };
  return { element, show, cancel };
};
