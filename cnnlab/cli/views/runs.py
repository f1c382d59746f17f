"""Runs as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from cnnlab.cli.views.tables import Column, fitted, needed, print_all
from cnnlab.console import Console
from cnnlab.words import percent

if TYPE_CHECKING:
    from cnnlab.runs.comparison import Spread

STYLES = {"complete": "green", "training": "cyan", "unfinished": "yellow", "damaged": "red"}

NUMBERS: dict[str, tuple[str, Callable[[float], str]]] = {
    "accuracy": ("accuracy", lambda value: percent(value, 2)),
    "loss": ("loss", "{:.4f}".format),
    "train_loss": ("train loss", "{:.4f}".format),
    "seconds_per_epoch": ("s/epoch", "{:.1f}".format),
}
"""The numbers that are listed: their column's heading, and how they are written. Accuracy and loss are validation's."""

HEADINGS = {"name": "run", "label": "run", "architecture": "network"}


def show(rows: Sequence[dict[str, Any]], columns: Sequence[str], first: str = "") -> None:
    """Print what is known of runs, a column for each of ``columns``, after the sentence ``first``."""
    console = Console()
    if first:
        console.print(Text(first, style="bold"))
        console.print()
    shown = [
        Column(
            NUMBERS[column][0] if column in NUMBERS else HEADINGS.get(column, column),
            [_cell(row, column) for row in rows],
            number=column in NUMBERS or column == "epochs",
            styles=STYLES if column == "state" else None,
        )
        for column in columns
    ]
    if needed(shown, gap=1) > console.width:
        # The order tells which is newer: the time is what narrow terminals can do without.
        shown = [column for column in shown if column.heading != "created"]
    print_all(console, fitted(shown, console.width))


def spread(spreads: Sequence[Spread], width: int) -> list[RenderableType]:
    """A table for each set of runs that differ in their seeds: mean, standard deviation and range of final numbers."""
    return [table for each in spreads for table in (_about(each), *_spread(each, width))]


def _about(found: Spread) -> Text:
    seeds = ", ".join(map(str, found.seeds))
    return Text(f"{found.label}: over the seed{'s' if len(found.seeds) > 1 else ''} {seeds}", style="dim")


def _spread(found: Spread, width: int) -> list[RenderableType]:
    same = all(found.metrics.get(f"test_{kind}") == found.metrics.get(f"val_{kind}") for kind in ("loss", "accuracy"))
    names = [name for name in found.metrics if not (same and name.startswith("val_"))]

    def texts(part: str) -> list[str]:
        values = [(name, found.metrics[name][part]) for name in names]
        return ["-" if value is None else final(name, value) for name, value in values]

    heads = {"mean": "mean", "standard_deviation": "standard deviation", "least": "least", "most": "most"}
    columns = [Column("", [name.replace("val_", "validation_").replace("_", " ") for name in names])]
    columns += [Column(head, texts(part), number=True) for part, head in heads.items()]
    return fitted(columns, width)


def final(name: str, value: float) -> str:
    """Write a final number of a run, which has its name in the run's metrics."""
    return percent(value, 2) if name.endswith("accuracy") else f"{value:.4f}"


def headline(rows: Sequence[dict[str, Any]]) -> str:
    """Say which run has the highest validation accuracy; nothing of runs on different data, or that are equal."""
    known = sorted((row for row in rows if row["accuracy"] is not None), key=lambda row: -row["accuracy"])
    if len(known) < 2 or len({row["dataset"] for row in rows}) > 1 or known[0]["accuracy"] == known[1]["accuracy"]:
        return ""
    accuracy = NUMBERS["accuracy"][1](known[0]["accuracy"])
    return f"{known[0]['label']} has the highest validation accuracy, {accuracy}"


def _cell(row: dict[str, Any], column: str) -> str:
    value = row[column]
    if value is None:
        return "-"
    if column in NUMBERS:
        return NUMBERS[column][1](value)
    if column == "epochs" and row["epochs_done"] != value:
        return f"{row['epochs_done']} of {value}"
    if column == "created":
        return str(value).replace("T", " ")[:16]
    return str(value)
