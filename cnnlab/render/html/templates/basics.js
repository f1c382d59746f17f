// Drawings answer: sliders, pointers, values. Without this script every frame is shown, and tables have the numbers.
// What is around this script says what is meant by `root`: the document, or the part of a live page that came just now.
const all = (selector, within = root) => [...within.querySelectorAll(selector)];
const numbers = (text) => text.split(" ").map(Number);
const made = (tag, attributes, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const percents = (box) => Object.fromEntries(Object.entries(box).map(([side, share]) => [side, `${100 * share}%`]));
const isShown = (element) => element.getClientRects().length > 0;

// What is said aloud to those who do not see it, when they move by keyboard.
const said = made("div", { class: "said", role: "status" });
(root.querySelector("main") ?? root.body ?? root).append(said);
const say = (words) => { said.textContent = words; };

// A part of the page that scrolls can be reached by keyboard, for as long as it does.
const measured = new ResizeObserver((entries) => {
  for (const region of new Set(entries.map(({ target }) => target.closest(".scroll")))) {
    if (region.getAttribute("role") === "application") continue; // a chart, which always can
    if (region.scrollWidth > region.clientWidth + 1) {
      region.tabIndex = 0;
      region.setAttribute("role", "group");
      region.setAttribute("aria-label", `${region.dataset.label ?? "Wider than its place"}: scrolls sideways`);
    } else for (const name of ["tabindex", "role", "aria-label"]) region.removeAttribute(name);
  }
});
for (const region of all(".scroll")) for (const each of [region, ...region.children]) measured.observe(each);
