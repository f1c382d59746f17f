// The page: which models, which image, what they read in it, and what is asked of them.
import { answersIn } from "./answers.js";
import { get, post } from "./api.js";
import { askingIn } from "./asking.js";
import { byId, complain, made } from "./dom.js";
import { canvasIn } from "./drawing.js";
import { datasetIn, filesIn } from "./images.js";
import { resultsIn } from "./results.js";
import { trainingIn } from "./training.js";

const SHOWN = 24; // images that are shown of those that go in

const found = await get("/api/models").catch((error) => complain(error.message));
const models = found ?? []; // others may join while the page is open
const complainOf = (error) => complain(error.message);

/** Which models are asked: one at least. */
const modelsIn = (place, changed) => {
  const boxes = new Map();
  const isChosen = ({ id }) => boxes.get(id)?.checked;
  const lay = () => {
    for (const model of models.filter(({ id }) => !boxes.has(id))) {
      const box = made("input", { type: "checkbox", checked: boxes.size === 0, onchange: () => {
        if (!models.some(isChosen)) box.checked = true;
        changed();
      } });
      const about = `${model.shape.map((side) => side ?? "any").join(" by ")}, ${model.classes.length} classes`;
      place.append(made("label", { title: about }, box, ` ${model.name} `, made("span", { class: "told" }, about)));
      boxes.set(model.id, box);
    }
  };
  lay();
  return {
    chosen: () => models.filter(isChosen),
    lay,
    choose: (wanted) => {
      for (const [id, box] of boxes) box.checked = id === wanted;
      changed();
    },
  };
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
  const { chosen, lay, choose } = modelsIn(byId("models"), () => {
    drawing.suit(chosen()[0]);
    dataset?.refresh();
    asking?.refresh();
    drawn.clear();
    show(true);
  });
  const answers = answersIn(byId("answers"), chosen);
  let dataset = null;
  let datasets = null; // their names
  let asking = null;

  const strip = (images) => {
    const removable = picked.length > 1;
    byId("chosen").replaceChildren(...(images.length ? [made("h3", {}, images.length > 1 ? `${images.length} images go in` : "This goes in")] : []),
      made("ul", { class: "strip" }, ...images.slice(0, SHOWN).map(({ png, words, note, id }) => made("li", {},
        made("img", { src: png, alt: words || "the drawing as the model sees it" }),
        made("span", { "aria-hidden": words ? "true" : null }, words || note || "the drawing"), // words are the image's already
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

  /** Show the datasets; their images as they are where there are no others. */
  const lookThrough = async () => {
    const names = (await get("/api/datasets")).map(({ name }) => name).join("\n");
    if (names !== datasets) {
      datasets = names;
      byId("dataset").replaceChildren();
      dataset = await datasetIn(byId("dataset"), chosen, (image, several) => {
        const others = picked.filter(({ id }) => id !== image.id);
        if (!several) pick([image]);
        else pick(others.length < picked.length ? others : [...others, image]);
      }, pick);
    }
    dataset.refresh();
  };

  drawing.suit(chosen()[0]);
  filesIn(byId("files"), () => chosen()[0], pick);
  tabsIn(document.querySelector("[role=tablist]"), (panel) => panel === "dataset" && dataset?.refresh());
  await lookThrough();
  await results.refresh();
  asking = await askingIn(byId("question"), byId("result"), {
    models, chosen, inputs, results: results.results, isWanted: results.isWanted, ended: () => results.refresh().catch((error) => complain(error.message)),
  });
  document.body.dataset.ready = "true";
  // What the models compute is compiled before the first stroke waits for it.
  const [first] = chosen();
  post("/api/predict", { models: models.map(({ id }) => id).slice(0, 8), image: drawing.for(first), maps: true }).catch(complainOf);
  return {
    choose,
    /** Offer the models that have joined. */
    renew: async () => {
      lay();
      await Promise.all([lookThrough(), asking.renew()]);
    },
  };
};

let opened = null; // what the models are asked in, once there is one

const open = () => {
  for (const id of ["image", "prediction", "ask", "models"]) byId(id).hidden = !models.length;
  byId("none").hidden = models.length > 0;
  if (models.length) opened = start();
  else byId("earlier").hidden = true;
  return opened;
};

/** Take in the models that have joined those of the lab. */
const join = async () => {
  const known = new Set(models.map(({ id }) => id));
  models.push(...(await get("/api/models")).filter(({ id }) => !known.has(id)));
  await (opened ? opened.then(({ renew }) => renew()) : open());
};

if (found) {
  open()?.catch(complainOf);
  trainingIn(byId("network"), byId("training"), {
    joined: join,
    choose: async (id) => {
      (await opened).choose(id);
      byId("models").scrollIntoView();
    },
    isFirst: !models.length,
  }).catch(complainOf);
}
