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

const ENDS = ["done", "failed", "cancelled"];

/** Hear a job's events, by their kinds, until it has ended; `lost` is called where the server is gone. */
export const listen = (job, heard, lost) => {
  const events = new EventSource(`/api/jobs/${encodeURIComponent(job)}/events`);
  for (const [kind, hear] of Object.entries(heard)) {
    events.addEventListener(kind, (event) => {
      if (ENDS.includes(kind)) events.close();
      hear(JSON.parse(event.data || "{}"));
    });
  }
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) lost(new Refusal("The server no longer tells how the run goes.", 0));
  });
};

/** Follow a job until it ends: resolves to the result's id, or to null where it was cancelled. */
export const follow = (job, progress) =>
  new Promise((resolve, reject) => listen(job, {
    progress,
    preview: progress,
    note: ({ text }) => progress({ note: text }),
    done: ({ result }) => resolve(result),
    failed: ({ error, field }) => reject(new Refusal(error, 400, field)),
    cancelled: () => resolve(null),
  }, reject));
