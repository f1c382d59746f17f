"""What a notebook shows of a thing: one line, pictures, tables; a piece of HTML that stands for itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from cnnlab.drawings import Drawing
from cnnlab.render import html

MOST_ROWS = 20
"""Rows of a table that are shown."""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        heads: What stands above the columns.
        rows: The cells: texts, numbers, or None where there is no value.
        shares: The columns, by their heads, and the rows, by their first cells, whose numbers are read in percent.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]
    shares: Collection[str] = ()

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]], shares: Collection[str] = ()) -> Table:
        """Make a table of records, a column for each of their keys."""
        names = list(dict.fromkeys(key for record in records for key in record))
        rows = [[row.get(name) for name in names] for row in records]
        return cls([_spoken(name) for name in names], rows, {_spoken(name) for name in shares})

    def is_share(self, head: str, row: Sequence[Any]) -> bool:
        """Say whether the number of a row in the column of that head is read in percent."""
        return head in self.shares or (row[0] in self.shares if isinstance(row[0], str) else False)

    @property
    def shown(self) -> Sequence[Sequence[Any]]:
        """The first rows."""
        return self.rows[:MOST_ROWS]

    @property
    def more(self) -> str:
        """How many are not shown; empty where all are."""
        return f"{len(self.rows) - MOST_ROWS:,} more" if len(self.rows) > MOST_ROWS else ""


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def notebook(
    told: str,
    *,
    headline: str = "",
    notes: Iterable[str] = (),
    drawings: Iterable[Drawing] = (),
    tables: Iterable[Table] = (),
) -> str:
    """Return what a notebook shows of a thing, as a piece of HTML without script or ids.

    Args:
        told: What it is, in one line.
        headline: What stands above that, in bold.
        notes: What the reader should know.
        drawings: What is drawn, values as arrays.
        tables: What follows; those without rows are left out.
    """
    page: str = (
        html.environment()
        .get_template("notebook.html.j2")
        .render(
            told=told,
            headline=headline,
            notes=notes,
            figures=[_without_data(html.render(drawing)) for drawing in drawings],
            tables=[table for table in tables if table.rows],
            style=_style(),
        )
    )
    return page


def _without_data(figure: Markup) -> Markup:
    """Leave out what only the script of a page reads, such as the numbers behind pictures."""
    return Markup(re.sub(r'\s*\bdata-[a-z]+="[^"]*"', "", figure))


def _style() -> Markup:
    """The style of drawings, within the notebook's piece alone."""
    drawings = html.style().partition("/* Drawings */")[2]
    return Markup(f".cnnlab {{\n{html.palette()}\n{drawings}\n{html.text('notebook.css')}\n}}")
