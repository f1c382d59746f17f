// Pictures of one image share a pointer: the place, the value there, and what part of the image that value stands for.
const planes = new Map();
const peers = new Map();
all("figure.drawing").forEach((figure, number) => {
  for (const element of all(".pixels", figure)) {
    const { key, image, window } = element.dataset;
    const name = key === undefined ? `${number} ${image}` : `key ${key}`;
    const plane = { element, figure, parts: partsOf(element), window: window && numbers(window), peers: [] };
    planes.set(element, plane);
    if (image === undefined) plane.peers = [plane];
    else (plane.peers = peers.get(name) ?? peers.set(name, []).get(name)).push(plane);
  }
});

// Each part shows the whole image or, of a map, the place of the image where it lies: a box in shares of the element,
// its cells, and where among the element's cells these begin.
function partsOf({ dataset }) {
  const [top, left, bottom, right] = numbers(dataset.place);
  const [rows, columns] = numbers(dataset.size);
  if (!dataset.parts)
    return [{ box: [top, left, bottom - top, right - left], of: [top, left, bottom - top, right - left], rows, columns, first: [0, 0] }];
  const [count, across, height, width] = numbers(dataset.parts);
  return Array.from({ length: count }, (_, index) => {
    const first = [Math.floor(index / across) * (height + 1), (index % across) * (width + 1)];
    const box = [first[0] / rows, first[1] / columns, height / rows, width / columns];
    return { box, of: [0, 0, 1, 1], rows: height, columns: width, first };
  });
}

// The cell of a part in which a place lies, given in shares of `within`: its box, or the image.
const cellAt = (part, [y, x], within) => {
  const row = Math.floor(((y - within[0]) / within[2]) * part.rows + 1e-6);
  const column = Math.floor(((x - within[1]) / within[3]) * part.columns + 1e-6);
  return row >= 0 && column >= 0 && row < part.rows && column < part.columns ? [row, column] : null;
};
const middleOf = (part, [row, column], within) =>
  [within[0] + ((row + 0.5) / part.rows) * within[2], within[1] + ((column + 0.5) / part.columns) * within[3]];

const valueAt = ({ element }, part, [row, column]) => {
  const { values, levels, names, size } = element.dataset;
  if (!values) return "";
  if (!element.numbers) {
    const bytes = Uint8Array.from(atob(values), (sign) => sign.charCodeAt(0));
    const [low, high] = levels ? numbers(levels) : [];
    element.numbers = levels ? Array.from(bytes, (level) => low + (level / 255) * (high - low)) : new Float32Array(bytes.buffer);
  }
  const number = element.numbers[(part.first[0] + row) * numbers(size)[1] + part.first[1] + column];
  return JSON.parse(names ?? "[]")[number] ?? (Number.isNaN(number) ? "" : `${Number(number.toPrecision(4))}`);
};

const box = (plane, name, top, left, height, width) => {
  const element = made("div", { class: name });
  Object.assign(element.style, percents({ top, left, height, width }));
  plane.element.append(element);
};
const mark = (plane, part, [row, column]) => {
  const [height, width] = [part.box[2] / part.rows, part.box[3] / part.columns];
  box(plane, "cross", part.box[0] + row * height, part.box[1] + column * width, height, width);
};

// What a value stands for, as a box in shares of the image that ends at its border.
const windowOf = (plane, at) => {
  const [part] = plane.parts;
  const cell = cellAt(part, at, part.of);
  if (!cell) return null;
  const middle = middleOf(part, cell, part.of);
  const [top, left] = middle.map((place, axis) => Math.max(place - plane.window[axis] / 2, 0));
  const [bottom, right] = middle.map((place, axis) => Math.min(place + plane.window[axis] / 2, 1));
  return [top, left, bottom - top, right - left];
};

let pointed = "";
const clear = () => {
  pointed = "";
  for (const element of all(".cross, .patch")) element.remove();
  for (const output of all(".pixels .value")) output.value = "";
};

// Point at a place, in shares of a picture's element; returns what is there, in words.
const point = (plane, y, x) => {
  const part = plane.parts.find((each) => cellAt(each, [y, x], each.box));
  const cell = part && cellAt(part, [y, x], part.box);
  const now = cell ? `${[...planes.keys()].indexOf(plane.element)} ${plane.parts.indexOf(part)} ${cell}` : "";
  if (cell && now === pointed) return "";
  clear();
  if (!cell) return "";
  pointed = now;
  const at = plane.element.dataset.parts ? middleOf(part, cell, part.of) : [y, x];
  const shown = plane.peers.filter((each) => isShown(each.element));
  for (const each of shown)
    for (const other of each.parts) {
      const there = each === plane && other === part ? cell : cellAt(other, at, other.of);
      if (!there) continue;
      mark(each, other, there);
      if (each === plane ? other !== part : each.parts.length > 1) continue; // one value for each picture
      const value = valueAt(each, other, there);
      each.element.querySelector(".value").value = `${there.join(", ")}${value && `: ${value}`}`;
    }
  const windowed = plane.window ? [plane] : shown.filter((each) => each.window && each.figure === plane.figure);
  const patches = new Set(windowed.map((each) => windowOf(each, at)?.join(" ")).filter(Boolean));
  for (const patch of patches)
    for (const each of shown) if (!each.element.dataset.parts) box(each, "patch", ...numbers(patch));
  const value = valueAt(plane, part, cell);
  return `row ${cell[0]}, column ${cell[1]}${value && `: ${value}`}`;
};

for (const plane of planes.values()) {
  const { element } = plane;
  const surface = element.closest(".sheet-pixels") ?? element;
  const follow = (event) => {
    const area = element.getBoundingClientRect();
    point(plane, (event.clientY - area.top) / area.height, (event.clientX - area.left) / area.width);
  };
  surface.addEventListener("pointermove", follow);
  surface.addEventListener("pointerdown", follow);
  // A finger that is lifted leaves the pointer where it was.
  surface.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && clear());
}
root.addEventListener("pointerdown", (event) => event.target.closest?.(".pixels, .sheet-pixels") ?? clear());

// By keyboard: one picture of a figure is reached by Tab, the others from it; arrows move the place.
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
for (const figure of all("figure.drawing")) {
  const own = all(".pixels", figure).map((element) => planes.get(element));
  const enter = (plane) => {
    for (const each of own) each.element.tabIndex = each === plane ? 0 : -1;
    plane.element.focus();
  };
  const move = (plane, down, across) => {
    const [rows, columns] = numbers(plane.element.dataset.size);
    const [top, left, bottom, right] = numbers(plane.element.dataset.place);
    let [row, column] = plane.at ?? [rows >> 1, columns >> 1];
    do { // between the pictures of a sheet there is nothing to read
      [row, column] = [row + down, column + across];
      if (row < 0 || column < 0 || row >= rows || column >= columns) return;
      plane.at = [row, column];
      const place = [top + ((row + 0.5) / rows) * (bottom - top), left + ((column + 0.5) / columns) * (right - left)];
      const words = point(plane, ...place);
      if (words) return say(words);
    } while (down || across);
  };
  for (const [index, plane] of own.entries()) {
    const { element } = plane;
    const name = element.querySelector("img").alt;
    element.tabIndex = -1;
    element.setAttribute("role", "application");
    element.setAttribute("aria-roledescription", "picture");
    element.setAttribute("aria-label", `${name} Arrow keys read its values, Page Down and Page Up go to other pictures.`);
    element.addEventListener("focus", () => element.matches(":focus-visible") && move(plane, 0, 0));
    element.addEventListener("blur", clear);
    element.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      const turn = { PageDown: 1, PageUp: -1 }[event.key];
      if (step) move(plane, ...step);
      else if (turn) {
        const seen = own.filter((each) => isShown(each.element));
        enter(seen[(seen.indexOf(plane) + turn + seen.length) % seen.length]);
      } else if (event.key === "Escape") element.blur();
      else return;
      event.preventDefault();
    });
    if (index === 0) element.tabIndex = 0;
  }
}
