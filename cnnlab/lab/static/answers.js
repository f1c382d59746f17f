// What the models read in an image: a bar for each class, and the maps of the first layers. The latest image wins.
import { post } from "./api.js";
import { complain, made, percent, say, settling } from "./dom.js";

const MOST = 20; // classes up to which each keeps its bar in its place; of more, the likeliest are listed
const LISTED = 10;

/** The part of the page that is one model's. */
const column = (model) => {
  const words = made("p", { class: "reads" }, " ");
  const bars = made("ol", { class: "probabilities" });
  const maps = made("div", { class: "maps" });
  const all = model.classes.length <= MOST;
  const rows = Array.from({ length: all ? model.classes.length : LISTED }, () => {
    const row = { name: made("span", { class: "class" }), fill: made("span", { class: "fill" }), share: made("span", { class: "share" }) };
    row.element = made("li", {}, row.name, made("span", { class: "track", "aria-hidden": "true" }, row.fill), row.share);
    bars.append(row.element);
    return row;
  });
  const pictures = new Map();
  const show = ({ probabilities, predicted, maps: layers = [] }) => {
    const order = [...probabilities.keys()];
    if (!all) order.sort((a, b) => probabilities[b] - probabilities[a]);
    rows.forEach((row, index) => {
      const which = order[index];
      row.name.textContent = model.classes[which];
      row.fill.style.width = `${100 * probabilities[which]}%`;
      row.share.textContent = percent(probabilities[which]);
      row.element.classList.toggle("predicted", which === predicted);
    });
    words.textContent = `${model.classes[predicted]} at ${percent(probabilities[predicted])}`;
    for (const { layer, shape, png } of layers) {
      if (!pictures.has(layer)) {
        const picture = { image: made("img", { class: "map" }), caption: made("figcaption") };
        maps.append(made("figure", {}, picture.caption, picture.image));
        pictures.set(layer, picture);
      }
      const { image, caption } = pictures.get(layer);
      image.src = png;
      image.alt = `Feature maps of ${layer}`;
      caption.textContent = `${layer}: ${shape.join(" by ")}`;
    }
    return words.textContent;
  };
  return { element: made("div", { class: "model" }, made("h3", {}, model.name), words, bars, maps), show };
};

/** Show in `place` what the models that `models()` gives read. */
export const answersIn = (place, models) => {
  const told = made("p", { class: "told took" });
  const empty = [...place.children];
  let columns = new Map();
  let shown = "";
  let waiting = null;
  let busy = false;
  let cleared = 0;

  const lay = (chosen) => {
    const now = chosen.map(({ id }) => id).join("\n");
    if (now === shown) return;
    shown = now;
    columns = new Map(chosen.map((model) => [model.id, column(model)]));
    place.replaceChildren(made("div", { class: "models" }, ...[...columns.values()].map(({ element }) => element)), told);
  };

  const predict = async ({ imageFor, aloud, since, settle }) => {
    const chosen = models();
    const before = cleared;
    const alike = chosen.every(({ shape }) => `${shape}` === `${chosen[0].shape}`);
    const groups = alike ? [chosen] : chosen.map((model) => [model]);
    const answers = await Promise.all(groups.map((group) =>
      post("/api/predict", { models: group.map(({ id }) => id), image: imageFor(group[0]), maps: true })));
    if (before !== cleared) return; // what was drawn is there no longer
    if (chosen.some(({ id }) => !models().some((model) => model.id === id))) return;
    lay(chosen);
    const words = answers.flatMap(({ results }) => results).map((result) => {
      const read = columns.get(result.model).show(result);
      return chosen.length > 1 ? `${columns.get(result.model).element.querySelector("h3").textContent}: ${read}` : read;
    });
    if (performance.getEntriesByName("answer").length >= 1000) performance.clearMeasures("answer");
    const measure = performance.measure("answer", { start: since });
    told.textContent = `Answered in ${Math.round(measure.duration)} ms.`;
    settle();
    if (aloud) say(words.join("; "));
  };

  const go = async () => {
    busy = true;
    place.setAttribute("aria-busy", "true");
    while (waiting) {
      const now = waiting;
      waiting = null;
      try {
        await predict(now);
      } catch (error) {
        complain(error.message);
      }
    }
    busy = false;
    place.removeAttribute("aria-busy");
  };

  return {
    /** Ask what is read; `imageFor(model)` is called when it is sent, so that it is the latest. */
    ask: (imageFor, aloud) => {
      waiting = { imageFor, aloud: aloud || (waiting?.aloud ?? false), since: performance.now(), settle: settling() };
      if (!busy) go();
    },
    clear: () => {
      cleared += 1;
      waiting = null;
      shown = "";
      place.replaceChildren(...empty);
    },
  };
};
