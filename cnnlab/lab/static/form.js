// A form out of a JSON Schema: one control for each parameter, with its bounds, choices and words.
import { Refusal } from "./api.js";
import { made, say } from "./dom.js";
import { ownControl } from "./widgets.js";

const PAUSE = 350; // milliseconds without a key after which a value is looked at
const MOST_BOXES = 24; // choices up to which several are chosen by boxes; more are typed, separated by commas

/** The kinds of value that a schema allows, one after the other; null is none of them. */
const alternatives = (schema) => {
  const several = schema.anyOf ?? schema.oneOf ?? (Array.isArray(schema.type) ? schema.type.map((type) => ({ ...schema, type })) : null);
  const parts = several ? several.flatMap(alternatives) : [schema];
  return parts.filter(({ type }) => type !== "null");
};

/** A mark such as x-layer, wherever the schema has it. */
const marked = (schema, mark) => schema[mark] ?? schema.items?.[mark] ?? [...(schema.anyOf ?? []), ...(schema.items?.anyOf ?? [])].map((part) => marked(part, mark)).find((found) => found !== undefined);

const layersOf = (model, wanted) =>
  model.layers.filter((layer) => (!wanted.spatial || layer.spatial) && (!wanted.convolutional || layer.convolutional));

/** What may be chosen for a single value, as [value, words]; null where it is typed. */
const choicesOf = (parts, schema, { model, models, results }) => {
  const words = parts.flatMap((part) => part.enum ?? (part.const !== undefined ? [part.const] : [])).filter((word) => word !== null).map((word) => [word, `${word}`]);
  const layer = marked(schema, "x-layer");
  if (marked(schema, "x-class")) return [...words, ...model.classes.map((name, index) => [index, name === `${index}` ? name : `${index}: ${name}`])];
  if (layer) return [...words, ...layersOf(model, layer).map(({ name, kind }) => [name, kind ? `${name} (${kind})` : name])];
  if (marked(schema, "x-model")) return models.map(({ id, name }) => [id, name]);
  // A file is a result of this lab: the server takes no path from a browser.
  if (marked(schema, "x-path")) return [...words, ...results.map(({ id, analysis, headline }) => [{ result: id }, `${analysis}: ${headline || id}`])];
  return words.length && parts.every((part) => part.enum || part.const !== undefined) ? words : null;
};

/** What a parameter means and, where a value is typed, what it must be, in the words of the command line. */
const hintOf = (schema, isTyped) => [schema.description, isTyped && schema["x-expected"] && `Takes ${schema["x-expected"]}.`].filter(Boolean).join(" ");

const readable = (text) => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text.trim());
const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

const chooser = (id, choices, schema, required) => {
  const known = [];
  const given = choices.some(([value]) => same(value, schema.default));
  const select = made("select", { id }, !given && made("option", { value: "" }, required ? "choose" : "by default"));
  const offer = ([value, words], chosen) => {
    let index = known.findIndex((each) => same(each, value));
    if (index < 0) {
      index = known.push(value) - 1;
      select.append(made("option", { value: index }, words));
    }
    if (chosen) select.value = index;
  };
  for (const choice of choices) offer(choice, same(choice[0], schema.default));
  return { control: select, offer, value: () => (select.value === "" ? undefined : known[select.value]) };
};

const boxes = (id, choices, schema) => {
  const known = [];
  const control = made("div", { id, class: "boxes", role: "group" });
  const offer = ([value, words], chosen) => {
    let found = known.find(([each]) => same(each, value));
    if (!found) {
      known.push(found = [value, made("input", { type: "checkbox" })]);
      control.append(made("label", {}, found[1], ` ${words}`));
    }
    if (chosen) found[1].checked = true;
  };
  for (const choice of choices) offer(choice, (schema.default ?? []).some((each) => same(each, choice[0])));
  return { control, grouped: true, offer, value: () => known.filter(([, box]) => box.checked).map(([value]) => value) };
};

/** Beside the results that a parameter may be: a file that is handed over, and chosen when the server has it. */
const handing = (id, upload, several, taken, failed) => {
  const input = made("input", { type: "file", id: `${id}-file`, multiple: several, onchange: async () => {
    try {
      for (const { id: file, name } of await upload([...input.files])) taken([{ file }, name]);
    } catch (error) {
      failed(error.message);
    }
  } });
  return made("label", { class: "handing" }, several ? "or files of yours " : "or a file of yours ", input);
};

const several = (id, schema, array) => {
  const numeric = alternatives(array.items ?? {}).some(({ type }) => type === "integer" || type === "number");
  const text = made("input", { type: "text", id, value: (schema.default ?? []).join(", "), placeholder: "separated by commas", autocomplete: "off" });
  const value = () => text.value.split(",").filter((part) => part.trim()).map((part) => (numeric ? readable(part) : part.trim()));
  return { control: text, value };
};

const figure = (id, name, schema, part) => {
  const input = made("input", {
    type: "number", id, step: part.type === "integer" ? part.multipleOf ?? 1 : "any", value: schema.default ?? "",
    min: part.minimum ?? part.exclusiveMinimum, max: part.maximum ?? part.exclusiveMaximum,
  });
  const value = () => {
    if (input.validity.badInput) throw new Refusal(`${name} must be ${part.type === "integer" ? "an integer" : "a number"}.`, 400, name);
    return input.value === "" ? undefined : Number(input.value);
  };
  return { control: input, value };
};

const typed = (id, schema, parts) => {
  const numeric = parts.some(({ type }) => type === "integer" || type === "number");
  const words = parts.flatMap((part) => part.enum ?? []);
  const list = words.length ? made("datalist", { id: `${id}-words` }, ...words.map((value) => made("option", { value }))) : null;
  const input = made("input", { type: "text", id, value: schema.default ?? "", list: list?.id, autocomplete: "off" });
  const value = () => (input.value.trim() === "" ? undefined : numeric ? readable(input.value) : input.value);
  return { control: input, beside: list, value };
};

const controlOf = (id, name, schema, required, context) => {
  const parts = alternatives(schema);
  const array = parts.find(({ type }) => type === "array");
  const choices = choicesOf(array ? alternatives(array.items ?? {}) : parts, schema, context);
  const few = choices && (choices.length <= MOST_BOXES || marked(schema, "x-path")); // no path is typed
  if (array) return few ? boxes(id, choices, schema) : several(id, schema, array);
  if (choices) return chooser(id, choices, schema, required);
  if (parts.length === 1 && parts[0].type === "boolean") {
    const input = made("input", { type: "checkbox", id, checked: schema.default === true });
    return { control: input, value: () => input.checked };
  }
  if (parts.length === 1 && ["integer", "number"].includes(parts[0].type)) return figure(id, name, schema, parts[0]);
  return typed(id, schema, parts);
};

/** One parameter: its label, control and hint, and the place for the sentence that refuses its value. */
const field = (name, schema, required, context) => {
  const id = `${context.prefix ?? "of"}-${name}`;
  const called = schema.title ?? name.replaceAll("_", " ");
  const words = called.charAt(0).toUpperCase() + called.slice(1);
  const hint = made("p", { class: "hint", id: `${id}-hint` }, hintOf(schema, false));
  const refused = made("p", { class: "refused", id: `${id}-refused`, hidden: true });
  const ordinary = controlOf(id, name, schema, required, context);
  const { control, beside, grouped } = ordinary;
  let { value } = ordinary;
  hint.textContent = hintOf(schema, ["number", "text"].includes(control.type));
  control.setAttribute("aria-describedby", `${hint.id} ${refused.id}`);
  if (grouped) control.setAttribute("aria-label", words);
  const label = grouped ? made("p", { class: "label" }, words) : made("label", { for: id, class: "label" }, words);
  const checkbox = control.type === "checkbox";
  const takesFile = marked(schema, "x-path") && ordinary.offer && context.upload;
  const hand = takesFile && handing(id, context.upload, grouped, (choice) => {
    ordinary.offer(choice, true);
    element.dispatchEvent(new Event("input", { bubbles: true }));
  }, (words) => refuse(words));
  const element = made("div", { class: checkbox ? "field yes-no" : "field" }, ...(checkbox ? [control, label] : [label, control]), beside, hand, hint, refused);
  const refuse = (sentence = "") => {
    refused.textContent = sentence;
    refused.hidden = !sentence;
    sentence ? control.setAttribute("aria-invalid", "true") : control.removeAttribute("aria-invalid");
  };
  let touched = false;
  element.addEventListener("input", () => { touched = true; });
  let focus = () => (grouped ? element.querySelector("input") : control)?.focus();
  const take = (own) => {
    let now = schema.default;
    const box = made("div", { class: "widget", role: "group", "aria-label": words, "aria-describedby": `${hint.id} ${refused.id}` }, own);
    control.replaceWith(box);
    beside?.remove();
    hand?.remove();
    label.replaceWith(made("p", { class: "label" }, words));
    hint.textContent = hintOf(schema, false);
    value = () => now;
    focus = () => box.querySelector("input, select, button, textarea, [tabindex]")?.focus();
    return (changed) => {
      now = changed;
      element.dispatchEvent(new Event("input", { bubbles: true }));
    };
  };
  if (schema["x-widget"]) {
    let early = null; // what it sets before it is on the page
    let set = (changed) => { early = { changed }; };
    const given = { name, schema, value: schema.default, image: context.image ?? (async () => null), changed: (now) => set(now) };
    ownControl(schema["x-widget"], given, element).then((own) => {
      if (own === null) return;
      set = take(own);
      if (early) set(early.changed);
    });
  }
  const isChanged = (now) => now !== undefined && !same(now, schema.default) && !(schema.default === undefined && (now === false || same(now, [])));
  /** Offer what may be chosen besides, since the form was made. */
  const renew = (later) => {
    const parts = alternatives(schema);
    const array = parts.find(({ type }) => type === "array");
    const choices = ordinary.offer && choicesOf(array ? alternatives(array.items ?? {}) : parts, schema, later);
    for (const choice of choices || []) ordinary.offer(choice, false);
  };
  return { name, element, value: () => value(), refuse, focus: () => focus(), isChanged, isTouched: () => touched, renew };
};

/** Tells a refusal at the field that it is about, or in `refused`; nothing where there is none. `laid()` gives the fields. */
export const refusing = (laid, settings, refused) => (error = null) => {
  const parts = laid();
  parts.clear();
  if (error !== null && parts.isAbout(error)) settings.open = true; // before the field takes the focus
  const at = error !== null && parts.refuse(error);
  refused.textContent = error === null || at ? "" : error.message;
  refused.hidden = refused.textContent === "";
  if (error !== null) say(error.message);
};

/**
 * Tell at the fields in `element` what is wrong with them, when whoever types pauses.
 *
 * `laid()` gives the fields as they now are, `problemsOf(params)` asks the server, and `right()` is called where nothing is.
 * Call what is returned when the form is sent: what was still to be told is told by that.
 */
export const tellTyped = (element, laid, problemsOf, right) => {
  let pause = 0;
  let typed = 0;
  const look = async () => {
    const parts = laid();
    const { params, problems } = parts.read();
    typed += 1;
    const count = typed;
    const found = await problemsOf(params).catch(() => []); // who sends it will be told what is wrong
    if (parts !== laid() || count !== typed) return;
    const all = [...problems, ...found];
    parts.tell(all, true);
    if (!all.length) right();
  };
  element.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(look, PAUSE);
  });
  return () => {
    typed += 1;
    clearTimeout(pause);
  };
};

/** The fields of an analysis' parameters, or of others, whose ids begin with another `prefix`. */
export const fieldsOf = (parameters, context) => {
  const required = new Set(parameters.required ?? []);
  const fields = Object.entries(parameters.properties ?? {}).map(([name, schema]) => field(name, schema, required.has(name), context));
  // The server names the parameter of most refusals; others begin with it, or have its option somewhere.
  const about = ({ message, field: named }) => {
    const first = named ?? message.match(/^\w+/)?.[0];
    return fields.find(({ name }) => name === first) ?? fields.find(({ name }) => message.includes(`--${name.replaceAll("_", "-")} `));
  };
  return {
    elements: fields.map(({ element }) => element),
    /** What was set, beside what is so by default. */
    values: () => {
      const set = fields.map((each) => [each.name, each.value(), each]);
      return Object.fromEntries(set.filter(([, now, each]) => each.isChanged(now)).map(([name, now]) => [name, now]));
    },
    /** The same, and the refusals of what no value can be read from, as the server tells what is wrong. */
    read: () => {
      const params = {};
      const problems = [];
      for (const each of fields) {
        try {
          const now = each.value();
          if (each.isChanged(now)) params[each.name] = now;
        } catch (error) {
          problems.push({ field: each.name, error: error.message });
        }
      }
      return { params, problems };
    },
    /** Show what is wrong at its fields: where `touched` says so, at those alone that somebody has changed. */
    tell: (problems, touched) => {
      for (const each of fields) {
        const wrong = problems.find(({ field }) => field === each.name);
        each.refuse(wrong && (!touched || each.isTouched()) ? wrong.error : "");
      }
    },
    renew: (later) => fields.forEach(({ renew }) => renew(later)),
    isAbout: (error) => about(error) !== undefined,
    /** Show a refusal at the field that it is about; false where it is about none. */
    refuse: (error) => {
      const found = about(error);
      found?.refuse(error.message);
      found?.focus();
      return found !== undefined;
    },
    clear: () => fields.forEach(({ refuse }) => refuse()),
  };
};
