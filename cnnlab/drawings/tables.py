"""A table, as data: what pages, notebooks and Markdown show of numbers that are no picture."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

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
    def of(cls, records: Sequence[Mapping[str, Any]], shares: Collection[str] = (), names: Sequence[str] = ()) -> Table:
        """Make a table of ``records``, a column for each of their keys, or of ``names``; rows are made when asked for.

        Numbers under a head in ``shares`` are read in percent.
        """
        names = names or list(dict.fromkeys(key for record in records for key in record))
        return cls([_spoken(name) for name in names], _Cells(records, names), {_spoken(name) for name in shares})

    def is_share(self, head: str, row: Sequence[Any]) -> bool:
        """Say whether the number of ``row`` in the column of ``head`` is read in percent."""
        return head in self.shares or (row[0] in self.shares if isinstance(row[0], str) else False)

    @property
    def shown(self) -> Sequence[Sequence[Any]]:
        """The first rows."""
        return self.rows[: self.most]

    @property
    def more(self) -> str:
        """How many are not shown; empty where all are."""
        return f"{len(self.rows) - self.most:,} more" if len(self.rows) > self.most else ""


class _Cells(Sequence[Sequence[Any]]):
    """The cells of records."""

    def __init__(self, records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
        self._records, self._names = records, names

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Sequence[Any]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[Any]]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        record = self._records[index]
        return [record.get(name) for name in self._names]


def _spoken(name: str) -> str:
    return name.replace("_", " ")
