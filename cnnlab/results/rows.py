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
    count = len(next(iter(whole.values()))[0]) if whole else 0
    rows = []
    for index in range(count):
        for number, strength in enumerate(strengths or [""]):
            row: dict[str, Any] = {}
            for name, values in whole.items():
                row[name] = plain(values[number if len(values) > 1 else 0][index])
                if strength and len(row) == 1:
                    row[axis] = float(strength)
            rows.append(row)
    return rows


def plain(value: Any) -> Any:
    """Turn a NumPy scalar into JSON's number; what JSON has no number for (NaN, infinity) becomes None."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
