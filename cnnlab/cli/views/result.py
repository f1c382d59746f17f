"""How a result looks in the terminal: its numbers, its pictures, its warnings and its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from cnnlab.results.result import Result

MOST_ROWS = 20
"""Rows of the per-image table that the terminal shows; result.json holds them all."""


def show(result: Result, files: Sequence[Path]) -> None:
    """Print a result: metrics, rows, pictures; warnings on stderr; paths last."""
    console = Console()
    record = result.record
    model = record["model"]["path"] or f"a live model ({record['model']['digest'][:12]})"
    console.print(
        f"[bold]{record['analysis']}[/] of {escape(str(model))}, {_images(record['inputs'])}, "
        f"in {record['seconds']:.1f} s",
        highlight=False,
    )
    if result.drawings:
        console.print(first_look(result, console.width))
    if result.rows:
        for table in rows_tables(result.rows, console.width):
            console.print(table)
    if result.metrics:
        console.print(metrics_table(result))
    warn(record["warnings"])
    paths(console, files)


def _images(inputs: Sequence[Mapping[str, Any]]) -> str:
    if len(inputs) == 1:
        return escape(str(inputs[0]["source"]))
    return f"{len(inputs):,} images" if inputs else "no images"


def metrics_table(result: Result) -> Table:
    """The metrics: name, value, and what they mean, which is said once where several share a meaning."""
    from cnnlab.pluginhost import registry
    from cnnlab.pluginhost.meanings import declared_as

    declared = registry.analyses()[result.record["analysis"]].metrics
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("metric")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning", style="dim")
    said = set()
    for name, value in result.metrics.items():
        says = declared_as(declared, name) or ""
        table.add_row(escape(name), number(value), "" if says in said else escape(says))
        said.add(says)
    return table


def rows_tables(rows: Sequence[Mapping[str, Any]], width: int) -> list[Table]:
    """The per-image rows, the first of them where there are many.

    Columns that do not fit into `width` characters side by side go on in a further table, which begins with the first
    column again: a number that lost its end to an ellipsis tells nothing.
    """
    names = list(dict.fromkeys(key for row in rows for key in row))
    cells = {name: [number(row.get(name)) for row in rows[:MOST_ROWS]] for name in names}
    needs = {name: max(map(cell_len, [*name.split("_"), *cells[name]])) for name in names}
    needs[names[0]] = min(needs[names[0]], width // 3)
    tables = []
    for block in _blocks(names, needs, width):
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in block:
            is_text = isinstance(rows[0].get(name), str)
            table.add_column(
                escape(name.replace("_", " ")),
                justify="left" if is_text else "right",
                width=min(needs[name], width - 4),
                overflow="fold",
            )
        for row in zip(*(cells[name] for name in block), strict=True):
            table.add_row(*map(escape, row))
        tables.append(table)
    if len(rows) > MOST_ROWS:
        tables[-1].caption = f"and {len(rows) - MOST_ROWS:,} more in result.json"
    return tables


def _blocks(names: Sequence[str], needs: Mapping[str, int], width: int) -> list[list[str]]:
    """Divide columns into tables no wider than `width`, each of which begins with the first column."""
    first, *others = names
    blocks = [[first]]
    for name in others:
        # Two blanks between columns, and one on either side of the table.
        if len(blocks[-1]) > 1 and sum(needs[other] + 2 for other in [*blocks[-1], name]) + 2 > width:
            blocks.append([first])
        blocks[-1].append(name)
    return blocks


def number(value: Any) -> str:
    """Format a number to four significant digits; integers whole; None as a dash."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)


def first_look(result: Result, width: int) -> RenderableType:
    """The first drawing, as much of it as the terminal has room for."""
    from cnnlab.render import terminal

    return terminal.render(result.drawing(), max(20, width - 2))


def warn(warnings: Sequence[str]) -> None:
    """Print warnings on stderr, where scripts do not look for results."""
    for warning in warnings:
        Console(stderr=True).print(f"[yellow]Note:[/] {escape(warning)}", highlight=False, soft_wrap=True)


def paths(console: Console, files: Sequence[Path]) -> None:
    """Print where the files are, one path a line so that each can be clicked or copied; images as their folder."""
    images = [file for file in files if file.parent.name == "images" and file.suffix == ".png"]
    for file in files:
        if file not in images:
            console.print(f"  {escape(str(file))}", style="cyan", highlight=False, soft_wrap=True)
    if images:
        folder = f"  [cyan]{escape(str(images[0].parent))}[/] ({len(images)} PNG)"
        console.print(folder, highlight=False, soft_wrap=True)
