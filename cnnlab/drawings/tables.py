"""A table, as data: what pages, notebooks and Markdown show of numbers that are no picture."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_ROWS = 20
"""Rows of a table that are shown, unless it says otherwise."""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        heads: What stands above the columns.
        rows: The cells: texts, numbers, or None where there is no value.
        shares: The columns, by their heads, and the rows, by their first cells, whose numbers are read in percent.
        title: What stands above the table.
        most: How many of the rows are shown.

    Example:
        >>> table = Table(("class", "accuracy"), [("seven", 0.98)], shares={"accuracy"})
        >>> table.is_share("accuracy", table.rows[0]), table.more
        (True, '')
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]
    shares: Collection[str] = ()
    title: str = ""
    most: int = MOST_ROWS

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
        return self.rows[: self.most]

    @property
    def more(self) -> str:
        """How many are not shown; empty where all are."""
        return f"{len(self.rows) - self.most:,} more" if len(self.rows) > self.most else ""


def _spoken(name: str) -> str:
    return name.replace("_", " ")
