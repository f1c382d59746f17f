// Training: its form, what each epoch brings, and the runs that can be gone on with.
import { Refusal, get, listen, post, remove } from "./api.js";
import { copier } from "./asking.js";
import { complain, contentOf, made, percent, say } from "./dom.js";
import { answer } from "./drawings.js";
import { fieldsOf, refusing, tellTyped } from "./form.js";
import { running } from "./running.js";

const isNarrow = () => matchMedia("(max-width: 859px)").matches;
const nameOf = (run) => run?.split(/[\\/]/).at(-1) ?? "a new network";

/** What one training shows, while it is under way and when it has ended. */
const shownOf = (name) => {
  const head = made("h3", {}, name);
  const where = made("p", { class: "told" });
  const words = made("p", { class: "headline" });
  const more = made("div", { class: "tools" });
  const notes = made("div", {});
  const drawings = made("div", { class: "preview" });
  const repeat = made("details", {}, made("summary", {}, "Repeat it"));
  return { element: made("article", { class: "found" }, head, where, words, more, notes, drawings, repeat), head, where, words, more, notes, drawings, repeat };
};

/**
 * The form in `form`, and what comes of it in `place`.
 *
 * `joined(id)` is called when a model has joined those of the lab, and `choose(id)` when it shall be asked; `isFirst` says
 * that there is none yet.
 */
export const trainingIn = async (form, place, { joined, choose, isFirst }) => {
  const refused = made("p", { class: "refused", role: "alert", hidden: true });
  const begin = made("button", { type: "submit", class: "main" }, "Start");
  const fields = made("div", { class: "fields" });
  const settings = made("details", { class: "settings", open: isFirst && !isNarrow() }, made("summary", {}, "Settings"), fields);
  const waiting = made("div", {});
  form.append(refused, made("div", { class: "tools" }, begin), waiting, settings);
  let told = await get("/api/training");
  const parts = fieldsOf(told.settings, { prefix: "train" });
  fields.append(...parts.elements);

  const refuse = refusing(() => parts, settings, refused);

  /** What the server would refuse of settings, and why; a refusal itself would be a line in the console. */
  const problemsOf = async (chosen) => (await post("/api/training/check", { settings: chosen })).problems;

  const leaveUntold = tellTyped(fields, () => parts, problemsOf, () => { refused.hidden = true; });

  const lay = () => {
    begin.disabled = told.job !== null;
    waiting.replaceChildren(...(told.unfinished.length ? [
      made("h3", {}, "Unfinished runs"),
      made("ul", { class: "unfinished" }, ...told.unfinished.map((run) => made("li", {},
        made("span", {}, run.name),
        made("span", { class: "told" }, `${run.dataset}, ${run.epochs_done} of ${run.epochs} epochs`),
        made("button", { type: "button", class: "small", disabled: told.job !== null, "aria-label": `Resume ${run.name}`, onclick: () => start(() => ({ resume: run.id })) }, "Resume")))),
    ] : []));
  };

  const refresh = async () => {
    told = await get("/api/training");
    lay();
  };

  const start = async (body) => {
    leaveUntold();
    refuse();
    begin.disabled = true;
    try {
      const { job } = await post("/api/training", await body());
      await attend(job);
    } catch (error) {
      refuse(error);
    }
    await refresh().catch((error) => complain(error.message));
  };

  /** Show a training until it has ended. */
  const attend = async (job) => {
    const { run, command } = await get(`/api/jobs/${encodeURIComponent(job)}`);
    const shown = shownOf(nameOf(run));
    const under = running(`Training ${nameOf(run)}`, "Stop");
    under.cancel.addEventListener("click", () => {
      under.cancel.disabled = true;
      remove(`/api/jobs/${encodeURIComponent(job)}`).catch((error) => complain(error.message));
    });
    place.replaceChildren(under.element, shown.element);
    if (isNarrow()) settings.open = false; // what it shows comes below
    shown.repeat.append(copier("The command that trains the same", command));
    const ended = (words, ...buttons) => {
      under.element.remove();
      shown.words.textContent = words;
      shown.more.replaceChildren(...buttons);
      say(words);
    };
    await refresh().catch(() => {}); // nothing else begins meanwhile
    await new Promise((resolve) => listen(job, {
      progress: under.show,
      note: ({ text }) => shown.notes.append(made("p", { class: "warning" }, `Note: ${text}`)),
      started: ({ run: folder, training_images: training, validation_images: validation }) => {
        shown.head.textContent = nameOf(folder);
        shown.where.textContent = `Its folder is ${folder}. ${training} training images, ${validation} to validate on.`;
      },
      preview: ({ html }) => {
        shown.drawings.replaceChildren(contentOf(html));
        answer(shown.drawings);
      },
      epoch: ({ epoch, val_accuracy: accuracy }) => say(`Epoch ${epoch}: validation accuracy ${percent(accuracy)}.`),
      done: async ({ model, run: folder }) => {
        ended(`The run is complete${model ? ", and is among the models above" : ""}.`);
        if (model) {
          await joined(model).catch((error) => complain(error.message));
          shown.more.append(made("button", { type: "button", onclick: () => choose(model) }, `Ask ${nameOf(folder)}`));
        }
        resolve();
      },
      cancelled: ({ text, resume }) => {
        ended(text.split("\n")[0], ...(resume ? [made("button", { type: "button", onclick: () => start(() => ({ resume })) }, "Resume")] : []));
        if (resume) shown.repeat.append(copier("The command that goes on with it", text.split("Go on with: ").at(-1)));
        resolve();
      },
      failed: ({ error, field }) => {
        ended("");
        refuse(Object.assign(new Error(error), { field }));
        resolve();
      },
    }, (error) => {
      ended(error.message);
      resolve();
    }));
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start(async () => {
      const chosen = parts.values();
      const [first] = await problemsOf(chosen);
      if (first) throw new Refusal(first.error, 400, first.field || undefined);
      return { settings: chosen };
    });
  });
  lay();
  if (told.job !== null) attend(told.job).then(refresh).catch((error) => complain(error.message)); // begun before this page was opened
};
