"""How an evaluation looks in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from cnnlab.cli.views.result import paths
from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.console import Console
from cnnlab.inspection.evaluation import METRICS
from cnnlab.words import out_of, percent

if TYPE_CHECKING:
    from cnnlab.inspection.evaluation import EvaluatedModel, Evaluation

MOST_ROWS = 20
"""Classes that are shown, the worst where there are more; ``--json`` has them all."""


def show(found: EvaluatedModel, files: Sequence[Path] = ()) -> None:
    """Print the numbers, what they mean, and each class; where it is saved, last."""
    console, metrics, counts = Console(), found.metrics, found.counts
    images = len(counts.predicted)
    console.print(Text(f"{out_of(found.right, images, digits=2)} read correctly", style="bold"))
    about = f"{found.classifier.path} on {found.dataset.name}/{found.split}, {images:,} images"
    console.print(Text(about, style="dim"))
    names = [name for name in METRICS if name in metrics]
    columns = [
        Column("metric", names),
        Column("value", [_number(name, metrics[name]) for name in names], number=True),
        Column("meaning", [METRICS[name] for name in names], style="dim"),
    ]
    print_all(console, [*fitted(columns, console.width), *_classes(counts, found.class_names, console.width)])
    paths(console, files)


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name == "images_per_second":
        return f"{value:,.0f}"
    return f"{value:.4f}" if name in ("loss", "brier_score") else percent(value, 2)


def _classes(found: Evaluation, names: tuple[str, ...], width: int) -> list[RenderableType]:
    """Make the table of classes: how many, how many right, and what the others were taken for most often."""
    rows = list(zip(names, found.confusion, found.class_accuracy, strict=True))
    shown = list(range(len(rows)))
    more: list[RenderableType] = []
    if len(rows) > MOST_ROWS:
        # Classes without images have no accuracy, and come last.
        shown.sort(key=lambda index: 2.0 if rows[index][2] is None else float(rows[index][2] or 0))
        shown = shown[:MOST_ROWS]
        more = [Text(f" the {MOST_ROWS} worst of {len(rows):,} classes; --json has them all", style="dim")]

    def mistaken(index: int) -> str:
        wrong = rows[index][1].copy()
        wrong[index] = 0
        worst = int(wrong.argmax())
        return f"{names[worst]} ({wrong[worst]:,})" if wrong[worst] else ""

    columns = [
        Column("class", [names[index] for index in shown]),
        Column("images", [f"{rows[index][1].sum():,}" for index in shown], number=True),
        Column("right", [f"{int(rows[index][1][index]):,}" for index in shown], number=True),
        Column("accuracy", [_number("accuracy", rows[index][2]) for index in shown], number=True),
        Column("most often mistaken for", [mistaken(index) for index in shown]),
    ]
    return [*fitted(columns, width), *more]
