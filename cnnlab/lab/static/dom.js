// Elements in one line each, and what is said aloud.

/** An element with attributes, properties and children; a function is a listener: `made("button", { onclick: go }, "Go")`. */
export const made = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};

/** What HTML that the server made holds; cnnlab.render.html escaped everything in it. */
export const contentOf = (html) => {
  const held = document.createElement("template");
  held.innerHTML = html;
  return held.content;
};

export const byId = (id) => document.getElementById(id);

/** Say something to those who do not see it happen. */
export const say = (words) => { byId("said").textContent = words; };

let complaints = 0;

/** Show one sentence about what went wrong above everything. */
export const complain = (words) => {
  complaints += 1;
  byId("trouble").textContent = words;
  byId("trouble").hidden = !words;
};

/** What is to be called where something begun now has gone well: it takes away what was complained of before, and nothing later. */
export const settling = () => {
  const before = complaints;
  return () => before === complaints && complain("");
};

/** A number as people read it: four digits, and no tail of zeros. */
export const written = (value) => {
  if (typeof value !== "number" || Number.isInteger(value)) return `${value ?? ""}`;
  return `${Number(value.toPrecision(4))}`;
};

export const percent = (share) => (share >= 0.9995 || share < 0.0005 ? `${Math.round(100 * share)}%` : `${(100 * share).toFixed(1)}%`);
