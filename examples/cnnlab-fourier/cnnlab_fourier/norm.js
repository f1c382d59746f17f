// How strong the noise is, to be seen: an image with noise of that norm. For cnnlab's page, which imports this module.

/** The noise of a frequency, `down` and `across` cycles, of L2 norm 1: height x width numbers, as run.py's `basis`. */
export const wave = (down, across, height, width) => {
  const values = new Float64Array(height * width);
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1) {
      const angle = 2 * Math.PI * ((down * row) / height + (across * column) / width);
      values[row * width + column] = Math.cos(angle) - Math.sin(angle);
    }
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
};

/** The pixels of an image at an address, as a browser has them: 4 bytes each. */
export const pixelsAt = async (address) => {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  return pen.getImageData(0, 0, canvas.width, canvas.height);
};

/** Paint noise of a norm on a canvas, added to an image's pixels, or to mid grey where there are none. */
export const paint = (canvas, noise, norm, height, width, pixels) => {
  Object.assign(canvas, { height, width });
  const painted = new ImageData(width, height);
  for (let place = 0; place < height * width; place += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const from = pixels ? pixels.data[4 * place + channel] : 127.5;
      painted.data[4 * place + channel] = from + 255 * norm * noise[place]; // the browser cuts it off at 0 and 255
    }
    painted.data[4 * place + 3] = 255;
  }
  canvas.getContext("2d").putImageData(painted, 0, 0);
};

/** A canvas with words below it. */
export const pictureOf = (words) => {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", words);
  Object.assign(canvas.style, { width: "112px", height: "auto", imageRendering: "pixelated" });
  const caption = Object.assign(document.createElement("figcaption"), { textContent: words });
  caption.style.fontSize = "0.8rem";
  const figure = document.createElement("figure");
  Object.assign(figure.style, { margin: "0.3rem 0", maxWidth: "14rem" });
  figure.append(canvas, caption);
  return { canvas, figure };
};

const LEAST = 0.25;
const DOUBLINGS = 7; // the slider goes from a quarter to 32

export const parameter = ({ value, image, changed }) => {
  const made = (type, name, more) => {
    const input = Object.assign(document.createElement("input"), { type, ...more });
    input.setAttribute("aria-label", name);
    input.style.width = "100%";
    return input;
  };
  const number = made("number", "Norm", { min: 0, step: "any", value });
  const slider = made("range", "Norm, by its doublings", { min: 0, max: DOUBLINGS, step: 0.05 });
  const { canvas, figure } = pictureOf("What goes in, with noise of this norm");
  const element = document.createElement("div");
  element.append(number, slider, figure);

  const show = async () => {
    const norm = Number(number.value);
    slider.value = Math.log2(Math.max(norm, LEAST) / LEAST);
    const address = await image(); // null where nothing goes in yet
    const pixels = address && (await pixelsAt(address));
    const { height, width } = pixels || { height: 28, width: 28 };
    paint(canvas, wave(Math.round(height / 8), Math.round(width / 8), height, width), norm, height, width, pixels);
  };
  const take = () => {
    changed(number.value === "" ? undefined : Number(number.value));
    show();
  };
  number.addEventListener("input", take);
  slider.addEventListener("input", () => {
    number.value = Number((LEAST * 2 ** Number(slider.value)).toPrecision(3));
    take();
  });
  element.addEventListener("pointerenter", show); // another image may go in by now
  element.addEventListener("focusin", show);
  show();
  return element;
};
