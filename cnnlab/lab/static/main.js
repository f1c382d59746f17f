// The page: which models, which image, what they read in it, and what is asked of them.
import { answersIn } from "./answers.js";
import { get, post } from "./api.js";
import { askingIn } from "./asking.js";
import { byId, complain, made } from "./dom.js";
import { canvasIn } from "./drawing.js";
import { datasetIn, filesIn } from "./images.js";
import { resultsIn } from "./results.js";

const SHOWN = 24; // images that are shown of those that go in

const models = await get("/api/models").catch((error) => {
  complain(error.message);
  return [];
});

/** Which models are asked: one at least. */
const modelsIn = (place, changed) => {
  const boxes = models.map((model, index) => {
    const box = made("input", { type: "checkbox", checked: index === 0, onchange: () => {
      if (!boxes.some(({ checked }) => checked)) box.checked = true;
      changed();
    } });
    const about = `${model.shape.map((side) => side ?? "any").join(" by ")}, ${model.classes.length} classes`;
    place.append(made("label", { title: about }, box, ` ${model.name} `, made("span", { class: "told" }, about)));
    return box;
  });
  return () => models.filter((_, index) => boxes[index].checked);
};

/** Tabs: one is shown, arrow keys go from one to the next. */
const tabsIn = (list, opened) => {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const open = (tab) => {
    for (const each of tabs) {
      each.setAttribute("aria-selected", `${each === tab}`);
      each.tabIndex = each === tab ? 0 : -1;
      byId(each.getAttribute("aria-controls")).hidden = each !== tab;
    }
    opened(tab.getAttribute("aria-controls"));
  };
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      next.focus();
      open(next);
    });
  }
};

const start = async () => {
  let picked = []; // images that were chosen; empty where it is the drawing that counts
  let drawn = new Map(); // of the drawing as it stands: what each model was given, by its id
  const chosen = modelsIn(byId("models"), () => {
    drawing.suit(chosen()[0]);
    dataset?.refresh();
    asking?.refresh();
    drawn.clear();
    show(true);
  });
  const answers = answersIn(byId("answers"), chosen);
  let dataset = null;
  let asking = null;

  const strip = (images) => {
    const removable = picked.length > 1;
    byId("chosen").replaceChildren(...(images.length ? [made("h3", {}, images.length > 1 ? `${images.length} images go in` : "This goes in")] : []),
      made("ul", { class: "strip" }, ...images.slice(0, SHOWN).map(({ png, words, note, id }) => made("li", {},
        made("img", { src: png, alt: words || "the drawing as the model sees it" }),
        made("span", {}, words || note || "the drawing"),
        removable && made("button", { type: "button", "aria-label": `Leave out ${words}`, onclick: () => pick(picked.filter((each) => each.id !== id)) }, "\u00d7"))), images.length > SHOWN && made("li", {}, `and ${images.length - SHOWN} more`)));
  };

  /** What a model is given of the drawing, as an image that the server keeps. */
  const kept = (model) => {
    if (!drawn.has(model.id)) drawn.set(model.id, post("/api/images", drawing.for(model)));
    return drawn.get(model.id);
  };

  const show = async (ended) => {
    if (picked.length) {
      strip(picked);
      answers.ask(() => picked[0].id, ended);
    } else if (drawing.isEmpty()) {
      strip([]);
      answers.clear();
    } else {
      answers.ask((model) => drawing.for(model), ended);
      if (!ended) return;
      const asked = drawn;
      const image = await kept(chosen()[0]).catch((error) => complain(error.message));
      if (image && asked === drawn && !picked.length) strip([{ ...image, words: "" }]);
    }
  };

  const pick = (images) => {
    picked = images;
    dataset?.mark(picked.map(({ id }) => id));
    show(true);
    asking?.stroke();
  };

  const drawing = canvasIn(byId("draw"), (ended) => {
    picked = [];
    drawn = new Map();
    dataset?.mark([]);
    show(ended);
    if (ended && !drawing.isEmpty()) asking?.stroke();
  });

  const inputs = async (model) => {
    if (picked.length) return picked.map(({ id }) => id);
    return drawing.isEmpty() ? [] : [(await kept(model)).id];
  };

  const results = resultsIn(byId("results"), byId("report"), () => models, {
    open: (id) => asking.open(id).then(() => byId("ask").scrollIntoView(), (error) => complain(error.message)),
    changed: () => asking?.refresh(),
  });

  drawing.suit(chosen()[0]);
  filesIn(byId("files"), () => chosen()[0], pick);
  tabsIn(document.querySelector("[role=tablist]"), (panel) => panel === "dataset" && dataset?.refresh());
  dataset = await datasetIn(byId("dataset"), chosen, (image, several) => {
    const others = picked.filter(({ id }) => id !== image.id);
    if (!several) pick([image]);
    else pick(others.length < picked.length ? others : [...others, image]);
  }, pick);
  dataset.refresh();
  await results.refresh();
  asking = await askingIn(byId("question"), byId("result"), {
    models, chosen, inputs, results: results.results, isWanted: results.isWanted, ended: () => results.refresh().catch((error) => complain(error.message)),
  });
  document.body.dataset.ready = "true";
  // What the models compute is compiled before the first stroke waits for it.
  const [first] = chosen();
  await post("/api/predict", { models: models.map(({ id }) => id).slice(0, 8), image: drawing.for(first), maps: true });
};

if (models.length) start().catch((error) => complain(error.message));
