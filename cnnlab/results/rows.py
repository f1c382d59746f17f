"""From columns, a value for each image, to rows, a flat record for each image: made when it is asked for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from cnnlab.sources import Sources

MOST = 10_000
"""Images up to which result.json lists them, and the rows that are about them; of more, the lists lie in files beside
it."""

BLOCK = 4096
"""Rows that are made at a time where all are gone through."""

Kind = Literal["text", "int", "float", "bool", "json", "digest", "shape"]
"""What the values of a column are: texts; numbers, or None; of no one kind; SHA-256; sides of images."""


class Column(Sequence[Any]):
    """A value for each image, in JSON's types.

    Args:
        kind: What they are.
        values: [N]; of digests uint8 [N, 32], of shapes integers [N, 3].
        missing: Where None stands for the value, bool [N]; nowhere by default. In a column of floats None stands for
            what is not finite.
    """

    def __init__(self, kind: Kind, values: Any, missing: np.ndarray | None = None) -> None:
        self.kind, self.values, self.missing = kind, values, missing

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._plain(self.values[index], None if self.missing is None else self.missing[index])
        place = range(len(self))[index]
        return self[place : place + 1][0]

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self[start : start + BLOCK] for start in range(0, len(self), BLOCK))

    def _plain(self, values: Any, missing: np.ndarray | None) -> list[Any]:
        if self.kind == "digest":
            return [bytes(digest).hex() for digest in values]
        plains = values.tolist() if isinstance(values, np.ndarray) else list(values)
        if self.kind == "float":
            missing = ~np.isfinite(values)
        if missing is not None and missing.any():
            return [None if none else value for none, value in zip(missing, plains, strict=True)]
        return plains

    @classmethod
    def of(cls, values: Any) -> Column:
        """Take an array [N], or a sequence of N values of JSON's types."""
        if isinstance(values, cls):
            return values
        if isinstance(values, Sources):
            return cls("text", values)
        if isinstance(values, np.ndarray) and (kind := _KINDS.get(values.dtype.kind)):
            return cls(kind, values) if values.dtype != np.uint64 else cls("json", values.tolist())
        return cls._of_list([plain(value) for value in values])

    @classmethod
    def _of_list(cls, values: list[Any]) -> Column:
        kinds = {type(value) for value in values} - {type(None)}
        if kinds == {str} and None not in values:
            return cls("text", Sources.packed(values))
        if kinds <= {float}:
            return cls("float", np.array([math.nan if value is None else value for value in values], np.float64))
        if kinds == {bool} or (kinds == {int} and all(abs(value or 0) < 2**63 for value in values)):
            missing = np.array([value is None for value in values])
            held = np.array([value or 0 for value in values], np.bool_ if kinds == {bool} else np.int64)
            return cls("bool" if kinds == {bool} else "int", held, missing if missing.any() else None)
        return cls("json", values)


_KINDS: dict[str, Kind] = {"b": "bool", "i": "int", "u": "int", "f": "float", "U": "text"}


class Rows(Sequence[Mapping[str, Any]]):
    """A flat record for each image (and strength): columns, of which a record is made when it is asked for.

    Args:
        count: How many rows there are.
        read: Gives the columns, each [count / E] for every one of E strengths, or one for all of them. The strengths of
            an image follow each other. Called when a row is looked at for the first time.
        strengths: E.

    Example:
        >>> rows = Rows.of_columns({"image": ["a", "b"], "loss": np.array([0.5, np.nan])})
        >>> len(rows), rows[1], [row["image"] for row in rows[:1]]
        (2, {'image': 'b', 'loss': None}, ['a'])
    """

    def __init__(self, count: int, read: Callable[[], Mapping[str, Sequence[Column]]], strengths: int = 1) -> None:
        self._count, self._read, self._strengths = count, read, strengths

    @classmethod
    def of_columns(cls, columns: Mapping[str, Any]) -> Rows:
        """Take a value for each row, by name."""
        taken = {name: (Column.of(values),) for name, values in columns.items()}
        (count,) = {len(column) for (column,) in taken.values()} or {0}
        return cls(count, lambda: taken)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Rows:
        """Take records; what one of them lacks is None in it."""
        if isinstance(rows, cls):
            return rows
        names = dict.fromkeys(name for row in rows for name in row)
        return cls.of_columns({name: [row.get(name) for row in rows] for name in names})

    @cached_property
    def _columns(self) -> Mapping[str, Sequence[Column]]:
        return self._read()

    @property
    def images(self) -> int:
        """How many images the rows are about, where each has one for every strength."""
        return self._count // self._strengths

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called."""
        return tuple(self._columns)

    def column(self, name: str) -> Column:
        """Return the values of all rows."""
        each = self._columns[name]
        if self._strengths == 1:
            return each[0]
        return _interleaved([each[number % len(each)] for number in range(self._strengths)])

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[Mapping[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(self._count)[index]]
        image, strength = divmod(range(self._count)[index], self._strengths)
        return {name: each[strength % len(each)][image] for name, each in self._columns.items()}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return itertools.chain.from_iterable(self._block(start) for start in range(0, self.images, BLOCK))

    def _block(self, start: int) -> Iterator[Mapping[str, Any]]:
        """The rows of some images."""
        values = {name: [column[start : start + BLOCK] for column in each] for name, each in self._columns.items()}
        for image in range(min(BLOCK, self.images - start)):
            for strength in range(self._strengths):
                yield {name: each[strength % len(each)][image] for name, each in values.items()}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"Rows({self._count:,} of {', '.join(self.names)})"


def _interleaved(each: Sequence[Column]) -> Column:
    """The columns of all strengths as one, those of an image after each other."""
    if all(isinstance(column.values, np.ndarray) for column in each):
        missing = None
        if any(column.missing is not None for column in each):
            absent = [np.zeros(len(c), bool) if c.missing is None else c.missing for c in each]
            missing = np.stack(absent, axis=1).ravel()
        return Column(each[0].kind, np.stack([column.values for column in each], axis=1).ravel(), missing)
    values = itertools.chain.from_iterable(zip(*each, strict=True))
    return Column(each[0].kind, Sources.packed(values) if each[0].kind == "text" else list(values))


def rows_of(columns: Mapping[str, Any], axis: str = "", strengths: Sequence[str] = ()) -> Rows:
    """Turn columns into rows, the strengths of one image following each other.

    Args:
        columns: Values of each image by name: [N], or [E, N] for each strength.
        axis: What the strengths are, which is the key of the strength in a row.
        strengths: Their E names, which are numbers; none where there is no such axis.

    >>> rows_of({"image": ["a", "b"], "after": np.array([[3, 4], [5, 6]])}, "epsilon", ("0.1", "0.2"))[1]
    {'image': 'a', 'epsilon': 0.2, 'after': 5}
    """
    taken: dict[str, Sequence[Column]] = {}
    for name, values in columns.items():
        several = not isinstance(values, Sources) and np.ndim(values) > 1
        taken[name] = [Column.of(each) for each in (values if several else [values])]
        if strengths and len(taken) == 1:
            count = len(taken[name][0])
            taken[axis] = [Column("float", np.broadcast_to(float(strength), count)) for strength in strengths]
    (count,) = {len(column) for each in taken.values() for column in each} or {0}
    return Rows(count * max(1, len(strengths)), lambda: taken, max(1, len(strengths)))


def kept(rows: Rows) -> Sequence[Mapping[str, Any]]:
    """Return rows as a result keeps them: as a list where result.json will hold one."""
    return rows if rows.images > MOST else list(rows)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Any]]:
    """Return the values of all rows by name; of records that lack one None stands there."""
    if isinstance(rows, Rows):
        return {name: rows.column(name) for name in rows.names}
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def plain(value: Any) -> Any:
    """Turn a NumPy scalar into JSON's number; what JSON has no number for (NaN, infinity) becomes None."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
