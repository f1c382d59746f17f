"""The logits of images with a square of one colour at each of many places: of what changes, where that is less."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cnnlab.classifier.incremental import Incremental, Plan, Shapes
from cnnlab.classifier.parts import Changes, Geometry
from cnnlab.classifier.windows import Reach

NUMBERS = 4 << 20
"""Numbers of the largest map of what is computed at once, so that it stays near the processor."""

FEW = 2048
"""So few squares are computed together, whatever the sizes of what they change."""

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Covering:
    """Images with a square of one colour at each of P places.

    Attributes:
        images: [N, H, W, C], float32.
        fills: The colour in each image, [N, 1, 1, C].
        corners: The upper left corners, int [P, 2]; a square may reach out of the image, or lie outside of it.
        size: The square's side.
    """

    images: np.ndarray
    fills: np.ndarray
    corners: np.ndarray
    size: int

    @cached_property
    def changes(self) -> np.ndarray:
        """Whether each square changes any pixel: bool [N, P]."""
        other = (self.images != self.fills).any(axis=-1)
        sums = np.zeros((len(other), *(side + 1 for side in other.shape[1:])), np.int32)
        sums[:, 1:, 1:] = other.cumsum(axis=1).cumsum(axis=2)
        (top, bottom), (left, right) = (self._edges(axis, self.corners[:, axis]) for axis in (0, 1))
        changed: np.ndarray = (
            sums[:, bottom, right] - sums[:, top, right] - sums[:, bottom, left] + sums[:, top, left] > 0
        )
        return changed

    def reach(self, axis: int, corners: np.ndarray) -> Reach:
        """Which rows (axis 0) or columns (axis 1) of the image squares cover whose corners have these."""
        return Reach.of(*self._edges(axis, corners), self.images.shape[1 + axis])

    def _edges(self, axis: int, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        side = self.images.shape[1 + axis]
        return np.clip(corners, 0, side), np.clip(corners + self.size, 0, side)

    def painted(self, image: np.ndarray, place: np.ndarray) -> np.ndarray:
        """The whole images with their squares, [M, H, W, C]."""
        painted = self.images[image]
        tops, lefts = (np.stack(self._edges(axis, self.corners[place, axis]), 1) for axis in (0, 1))
        for one, colour, (top, bottom), (left, right) in zip(painted, self.fills[image], tops, lefts, strict=True):
            one[top:bottom, left:right] = colour
        return painted


@dataclass(frozen=True)
class Group:
    """Squares that are computed alike.

    Attributes:
        places: Which they are, int [G].
        row: At which of the geometry's places down each is, int [G].
        col: At which across.
        plan: How; None where everything is computed in full.
    """

    places: np.ndarray
    row: np.ndarray
    col: np.ndarray
    plan: Plan | None


class Covered:
    """Computes the logits of images with squares.

    Args:
        incremental: The graph; None where parts cannot be computed at all.
        prepare: From images as cnnlab has them to images as the graph takes them.
        finish: From what the graph gives to logits.
        in_full: From a batch of images to their logits, whichever way.
        batch: How many images make a batch.
        covering: The images and the squares.
        rounded: Whether to compute parts in bfloat16.
    """

    def __init__(
        self,
        incremental: Incremental | None,
        prepare: Callable[[Any], Any],
        finish: Callable[[Any], Any],
        in_full: Callable[[np.ndarray], np.ndarray],
        batch: int,
        covering: Covering,
        rounded: bool,
    ) -> None:
        self._prepare, self._finish, self._in_full = prepare, finish, in_full
        self._batch, self._covering, self._incremental, self._rounded = batch, covering, incremental, rounded

    def logits(self, classes: int, advance: Advance) -> np.ndarray:
        """Return the logits of every image with every square, float32 [N, P, K].

        Args:
            classes: K.
            advance: Called with the number of squares just done.
        """
        found = np.empty((*self._covering.changes.shape, classes), np.float32)
        if self._incremental is None:
            found[:] = self._in_full(self._covering.images)[:, None]
            advance(int((~self._covering.changes).sum()))
            image, place = np.nonzero(self._covering.changes)
            self._fill_in_full(found, image, place, advance)
            return found
        return self._in_parts(found, self._incremental, advance)

    def _in_parts(self, found: np.ndarray, incremental: Incremental, advance: Advance) -> np.ndarray:
        covering = self._covering
        shapes = incremental.shapes() or self._shapes(incremental)
        groups = self._groups(incremental, shapes)
        wanted = tuple(dict.fromkeys(name for group in groups if group.plan for name in group.plan.own))
        at_once = max(1, NUMBERS // max(map(math.prod, shapes.values())))
        for first in range(0, len(found), at_once):
            images = slice(first, min(first + at_once, len(found)))
            logits, of_rows, own = incremental.own(self._prepare(covering.images[images]), wanted)
            found[images] = self._finish(logits).numpy()[:, None]
            advance(int((~covering.changes[images]).sum()))
            colours = self._prepare(covering.fills[images])
            for group in groups:
                image, which = np.nonzero(covering.changes[images][:, group.places])
                if group.plan is None:
                    self._fill_in_full(found, image + first, group.places[which], advance)
                    continue
                if group.plan.cut.dense:
                    order = np.argsort(group.plan.top(group.row[which]), kind="stable")
                    image, which = image[order], which[order]
                for some in _parted(len(image), max(1, NUMBERS // group.plan.numbers)):
                    changes = Changes(len(colours), image[some], group.row[which[some]], group.col[which[some]])
                    logits = self._finish(incremental.logits(group.plan, changes, colours, of_rows, own, self._rounded))
                    found[image[some] + first, group.places[which[some]]] = logits.numpy()
                    advance(len(changes.image))
        return found

    def _shapes(self, incremental: Incremental) -> Shapes:
        names = incremental.names
        _, _, maps = incremental.own(self._prepare(self._covering.images[:1]), names)
        return {name: tuple(values.shape[1:]) for name, values in maps.items()}

    # What is computed together, and how

    def _groups(self, incremental: Incremental, shapes: Shapes) -> list[Group]:
        """Part the squares by how large what they change is: at most two sizes on each axis."""
        halves, reaches = [], []
        for axis in (0, 1):
            edges, which = np.unique(self._covering.corners[:, axis], return_inverse=True)
            reaches.append(incremental.reaches(axis, self._covering.reach(axis, edges), shapes))
            small = np.zeros(len(edges), bool)
            if self._covering.changes.sum() > FEW:
                small = _small(np.sum([reach.high - reach.low for reach in reaches[axis].values()], axis=0))
            halves.append([(which, chosen) for chosen in (small, ~small) if chosen.any()])
        groups, geometry = [], Geometry(reaches[0], reaches[1], incremental.image)
        for (row, in_rows), (col, in_cols) in itertools.product(*halves):
            places = np.nonzero(in_rows[row] & in_cols[col])[0]
            at = [(np.cumsum(chosen) - 1)[which[places]] for which, chosen in ((row, in_rows), (col, in_cols))]
            plan = incremental.cheapest(geometry.some(in_rows, in_cols), shapes)
            groups.append(Group(places, at[0], at[1], plan))
        return groups

    # Computing it

    def _fill_in_full(self, found: np.ndarray, image: np.ndarray, place: np.ndarray, advance: Advance) -> None:
        for start in range(0, len(image), self._batch):
            at = image[start : start + self._batch], place[start : start + self._batch]
            found[at] = self._in_full(self._covering.painted(*at))
            advance(len(at[0]))


def _parted(count: int, size: int) -> Iterator[slice]:
    """Part what there is into so much at once."""
    for start in range(0, count, size):
        yield slice(start, start + size)


def _small(sizes: np.ndarray) -> np.ndarray:
    """Which of sizes to keep apart from the larger ones: their sum is least, each taken for the largest of its group.

    >>> _small(np.array([9, 5, 9, 5, 3])).tolist()
    [False, True, False, True, True]
    """
    candidates = np.unique(sizes)
    squares = [(sizes <= size).sum() * size + (sizes > size).sum() * sizes.max() for size in candidates]
    return np.asarray(sizes <= candidates[int(np.argmin(squares))]) & (sizes < sizes.max())
