"""Runs as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from cnnlab.cli.views.tables import Column, fitted, needed, print_all
from cnnlab.drawings.words import percent

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
