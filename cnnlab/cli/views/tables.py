"""Tables that fit the terminal: no number and no name in them is cut, however narrow it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnnlab.console import Console
from cnnlab.spelling import visible

SHORT = 20
"""Characters up to which a text is kept on one line; longer ones go on in the next, at their blanks."""

GAPS = (2, 1)
"""Blanks between columns; one where that spares a second table."""


@dataclass(frozen=True)
class Column:
    """A column: its heading, its cells, and how they are shown.

    Attributes:
        heading: What stands above; broken at its blanks.
        cells: The texts, one for each row; those of numbers are never broken.
        number: Whether they are numbers, which stand at the right.
        style: Rich's style of them.
        styles: Styles of particular texts.
        footer: What stands below.
    """

    heading: str
    cells: Sequence[str]
    number: bool = False
    style: str = ""
    styles: Mapping[str, str] | None = None
    footer: str = ""

    def __post_init__(self) -> None:
        # Before their widths are measured: what is shown in the place of a control character takes room.
        object.__setattr__(self, "cells", [visible(cell) for cell in self.cells])

    @property
    def whole(self) -> int:
        """The width at which nothing in it is broken but its heading."""
        return max(map(cell_len, [*self.heading.split(), *_lines(self.cells), self.footer]), default=0)

    @property
    def least(self) -> int:
        """The width at which nothing is broken but at blanks."""
        if self.number:
            return self.whole
        words = max(map(cell_len, [word for text in (*self.cells, self.heading) for word in text.split()]), default=0)
        return max(words, min(self.whole, SHORT), cell_len(self.footer))

    def texts(self) -> list[Text]:
        """The cells as Rich prints them."""
        return [Text(cell, style=(self.styles or {}).get(cell, self.style)) for cell in self.cells]


def _lines(cells: Sequence[str]) -> list[str]:
    return [line for cell in cells for line in cell.splitlines()]


def fitted(columns: Sequence[Column], width: int, keys: int = 1, *, blank: bool = True) -> list[RenderableType]:
    """Lay columns out in one table or, where they do not fit side by side, in several.

    Args:
        columns: With as many cells each.
        width: Characters that a line may have.
        keys: How many of the first columns say what a row is about; every table begins with them. Where they leave no
            room for another column, or there would be more tables than rows, each row is written as lines below each
            other instead.
        blank: Whether each of several tables has every row, also one of which it tells nothing.
    """
    for gap in GAPS:
        if needed(columns, gap) <= width:
            return [_table(columns, width, gap)]
    blocks = [list(columns[:keys])]
    for column in columns[keys:]:
        if len(blocks[-1]) > keys and needed([*blocks[-1], column]) > width:
            blocks.append(list(columns[:keys]))
        blocks[-1].append(column)
    # More tables than rows are harder to read than the rows one after the other.
    if any(needed(block) > width for block in blocks) or len(blocks) > max(1, len(columns[0].cells)):
        return [stacked(columns, width)]
    return [_table(block if blank else _told(block, keys), width) for block in blocks]


def print_all(console: Console, shown: Iterable[RenderableType]) -> None:
    """Print tables, and what stands among them, with an empty line after each."""
    for each in shown:
        console.print(each)
        console.print()


def _told(columns: Sequence[Column], keys: int) -> list[Column]:
    """The rows that are not empty but for the first columns."""
    rows = [row for row in range(len(columns[0].cells)) if any(column.cells[row] for column in columns[keys:])]
    return [replace(column, cells=[column.cells[row] for row in rows]) for column in columns]


def needed(columns: Sequence[Column], gap: int = GAPS[0]) -> int:
    """Return how many characters columns take side by side at least."""
    return sum(column.least for column in columns) + gap * (len(columns) - 1)


def _table(columns: Sequence[Column], width: int, gap: int = GAPS[0]) -> Table:
    footers = any(column.footer for column in columns)
    # The box itself puts one blank between columns.
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False, show_footer=footers)
    spare = width - needed(columns, gap)
    for column in columns:
        grown = min(spare, column.whole - column.least)
        spare -= grown
        table.add_column(
            Text(column.heading),
            justify="right" if column.number else "left",
            width=column.least + grown,
            overflow="fold",
            footer=Text(column.footer),
        )
    for row in zip(*(column.texts() for column in columns), strict=True):
        table.add_row(*row)
    return table


def stacked(columns: Sequence[Column], width: int) -> RenderableType:
    """Write each row as lines below each other, a heading and its text each."""
    head = min(max((cell_len(column.heading) for column in columns), default=0), width // 3)
    shown: list[RenderableType] = []
    for row in zip(*(column.texts() for column in columns), strict=True):
        lines = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        lines.add_column(style="bold", width=head)
        lines.add_column(overflow="fold", max_width=width - head - 2)
        for column, text in zip(columns, row, strict=True):
            lines.add_row(column.heading, text)
        shown += [lines, ""]
    return Group(*shown[:-1])
