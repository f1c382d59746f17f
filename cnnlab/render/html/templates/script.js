"use strict";
// Scrubs get a slider, and pictures of one image share a pointer. Without this script every frame is shown.
for (const figure of document.querySelectorAll("figure.drawing")) {
  const sliders = figure.querySelectorAll(".slider");
  for (const label of sliders) {
    const input = label.querySelector("input");
    const stops = JSON.parse(input.dataset.stops);
    const show = () => {
      label.querySelector("output").value = stops[input.value];
      input.setAttribute("aria-valuetext", stops[input.value]);
      const frames = figure.querySelectorAll(`.frame[data-scrub="${input.dataset.slider}"]`);
      for (const frame of frames) frame.classList.toggle("shown", frame.dataset.stop === input.value);
    };
    input.addEventListener("input", show);
    label.hidden = false;
    show();
  }
  figure.classList.add("live");

  const values = (pixels) => {
    if (!pixels.numbers && pixels.dataset.values) {
      const bytes = Uint8Array.from(atob(pixels.dataset.values), (sign) => sign.charCodeAt(0));
      pixels.numbers = new Float32Array(bytes.buffer);
    }
    return pixels.numbers;
  };
  const clear = () => {
    for (const cross of figure.querySelectorAll(".cross")) cross.remove();
    for (const output of figure.querySelectorAll(".pixels .value")) output.value = "";
  };
  // The place is a share of the whole image, so that a map of fewer positions lies where it belongs.
  const mark = (pixels, x, y) => {
    const [top, left, bottom, right] = pixels.dataset.place.split(" ").map(Number);
    const [rows, columns] = pixels.dataset.size.split(" ").map(Number);
    const row = Math.floor(((y - top) / (bottom - top)) * rows);
    const column = Math.floor(((x - left) / (right - left)) * columns);
    if (row < 0 || column < 0 || row >= rows || column >= columns) return;
    const cross = document.createElement("div");
    cross.className = "cross";
    const height = (bottom - top) / rows, width = (right - left) / columns;
    Object.assign(cross.style, {
      top: `${100 * (top + row * height)}%`, left: `${100 * (left + column * width)}%`,
      height: `${100 * height}%`, width: `${100 * width}%`,
    });
    pixels.append(cross);
    const numbers = values(pixels);
    const names = JSON.parse(pixels.dataset.names || "[]");
    const number = numbers ? numbers[row * columns + column] : NaN;
    const said = names[number] ?? (Number.isNaN(number) ? "" : Number(number.toPrecision(4)));
    pixels.querySelector(".value").value = `${row}, ${column}${said === "" ? "" : `: ${said}`}`;
  };
  for (const pixels of figure.querySelectorAll(".pixels")) {
    pixels.addEventListener("pointermove", (event) => {
      const box = pixels.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      clear();
      const image = pixels.dataset.image;
      const same = image === undefined ? [pixels] : figure.querySelectorAll(`.pixels[data-image="${image}"]`);
      for (const each of same) mark(each, x, y);
    });
    pixels.addEventListener("pointerleave", clear);
  }
}
