"""How an evaluation looks in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cnnlab.drawings.words import percent
from cnnlab.inspection.evaluation import METRICS

if TYPE_CHECKING:
    from cnnlab.inspection.evaluation import EvaluatedModel, Evaluation

MOST_ROWS = 20
"""Classes that are shown, the worst where there are more; ``--json`` has them all."""


def show(found: EvaluatedModel) -> None:
    """Print the numbers, what they mean, and each class."""
    console, metrics = Console(), found.metrics
    where = f"{found.dataset.name}/{found.split}, {len(found.counts.predicted):,} images"
    console.print(f"[bold]{escape(str(found.classifier.path))}[/] on {escape(where)}", highlight=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("metric")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning", style="dim")
    for name in METRICS:
        if name in metrics:
            table.add_row(name.replace("_", " "), _number(name, metrics[name]), METRICS[name])
    console.print(table)
    console.print(_classes(found.counts, found.class_names))


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name == "images_per_second":
        return f"{value:,.0f}"
    return f"{value:.4f}" if name == "loss" else percent(value, 2)


def _classes(found: Evaluation, names: tuple[str, ...]) -> Table:
    """Make the table of classes: how many, how many right, and what the others were taken for most often."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("class", overflow="fold")
    for column in ("images", "right", "accuracy"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("most often mistaken for", overflow="fold")
    rows = list(zip(names, found.confusion, found.class_accuracy, strict=True))
    shown = list(range(len(rows)))
    if len(rows) > MOST_ROWS:
        # Classes without images have no accuracy, and come last.
        shown.sort(key=lambda index: 2.0 if rows[index][2] is None else float(rows[index][2] or 0))
        shown = shown[:MOST_ROWS]
        table.caption = f"the {MOST_ROWS} worst of {len(rows):,} classes; --json has them all"
    for index in shown:
        name, taken, accuracy = rows[index]
        right, wrong = int(taken[index]), taken.copy()
        wrong[index] = 0
        worst = int(wrong.argmax())
        mistaken = f"{names[worst]} ({wrong[worst]:,})" if wrong[worst] else ""
        table.add_row(escape(name), f"{taken.sum():,}", f"{right:,}", _number("accuracy", accuracy), escape(mistaken))
    return table
