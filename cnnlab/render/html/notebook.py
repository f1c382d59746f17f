"""What a notebook shows of a thing: one line, pictures, tables; a piece of HTML that stands for itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
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
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Table:
        """Make a table of records, a column for each of their keys."""
        names = list(dict.fromkeys(key for record in records for key in record))
        return cls([name.replace("_", " ") for name in names], [[row.get(name) for name in names] for row in records])

    @property
    def shown(self) -> Sequence[Sequence[Any]]:
        """The first rows."""
        return self.rows[:MOST_ROWS]

    @property
    def more(self) -> str:
        """How many are not shown; empty where all are."""
        return f"{len(self.rows) - MOST_ROWS:,} more" if len(self.rows) > MOST_ROWS else ""


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
            figures=[_without_values(html.render(drawing)) for drawing in drawings],
            tables=[table for table in tables if table.rows],
            style=_style(),
        )
    )
    return page


def _without_values(figure: Markup) -> Markup:
    """Leave out the numbers behind pictures, which only the script of a page reads."""
    return Markup(re.sub(r'\s*data-(values|names)="[^"]*"', "", figure))


def _style() -> Markup:
    """The style of drawings, within the notebook's piece alone."""
    drawings = html.style().partition("/* Drawings */")[2]
    return Markup(f".cnnlab {{\n{html.palette()}\n{drawings}\n{html.text('notebook.css')}\n}}")
