// Where several sheets show the units of one layer, its filters and its maps, choosing one shows it in each of them.
const layers = new Map();
for (const sheet of all(".sheet-pixels[data-layer]"))
  layers.set(sheet.dataset.layer, [...(layers.get(sheet.dataset.layer) ?? []), sheet]);
const panel = made("aside", { class: "unit-panel", "aria-label": "One unit of a layer", hidden: "" });
(root.body ?? root).append(panel);
const buttons = [];
let opener = null;

const close = () => {
  panel.hidden = true;
  for (const { button } of buttons) button.setAttribute("aria-pressed", "false");
  opener?.focus();
  opener = null;
};

// A unit as a picture of its own, cut out of its sheet.
const cut = (sheet, [left, top, width, height], words) => {
  const canvas = made("canvas", { width, height, role: "img", "aria-label": words });
  canvas.getContext("2d").drawImage(sheet.querySelector("img"), left, top, width, height, 0, 0, width, height);
  canvas.style.width = `${96 * Math.min(width / height, 3)}px`;
  return canvas;
};

// The image that a sheet's maps are of, where it is drawn beside them.
const imageOf = (sheet) => {
  const { key, image } = sheet.querySelector(".pixels").dataset;
  const same = key === undefined ? `[data-image="${image}"]` : `[data-key="${CSS.escape(key)}"]`;
  const within = key === undefined ? sheet.closest("figure.drawing") : root;
  return image === undefined ? null : within.querySelector(`.picture:not(.sheet) .pixels${same}`);
};

const shown = (sheet, place, name) => {
  const pixels = imageOf(sheet);
  const caption = pixels?.closest(".picture").querySelector(".caption")?.textContent ?? "";
  const image = pixels?.querySelector("img").cloneNode();
  if (image) image.alt = caption;
  const words = pixels ? caption : "the filter";
  return made("div", { class: "unit-of" }, made("p", { class: "caption" }, words), ...(image ? [image] : []), cut(sheet, place, `${name}, ${words}`));
};

const open = (layer, unit, button) => {
  const name = `${layer}, ${unit}`;
  const ends = made("button", { type: "button", class: "close", "aria-label": "Close" }, "\u00d7");
  ends.addEventListener("click", close);
  const sheets = layers.get(layer).map((sheet) => [sheet, JSON.parse(sheet.dataset.units)[unit]]).filter(([, place]) => place);
  panel.replaceChildren(made("p", { class: "title" }, name), ends, ...sheets.map(([sheet, place]) => shown(sheet, place, name)));
  panel.hidden = false;
  for (const each of buttons) each.button.setAttribute("aria-pressed", `${each.layer === layer && each.unit === unit}`);
  opener = button;
  say(`${name} is shown in ${sheets.length} sheets; Escape closes it.`);
};

for (const [layer, sheets] of layers) {
  if (sheets.length < 2) continue;
  for (const sheet of sheets) {
    const [rows, columns] = numbers(sheet.querySelector(".pixels").dataset.size);
    const own = Object.entries(JSON.parse(sheet.dataset.units)).sort(([, a], [, b]) => a[1] - b[1] || a[0] - b[0]);
    const across = own.filter(([, place]) => place[1] === own[0][1][1]).length;
    const row = own.map(([unit, [left, top, width, height]], index) => {
      const button = made("button", { type: "button", class: "unit-button", "aria-pressed": "false", "aria-label": `${layer}, ${unit}: show it in each image` });
      Object.assign(button.style, percents({ left: left / columns, top: top / rows, width: width / columns, height: height / rows }));
      button.tabIndex = index ? -1 : 0;
      button.addEventListener("click", () => button.getAttribute("aria-pressed") === "true" ? close() : open(layer, unit, button));
      button.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
        const next = step && row[index + step];
        if (!next) return;
        [button.tabIndex, next.tabIndex] = [-1, 0];
        next.focus();
        event.preventDefault();
      });
      buttons.push({ button, layer, unit });
      return button;
    });
    sheet.append(made("div", { class: "unit-buttons", role: "group", "aria-label": `Units of ${layer}` }, ...row));
  }
}
root.addEventListener("keydown", (event) => event.key === "Escape" && !panel.hidden && close());
