"""Windows: what something that slides over a map sees at once, and how far a change of the map reaches through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

SLIDING = {"Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool"}
"""Operations that slide a window over a map [N, H, W, C]."""

Sides = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """What a convolution or a pooling sees at once of its input, and how it moves over it; rows before columns.

    Attributes:
        kernel: Height and width.
        stride: How far it moves down and across.
        padding: ``same``, ``valid``, or how many rows and columns are added (before, after) on either axis.
        dilation: How far apart the rows and the columns lie that it sees.

    Example:
        >>> Window((3, 3), (2, 2), "same")
        Window(kernel=(3, 3), stride=(2, 2), padding='same', dilation=(1, 1))
        >>> Window((3, 3), dilation=(2, 2)).span
        (5, 5)
    """

    kernel: Sides
    stride: Sides = (1, 1)
    padding: Literal["same", "valid"] | tuple[Sides, Sides] = "valid"
    dilation: Sides = (1, 1)

    @property
    def span(self) -> Sides:
        """Height and width from the first row and column that it sees to the last, both included."""
        height, width = ((size - 1) * apart + 1 for size, apart in zip(self.kernel, self.dilation, strict=True))
        return height, width

    def before(self, axis: int, side: int, out: int) -> int:
        """Return how many rows (axis 0) or columns (axis 1) of padding come before the first of a map.

        Args:
            axis: Which.
            side: How many the map has.
            out: How many the output has.
        """
        if self.padding == "same":
            return max((out - 1) * self.stride[axis] + self.span[axis] - side, 0) // 2
        return 0 if self.padding == "valid" else self.padding[axis][0]


def window_of(operation: Any) -> Window | None:
    """Return the window of a graph's operation; None of one that slides none, or none over rows and columns alone."""
    if operation.type not in SLIDING:
        return None
    first = 2 if operation.get_attr("data_format") == b"NCHW" else 1
    stride = _two(operation.get_attr("strides")[first : first + 2])
    if operation.type in ("MaxPool", "AvgPool"):
        size = operation.get_attr("ksize")
        return Window(_two(size[first : first + 2]), stride, _padding(operation, first))
    weights = operation.inputs[1].shape
    if not weights.is_fully_defined():
        return None
    kernel = _two(weights.as_list()[:2])
    folding = operation.inputs[0].op
    if folding.type == "SpaceToBatchND":  # how TensorFlow writes a dilation by way of the batch
        return _folded(kernel, folding, operation)
    return Window(kernel, stride, _padding(operation, first), _two(operation.get_attr("dilations")[first : first + 2]))


def _folded(kernel: Sides, folding: Any, operation: Any) -> Window | None:
    import tensorflow as tf

    ways_back = [consumer for consumer in operation.outputs[0].consumers() if consumer.type == "BatchToSpaceND"]
    tensors = [*folding.inputs[1:], *(back.inputs[2] for back in ways_back)]
    values = [tf.get_static_value(tensor) for tensor in tensors]
    if len(values) != 3 or any(value is None for value in values):
        return None
    dilation, added, cropped = values
    padding = tuple(_two((before, after - crop[1])) for (before, after), crop in zip(added, cropped, strict=True))
    return Window(kernel, (1, 1), "valid" if not np.any(padding) else (padding[0], padding[1]), _two(dilation))


def _padding(operation: Any, first: int) -> Any:
    padding = operation.get_attr("padding")
    if padding != b"EXPLICIT":
        return padding.decode().lower()
    given = operation.get_attr("explicit_paddings")[2 * first : 2 * first + 4]
    return _two(given[:2]), _two(given[2:])


def _two(sides: Sequence[int]) -> Sides:
    height, width = (int(side) for side in sides)
    return height, width


@dataclass(frozen=True)
class Reach:
    """Which rows (or columns) of a map each of P changes of an image changes, and the part of ``size`` that holds them.

    Attributes:
        low: The first row that changes, int [P].
        high: The row after the last.
        side: How many rows the map has.
        size: How many rows each part has.
        start: The first row of each part, int [P].
    """

    low: np.ndarray
    high: np.ndarray
    side: int
    size: int
    start: np.ndarray

    @classmethod
    def of(cls, low: np.ndarray, high: np.ndarray, side: int) -> Reach:
        """Choose the parts: as many rows as the largest change, moved inwards where they would leave the map."""
        size = int(min(side, max(1, (high - low).max(initial=0))))
        return cls(low, high, side, size, np.clip(low, 0, side - size))

    def some(self, chosen: np.ndarray) -> Reach:
        """The same of some of the changes."""
        return Reach.of(self.low[chosen], self.high[chosen], self.side)

    def through(self, window: Window, axis: int, side: int) -> Reach:
        """What changes of the output of something that slides over the map.

        Args:
            window: What slides.
            axis: 0 of rows, 1 of columns.
            side: How many the output has.
        """
        stride, before = window.stride[axis], window.before(axis, self.side, side)
        low = np.clip(-((window.span[axis] - 1 - before - self.low) // stride), 0, side)
        high = np.clip((self.high - 1 + before) // stride + 1, 0, side)
        return Reach.of(low, np.maximum(high, low), side)

    def seen(self, window: Window, axis: int, side: int) -> tuple[np.ndarray, int]:
        """What is seen of an input with ``side`` rows to compute the parts: their first rows [P], and how many."""
        start = self.start * window.stride[axis] - window.before(axis, side, self.side)
        return start, (self.size - 1) * window.stride[axis] + window.span[axis]

    def moved(self, by: int, side: int) -> Reach:
        """What changes of the map where rows come before it: of one with ``side`` rows."""
        return Reach.of(np.clip(self.low + by, 0, side), np.clip(self.high + by, 0, side), side)

    def joined(self, other: Reach) -> Reach:
        """What changes of something that is computed of both."""
        if self is other:
            return self
        return Reach.of(np.minimum(self.low, other.low), np.maximum(self.high, other.high), self.side)


Reaches = Mapping[str, Reach]
"""Of each map, by the name of its tensor."""
