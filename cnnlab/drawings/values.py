"""Numbers in a drawing: an array held, or a reference to one of the result's."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnlab.errors import CnnlabError


@dataclass(frozen=True)
class At:
    """A reference to a part of one of the result's arrays: ``At("heatmap", 3)`` is ``arrays["heatmap"][3]``.

    A drawing that refers holds no second copy, on the disk or on a page.

    Attributes:
        array: The array's name.
        index: Where in its leading axes, a number or a tuple of them; all of it by default.

    Example:
        >>> from cnnlab.plugin import Picture
        >>> heat = Picture(values=At("heatmap", 3), title="what the model looks at", scale="sequential")
        >>> heat.values.index
        (3,)
    """

    array: str
    index: tuple[int, ...] | int = ()

    def __post_init__(self) -> None:
        index = self.index if isinstance(self.index, tuple) else (self.index,)
        object.__setattr__(self, "index", tuple(int(place) for place in index))

    @property
    def places(self) -> tuple[int, ...]:
        """The index as a tuple."""
        return self.index if isinstance(self.index, tuple) else (self.index,)

    def of(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return what it refers to, of any shape.

        Args:
            arrays: The arrays of a result, each of the shape that it is declared with, by name.

        Raises:
            CnnlabError: There is no such array, or no such place in it.
        """
        if self.array not in arrays:
            raise CnnlabError(f"a drawing refers to the array {self.array!r}, and there is none of that name.")
        try:
            return np.asarray(arrays[self.array][self.places])
        except IndexError:
            raise CnnlabError(
                f"a drawing refers to {self.array}{list(self.places)}, and the array is "
                f"{list(arrays[self.array].shape)}."
            ) from None


Values = np.ndarray | At
"""What a picture's values may be when it is made; renderers are given arrays alone."""

Numbers = np.ndarray | At | tuple[float, ...] | list[float]
"""The same for the numbers of a chart, which may also be a sequence."""


def as_numbers(values: Numbers) -> np.ndarray:
    """Return the numbers of a chart, once they are no reference, as float64.

    Raises:
        CnnlabError: They are a reference still; see :func:`cnnlab.drawings.resolved`.
    """
    if isinstance(values, At):
        raise CnnlabError(f"the drawing refers to {values.array!r}, whose values are not in it.")
    return np.asarray(values, np.float64)


_KINDS = "biuf"
_MOST_LISTED = 10_000


def to_json(value: Any) -> Any:
    """Encode an array or a number of NumPy's for JSON; others are refused, as :func:`json.dumps` asks of a default.

    Short rows of finite numbers are lists, which people can read; anything else is base64 of little-endian bytes, which
    loses nothing.
    """
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in _KINDS:
        raise TypeError(f"a drawing holds {getattr(value, 'dtype', type(value).__name__)}, which is no number.")
    if value.ndim == 1 and len(value) <= _MOST_LISTED and np.isfinite(value).all():
        return {"dtype": value.dtype.name, "list": value.tolist()}
    data = base64.b64encode(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())
    return {"dtype": value.dtype.name, "shape": list(value.shape), "base64": data.decode()}


def from_json(record: dict[str, Any]) -> Any:
    """Decode an array that :func:`to_json` made, or a reference; other objects are left as they are.

    Raises:
        ValueError: It says it is one, and is not.
    """
    if record.keys() == {"array", "index"}:
        return At(str(record["array"]), tuple(int(place) for place in record["index"]))
    if record.keys() == {"dtype", "list"}:
        return np.array(record["list"], _dtype(record["dtype"]))
    if record.keys() == {"dtype", "shape", "base64"}:
        dtype, shape = _dtype(record["dtype"]), tuple(int(side) for side in record["shape"])
        data = base64.b64decode(record["base64"], validate=True)
        if any(side < 0 for side in shape) or len(data) != dtype.itemsize * math.prod(shape):
            raise ValueError(f"{len(data)} bytes are no array of {dtype} {list(shape)}")
        return np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape).astype(dtype)
    return record


def _dtype(name: Any) -> np.dtype[Any]:
    # np.dtype reads more than names, and raises whatever Python's parser does.
    if not re.fullmatch(r"bool|(u?int|float)[0-9]{1,3}", str(name)):
        raise ValueError(f"{name} is no type of numbers")
    return np.dtype(str(name))
