"""What is kept of a result: all of it, or nothing of single images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cnnlab.results.result import Result

Keep = Literal["arrays", "metrics"]
"""All of it; or headline, metrics, drawings and the images that were given, and no array, row, table or other file."""


def kept_of(result: Result, keep: Keep) -> Result:
    """Leave out what is not to be kept; the record says what that was (``left_out``).

    Drawings hold the values that they show of the arrays, and so need none.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Result
        >>> whole = Result(arrays={"x": np.zeros(3)}, metrics={"mean": 0.0}, record={"inputs": []})
        >>> kept_of(whole, "metrics").record["left_out"]
        ['arrays.x']
    """
    from cnnlab import drawings as drawing_data
    from cnnlab.results.artifacts import Artifacts
    from cnnlab.results.record import schema_of

    gone = [*result.record.get("left_out", ()), *(f"arrays.{name}" for name in result.arrays)]
    gone += [f"{name}.csv" for name in result.tables] + [entry["file"] for entry in result.artifacts.to_json()]
    gone += [name for name in ("rows", "images") if result.record.get(name)]
    if keep == "arrays" or not gone:
        return result
    whole = {name: drawing_data.resolved(each, result.arrays) for name, each in result.drawings.items()}
    drawings = drawing_data.from_json(drawing_data.to_json(whole))
    record = {**result.record, "arrays": {}, "rows": [], "images": [], "left_out": gone}
    record.pop("artifacts", None)
    record["schema"] = schema_of(record)
    return replace(result, arrays={}, rows=(), tables={}, artifacts=Artifacts(), drawings=drawings, record=record)
