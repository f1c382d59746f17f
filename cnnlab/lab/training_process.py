"""The process that trains for a lab: an order on its standard input, and what it tells as lines of JSON on its output.

It trains as ``cnnlab train`` does, and is stopped as that is. Its input stays open as long as it is to go on: where the
lab closes it, or ends in whatever way, what is done is saved.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cnnlab import interrupts
from cnnlab.errors import CnnlabError
from cnnlab.training.reporter import Progress, Reporter

if TYPE_CHECKING:
    import numpy as np

    from cnnlab.drawings import Drawing
    from cnnlab.runs import Run

Tell = Callable[[str, dict[str, Any]], None]

SHARE = 5
"""How many times as long as the last drawings took nothing is drawn: of quick epochs not each one."""


def main() -> NoReturn:
    """Train as ordered on standard input."""
    told = Lines(os.dup(1))
    os.dup2(2, 1)  # what plugins print is for the terminal

    def leave(words: str) -> NoReturn:
        told("stopped", {"text": words})
        os._exit(interrupts.status())

    interrupts.listen(leave)
    try:
        order = json.loads(_line())
        threading.Thread(target=_stop_where_it_closes, daemon=True).start()
        status = carry_out(order, told)
    except KeyboardInterrupt as stop:
        leave(str(stop))
    sys.stderr.flush()
    os._exit(status)  # to take TensorFlow's modules apart takes a second


def carry_out(order: Mapping[str, Any], tell: Tell) -> int:
    """Train, and return the status to end with.

    Args:
        order: ``settings``, ``device``, and ``out``, the run to go on with; or none, for a new one below ``runs/``.
        tell: Called with everything there is to tell: its kind, and data.
    """
    from cnnlab.training.api import train

    out = order["out"]
    reporter = Telling(tell)
    try:
        run = train(**order["settings"], device=order["device"], out=out, resume=out is not None, reporter=reporter)
    except KeyboardInterrupt as stop:
        tell("stopped", {"text": str(stop)})
        return interrupts.status()
    except CnnlabError as error:
        tell("failed", {"error": str(error)})
        return 1
    tell("complete", {"run": str(run.path)})
    return 0


class Lines:
    """Writes what is told, a line each, whole: the main thread tells, and the one that ends the process.

    Args:
        descriptor: Where to.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, kind: str, data: dict[str, Any]) -> None:
        """Write one line; nothing where nobody reads any more."""
        line = memoryview(json.dumps([kind, data]).encode() + b"\n")
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except OSError:
                return


def _line() -> bytes:
    """Read the order; by the descriptor, as a thread that waits in Python's own reader keeps a process from ending."""
    read = b""
    while not read.endswith(b"\n") and (more := os.read(0, 1 << 16)):
        read += more
    return read


def _stop_where_it_closes() -> None:
    while os.read(0, 1 << 16):
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # SIGINT is ignored below what a shell starts in the background


class Telling(Reporter):
    """Tells the progress of training, and draws the curves and the first kernels after each epoch.

    Args:
        tell: Called with each event.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._run: Run | None = None
        self._kernels: tuple[str, np.ndarray] | None = None
        self._history: list[Mapping[str, Any]] = []
        self._not_before = 0.0

    def stage(self, message: str) -> None:
        """Tell what is done that cannot be counted."""
        self._tell("progress", {"task": message, "done": 0, "total": None, "seconds_left": None})

    def note(self, message: str) -> None:
        """Tell it as it is."""
        self._tell("note", {"text": message})

    def started(self, folder: Path, training_images: int, evaluated_images: int, resumed_at: int) -> None:
        """Tell where the run is, and of a run that goes on the epochs that are done."""
        from cnnlab.runs import Run

        self._run = Run(folder)
        images = {"training_images": training_images, "validation_images": evaluated_images}
        self._tell("started", {"run": str(folder), "epochs": self._run.config["epochs"], **images})
        for row in self._run.history:
            self._history.append(row)
            self._tell("epoch", dict(row))

    def kernels(self, layer: str, kernel: np.ndarray) -> None:
        """Keep the kernels for the next drawing; those before the first step are drawn at once."""
        first, self._kernels = self._kernels is None, (layer, kernel)
        if first:
            self._draw()

    def progress(self, progress: Progress) -> None:
        """Tell how far all epochs are together."""
        self._tell(
            "progress",
            {
                "task": f"epoch {progress.epoch} of {progress.epochs}",
                "done": (progress.epoch - 1) * progress.steps + progress.step,
                "total": progress.epochs * progress.steps,
                # The first step waits for the compiler: what it took says nothing of the others.
                "seconds_left": round(progress.seconds_left, 1) if progress.step > 1 else None,
                "loss": progress.loss,
                "accuracy": progress.accuracy,
                "images_per_second": round(progress.images_per_second, 1),
            },
        )

    def epoch_finished(self, row: Mapping[str, Any], epochs: int) -> None:
        """Tell the row, and draw."""
        self._history.append(row)
        self._tell("epoch", dict(row))
        if time.monotonic() >= self._not_before or row["epoch"] == epochs:
            self._draw()

    def _draw(self) -> None:
        from cnnlab.render import html
        from cnnlab.runs.comparison import curves
        from cnnlab.training import drawings

        began, done = time.monotonic(), len(self._history)
        drawn: list[Drawing] = []
        if self._history and self._run is not None:
            drawn.append(curves({"": self._history}, validated_on=self._run.config["validated_on"]))
        if self._kernels is not None:
            when = f"after {done} epoch{'s' * (done != 1)}" if done else "before the first step"
            drawn.append(drawings.kernels(*self._kernels, when))
        self._tell("preview", {"html": "".join(map(html.render, drawn))})
        self._not_before = time.monotonic() + SHARE * (time.monotonic() - began)


if __name__ == "__main__":
    main()
