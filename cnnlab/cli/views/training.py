"""How training looks in the terminal: its progress, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress as Bar, TextColumn
from rich.status import Status
from rich.table import Table

from cnnlab.cli.views.progress import EVERY_SECONDS, console
from cnnlab.cli.views.result import paths
from cnnlab.drawings.words import percent
from cnnlab.runs import Run
from cnnlab.training import Progress, Reporter

FILES = ("curves.png", "predictions.png", "confusion.png", "run.json", "history.csv")
"""What is named at the end, in this order."""

ROOM_FOR_BAR = 96
"""Columns that a terminal must have for a bar beside the numbers."""

MOST_CLASSES = 20
"""With more classes than this, the table shows those with the lowest accuracy."""


class RichReporter(Reporter):
    """The progress of training on stderr: a bar and a row per epoch on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._console = console()
        self._live: Live | Status | Bar | None = None
        self._bar: Bar | None = None
        self._headed = False
        self._last = time.monotonic()

    def stage(self, message: str) -> None:
        """Show a spinner beside the message; nothing where stderr is no terminal."""
        self._stop()
        if self._console.is_terminal:
            self._live = Status(f"{message} ...", console=self._console)
            self._live.start()

    def note(self, message: str) -> None:
        """Print the sentence, above whatever is moving."""
        self._console.print(f"[yellow]Note:[/] {escape(message)}", highlight=False, soft_wrap=True)

    def started(self, folder: Path, training_images: int, evaluated_images: int, resumed_at: int) -> None:
        """Say where and on what."""
        self._stop()
        begins = f"Going on in {folder} after epoch {resumed_at}" if resumed_at else f"Training in {folder}"
        self._say(f"{begins}: {training_images:,} training images, {evaluated_images:,} to validate on.")

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """Show the bar of an epoch."""
        self._stop()
        self._last = time.monotonic()
        if not self._console.is_terminal:
            return
        bar = [BarColumn(bar_width=None)] if self._console.width >= ROOM_FOR_BAR else []
        columns = (TextColumn("{task.description}"), *bar, TextColumn("{task.fields[state]}"))
        self._bar = Bar(*columns, console=self._console, transient=True, expand=bool(bar))
        self._bar.add_task(f"epoch {epoch}/{epochs}", total=steps, state="")
        self._live = self._bar
        self._bar.start()

    def progress(self, progress: Progress) -> None:
        """Move the bar; elsewhere print a line now and then."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=progress.step, state=_state(progress))
        elif not self._console.is_terminal and time.monotonic() - self._last >= EVERY_SECONDS:
            self._last = time.monotonic()
            self._say(f"epoch {progress.epoch}/{progress.epochs}: {_state(progress)}")

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
        self._live = self._bar = None

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


_HEADING = "  epoch       loss   accuracy   val. loss   val. accuracy   seconds"


def _row(row: Mapping[str, Any], epochs: int) -> str:
    epoch = f"{row['epoch']}/{epochs}"
    return (
        f"{epoch:>7}   {row['loss']:>8.4f}   {percent(row['accuracy'], 2):>8}   {row['val_loss']:>9.4f}   "
        f"{percent(row['val_accuracy'], 2):>13}   {row['seconds']:>7.1f}"
    )


def _state(progress: Progress) -> str:
    accuracy, left = percent(progress.accuracy, 2), _clock(progress.seconds_left)
    return (
        f"batch {progress.step:,}/{progress.steps:,}, loss {progress.loss:.4f}, accuracy {accuracy}, "
        f"{progress.images_per_second:,.0f} img/s, {left} left"
    )


def _clock(seconds: float) -> str:
    """Write a time as a clock does, ``1:05`` or ``1:00:05``: short, and without jumping about."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def duration(seconds: float) -> str:
    """Write a time as one would say it.

    >>> duration(7.4), duration(125), duration(7300)
    ('7 s', '2 min 05 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def show(run: Run) -> None:
    """Print what a run came to: losses and accuracies, the classes, and where the files are."""
    stdout = Console()
    record = run.config
    epochs = f"{record['epochs']} epoch{'s' if record['epochs'] > 1 else ''}"
    stdout.print(
        f"[bold]{escape(record['architecture'])}[/] on {escape(record['dataset']['name'])}: {epochs} in "
        f"{duration(record['seconds'])}",
        highlight=False,
    )
    stdout.print(_results(record))
    stdout.print(_classes(record))
    paths(stdout, [run.path / name for name in FILES])


def _results(record: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("loss", justify="right")
    table.add_column("accuracy", justify="right")
    kinds = {"train": "training (mean over the last epoch)", "val": f"validation ({record['validated_on']})"}
    if record["validated_on"] != record["evaluated_on"]:
        kinds["test"] = record["evaluated_on"]
    for kind, words in kinds.items():
        loss, accuracy = record["metrics"][f"{kind}_loss"], record["metrics"][f"{kind}_accuracy"]
        table.add_row(words, f"{loss:.4f}", percent(accuracy, 2))
    return table


def _classes(record: Mapping[str, Any]) -> Table:
    """The accuracy of each class, on the images that were evaluated last."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("class")
    for name in (record["evaluated_on"], "accuracy"):
        table.add_column(name, justify="right")
    classes = record["classes"]
    if len(classes) > MOST_CLASSES:
        table.caption = f"the {MOST_CLASSES} least accurate of {len(classes):,} classes"
        classes = sorted(classes, key=lambda entry: 2 if entry["accuracy"] is None else entry["accuracy"])
    for entry in classes[:MOST_CLASSES]:
        accuracy = "-" if entry["accuracy"] is None else percent(entry["accuracy"], 2)
        table.add_row(escape(entry["name"]), f"{entry['images']:,}", accuracy)
    return table
