"""Runs side by side, or results, in the terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from cnnlab.cli.views import runs as runs_view
from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.console import Console
from cnnlab.results.comparison import Against, Difference, ResultComparison
from cnnlab.runs.comparison import Comparison

COMPARED = ("label", "dataset", "architecture", "epochs", "accuracy", "loss", "train_loss", "seconds_per_epoch")
"""What is told of runs that are compared."""


def show(found: Comparison | ResultComparison) -> None:
    """Print what was found, as tables."""
    console = Console()
    if isinstance(found, Comparison):
        runs_view.show(found.rows, COMPARED, runs_view.headline(found.rows))
        print_all(console, runs_view.spread(found.spreads, console.width))
        return
    if found.headline:
        console.print(Text(found.headline, style="bold"))
    print_all(console, [about(found), *tables(found, console.width)])


def about(found: ResultComparison) -> Text:
    """Which analysis, and of which models."""
    models = [result.record["model"]["path"] or "a live model" for result in found.results]
    said = [f"{label} is of {model}" for label, model in zip(found.labels, models, strict=True)]
    return Text(f"{found.analysis}: {'; '.join(said)}", style="dim")


def tables(found: ResultComparison, width: int) -> list[RenderableType]:
    """A table for each result but the first, of its numbers beside the first's."""
    return [table for each in found.against for table in _table(found.labels[0], each, width)]


def _table(first: str, against: Against, width: int) -> list[RenderableType]:
    numbers = [each for each in against.differences if each.first is not None or each.second is not None]
    columns = [Column("", [each.name for each in numbers])]
    columns += [Column(first, [each.written(each.first) for each in numbers], number=True)]
    columns += [Column(against.label, [each.written(each.second) for each in numbers], number=True)]
    columns += [Column("difference", [_signed(each, each.difference) + _unit(each) for each in numbers], number=True)]
    if any(each.low is not None for each in numbers):
        columns += [
            Column("95% interval", [_interval(each) for each in numbers], number=True),
            Column("images", ["" if each.images is None else f"{each.images:,}" for each in numbers], number=True),
        ]
    return fitted(columns, width, blank=False)


def _signed(found: Difference, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:+.2f}" if found.percent else f"{value:+.3g}"


def _interval(found: Difference) -> str:
    if found.low is None:
        return ""
    return f"{_signed(found, found.low)} to {_signed(found, found.high)}{_unit(found)}"


def _unit(found: Difference) -> str:
    """Shares differ by percentage points."""
    return " pp" if found.percent and found.difference is not None else ""
