// A plugin's own widget: a module that it ships, for a parameter or for a drawing (docs/plugins/widgets.md).
// What goes wrong in one costs itself alone: the ordinary control or drawing is there instead, with a note.
import { get } from "./api.js";
import { made } from "./dom.js";

const loaded = async (address, name) => {
  const found = (await import(address))[name];
  if (typeof found !== "function") throw new Error(`it exports no ${name}`);
  return found;
};

const sorry = (what, error) => made("p", { class: "told" }, `The plugin's own ${what} cannot be shown: ${error?.message ?? error}.`);

/** The element by which a plugin has a parameter set; null where it fails, and then `place` says so. */
export const ownControl = async (address, given, place) => {
  try {
    const element = await (await loaded(address, "parameter"))(given);
    if (!(element instanceof Element)) throw new Error("it gave no element");
    return element;
  } catch (error) {
    place.append(sorry("control", error));
    return null;
  }
};

/** Have a plugin add to a drawing of its own, which stands in `section`; `again()` makes the ordinary one anew. */
export const ownDrawing = async (address, section, { id, name, result, images }, again) => {
  const array = (of) => get(`/api/results/${encodeURIComponent(id)}/arrays/${of.split("/").map(encodeURIComponent).join("/")}`);
  try {
    await (await loaded(address, "drawing"))({ name, result, images, array, element: section });
  } catch (error) {
    const ordinary = again();
    ordinary.append(sorry("drawing", error));
    section.replaceWith(ordinary);
  }
};
