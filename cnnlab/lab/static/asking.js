// A question to the models: the form, the run with its progress, and what it found, side by side where there are several.
import { answer } from "./drawings.js";
import { Refusal, follow, get, post, remove, upload } from "./api.js";
import { complain, contentOf, made, say, written } from "./dom.js";
import { fieldsOf, refusing, tellTyped } from "./form.js";
import { running } from "./running.js";
import { ownDrawing } from "./widgets.js";

const LISTED = 50; // rows of a result that the page lists; the files have all

/** A text with a button that copies it. */
export const copier = (words, text) => {
  const button = made("button", { type: "button", onclick: () => {
    navigator.clipboard.writeText(text).then(() => say(`${words} is copied.`), () => complain("This browser does not let the page copy; select the text instead."));
  } }, "Copy");
  return made("div", { class: "copied" }, made("p", { class: "label" }, words), made("pre", { tabindex: 0, "aria-label": words }, made("code", {}, text)), button);
};

/** What the model that a result is of is called here. */
export const nameOf = (model, models) =>
  models.find(({ digest }) => digest && digest === model?.digest)?.name ?? model?.path?.split(/[\\/]/).at(-1) ?? "";

const table = (title, heads, rows) =>
  made("div", { class: "scroll", "data-label": title },
    made("table", {}, made("caption", {}, title),
      made("thead", {}, made("tr", {}, ...heads.map((head) => made("th", { scope: "col" }, head)))),
      made("tbody", {}, ...rows.map((cells) => made("tr", {}, ...cells.map((cell) => made("td", { class: typeof cell === "string" ? "text" : null }, written(cell))))))));

const drawn = ({ name, html }) => made("section", { "data-drawing": name }, name && made("h4", {}, name), contentOf(html));

const keeper = (id, path, done) => {
  const told = made("p", { class: "told", role: "status" }, path ? `Kept in ${path}` : "");
  const button = made("button", { type: "button", disabled: Boolean(path), onclick: async () => {
    try {
      const { path } = await post(`/api/results/${encodeURIComponent(id)}/keep`);
      button.disabled = true;
      told.textContent = `Kept in ${path}`;
      done();
    } catch (error) {
      told.textContent = error.message;
    }
  } }, "Keep");
  return [button, told];
};

/** What an analysis found, as a part of the page; `kept` is called when it has been saved. */
const shown = (id, { record, rows = [], rows_total: total = rows.length, html = [], command, python, note, images = [], kept: path }, name, kept) => {
  const base = `/api/results/${encodeURIComponent(id)}`;
  const metrics = Object.entries(record.metrics ?? {}).filter(([, value]) => value !== null);
  const heads = Object.keys(rows[0] ?? {}).filter((head) => rows.some((row) => row[head] !== null));
  const saved = images.filter((image) => image.startsWith("i")); // what lies nowhere but here
  const [keep, told] = keeper(id, path, kept);
  const figures = html.map((each) => `figure${each.name && `-${each.name}`}.png`);
  return made("article", { class: "found" },
    made("h3", {}, name),
    record.headline && made("p", { class: "headline" }, record.headline),
    ...(record.warnings ?? []).map((words) => made("p", { class: "warning" }, `Note: ${words}`)),
    ...html.map(drawn),
    metrics.length > 0 && table("Measured", ["metric", "value"], metrics),
    rows.length > 0 && table(total > LISTED ? `The first ${LISTED} of ${total} images` : "By image", heads, rows.slice(0, LISTED).map((row) => heads.map((head) => row[head]))),
    made("p", { class: "tools" }, keep,
      made("a", { href: `${base}/arrays.npz`, download: "arrays.npz" }, "arrays.npz"),
      ...["result.json", ...figures].map((file) => made("a", { href: `${base}/files/${encodeURIComponent(file)}`, download: file }, file))),
    told,
    made("details", {}, made("summary", {}, "Repeat it"),
      note && made("p", { class: "told" }, note, ...saved.flatMap((image) => [" ", made("a", { href: `/api/images/${encodeURIComponent(image)}.png`, download: `${image}.png` }, `${image}.png`)])),
      command && copier("The command", command), python && copier("The Python line", python)),
  );
};

/** The form in `form` and what comes of it in `place`; `inputs(model)` resolves to the ids of the images that are asked about. */
export const askingIn = async (form, place, { models, chosen, inputs, results: saved, isWanted, ended }) => {
  let analyses = await get("/api/analyses");
  const shownFirst = [...place.children];
  const which = made("select", { id: "analysis", onchange: () => lay() }, ...analyses.map(({ name }) => made("option", { value: name }, name)));
  const summary = made("p", { class: "summary" });
  const obstacle = made("p", { class: "refused", hidden: true });
  const fields = made("div", { class: "fields" });
  const narrow = matchMedia("(max-width: 859px)").matches; // there the result comes below, and should be near
  const seed = made("input", { type: "number", id: "seed", value: 0, step: 1, min: 0 });
  const settings = made("details", { class: "settings", open: !narrow }, made("summary", {}, "Parameters"), fields,
    made("div", { class: "field" }, made("label", { for: "seed", class: "label" }, "Seed"), seed, made("p", { class: "hint" }, "The same seed draws the same random numbers.")));
  const refused = made("p", { class: "refused", role: "alert", hidden: true });
  const button = made("button", { type: "submit", class: "main" }, "Run");
  const live = made("input", { type: "checkbox", id: "live" });
  const runs = made("div", { class: "runs" });
  const results = made("div", {}, ...shownFirst);
  place.replaceChildren(runs, results);
  form.append(
    made("div", { class: "field" }, made("label", { for: "analysis", class: "label" }, "Analysis"), which, summary),
    obstacle, refused,
    made("div", { class: "tools" }, button, made("label", { class: "switch" }, live, " Live: run again after each stroke")),
    settings,
  );
  let parts = null;
  let laid = "";
  let turn = 0;
  let jobs = new Set();
  const lives = new Map(); // the last live result by analysis and model: the next one takes its place

  const now = () => analyses.find(({ name }) => name === which.value);

  const lay = () => {
    const analysis = now();
    const [model] = chosen();
    summary.textContent = analysis.summary;
    const obstacles = chosen().map(({ id }) => analysis.obstacles?.[id]).filter(Boolean);
    obstacle.textContent = obstacles.join(" ");
    obstacle.hidden = !obstacles.length;
    button.disabled = obstacles.length > 0;
    live.disabled = analysis.inputs === "none";
    const wanted = `${analysis.name} ${model.id}`;
    if (laid === wanted) {
      parts.renew({ model, models, results: saved() });
      return;
    }
    laid = wanted;
    const image = async () => {
      const [first] = await inputs(model);
      return first ? `/api/images/${encodeURIComponent(first)}.png?model=${encodeURIComponent(model.id)}` : null;
    };
    const handOver = (files) => upload("/api/files", files);
    parts = fieldsOf(analysis.parameters, { model, models, results: saved(), image, upload: handOver });
    fields.replaceChildren(...parts.elements);
    refuse();
  };

  const refuse = refusing(() => parts, settings, refused);

  /** What the server would refuse of a question, and why; a refusal itself would be a line in the console. */
  const problemsOf = async (analysis, model, question) => {
    const { problems } = await post(`/api/analyses/${encodeURIComponent(analysis.name)}/check`, { model: model.id, ...question });
    return problems;
  };

  const leaveUntold = tellTyped(fields, () => parts, (params) => problemsOf(now(), chosen()[0], { params }), () => { refused.hidden = true; });

  const checked = new Map(); // by model, the question that was last found right: it is asked again after each stroke
  const check = async (analysis, model, question) => {
    const { images, ...others } = question;
    const key = JSON.stringify([analysis.name, others, images.length === 1 || images]);
    if (checked.get(model.id) === key) return;
    const [first] = await problemsOf(analysis, model, question);
    if (first) throw new Refusal(first.error, 400, first.field || undefined);
    checked.set(model.id, key);
  };

  const cancelAll = () => {
    for (const job of jobs) remove(`/api/jobs/${encodeURIComponent(job)}`).catch(() => {}); // it may have ended just now
    jobs = new Set();
  };

  const runOn = async (model, question, analysis, mine, isLive) => {
    const key = `${analysis.name} ${model.id}`;
    const before = isLive && lives.has(key) && !isWanted(lives.get(key)) ? { replaces: lives.get(key) } : {};
    const images = analysis.inputs === "none" ? [] : await inputs(model);
    if (mine !== turn) return null;
    if (analysis.inputs === "required" && !images.length) throw new Refusal(`${analysis.name} asks about an image: draw one, or choose one, above.`, 400);
    await check(analysis, model, { images, ...question });
    if (mine !== turn) return null;
    const { job } = await post(`/api/analyses/${encodeURIComponent(analysis.name)}`, { model: model.id, images, ...question, ...before });
    if (mine !== turn) return remove(`/api/jobs/${encodeURIComponent(job)}`).then(() => null, () => null);
    jobs.add(job);
    const { element, show, cancel } = running(model.name);
    cancel.addEventListener("click", () => remove(`/api/jobs/${encodeURIComponent(job)}`).catch((error) => complain(error.message)));
    runs.append(element);
    try {
      const id = await follow(job, show);
      jobs.delete(job); // what has ended is not cancelled
      if (isLive && id !== null) lives.set(key, id);
      return id === null ? null : { id, model, found: await get(`/api/results/${encodeURIComponent(id)}`) };
    } finally {
      jobs.delete(job);
      element.remove();
    }
  };

  const run = async (isLive = false) => {
    turn += 1;
    leaveUntold();
    const mine = turn;
    cancelAll();
    runs.replaceChildren();
    refuse();
    const analysis = now();
    const started = performance.now();
    try {
      const question = { params: parts.values(), seed: Number(seed.value) };
      // What one model cannot do keeps nobody from seeing what another found.
      const ran = await Promise.allSettled(chosen().map((model) => runOn(model, question, analysis, mine, isLive)));
      if (mine !== turn) return;
      const found = ran.map(({ value }) => value).filter(Boolean);
      const failed = ran.find(({ status }) => status === "rejected");
      if (found.length) {
        show(found, analysis.name);
        performance.measure("result", { start: started });
      } else if (!failed) runs.replaceChildren(made("p", { class: "told", role: "status" }, "Cancelled."));
      if (failed) refuse(failed.reason);
      ended();
    } catch (error) {
      refuse(error); // a value that no number can be read from
    }
  };

  const show = (found, name) => {
    const root = made("div", { class: "compared" }, ...found.map(({ id, model, found: each }) => shown(id, each, `${name}, ${model.name}`, ended)));
    results.replaceChildren(root);
    answer(root);
    for (const [index, { id, model, found: each }] of found.entries()) dress(root.children[index], id, model, each);
    say(found.map(({ found: { record } }) => record.headline).filter(Boolean).join(" ") || `${name} is done.`);
  };

  /** Have the plugin add to its drawings, where it brings a widget for them. */
  const dress = (article, id, model, found) => {
    const { analysis, plugin } = found.record;
    const names = [analysis, `${plugin?.distribution}:${analysis}`];
    const widgets = analyses.find(({ name, distribution }) => names.includes(name) && distribution === plugin?.distribution)?.widgets ?? {};
    const at = model.id ? `?model=${encodeURIComponent(model.id)}` : "";
    const images = (found.images ?? []).map((image) => `/api/images/${encodeURIComponent(image)}.png${at}`);
    for (const section of article.querySelectorAll("section[data-drawing]")) {
      const drawing = found.html.find(({ name }) => name === section.dataset.drawing);
      const again = () => {
        const ordinary = drawn(drawing);
        setTimeout(() => answer(ordinary)); // when it is on the page
        return ordinary;
      };
      if (widgets[drawing.name]) ownDrawing(widgets[drawing.name], section, { id, name: drawing.name, result: found, images }, again);
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  lay();
  return {
    refresh: lay,
    /** Called when a model has joined: it may be one of a parameter's, and what it cannot be asked is told. */
    renew: async () => {
      analyses = await get("/api/analyses");
      lay();
    },
    /** Called after each stroke: runs again where that is asked for. */
    stroke: () => live.checked && !live.disabled && !button.disabled && run(true),
    open: async (id) => {
      const found = await get(`/api/results/${encodeURIComponent(id)}`);
      show([{ id, model: { name: nameOf(found.record.model, models) }, found }], found.record.analysis);
    },
  };
};
