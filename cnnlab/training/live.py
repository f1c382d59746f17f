"""How training looks while it goes on: a bar and a row per epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.progress import BarColumn, Progress as Bar, TextColumn
from rich.status import Status
from rich.text import Text

from cnnlab.progress import EVERY_SECONDS, NotebookBar, console, in_notebook
from cnnlab.training.reporter import Progress, Reporter
from cnnlab.words import percent

ROOM_FOR_BAR = 96
"""Columns that a terminal must have for a bar beside the numbers."""


class RichReporter(Reporter):
    """The progress of training: a bar and a row per epoch on a terminal or in a notebook, plain lines elsewhere."""

    def __init__(self) -> None:
        self._console = console()
        self._live: Live | Status | Bar | NotebookBar | None = None
        self._bar: Bar | None = None
        self._page: NotebookBar | None = None
        self._headed = False
        self._last = time.monotonic()

    def stage(self, message: str) -> None:
        """Show a spinner beside the message; nothing where stderr is no terminal."""
        self._stop()
        if self._console.is_terminal:
            self._live = Status(Text(f"{message} ..."), console=self._console)
            self._live.start()

    def note(self, message: str) -> None:
        """Print the sentence, above whatever is moving."""
        words = Text.assemble(("Note:", "yellow"), " ", message)
        self._console.print(words, soft_wrap=not self._console.is_terminal)

    def started(self, folder: Path, training_images: int, evaluated_images: int, resumed_at: int) -> None:
        """Say where and on what."""
        self._stop()
        begins = f"Going on in {folder} after epoch {resumed_at}" if resumed_at else f"Training in {folder}"
        self._say(f"{begins}: {training_images:,} training images, {evaluated_images:,} to validate on.")

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """Show the bar of an epoch."""
        self._stop()
        self._last = time.monotonic()
        if in_notebook():
            self._live = self._page = NotebookBar()
        if not self._console.is_terminal:
            return
        bar = [BarColumn(bar_width=None)] if self._console.width >= ROOM_FOR_BAR else []
        first, last = (TextColumn(shown, markup=False) for shown in ("{task.description}", "{task.fields[state]}"))
        self._bar = Bar(first, *bar, last, console=self._console, transient=True, expand=bool(bar))
        self._bar.add_task(f"epoch {epoch}/{epochs}", total=steps, state="")
        self._live = self._bar
        self._bar.start()

    def progress(self, progress: Progress) -> None:
        """Move the bar; elsewhere print a line now and then."""
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0], completed=progress.step, state=_state(progress, self._room(progress))
            )
        elif self._page is not None:
            words = f"epoch {progress.epoch}/{progress.epochs}: {_state(progress)}"
            self._page.show(words, progress.step, progress.steps)
        elif not self._console.is_terminal and time.monotonic() - self._last >= EVERY_SECONDS:
            self._last = time.monotonic()
            self._say(f"epoch {progress.epoch}/{progress.epochs}: {_state(progress)}")

    def _room(self, progress: Progress) -> int:
        """Characters beside the name of the epoch; the bar takes what is left on a wide terminal."""
        return self._console.width - len(f"epoch {progress.epoch}/{progress.epochs} ")

    def epoch_finished(self, row: Mapping[str, Any], epochs: int) -> None:
        """Print the row of an epoch."""
        self._stop()
        if not self._headed:
            self._headed = True
            self._say(_HEADING)
        self._say(_row(row, epochs))

    def finished(self) -> None:
        """Clear what is moving."""
        self._stop()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
        self._live = self._bar = self._page = None

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=not self._console.is_terminal)


_HEADING = "epoch     loss  accuracy  val. loss  val. accuracy  seconds"


def _row(row: Mapping[str, Any], epochs: int) -> str:
    """The numbers of an epoch, below :data:`_HEADING` and no wider than 60 columns."""
    epoch = f"{row['epoch']}/{epochs}"
    return (
        f"{epoch:>5}  {row['loss']:>7.4f}  {percent(row['accuracy'], 2):>8}  {row['val_loss']:>9.4f}  "
        f"{percent(row['val_accuracy'], 2):>13}  {row['seconds']:>7.1f}"
    )


def _state(progress: Progress, room: int = 1000) -> str:
    """Where an epoch stands, as much of it as `room` characters hold; the speed is left out first."""
    said = {
        "batch": f"batch {progress.step:,}/{progress.steps:,}",
        "loss": f"loss {progress.loss:.4f}",
        "accuracy": f"accuracy {percent(progress.accuracy, 2)}",
        "speed": f"{progress.images_per_second:,.0f} img/s",
        "left": f"{_clock(progress.seconds_left)} left",
    }
    for least in ("speed", "batch", "loss"):
        if len(", ".join(said.values())) > room:
            del said[least]
    return ", ".join(said.values())


def _clock(seconds: float) -> str:
    """Write a time as a clock does, ``1:05`` or ``1:00:05``: short, and without jumping about."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
