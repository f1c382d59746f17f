// Images that are not drawn: out of a dataset, or files.
import { get, upload } from "./api.js";
import { cameraIn } from "./camera.js";
import { complain, made, say, settling } from "./dom.js";

const PAGE = 24;
const AT_ONCE = 200; // images that one request brings
const MOST = 1000; // images that one analysis takes

const options = (select, pairs) => select.replaceChildren(...pairs.map(([value, words]) => made("option", { value }, words)));

const labelled = (words, control) => made("label", {}, `${words} `, control);

/**
 * A dataset's images in `place`.
 *
 * `pick(image, several)` is called with one that was chosen, and `pickAll(images)` with many at once.
 */
export const datasetIn = async (place, models, pick, pickAll) => {
  const datasets = await get("/api/datasets");
  if (!datasets.length) {
    place.append(made("p", { class: "told" }, "No dataset that is installed has images like those of this model."));
    return { refresh: () => {}, mark: () => {} };
  }
  const name = made("select", { onchange: () => load(0) });
  const split = made("select", { onchange: () => load(0) });
  const label = made("select", { onchange: () => load(0) });
  const order = made("select", { onchange: () => load(0) });
  const several = made("input", { type: "checkbox" });
  const many = made("input", { type: "number", value: 100, min: 1, max: MOST, step: 1 });
  const images = made("ul", { class: "thumbnails" });
  const told = made("p", { class: "told", role: "status" });
  const back = made("button", { type: "button", onclick: () => load(offset - PAGE) }, "Previous");
  const next = made("button", { type: "button", onclick: () => load(offset + PAGE) }, "Next");
  let offset = 0;
  let loaded = "";
  let chosen = new Set();
  let latest = 0;

  options(name, datasets.map((each) => [each.name, each.name]));
  options(split, [["test", "test"], ["train", "training"]]);
  place.append(
    made("div", { class: "tools" }, labelled("Dataset", name), labelled("Split", split), labelled("Class", label), labelled("Which", order)),
    images,
    made("div", { class: "tools" }, back, next, told),
    made("label", { class: "switch" }, several, " Choose several, for analyses of many images"),
    made("div", { class: "tools" }, labelled("Number", many), made("button", { type: "button", onclick: () => chooseMany() }, "Choose the first so many")),
  );

  const wanted = (dataset, from, limit) => {
    const query = new URLSearchParams({ split: split.value, offset: from, limit });
    if (label.value !== "") query.set("class", label.value);
    if (order.value) query.set(...order.value.split(" ", 2));
    return get(`/api/datasets/${encodeURIComponent(dataset.name)}/images?${query}`);
  };
  const named = (image, dataset) => ({ ...image, words: dataset.classes[image.label] ?? "" });

  const chooseMany = async () => {
    const dataset = datasets.find((each) => each.name === name.value);
    const count = Math.min(Math.max(Math.round(Number(many.value)) || 1, 1), MOST);
    many.value = count;
    const settle = settling();
    try {
      const found = [];
      for (let ended = false; !ended && found.length < count; ) {
        const { images: some } = await wanted(dataset, found.length, Math.min(count - found.length, AT_ONCE));
        found.push(...some.map((image) => named(image, dataset)));
        ended = some.length === 0;
      }
      if (found.length) pickAll(found);
      settle();
    } catch (error) {
      complain(error.message);
    }
  };

  const load = async (from) => {
    const dataset = datasets.find((each) => each.name === name.value);
    if (loaded !== dataset.name) {
      options(label, [["", "any"], ...dataset.classes.map((each, index) => [index, each])]);
      loaded = dataset.name;
    }
    offset = Math.max(from, 0);
    const mine = (latest += 1);
    told.textContent = "Looking ...";
    const settle = settling();
    try {
      const found = await wanted(dataset, offset, PAGE);
      if (mine !== latest) return;
      images.replaceChildren(...found.images.map((image) => thumbnail(image, dataset)));
      const last = offset + found.images.length;
      told.textContent = found.total ? `${offset + 1} to ${last} of ${found.total}` : "There are none.";
      [back.disabled, next.disabled] = [offset === 0, last >= found.total];
      settle();
    } catch (error) {
      if (mine !== latest) return;
      told.textContent = "";
      complain(error.message);
    }
  };

  const thumbnail = (image, dataset) => {
    const { words } = named(image, dataset);
    const button = made("button", { type: "button", "data-id": image.id, "aria-pressed": `${chosen.has(image.id)}`, onclick: () => pick({ ...image, words }, several.checked) },
      made("img", { src: image.png, alt: `${image.source}, ${words}` }));
    return made("li", {}, button);
  };

  return {
    /** The models that can be mistaken or uncertain are those chosen now. */
    refresh: () => {
      const kept = order.value;
      options(order, [
        ["", "in their order"],
        ...models().map(({ id, name: called }) => [`mistakes ${id}`, `mistakes of ${called}`]),
        ...models().map(({ id, name: called }) => [`least_certain ${id}`, `least certain of ${called}`]),
      ]);
      if ([...order.options].some(({ value }) => value === kept)) order.value = kept;
      if (!place.hidden) load(offset);
    },
    mark: (ids) => {
      chosen = new Set(ids);
      for (const button of images.querySelectorAll("button")) button.setAttribute("aria-pressed", `${chosen.has(button.dataset.id)}`);
    },
  };
};

/** Files in `place`, chosen, dropped, or taken with a camera; `pick(images)` is called with what they are as images. */
export const filesIn = (place, model, pick) => {
  const take = async (files) => {
    if (!files.length) return;
    told.textContent = "Reading ...";
    const settle = settling();
    try {
      const answer = await upload(`/api/images?model=${encodeURIComponent(model().id)}&each=1`, files);
      const named = answer.map((image, index) => ({ ...image, words: files[index]?.name ?? "" }));
      const read = named.filter(({ error }) => !error); // what is no image keeps nobody from the others
      told.textContent = named.map(({ error, note }) => error || note).filter(Boolean).join(" ");
      if (read.length) settle();
      else complain(told.textContent);
      say(`${read.length} read. ${told.textContent}`);
      if (read.length) pick(read);
    } catch (error) {
      told.textContent = "";
      complain(error.message);
    }
  };
  const choose = (words, more = {}) => {
    const input = made("input", { type: "file", accept: "image/*", ...more, onchange: () => take([...input.files]).then(() => { input.value = ""; }) });
    return labelled(words, input);
  };
  const told = made("p", { class: "told", role: "status" });
  const zone = made("div", { class: "drop" },
    made("p", {}, "Drop image files here, or choose them."),
    choose("Image files", { multiple: true }),
    // Over HTTP from another machine a phone lets no page use its camera, and yet takes a photograph as a file.
    matchMedia("(pointer: coarse)").matches && choose("Camera", { capture: "environment" }));
  const camera = made("div", { class: "camera" });
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take([...event.dataTransfer.files]);
  });
  place.append(zone, camera, told);
  cameraIn(camera, model, take);
};
