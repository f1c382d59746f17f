"""Parts of maps: where they lie, and how pieces are cut out of maps that are new in a part."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    def beyond(self) -> tuple[int, int]:
        """How far they reach out of the map, before its first row and after its last."""
        return max(0, -int(self.first.min())), max(0, int(self.first.max()) + self.size - self.new.side)

    @cached_property
    def nothing_else(self) -> bool:
        """Whether they are just what is new."""
        return self.size == self.new.size and np.array_equal(self.first, self.new.start)


@dataclass(frozen=True)
class Geometry:
    """How far changes of an image reach in every map.

    Attributes:
        rows: Down, of each of U places.
        cols: Across, of each of V places.
    """

    rows: Reaches
    cols: Reaches
    _known: dict[Any, tuple[Pieces, Pieces]] = field(default_factory=dict, repr=False)

    def size(self, name: str) -> int:
        """How many places of a map are in each part."""
        return self.rows[name].size * self.cols[name].size

    def seen(self, step: Step) -> tuple[Pieces, Pieces]:
        """The pieces of a map that a step sees to compute the parts of what it gives, down and across."""

        def along(axis: int, reaches: Reaches) -> Pieces:
            reach, new = reaches[step.name], reaches[step.source]
            if step.window is not None:
                return Pieces(*reach.seen(step.window, axis, new.side), new)
            assert step.padding is not None
            return Pieces(reach.start - step.padding[axis], reach.size, new)

        return self._once(step.name, along)

    def at(self, name: str, like: str) -> tuple[Pieces, Pieces]:
        """The pieces of a map that lie where the parts of another are, which has as many rows and columns."""
        return self._once((name, like), lambda _, each: Pieces(each[like].start, each[like].size, each[name]))

    def whole(self, name: str) -> tuple[Pieces, Pieces]:
        """The whole map."""
        return self._once((name,), lambda _, each: Pieces(np.zeros_like(each[name].start), each[name].side, each[name]))

    def _once(self, key: Any, along: Callable[[int, Reaches], Pieces]) -> tuple[Pieces, Pieces]:
        if key not in self._known:
            self._known[key] = along(0, self.rows), along(1, self.cols)
        return self._known[key]


class Own:
    """The maps of images themselves, by their names, each [N, H, W, C]."""

    def __init__(self, maps: Mapping[str, Any]) -> None:
        self.maps = maps
        self._flat: dict[Any, tuple[Any, int, int]] = {}

    def flat(self, name: str, down: Pieces, across: Pieces, outside: float) -> tuple[Any, int, int]:
        """Return a map as rows of channels, with so much around it as pieces reach out, and its height and width."""
        key = (name, down.beyond, across.beyond, outside)
        if key not in self._flat:
            own = self.maps[name]
            if any(down.beyond + across.beyond):
                around = [(0, 0), down.beyond, across.beyond, (0, 0)]
                own = tf.pad(own, around, constant_values=tf.cast(outside, own.dtype))
            _, tall, wide, channels = own.shape
            self._flat[key] = tf.reshape(own, (-1, channels)), tall, wide
        return self._flat[key]


@dataclass(frozen=True)
class Parts:
    """The new parts of maps, of M changed images.

    Attributes:
        own: The maps of the images as they were.
        image: Which of them each is, int32 [M].
        row: Which of the places down it changes at, int [M].
        col: Which of those across.
        new: The parts [M, h, w, C], by the names of the maps.
    """

    own: Own
    image: np.ndarray
    row: np.ndarray
    col: np.ndarray
    new: dict[str, Any]

    @cached_property
    def _at(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The places that there are, down and across, and which of them each change is at: many are at the same."""
        across = int(self.col.max()) + 1
        pairs, at = np.unique(self.row * across + self.col, return_inverse=True)
        return pairs // across, pairs % across, at

    def cut_out(self, name: str, pieces: tuple[Pieces, Pieces], outside: float = 0.0) -> Any:
        """Cut a piece out of each changed map: [M, height, width, C].

        Args:
            name: Of the map.
            pieces: Where they lie down and across.
            outside: What lies outside of the map.
        """
        down, across = pieces
        new = self.new[name]
        if down.nothing_else and across.nothing_else:
            return new
        flat, tall, wide = self.own.flat(name, down, across, outside)
        count, height, width, channels = new.shape
        row, col, at = self._at
        # Where each number lies: in the own map, or, as far as that is farther, in the new part.
        own_rows, own_cols = (down.rows + down.beyond[0]) * wide, across.rows + across.beyond[0]
        farther_rows = ((down.rows - down.new.start[:, None]) * width - own_rows) * down.is_new
        farther_cols = (across.rows - across.new.start[:, None] - own_cols) * across.is_new
        is_new = _products(down.is_new[row], across.is_new[col])
        places = _sums(own_rows[row], own_cols[col])
        places += _products(farther_rows[row], across.is_new[col]) + _products(down.is_new[row], farther_cols[col])
        first_own = self.image * (tall * wide)
        first_new = np.arange(count, dtype=np.int32) * (height * width) + len(flat)
        index = is_new[at] * (first_new - first_own)[:, None, None]
        index += places[at]
        index += first_own[:, None, None]
        return tf.gather(tf.concat([flat, tf.reshape(new, (-1, channels))], 0), index)

    def change(self, name: str, pieces: tuple[Pieces, Pieces]) -> Any:
        """Return by how much the parts of a map changed: [M, h, w, C].

        Args:
            name: Of the map.
            pieces: Where the parts lie.
        """
        down, across = pieces
        flat, tall, wide = self.own.flat(name, down, across, 0.0)
        rows = (down.rows * wide)[self.row] + (self.image * (tall * wide))[:, None]
        return self.new[name] - tf.gather(flat, _sums(rows, across.rows[self.col]))


def _sums(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    return rows[:, :, None] + cols[:, None, :]


def _products(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    return rows[:, :, None] * cols[:, None, :]


def slid(step: Step, parts: Parts, geometry: Geometry) -> Any:
    """Let something slide over pieces of maps: [M, h, w, C].

    Args:
        step: What slides.
        parts: Of the map.
        geometry: Where they lie.
    """
    pieces, sliding = geometry.seen(step), step.sliding
    assert sliding is not None
    assert step.window is not None
    piece = parts.cut_out(step.source, pieces, -math.inf if sliding.kind == "MaxPool" else 0.0)
    other: dict[str, Any] = {"dilations": [1, *step.window.dilation, 1]} if step.weights else {}
    if sliding.kind != "AvgPool":
        other["explicit_paddings"] = []
    new = sliding.call([piece, *sliding.inputs[1:]], padding="VALID", **other)
    if sliding.kind != "AvgPool":
        return new
    # What lies outside of the map counts in none of TensorFlow's averages.
    down, across = (
        _averaged(each, step.window.kernel[axis], step.window.stride[axis]) for axis, each in enumerate(pieces)
    )
    return new * (down[parts.row][:, :, None] * across[parts.col][:, None, :])[..., None]


def _averaged(pieces: Pieces, kernel: int, stride: int) -> np.ndarray:
    """What to multiply averages over rows with, of which some lie outside of the map: float32 [P, rows of output]."""
    first = pieces.first[:, None] + np.arange((pieces.size - kernel) // stride + 1) * stride
    inside = np.minimum(first + kernel, pieces.new.side) - np.maximum(first, 0)
    return (kernel / np.maximum(inside, 1)).astype(np.float32)
