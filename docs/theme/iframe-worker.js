// The search runs in a worker, which a page that was opened as a file may not start. There a hidden frame runs it, and is
// asked and answers as a worker: with copies, and not at once.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(script) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc = "<!doctype html>";
      this.frame = frame;
      this.inside = new Promise((resolve, reject) => {
        frame.onload = () => {
          frame.contentWindow.postMessage = (data) => this.tell(message(data));
          const run = frame.contentDocument.createElement("script");
          run.src = script;
          run.onload = () => resolve(frame.contentWindow);
          run.onerror = () => reject(new Error(`${script} cannot be read`));
          frame.contentDocument.head.append(run);
        };
      });
      this.inside.catch(() => this.tell(new ErrorEvent("error")));
      document.body.append(frame);
    }

    tell(event) {
      setTimeout(() => {
        this.dispatchEvent(event);
        this[`on${event.type}`]?.(event);
      });
    }

    postMessage(data) {
      const event = message(data);
      this.inside.then((inside) => inside.onmessage(event), () => {});
    }

    terminate() {
      this.frame.remove();
    }
  };

  function message(data) {
    return new MessageEvent("message", { data: structuredClone(data) });
  }
}
