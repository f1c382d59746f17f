// What was found: since the start and earlier, to be opened again; and the report that is made of some of it.
import { follow, get, post } from "./api.js";
import { copier, nameOf } from "./asking.js";
import { byId, complain, made, say } from "./dom.js";

/**
 * The results in `list`, and the report in `report`.
 *
 * `open(id)` shows one; `changed(results)` is called when there are others than before.
 */
export const resultsIn = (list, report, models, { open, changed }) => {
  let results = [];
  let chosen = []; // the ids of those that the report will be of, in its order
  const told = made("p", { class: "told", role: "status" });
  const bar = made("progress", { "aria-label": "Progress of the report", hidden: true });
  const cancel = made("button", { type: "button", hidden: true }, "Cancel");
  const items = made("ol", { class: "listed" });
  const done = made("div", { class: "made" });
  const make = made("button", { type: "button", class: "main", onclick: () => write() }, "Make the report");
  const form = made("div", { hidden: true },
    made("h3", {}, "Report"),
    items,
    made("p", { class: "hint" }, "Its results are kept where the command would write them; no file is replaced."),
    made("div", { class: "tools" }, make, bar, cancel),
    told);
  report.replaceChildren(form, done);

  const called = ({ analysis, model }) => `${analysis}, ${nameOf(model, models())}`;
  const find = (id) => results.find((each) => each.id === id);

  const choose = (ids, focused) => {
    chosen = ids;
    form.hidden = !chosen.length;
    items.replaceChildren(...chosen.map((id, place) => line(find(id) ?? { id, analysis: "a result that left", model: null }, place)));
    lay();
    focused?.();
  };

  const moved = (place, by) => {
    const ids = [...chosen];
    [ids[place], ids[place + by]] = [ids[place + by], ids[place]];
    const last = place + by === 0 || place + by === ids.length - 1;
    choose(ids, () => items.children[place + by].querySelectorAll("button")[last ? (by < 0 ? 1 : 0) : by < 0 ? 0 : 1].focus());
    say(`${called(find(ids[place + by]))} is number ${place + by + 1} now.`);
  };

  const line = (result, place) => {
    const words = `${called(result)}, number ${place + 1}`;
    const button = (sign, label, off, onclick) => made("button", { type: "button", class: "small", "aria-label": `${label} ${words}`, disabled: off, onclick }, sign);
    return made("li", {},
      made("span", {}, called(result), result.headline && made("span", { class: "told" }, ` ${result.headline}`)),
      made("span", { class: "buttons" },
        button("\u2191", "Move up", place === 0, () => moved(place, -1)),
        button("\u2193", "Move down", place === chosen.length - 1, () => moved(place, 1)),
        button("\u00d7", "Remove", false, () => choose(chosen.filter((id) => id !== result.id), () => (chosen.length ? make : list.querySelector("button"))?.focus()))));
  };

  const lay = () => {
    list.replaceChildren(...results.map((each) => {
      const added = chosen.includes(each.id);
      const said = added ? "In the report" : "Add to report";
      const toggle = () => choose(added ? chosen.filter((id) => id !== each.id) : [...chosen, each.id], () => list.querySelector(`[data-id="${each.id}"]`)?.focus());
      return made("li", {},
        made("button", { type: "button", onclick: () => open(each.id) }, called(each)),
        made("span", { class: "headline-of" }, each.headline ?? ""),
        made("button", { type: "button", class: "small", "data-id": each.id, "aria-pressed": `${added}`, "aria-label": `${said}: ${called(each)}`, onclick: toggle }, said));
    }));
  };

  const write = async () => {
    make.disabled = true;
    bar.hidden = cancel.hidden = false;
    bar.removeAttribute("value");
    done.replaceChildren();
    told.textContent = "waits for its turn";
    try {
      const { job } = await post("/api/reports", { results: chosen });
      cancel.onclick = () => fetch(`/api/jobs/${encodeURIComponent(job)}`, { method: "DELETE" });
      const id = await follow(job, ({ task, done: count, total, note }) => {
        told.textContent = note ?? `${task}${total ? `: ${count} of ${total}` : ""}`;
        if (total) [bar.max, bar.value] = [total, count];
        else bar.removeAttribute("value");
      });
      told.textContent = id === null ? "Cancelled." : "";
      if (id !== null) show(await get(`/api/reports/${encodeURIComponent(id)}`));
      await refresh();
    } catch (error) {
      told.textContent = error.message;
    } finally {
      make.disabled = false;
      bar.hidden = cancel.hidden = true;
    }
  };

  const show = ({ page, path, command, results: count }) => {
    const name = path.split(/[\\/]/).at(-1);
    done.replaceChildren(
      made("p", { class: "headline" }, `The report of ${count} result${count === 1 ? "" : "s"} is written: `,
        made("a", { href: page, target: "_blank", rel: "noopener" }, "open it"), ", or ", made("a", { href: page, download: name }, "download it"), "."),
      made("p", { class: "told" }, `It lies in ${path}`),
      made("details", {}, made("summary", {}, "Repeat it"), copier("The command that makes the report", command)));
    say(`The report is written in ${path}.`);
  };

  const refresh = async () => {
    results = await get("/api/results");
    byId("earlier").hidden = !results.length;
    choose(chosen.filter(find));
    changed(results);
  };

  return {
    refresh,
    results: () => results,
    /** Whether a result is wanted: a newer one may not take its place. */
    isWanted: (id) => chosen.includes(id),
  };
};
