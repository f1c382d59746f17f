// The map of error rates, to be asked: choose a frequency on it, and see its noise, and an image with it.
import { paint, pictureOf, pixelsAt, wave } from "./norm.js";

const percent = (share) => `${(100 * share).toFixed(1).replace(".0", "")}%`;

const slider = (words, length, changed) => {
  const middle = Math.floor(length / 2);
  const input = Object.assign(document.createElement("input"), { type: "range", step: 1 });
  Object.assign(input, { min: -middle, max: length - 1 - middle }); // the value is cut off at these when it is set
  input.addEventListener("input", changed);
  const label = document.createElement("label");
  Object.assign(label.style, { display: "grid", gridTemplateColumns: "7.5rem minmax(0, 14rem)", alignItems: "center" });
  label.append(words, input);
  return { input, label, row: () => Number(input.value) + middle, set: (row) => { input.value = row - middle; } };
};

export const drawing = async ({ result, images, array, element }) => {
  const { shape: [height, width], values } = await array("error_rate");
  const { norm } = result.record.params;
  const pixels = images.length ? await pixelsAt(images[0]) : null;
  const map = element.querySelector(".pixels");

  const told = document.createElement("p");
  told.setAttribute("role", "status");
  const noise = pictureOf("The noise of this frequency");
  const noisy = pictureOf("The first image with it");
  const show = () => {
    const [row, column] = [down.row(), across.row()];
    const share = values[row * width + column];
    told.textContent = `${down.input.value} cycles down and ${across.input.value} across: ${percent(share)} of the images misread.`;
    Object.assign(mark.style, { top: `${(100 * row) / height}%`, left: `${(100 * column) / width}%` });
    const made = wave(Number(down.input.value), Number(across.input.value), height, width);
    paint(noise.canvas, made, norm, height, width, null);
    if (pixels) paint(noisy.canvas, made, norm, height, width, pixels);
  };
  const down = slider("Cycles down", height, show);
  const across = slider("Cycles across", width, show);

  // The chosen frequency has a frame on the map; a click chooses another.
  const mark = document.createElement("div");
  Object.assign(mark.style, {
    position: "absolute", boxSizing: "border-box", width: `${100 / width}%`, height: `${100 / height}%`,
    outline: "2px solid #ff2bd6", pointerEvents: "none",
  });
  map.append(mark);
  map.addEventListener("click", (event) => {
    const box = map.getBoundingClientRect();
    down.set(Math.floor(((event.clientY - box.top) / box.height) * height));
    across.set(Math.floor(((event.clientX - box.left) / box.width) * width));
    show();
  });

  const worst = values.indexOf(Math.max(...values));
  down.set(Math.floor(worst / width));
  across.set(worst % width);
  const pictures = document.createElement("div");
  Object.assign(pictures.style, { display: "flex", flexWrap: "wrap", gap: "0 1rem" });
  pictures.append(noise.figure, ...(pixels ? [noisy.figure] : []));
  const panel = document.createElement("div");
  panel.append(told, down.label, across.label, pictures);
  element.append(panel);
  show();
};
