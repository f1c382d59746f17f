"""What is kept of a result: all of it, or nothing of single images."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from cnnlab import drawings as drawing_data
from cnnlab.errors import UsageError
from cnnlab.results.record import schema_of
from cnnlab.results.result import Result

Keep = Literal["arrays", "metrics"]
"""All of it, or headline, metrics and drawings alone."""

KEEP = get_args(Keep)


def check(keep: object) -> None:
    """Refuse what is none of these words.

    Raises:
        UsageError: It is none.
    """
    if keep not in KEEP:
        raise UsageError(f"`keep=` is {' or '.join(KEEP)}; received {keep!r}.")


def kept_of(result: Result, keep: Keep) -> Result:
    """Leave out arrays, rows, tables and images, if only the metrics are to be kept; the record says what they were.

    Drawings hold the values that they show of the arrays, and so need none.

    Example:
        >>> import numpy as np
        >>> whole = Result(arrays={"x": np.zeros(3)}, metrics={"mean": 0.0}, record={"inputs": []})
        >>> kept_of(whole, "metrics").record["left_out"]
        ['arrays.x']
    """
    gone = [f"arrays.{name}" for name in result.arrays] + [f"{name}.csv" for name in result.tables]
    gone += [name for name in ("rows", "images") if result.record.get(name)]
    if keep == "arrays" or not gone:
        return result
    drawings = {name: drawing_data.resolved(each, result.arrays) for name, each in result.drawings.items()}
    record = {**result.record, "arrays": {}, "rows": [], "images": [], "left_out": gone}
    return replace(
        result,
        arrays={},
        rows=(),
        tables={},
        drawings=drawing_data.from_json(drawing_data.to_json(drawings)),
        record={**record, "schema": schema_of(record)},
    )
