"""What a model is made of, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.console import Console
from cnnlab.words import size

if TYPE_CHECKING:
    from cnnlab.inspection.summary import Summary

SHAPES = {"name": "layer", "kind": "kind", "input_size": "input size", "output_size": "output size", "kernel": "kernel"}
COUNTS = {
    "weights": "weights",
    "biases": "biases",
    "statistics": "statistics",
    "parameters": "parameters",
    "output_units": "output units",
    "kernel_taps": "kernel taps",
    "multiply_adds": "multiply- adds",
}
"""Attributes of a layer's summary, and the headings of their columns."""


def show(name: str, found: Summary) -> None:
    """Print what a model is made of."""
    console = Console()
    about = f"  images {size(found.input_shape)}, {found.classes} classes\n"
    console.print(Text.assemble((name, "bold"), about), soft_wrap=True)
    show_tables(console, found)


def show_tables(console: Console, found: Summary) -> None:
    """Print the layers, in as many tables as the terminal is narrow; then the sums."""
    counts = [column for column in COUNTS if column != "statistics" or found.statistics]
    columns = [
        Column(
            SHAPES.get(column) or COUNTS[column],
            [_text(getattr(layer, column)) for layer in found.layers],
            number=column in COUNTS,
            footer="in all" if column == "name" else _number(getattr(found, column, None)),
        )
        for column in [*SHAPES, *counts]
    ]
    print_all(console, fitted(columns, console.width))
    console.print(_totals(found))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return size(value) if isinstance(value, tuple) else _number(value)


def _number(value: int | None) -> str:
    """Format a count; nothing for none, so that the rows with kernels stand out."""
    return f"{value:,}" if value else ""


def _totals(found: Summary) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    for name, value, remark in _facts(found):
        table.add_row(name, value, remark)
    return table


def _facts(found: Summary) -> Iterator[tuple[str, str, str]]:
    """The lines below the table: what, how many, and a remark."""
    learned = f"{found.trainable:,} learned, {found.statistics:,} batch statistics"
    yield "parameters", f"{found.parameters:,}", learned if found.statistics else ""
    yield "in convolutional layers", f"{found.convolutional:,}", ""
    ratio = found.dense_to_convolutional
    yield (
        "in dense layers",
        f"{found.dense:,}",
        "" if ratio is None else f"{ratio:.3g} times those in convolutional layers",
    )
    count = found.multiply_adds
    unknown = "a layer's size is open, or it cannot be looked into"
    yield "multiply-adds per image", "?" if count is None else f"{count:,}", unknown if count is None else ""
