"""From columns, a value for each image, to rows, a flat record for each image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def rows_of(columns: Mapping[str, Any], axis: str = "", strengths: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Turn columns into rows, the strengths of one image following each other.

    Args:
        columns: Values of each image by name: [N], or [E, N] for each strength.
        axis: What the strengths are, which is the key of the strength in a row.
        strengths: Their E names, which are numbers; none where there is no such axis.

    >>> rows_of({"image": ["a", "b"], "after": np.array([[3, 4], [5, 6]])}, "epsilon", ("0.1", "0.2"))[1]
    {'image': 'a', 'epsilon': 0.2, 'after': 5}
    """
    whole = {name: values if np.ndim(values) > 1 else [values] for name, values in columns.items()}
    each = [_rows_at(whole, number, axis, strength) for number, strength in enumerate(strengths or [""])]
    return [row for rows in zip(*each, strict=True) for row in rows]


def _rows_at(whole: Mapping[str, Any], number: int, axis: str, strength: str) -> list[dict[str, Any]]:
    """The rows of one strength."""
    columns: dict[str, list[Any]] = {}
    for name, values in whole.items():
        column = values[number if len(values) > 1 else 0]
        columns[name] = _plain_column(column)
        if strength and len(columns) == 1:
            columns[axis] = [float(strength)] * len(columns[name])
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain_column(column: Any) -> list[Any]:
    """Every value of a column as :func:`plain` gives it."""
    if isinstance(column, np.ndarray):
        values = column.tolist()
        if column.dtype.kind in "biuU" or (column.dtype.kind == "f" and np.isfinite(column).all()):
            return values
        column = values
    return list(map(plain, column))


def plain(value: Any) -> Any:
    """Turn a NumPy scalar into JSON's number; what JSON has no number for (NaN, infinity) becomes None."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
