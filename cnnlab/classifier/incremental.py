"""Exact incremental inference: what a change of an image changes of the maps is computed anew, the rest is its own.

A change of an image changes a part of the first feature map, a somewhat larger part of the next, and so on, until a
layer mixes all places (flattening, global pooling, resizing). Up to there only these parts are computed, of many
changes at once: each is computed of a piece that is cut out of the image's own map with what is new pasted into it.
From there on the network runs on whole maps, or, in a dense layer, on the rows that changed. The idea is Krypton's
(Nakandala, Kumar and Papakonstantinou, "Incremental and Approximate Inference for Faster Occlusion-based Deep CNN
Explanations", SIGMOD 2019), of which the exact part is here.

Everything here counts in multiply-adds what computing it takes, and takes the cheapest way. Which that is depends on
shapes and places alone, so that the same question has the same answer, bit by bit, whatever else the machine does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from cnnlab.classifier.graph import read_path
from cnnlab.classifier.parts import Changes, Cutting, Geometry, averaged, slid
from cnnlab.classifier.steps import ROUNDED, Reading, Step
from cnnlab.classifier.windows import Reach, Reaches

GATHERED, MULTIPLIED = 50, 0.6
"""What it takes to gather a number from a map and to multiply with a weight of a dense layer, in multiply-adds of a
convolution: measured on a CPU, where these take 20 ps, the others 1 ns and 12 ps."""

WORTH = 0.8
"""What another way may take of the work of the full pass, to be taken."""

TOPS = 16
"""From at most so many rows of a map on a dense layer is computed: each takes a product of its own."""

Shapes = Mapping[str, Sequence[int]]
"""Height, width and channels of maps, by their names."""


@dataclass(frozen=True, eq=False)
class Dense:
    """A dense layer right after a map, which it flattens, and that everything else depends on the map through.

    Attributes:
        steps: From the map to what it multiplies out.
        after: From there to the logits.
        weights: [flattened, units].
    """

    steps: Sequence[Step]
    after: Sequence[Step]
    weights: Any

    def logits(self, product: Any) -> Any:
        """Compute the logits of what it multiplies out, [N, units]."""
        return taken(self.after, {self.steps[-1].name: product})[self.after[-1].name]

    def of_rows(self, maps: Any) -> Any:
        """Compute what each row of maps [N, H, W, C] adds to what it multiplies out: [N, H, units]."""
        _, height, width, channels = maps.shape
        rows = tf.reshape(tf.transpose(maps, (1, 0, 2, 3)), (height, -1, width * channels))
        products = tf.matmul(rows, tf.reshape(self.weights, (height, width * channels, -1)))
        return tf.transpose(products, (1, 0, 2))

    def changed(self, bands: Any, counts: Any, tops: Sequence[int], own: Any, image: Any) -> Any:
        """Compute what it multiplies out of maps of which some rows changed, [M, units].

        Args:
            bands: These rows, [M, h, W, C]: first those that begin at the first of the tops; in float32 or bfloat16.
            counts: How many there are of each top.
            tops: Where they begin.
            own: What each row of the images' maps adds, [N, H, units].
            image: Of which image each is, times the number of tops, and of which top: int [M].
        """
        _, height, width, channels = bands.shape
        row, weights = width * channels, self._rounded if bands.dtype == tf.bfloat16 else self.weights
        of_tops = tf.split(tf.reshape(bands, (-1, height * row)), counts, num=len(tops))
        pairs = zip(tops, of_tops, strict=True)
        products = [tf.matmul(of_top, weights[top * row : (top + height) * row]) for top, of_top in pairs]
        rows = np.arange(own.shape[1])
        others = np.stack([(rows < top) | (rows >= top + height) for top in tops]).astype(np.float32)
        unchanged = tf.reshape(tf.matmul(tf.cast(others, own.dtype), own), (-1, own.shape[-1]))
        return tf.cast(tf.concat(products, 0), own.dtype) + tf.raw_ops.Gather(params=unchanged, indices=image)

    @cached_property
    def _rounded(self) -> Any:
        with tf.init_scope():
            return tf.cast(self.weights, tf.bfloat16)


@dataclass(frozen=True, eq=False)
class Cut:
    """A map that everything after it is computed of, and that parts can be computed up to.

    Attributes:
        name: Of the map.
        end: How many steps lead up to it.
        dense: The dense layer right after it.
    """

    name: str
    end: int
    dense: Dense | None = None


class Plan:
    """How the logits of changed images are computed: the parts up to a cut, and the rest.

    Args:
        steps: Those up to the cut.
        cut: Where it is.
        geometry: Where the parts lie.
        numbers: How many numbers lie in memory for each change.

    Attributes:
        cut, numbers: The same.
        needed: The steps up to the cut, and what each needs.
        last: What the rest needs.
        tops: Where the rows begin that a dense layer after the cut is computed of.
    """

    def __init__(self, steps: Sequence[Step], cut: Cut, geometry: Geometry, numbers: int) -> None:
        self.cut, self.numbers = cut, numbers
        self.needed = [(step, geometry.needed(step)) for step in steps]
        side, size = geometry.rows[cut.name].side, geometry.rows[cut.name].size
        apart = -(-(side - size + 1) // TOPS)
        size = min(side, size + apart - 1)
        self.tops = np.unique(np.minimum(np.arange(0, side, apart), side - size))
        self.last = geometry.bands(cut.name, self.tops, size) if cut.dense else geometry.whole(cut.name)

    @cached_property
    def key(self) -> Any:
        """What two plans have in common that are computed alike."""
        return self.cut.name, self.last.key, *(each.key for _, needed in self.needed for each in needed)

    @cached_property
    def own(self) -> Sequence[str]:
        """The names of the maps of the images themselves that something is cut out of."""
        every = (*(each for _, needed in self.needed for each in needed), self.last)
        return tuple(dict.fromkeys(each.name for each in every if not each.needless))

    def top(self, row: np.ndarray) -> np.ndarray:
        """Which of the tops changes belong to that are at these of the places down."""
        return np.searchsorted(self.tops, self.last.down.first)[row]

    def fed(self, changes: Changes) -> Iterator[np.ndarray]:
        """Return what depends on where the changes are, in the order in which it is needed."""
        for step, needed in self.needed:
            yield from (each.index(changes) for each in needed if not each.needless)
            factors = averaged(step, needed[0]) if step.window else None
            if factors:
                down, across = factors
                yield (down[changes.row][:, :, None] * across[changes.col][:, None, :])[..., None]
        if not self.last.needless:
            yield self.last.index(changes)
        if self.cut.dense:
            top = self.top(changes.row)
            yield np.bincount(top, minlength=len(self.tops)).astype(np.int32)
            yield (changes.image * len(self.tops) + top).astype(np.int32)


class Incremental:
    """The part of a graph in which a change of the image changes a part of the maps alone.

    Args:
        frozen: The graph.
        logits: Its tensor that everything is computed for.

    Attributes:
        image: The name of the image [N, H, W, C] among the maps.
        cuts: Where it can end.
        stopped_by: The type of the first operation that parts cannot be computed through; empty where there is none.
    """

    def __init__(self, frozen: Any, logits: Any) -> None:
        self._frozen, self._logits = frozen, logits
        self._path = read_path(frozen, logits)
        reading = Reading(frozen, self._path)
        self._steps, self._rest, self._simple = reading.local, reading.rest or (), reading.rest is not None
        self._compiled: dict[Any, Any] = {}
        self.image, self.stopped_by = reading.image, reading.stopped_by
        self.cuts = tuple(self._cuts())

    def _cuts(self) -> Iterator[Cut]:
        """Find where one map is all that the rest needs."""
        last = {name: place for place, step in enumerate(self._steps) for name in step.maps}
        after = self._path[len(self._steps) :]
        last |= {tensor.name: len(self._steps) for operation in after for tensor in operation.inputs}
        last[self._logits.name] = len(self._steps)
        in_graph = {tensor.name for operation in self._path for tensor in operation.outputs}
        so_far: set[str] = set()
        for end, name in enumerate([self.image, *(step.name for step in self._steps)]):
            alone = all(last.get(other, 0) < end for other in so_far) and not (end and self._steps[end - 1].passes)
            dense = self._dense(name) if end == len(self._steps) else None
            less = dense or any(step.window for step in self._steps[:end])
            if alone and less and (name in in_graph or self._simple):
                yield Cut(name, end, dense)
            so_far.add(name)

    def _dense(self, name: str) -> Dense | None:
        flattened = {name}
        for end, step in enumerate(self._rest, 1):
            if step.kind == "MatMul":
                later = {name for other in self._rest[end:] for name in other.maps}
                flat = step.inputs[0] in flattened - {name} and not isinstance(step.inputs[1], str)
                if not flat or step.call.given("transpose_a") or flattened & later or end == len(self._rest):
                    return None
                weights = tf.transpose(step.inputs[1]) if step.call.given("transpose_b") else step.inputs[1]
                return Dense(self._rest[:end], self._rest[end:], weights)
            if step.kind not in ("Reshape", "Shape", "StridedSlice", "Pack", "Identity"):
                return None
            flattened.add(step.name)
        return None

    @property
    def names(self) -> Sequence[str]:
        """Of all maps up to the last cut."""
        return self.image, *(step.name for step in self._steps[: self.cuts[-1].end])

    def shapes(self) -> Shapes | None:
        """The shapes of the maps; None where they are other ones for every size of the image."""
        _, height, width, channels = self._frozen.input.shape.as_list()
        found: dict[str, Any] = {self.image: (height, width, channels)}
        found |= {step.name: step.shape for step in self._steps}
        return None if any(None in shape for shape in found.values()) else found

    # What it takes, in multiply-adds

    def _work_of_parts(self, geometry: Geometry, shapes: Shapes) -> Iterator[tuple[str, float, int]]:
        """Tell of each map, in order, its name, what its new part takes, and how many numbers lie in memory for it."""
        yield self.image, 0.0, geometry.size(self.image) * shapes[self.image][-1]
        for step in self._steps:
            channels = shapes[step.name][-1]
            places = 0 if step.passes else geometry.size(step.name)
            work, numbers = step.work(places, channels), places * channels
            if step.source:
                seen = _places(geometry.seen(step)) * shapes[step.source][-1]
                work, numbers = work + GATHERED * seen, max(numbers, seen)
            yield step.name, work, numbers

    def cheapest(self, geometry: Geometry, shapes: Shapes) -> Plan | None:
        """Choose up to where parts are computed; None where the full pass takes less.

        Args:
            geometry: How far changes reach.
            shapes: Of the maps.
        """
        works = [_in_full(step, shapes) for step in (*self._steps, *self._rest)]
        in_full = tuple(itertools.accumulate(reversed([*works, 0.0])))[::-1]
        cuts = {cut.name: cut for cut in self.cuts}
        least, chosen = WORTH * in_full[0], None
        so_far, numbers = 0.0, 1
        for name, work, lying in self._work_of_parts(geometry, shapes):
            so_far, numbers = so_far + work, max(numbers, lying)
            if name not in cuts:
                continue
            cut, last = cuts[name], math.prod(shapes[name])
            rest = GATHERED * last + in_full[cut.end]
            if cut.dense is not None:
                last = geometry.rows[name].size * math.prod(shapes[name][1:])
                products = MULTIPLIED * last * int(cut.dense.weights.shape[1])
                rest = GATHERED * last + products + in_full[cut.end + len(cut.dense.steps)]
            if so_far + rest < least:
                least, chosen = so_far + rest, (cut, max(numbers, last))
        if chosen is None:
            return None
        cut, numbers = chosen
        return Plan(self._steps[: cut.end], cut, self._widened(geometry, cut.end, shapes), numbers)

    def _widened(self, geometry: Geometry, end: int, shapes: Shapes) -> Geometry:
        """Let larger parts be computed of the maps up to a step, where that is less than to cut out what is around."""
        made = {step.name: step for step in self._steps[:end]}
        uses = [name for step in self._steps for name in step.maps]
        for step in reversed(self._steps[:end]):
            before, names = made.get(step.source), [step.source]
            while before and before.source == "" and len(before.maps) == 1:
                names.append(before.maps[0])
                before = made.get(names[-1])
            if not (before and before.window) or any(uses.count(name) > 1 for name in names):
                continue
            seen = geometry.seen(step)
            if seen.needless or any(seen.down.beyond + seen.across.beyond):
                continue
            wider = geometry.widened(seen, names)
            less = GATHERED * _places(seen) * shapes[step.source][-1]
            more: float = (
                GATHERED * shapes[before.source][-1] * (_places(wider.seen(before)) - _places(geometry.seen(before)))
            )
            for name in names:
                sizes = wider.size(name), geometry.size(name)
                work = [made[name].work(size, shapes[name][-1]) for size in sizes]
                more += work[0] - work[1]
            geometry = wider if more < less else geometry
        return geometry

    def reaches(self, axis: int, image: Reach, shapes: Shapes) -> Reaches:
        """Tell how far changes reach in every map.

        Args:
            axis: 0 for rows, 1 for columns.
            image: What changes of the image.
            shapes: Of the maps.
        """
        found = {self.image: image}
        for step in self._steps:
            side = shapes[step.name][axis]
            sources = [found[name] for name in step.maps]
            if step.window is not None:
                found[step.name] = found[step.source].through(step.window, axis, side)
            elif step.padding is not None:
                found[step.name] = found[step.source].moved(step.padding[axis], side)
            else:
                for other in sources[1:]:
                    sources[0] = sources[0].joined(other)
                found[step.name] = sources[0]
        return found

    @property
    def not_rounded(self) -> str:
        """What stands in the way of computing parts in bfloat16; empty where nothing does."""
        kind = self._frozen.input.dtype.name
        others = [step.kind for step in self._steps if step.kind not in ROUNDED]
        return f"its operation {others[0]}" if others else "" if kind == "float32" else f"its images of {kind}"

    # What it computes

    def own(self, images: Any, names: Sequence[str]) -> tuple[Any, Any, dict[str, Any]]:
        """Compute what images give themselves.

        Args:
            images: [N, H, W, C], as the graph takes them.
            names: Of the maps that are wanted.

        Returns:
            Their logits, what each row of the map before a dense layer adds in it, [N, H, units], and these maps.
        """

        def computed(images: Any) -> Any:
            last = self.cuts[-1]
            maps = taken(self._steps[: last.end], {self.image: images})
            of_rows = last.dense.of_rows(maps[last.name]) if last.dense else tf.zeros((0, 0, 0))
            logits = last.dense.logits(tf.reduce_sum(of_rows, 1)) if last.dense else self._after(last, maps[last.name])
            return logits, of_rows, *(maps[name] for name in names)

        logits, of_rows, *maps = self._once(("own", *names), computed, [images])
        return logits, of_rows, dict(zip(names, maps, strict=True))

    def logits(
        self, plan: Plan, changes: Changes, colours: Any, of_rows: Any, own: Mapping[str, Any], rounded: bool = False
    ) -> Any:
        """Compute the logits of images of which a part has one colour.

        Args:
            plan: How.
            changes: Where the parts are.
            colours: Of each image [N, 1, 1, C], as the graph takes them.
            of_rows: What each row of the images' maps adds in a dense layer.
            own: The maps of the images.
            rounded: Whether to compute the parts in bfloat16.
        """

        def computed(colours: Any, of_rows: Any, *values: Any) -> Any:
            given = iter(values)
            maps = {name: next(given) for name in plan.own}
            return self._logits_of(plan, colours, maps, of_rows, given, rounded)

        whole = [colours, of_rows, *(own[name] for name in plan.own)]
        return self._once((rounded, plan.key), computed, [*whole, *plan.fed(changes)])

    def _logits_of(
        self, plan: Plan, colours: Any, own: Mapping[str, Any], of_rows: Any, fed: Iterator[Any], rounded: bool
    ) -> Any:
        new = {self.image: colours}
        if rounded:
            new, own = ({name: tf.cast(maps[name], tf.bfloat16) for name in maps} for maps in (new, own))

        def piece(cutting: Cutting) -> Any:
            name = cutting.name
            return new[name] if cutting.needless else cutting.cut(own[name], new[name], next(fed))

        for step, needed in plan.needed:
            pieces = {cutting.name: piece(cutting) for cutting in needed}
            step = step.rounded() if rounded else step
            if step.window is not None:
                new[step.name] = slid(step, pieces[step.source])
                if averaged(step, needed[0]):
                    new[step.name] *= tf.cast(next(fed), new[step.name].dtype)
            elif not step.passes:
                new[step.name] = pieces[step.source] if step.source else step(pieces)
        last, dense = piece(plan.last), plan.cut.dense
        if dense is None:
            return self._after(plan.cut, tf.cast(last, tf.float32) if rounded else last)
        counts, image = fed
        return dense.logits(dense.changed(last, counts, plan.tops.tolist(), of_rows, image))

    def _after(self, cut: Cut, values: Any) -> Any:
        """Compute the logits of a cut's map."""
        if self._simple:
            return taken((*self._steps[cut.end :], *self._rest), {cut.name: values})[self._logits.name]
        if cut.name not in self._compiled:
            tensor = self._frozen.graph.get_tensor_by_name(cut.name)
            with tf.init_scope():
                self._compiled[cut.name] = self._frozen.prune_from([tensor], [self._logits])
        return self._compiled[cut.name](values)[0]

    def _once(self, key: Any, computed: Callable[..., Any], values: Sequence[Any]) -> Any:
        """Compute something of batches, in a function that is compiled once for all that are alike."""
        tensors = [tf.constant(value) if isinstance(value, np.ndarray) else value for value in values]
        key = key, *((*tensor.shape[1:], tensor.dtype) for tensor in tensors)
        if key not in self._compiled:
            specs = [tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in tensors]
            self._compiled[key] = tf.compat.v1.wrap_function(computed, specs)
        return self._compiled[key](*tensors)


def taken(steps: Sequence[Step], values: dict[str, Any]) -> dict[str, Any]:
    """Take steps one after the other, and add what they give to the values that they start with."""
    for step in steps:
        values[step.name] = step(values)
    return values


def _places(cutting: Cutting) -> int:
    return cutting.down.size * cutting.across.size


def _in_full(step: Step, shapes: Shapes) -> float:
    """What a step takes for a whole image; nothing where its size is open and not among ``shapes``."""
    if step.kind == "MatMul":
        return MULTIPLIED * sum(math.prod(value.shape) for value in step.inputs if not isinstance(value, str))
    shape = [side or 0 for side in shapes.get(step.name, step.shape)] or [0]
    # Elementwise operations are done along with what is before them, when they are compiled.
    return step.work(math.prod(shape[:-1]), shape[-1]) * (1.0 if step.window else 0.25)
