"""Runs as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

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


def show(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print what is known of runs, a column for each of ``columns``."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    console = Console()
    # The order tells which is newer, so the time is what narrow terminals can do without, rather than whole names.
    widths = [max(len(str(text)) for text in (column, *(_cell(row, column) for row in rows))) for column in columns]
    if sum(widths) + len(widths) > console.width:
        columns = [column for column in columns if column != "created"]
    for column in columns:
        numeric = column in NUMBERS or column == "epochs"
        heading = NUMBERS[column][0] if column in NUMBERS else HEADINGS.get(column, column)
        # Only the names of runs may be broken within a word; anything else at its spaces.
        words = [heading, *(word for row in rows for word in _cell(row, column).split())]
        narrowest = 8 if column in ("name", "label") else min(20, max(map(len, words)))
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold", min_width=narrowest)
    for row in rows:
        table.add_row(*(_styled(column, escape(_cell(row, column))) for column in columns))
    console.print(table)


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


def _styled(column: str, text: str) -> str:
    return f"[{STYLES[text]}]{text}[/]" if column == "state" else text
