// The HTTP interface that docs/lab.md describes; the cookie that the first address left says who asks.

export class Refusal extends Error {
  constructor(sentence, status, field) {
    super(sentence);
    this.status = status;
    this.field = field;
  }
}

const answered = async (response) => {
  if (response.ok) return response.status === 204 ? null : response.json();
  const told = await response.json().catch(() => ({}));
  throw new Refusal(told.error ?? `The server answered ${response.status}.`, response.status, told.field);
};

const asked = (address, options) =>
  fetch(address, options).then(answered, (error) => {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer. It may have been ended: start cnnlab lab again.", 0);
  });

export const get = (address) => asked(address);

export const post = (address, body, options = {}) =>
  asked(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}), ...options });

export const upload = (address, files) => {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  return asked(address, { method: "POST", body: form });
};

export const remove = (address) => asked(address, { method: "DELETE" });

/** Follow a job until it ends: resolves to the result's id, or to null where it was cancelled. */
export const follow = (job, progress) =>
  new Promise((resolve, reject) => {
    const events = new EventSource(`/api/jobs/${encodeURIComponent(job)}/events`);
    const told = (event) => JSON.parse(event.data || "{}");
    const ends = (settle) => (event) => {
      events.close();
      settle(event);
    };
    events.addEventListener("progress", (event) => progress(told(event)));
    events.addEventListener("note", (event) => progress({ note: told(event).text ?? told(event).note ?? "" }));
    events.addEventListener("done", ends((event) => resolve(told(event).result)));
    events.addEventListener("failed", ends((event) => reject(new Refusal(told(event).error, 400, told(event).field))));
    events.addEventListener("cancelled", ends(() => resolve(null)));
    events.addEventListener("error", () => {
      if (events.readyState === EventSource.CLOSED) reject(new Refusal("The server no longer tells how the run goes.", 0));
    });
  });
