"""Parts of maps: where they lie, and how pieces are cut out of maps that are new in a part."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from cnnlab.classifier.steps import Step
from cnnlab.classifier.windows import Reach, Reaches


@dataclass(frozen=True)
class Pieces:
    """Where pieces lie on one axis of a map, of which a part is new.

    Attributes:
        first: The first row of each piece, int [P]; it may lie outside of the map.
        size: How many rows each has.
        new: What is new.
    """

    first: np.ndarray
    size: int
    new: Reach

    @cached_property
    def rows(self) -> np.ndarray:
        """The rows of each, int32 [P, size]."""
        return (self.first[:, None] + np.arange(self.size)).astype(np.int32)

    @cached_property
    def is_new(self) -> np.ndarray:
        """Whether they are of the new part, as 1 and 0: int32 [P, size]."""
        within = self.rows - self.new.start[:, None]
        return ((within >= 0) & (within < self.new.size)).astype(np.int32)

    @cached_property
    def changes(self) -> np.ndarray:
        """Whether they change, as 1 and 0: int32 [P, size]."""
        return ((self.rows >= self.new.low[:, None]) & (self.rows < self.new.high[:, None])).astype(np.int32)

    @cached_property
    def beyond(self) -> tuple[int, int]:
        """How far they reach out of the map, before its first row and after its last."""
        return max(0, -int(self.first.min())), max(0, int(self.first.max()) + self.size - self.new.side)

    @cached_property
    def nothing_else(self) -> bool:
        """Whether they are just what is new."""
        return self.size == self.new.size and np.array_equal(self.first, self.new.start)


@dataclass(frozen=True)
class Changes:
    """M changed images.

    Attributes:
        count: How many images there are.
        image: Which of them each is, int [M].
        row: Which of the places down it changes at, int [M].
        col: Which of those across.
    """

    count: int
    image: np.ndarray
    row: np.ndarray
    col: np.ndarray

    @cached_property
    def at(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The places that there are, down and across, and which of them each change is at: many are at the same."""
        across = int(self.col.max()) + 1
        pairs, at = np.unique(self.row * across + self.col, return_inverse=True)
        return pairs // across, pairs % across, at


@dataclass(frozen=True)
class Cutting:
    """How pieces are cut out of changed maps.

    Attributes:
        name: Of the map.
        down: Where the pieces lie down.
        across: Where across.
        outside: What lies outside of the map.
        coloured: Whether what is new is one colour for each image.
    """

    name: str
    down: Pieces
    across: Pieces
    outside: float = 0.0
    coloured: bool = False

    @property
    def needless(self) -> bool:
        """Whether the pieces are what is new."""
        return not self.coloured and self.down.nothing_else and self.across.nothing_else

    @property
    def key(self) -> Any:
        """What two of them have in common that are computed alike."""
        sizes = [(axis.size, axis.beyond, axis.new.size, axis.new.side) for axis in (self.down, self.across)]
        return self.name, self.needless, self.outside, *sizes

    def index(self, changes: Changes) -> np.ndarray:
        """Tell where each place of each piece lies among those that it is cut out of: int32 [M, height, width]."""
        down, across = self.down, self.across
        tall, wide = (axis.new.side + sum(axis.beyond) for axis in (down, across))
        row, col, at = changes.at
        own_rows, own_cols = (down.rows + down.beyond[0]) * wide, across.rows + across.beyond[0]
        first_own = changes.image.astype(np.int32) * (tall * wide)
        if self.coloured:
            new_rows, new_cols, in_rows, in_cols = 0 * down.rows, 0 * across.rows, down.changes, across.changes
            first_new = changes.image.astype(np.int32)
        else:
            new_rows = (down.rows - down.new.start[:, None]) * across.new.size
            new_cols, in_rows, in_cols = across.rows - across.new.start[:, None], down.is_new, across.is_new
            first_new = np.arange(len(at), dtype=np.int32) * (down.new.size * across.new.size)
        # How much farther a place lies in what is new than in the own map.
        farther_rows, farther_cols = (new_rows - own_rows) * in_rows, (new_cols - own_cols) * in_cols
        is_new = _products(in_rows[row], in_cols[col])
        places = _sums(own_rows[row], own_cols[col])
        places += _products(farther_rows[row], in_cols[col]) + _products(in_rows[row], farther_cols[col])
        first_new += changes.count * (tall * wide)
        index = is_new[at] * (first_new - first_own)[:, None, None]
        index += places[at]
        index += first_own[:, None, None]
        return index

    def cut(self, own: Any, new: Any, index: Any) -> Any:
        """Cut them out: [M, height, width, C].

        Args:
            own: The maps as they were, [N, H, W, C].
            new: Their new parts, [M, h, w, C], or the colours [N, 1, 1, C].
            index: Where each place lies.
        """
        around = [(0, 0), self.down.beyond, self.across.beyond, (0, 0)]
        if any(map(any, around)):
            own = tf.pad(own, around, constant_values=tf.cast(self.outside, own.dtype))
        both = [tf.reshape(values, (-1, own.shape[-1])) for values in (own, new)]
        return tf.raw_ops.Gather(params=tf.concat(both, 0), indices=index)


def _sums(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    return rows[:, :, None] + cols[:, None, :]


def _products(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    return rows[:, :, None] * cols[:, None, :]


@dataclass(frozen=True)
class Geometry:
    """How far changes of an image reach in every map.

    Attributes:
        rows: Down, of each of U places.
        cols: Across, of each of V places.
        image: What the image is called among the maps.
    """

    rows: Reaches
    cols: Reaches
    image: str
    _known: dict[Any, Cutting] = field(default_factory=dict, repr=False)

    def size(self, name: str) -> int:
        """How many places of a map are in each part."""
        return self.rows[name].size * self.cols[name].size

    def some(self, rows: np.ndarray, cols: np.ndarray) -> Geometry:
        """The same of some of the places: bool [U], [V]."""
        down = {name: reach.some(rows) for name, reach in self.rows.items()}
        across = {name: reach.some(cols) for name, reach in self.cols.items()}
        return Geometry(down, across, self.image)

    def widened(self, seen: Cutting, names: Sequence[str]) -> Geometry:
        """The same with larger parts of some maps, which hold all that is seen of them."""
        rows = {name: replace(self.rows[name], start=seen.down.first, size=seen.down.size) for name in names}
        cols = {name: replace(self.cols[name], start=seen.across.first, size=seen.across.size) for name in names}
        return Geometry({**self.rows, **rows}, {**self.cols, **cols}, self.image)

    def needed(self, step: Step) -> Sequence[Cutting]:
        """The pieces of maps that a step needs to compute the parts of what it gives."""
        if step.passes:
            return ()
        if step.source:
            return (self.seen(step),)
        return tuple(
            self._once(name, step.name, lambda axis, new, to: Pieces(to.start, to.size, new)) for name in step.maps
        )

    def seen(self, step: Step) -> Cutting:
        """The pieces of a map that something sees that slides over it or pads it."""

        def along(axis: int, new: Reach, to: Reach) -> Pieces:
            if step.window is not None:
                return Pieces(*to.seen(step.window, axis, new.side), new)
            assert step.padding is not None
            return Pieces(to.start - step.padding[axis], to.size, new)

        outside = 0.0
        if step.sliding is not None and step.sliding.kind == "MaxPool":
            outside = -math.inf
        elif step.padding is not None and len(step.inputs) > 2:
            outside = float(step.inputs[2])
        return self._once(step.source, step.name, along, outside)

    def whole(self, name: str) -> Cutting:
        """The whole of a map."""
        return self._once(name, "whole", lambda axis, new, to: Pieces(np.zeros_like(new.start), new.side, new))

    def bands(self, name: str, tops: np.ndarray, size: int) -> Cutting:
        """So many whole rows of a map, from one of the tops on, which hold the part."""
        first = tops[np.searchsorted(tops, self.rows[name].start, side="right") - 1]
        whole = self.whole(name)
        return replace(whole, down=Pieces(first, size, whole.down.new))

    def _once(self, name: str, to: str, along: Callable[[int, Reach, Reach], Pieces], outside: float = 0.0) -> Cutting:
        if (name, to) not in self._known:
            down = along(0, self.rows[name], self.rows.get(to, self.rows[name]))
            across = along(1, self.cols[name], self.cols.get(to, self.cols[name]))
            self._known[name, to] = Cutting(name, down, across, outside, name == self.image)
        return self._known[name, to]


def slid(step: Step, piece: Any) -> Any:
    """Let something slide over pieces of a map: [M, h, w, C].

    Args:
        step: What slides.
        piece: What it sees, with all that lies outside of the map.
    """
    sliding = step.sliding
    assert sliding is not None
    assert step.window is not None
    other: dict[str, Any] = {"dilations": [1, *step.window.dilation, 1]} if step.weights else {}
    if sliding.kind != "AvgPool":
        other["explicit_paddings"] = []
    return sliding.call([piece, *sliding.inputs[1:]], padding="VALID", **other)


def averaged(step: Step, seen: Cutting) -> tuple[np.ndarray, np.ndarray] | None:
    """What to multiply averages with, of which some take in what lies outside of the map and does not count.

    Returns:
        Of rows, float32 [P, h], and of columns; None where there are none.
    """
    assert step.window is not None
    if step.kind != "AvgPool" or not any(seen.down.beyond + seen.across.beyond):
        return None
    down, across = (
        _averaged(each, step.window.kernel[axis], step.window.stride[axis])
        for axis, each in enumerate((seen.down, seen.across))
    )
    return down, across


def _averaged(pieces: Pieces, kernel: int, stride: int) -> np.ndarray:
    first = pieces.first[:, None] + np.arange((pieces.size - kernel) // stride + 1) * stride
    inside = np.minimum(first + kernel, pieces.new.side) - np.maximum(first, 0)
    return (kernel / np.maximum(inside, 1)).astype(np.float32)
