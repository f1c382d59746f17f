"""The logits of images with a square of one colour at each of many places: of what changes alone, where that is less.

Everything here counts in multiply-adds what computing it takes, and takes the cheapest way. Which that is depends on
shapes and places alone, so that the same question has the same answer, bit by bit, whatever else the machine does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from cnnlab.classifier.incremental import COPIED, GATHERED, MULTIPLIED, Cut, Dense, Incremental, Shapes
from cnnlab.classifier.parts import Geometry, Own, Parts
from cnnlab.classifier.windows import Reach, Reaches

NUMBERS = 4 << 20
"""Numbers of the largest map of what is computed at once, so that it stays near the processor."""

WORTH = 0.8
"""What another way may take of the work of the full pass, to be taken."""

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

    def parts(self, image: np.ndarray, row: np.ndarray, col: np.ndarray, geometry: Geometry, name: str) -> np.ndarray:
        """Return the parts of images that squares are in, with them: [M, h, w, C].

        Args:
            image: Which image each is of, int [M].
            row: At which of the geometry's places down, int [M].
            col: At which across.
            geometry: Where the parts lie.
            name: What the image is called there.
        """
        (down, below), (across, beside) = (_places(each[name]) for each in (geometry.rows, geometry.cols))
        own = self.images[image[:, None, None], down[row][:, :, None], across[col][:, None, :]]
        return np.where((below[row][:, :, None] & beside[col][:, None, :])[..., None], self.fills[image], own)

    def painted(self, image: np.ndarray, place: np.ndarray) -> np.ndarray:
        """The whole images with their squares, [M, H, W, C]."""
        painted = self.images[image]
        tops, lefts = (np.stack(self._edges(axis, self.corners[place, axis]), 1) for axis in (0, 1))
        for one, colour, (top, bottom), (left, right) in zip(painted, self.fills[image], tops, lefts, strict=True):
            one[top:bottom, left:right] = colour
        return painted


def _places(reach: Reach) -> tuple[np.ndarray, np.ndarray]:
    """The rows of each part, and whether they change: [P, size]."""
    rows = reach.start[:, None] + np.arange(reach.size)
    return rows, (rows >= reach.low[:, None]) & (rows < reach.high[:, None])


@dataclass(frozen=True)
class Group:
    """Squares that are computed alike.

    Attributes:
        places: Which they are, int [G].
        row: At which of the geometry's places down each is, int [G].
        col: At which across.
        geometry: How far they reach.
        cut: Up to where parts are computed; None where everything is computed in full.
        dense: Whether the dense layer after the cut is computed of the change alone.
        numbers: How many numbers lie in memory for each.
    """

    places: np.ndarray
    row: np.ndarray
    col: np.ndarray
    geometry: Geometry
    cut: Cut | None = None
    dense: bool = False
    numbers: int = 1

    def starts(self, name: str) -> np.ndarray:
        """Where the part of a map lies that each changes, as one number: int [G]."""
        rows, cols = self.geometry.rows[name], self.geometry.cols[name]
        found: np.ndarray = rows.start[self.row] * cols.side + cols.start[self.col]
        return found


class Work:
    """The squares of a group that change some of the images.

    Args:
        incremental: The graph.
        own: The maps of the images.
        product: What the dense layer after them, where there is one, multiplies out of each image.
        group: The group.
        image: Which of the images each square changes, int [M].
        which: Which square of the group it is.

    Attributes:
        image: The same, in the order in which they are computed.
        which: The same.
    """

    def __init__(
        self, incremental: Incremental, own: Own, product: Any, group: Group, image: np.ndarray, which: np.ndarray
    ) -> None:
        assert group.cut is not None
        self.incremental, self.own, self.group, self.cut = incremental, own, group, group.cut
        starts = group.starts(self.cut.name)[which]
        order = np.lexsort((image, starts))
        self.image, self.which, self._starts = image[order], which[order], starts[order]
        self._dense, self._product = self.cut.dense if group.dense else None, product

    def in_order(self) -> Iterator[slice]:
        """Part them in what is computed at once."""
        size = max(1, NUMBERS // self.group.numbers)
        for start in range(0, len(self.image), size):
            yield slice(start, start + size)

    def at(self, part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which of the images some of them change, and at which of the geometry's places down and across."""
        which = self.which[part]
        return self.image[part], self.group.row[which], self.group.col[which]

    def values(self, part: slice, squares: Any) -> Any:
        """Return what the graph gives for some of them.

        Args:
            part: Which.
            squares: What is in the parts of the image that they change, [M, h, w, C].
        """
        geometry, cut = self.group.geometry, self.cut
        image, row, col = self.at(part)
        parts = Parts(self.own, image.astype(np.int32), row, col, {self.incremental.image: squares})
        self.incremental.compute(parts, geometry, cut)
        if not self._dense:
            return self.incremental.rest(cut, parts.cut_out(cut.name, geometry.whole(cut.name)))
        change = parts.change(cut.name, geometry.at(cut.name, cut.name))
        product = self._products(self._dense, tf.reshape(change, (len(image), -1)), self._starts[part])
        return self._dense.logits(tf.gather(self._product, image) + product)

    def _products(self, dense: Dense, change: Any, starts: np.ndarray) -> Any:
        """Multiply changes [M, h w C], in the order of their starts, with the weights of where they are: [M, units]."""
        weights = dense.weights.shape[1] * change.shape[1]
        different, first, count = np.unique(starts, return_index=True, return_counts=True)
        products, row = [], np.empty(len(starts), np.int32)
        done = 0
        for some in _alike(count, max(1, NUMBERS // weights)):
            # As many of each start as of the most frequent one, so that one product does for all.
            most = int(count[some].max())
            places = first[some, None] + np.minimum(np.arange(most), count[some, None] - 1)
            pieces = tf.gather(dense.weights, self._weights_at(different[some], dense.weights.shape[0]))
            product = tf.matmul(tf.gather(change, places.astype(np.int32)), pieces)
            products.append(tf.reshape(product, (-1, dense.weights.shape[1])))
            row[places] = done + np.arange(len(some) * most).reshape(len(some), most)
            done += len(some) * most
        return tf.gather(tf.concat(products, 0), row)

    def _weights_at(self, starts: np.ndarray, flattened: int) -> np.ndarray:
        """Which rows of a dense layer's weights are of the parts that begin there: int32 [S, h w C]."""
        rows, cols = self.group.geometry.rows[self.cut.name], self.group.geometry.cols[self.cut.name]
        channels = flattened // (rows.side * cols.side)
        top, left = np.divmod(starts, cols.side)
        down, across = top[:, None] + np.arange(rows.size), left[:, None] + np.arange(cols.size)
        places = (down * cols.side)[:, :, None] + across[:, None, :]
        found = places[..., None] * channels + np.arange(channels)
        return found.reshape(len(starts), -1).astype(np.int32)


class Covered:
    """Computes the logits of images with squares.

    Args:
        incremental: The graph; None where parts cannot be computed at all.
        prepare: From images as cnnlab has them to images as the graph takes them.
        finish: From what the graph gives to logits.
        in_full: From a batch of images to their logits, whichever way.
        batch: How many images make a batch.
        covering: The images and the squares.
    """

    def __init__(
        self,
        incremental: Incremental | None,
        prepare: Callable[[Any], Any],
        finish: Callable[[Any], Any],
        in_full: Callable[[np.ndarray], np.ndarray],
        batch: int,
        covering: Covering,
    ) -> None:
        self._prepare, self._finish, self._in_full = prepare, finish, in_full
        self._batch, self._covering, self._incremental = batch, covering, incremental

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
        covering, last = self._covering, incremental.cuts[-1]
        shapes = incremental.shapes() or _shapes(self._own(incremental, slice(0, 1)))
        groups = self._groups(incremental, shapes)
        at_once = max(1, NUMBERS // max(map(math.prod, shapes.values())))
        for first in range(0, len(found), at_once):
            images = slice(first, min(first + at_once, len(found)))
            own = self._own(incremental, images)
            product = last.dense.product(last.name, own.maps[last.name]) if last.dense else None
            values = last.dense.logits(product) if last.dense else incremental.rest(last, own.maps[last.name])
            found[images] = self._finish(values).numpy()[:, None]
            advance(int((~covering.changes[images]).sum()))
            for group in groups:
                image, which = np.nonzero(covering.changes[images][:, group.places])
                if group.cut is None:
                    self._fill_in_full(found, image + first, group.places[which], advance)
                elif len(image):
                    self._fill(found, first, Work(incremental, own, product, group, image, which), advance)
        return found

    def _own(self, incremental: Incremental, images: slice) -> Own:
        return incremental.own(self._prepare(self._covering.images[images]), incremental.cuts[-1].end)

    # What is computed together, and how

    def _groups(self, incremental: Incremental, shapes: Shapes) -> list[Group]:
        """Part the squares by how large what they change is: at most two sizes on each axis."""
        halves = []
        for axis in (0, 1):
            edges, which = np.unique(self._covering.corners[:, axis], return_inverse=True)
            reaches = incremental.reaches(axis, self._covering.reach(axis, edges), shapes)
            small = np.zeros(len(edges), bool)
            if self._covering.changes.sum() > FEW:
                small = _small(np.sum([reach.high - reach.low for reach in reaches.values()], axis=0))
            halves.append([(which, chosen, reaches) for chosen in (small, ~small) if chosen.any()])
        groups = []
        for (row, in_rows, rows), (col, in_cols, cols) in itertools.product(*halves):
            places = np.nonzero(in_rows[row] & in_cols[col])[0]
            geometry = Geometry(_some(rows, in_rows), _some(cols, in_cols))
            at = [(np.cumsum(chosen) - 1)[which[places]] for which, chosen in ((row, in_rows), (col, in_cols))]
            groups.append(self._cheapest(incremental, Group(places, at[0], at[1], geometry), shapes))
        return groups

    def _cheapest(self, incremental: Incremental, group: Group, shapes: Shapes) -> Group:
        """Choose up to where parts are computed, and whether a dense layer is computed of the change alone."""
        cuts = {cut.name: cut for cut in incremental.cuts}
        changed = max(1, int(self._covering.changes[:, group.places].sum()))
        least, chosen = WORTH * incremental.work_in_full(shapes), group
        so_far, numbers = 0.0, 1
        for name, work, lying in incremental.work_of_parts(group.geometry, shapes):
            so_far, numbers = so_far + work, max(numbers, lying)
            if name not in cuts:
                continue
            cut, whole, part = cuts[name], math.prod(shapes[name]), group.geometry.size(name) * shapes[name][-1]
            ways = {False: GATHERED * whole + incremental.work_in_full(shapes, cut.end)}
            if cut.dense is not None:
                products = part * int(cut.dense.weights.shape[1])
                copied = COPIED * products * len(np.unique(group.starts(name))) / changed
                after = incremental.work_in_full(shapes, cut.end + len(cut.dense.steps))
                ways[True] = GATHERED * part + MULTIPLIED * products + copied + after
            for dense, rest in ways.items():
                if so_far + rest < least:
                    lying = max(numbers, part if dense else whole)
                    least, chosen = so_far + rest, replace(group, cut=cut, dense=dense, numbers=lying)
        return chosen

    # Computing it

    def _fill_in_full(self, found: np.ndarray, image: np.ndarray, place: np.ndarray, advance: Advance) -> None:
        for start in range(0, len(image), self._batch):
            at = image[start : start + self._batch], place[start : start + self._batch]
            found[at] = self._in_full(self._covering.painted(*at))
            advance(len(at[0]))

    def _fill(self, found: np.ndarray, first: int, work: Work, advance: Advance) -> None:
        """Compute the logits of the squares of a group that change some of the images, from the first of these on."""
        group = work.group
        for part in work.in_order():
            image, row, col = work.at(part)
            squares = self._covering.parts(image + first, row, col, group.geometry, work.incremental.image)
            logits = self._finish(work.values(part, self._prepare(squares)))
            found[image + first, group.places[work.which[part]]] = logits.numpy()
            advance(len(image))


def _shapes(own: Own) -> Shapes:
    return {name: tuple(values.shape[1:]) for name, values in own.maps.items()}


def _some(reaches: Reaches, chosen: np.ndarray) -> Reaches:
    return {name: reach.some(chosen) for name, reach in reaches.items()}


def _alike(counts: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Part numbers, the largest first, into groups of at most so many that are at least two thirds of their largest.

    >>> [some.tolist() for some in _alike(np.array([9, 3, 8, 2]), 4)]
    [[0, 2], [1, 3]]
    """
    order = np.argsort(-counts, kind="stable")
    while len(order):
        alike = order[:most]
        alike = alike[3 * counts[alike] >= 2 * counts[alike[0]]]
        yield alike
        order = order[len(alike) :]


def _small(sizes: np.ndarray) -> np.ndarray:
    """Which of sizes to keep apart from the larger ones: their sum is least, each taken for the largest of its group.

    >>> _small(np.array([9, 5, 9, 5, 3])).tolist()
    [False, True, False, True, True]
    """
    candidates = np.unique(sizes)
    squares = [(sizes <= size).sum() * size + (sizes > size).sum() * sizes.max() for size in candidates]
    return np.asarray(sizes <= candidates[int(np.argmin(squares))]) & (sizes < sizes.max())
