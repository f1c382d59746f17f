"""Exact incremental inference: what a change of an image changes of the maps is computed anew, the rest is its own.

A change of an image changes a part of the first feature map, a somewhat larger part of the next, and so on, until a
layer mixes all places (flattening, global pooling, resizing). Up to there only these parts are computed, of many
changes at once: each is computed of a piece that is cut out of the image's own map with what is new pasted into it.
From there on the network runs on whole maps, or, in a dense layer, on the change alone. The idea is Krypton's
(Nakandala, Kumar and Papakonstantinou, "Incremental and Approximate Inference for Faster Occlusion-based Deep CNN
Explanations", SIGMOD 2019), of which the exact part is here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from cnnlab.classifier.graph import read_path
from cnnlab.classifier.parts import Geometry, Own, Parts, slid
from cnnlab.classifier.steps import Reading, Step
from cnnlab.classifier.windows import Reach, Reaches

GATHERED, COPIED, MULTIPLIED = 50, 40, 0.6
"""What it takes to gather a number from a map, to copy a weight and to multiply with one in a dense layer, in
multiply-adds of a convolution: measured on a CPU, where these take 20 ps, the others 1 ns, 0.8 ns and 12 ps."""

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

    def product(self, name: str, values: Any) -> Any:
        """Compute what it multiplies out, [N, units], of the map of that name."""
        return taken(self.steps, {name: values})[self.steps[-1].name]

    def logits(self, product: Any) -> Any:
        """Compute the logits of that."""
        return taken(self.after, {self.steps[-1].name: product})[self.after[-1].name]


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
        self._compiled: dict[str, Any] = {}
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
            if alone and less and (name in in_graph or self._is_simple_from(end)):
                yield Cut(name, end, dense)
            so_far.add(name)

    def _is_simple_from(self, end: int) -> bool:
        """Whether steps are taken as fast one by one as in a compiled function, from one of them on."""
        return self._simple and not any(step.window for step in self._steps[end:])

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

    def shapes(self) -> Shapes | None:
        """The shapes of the maps; None where they are other ones for every size of the image."""
        _, height, width, channels = self._frozen.input.shape.as_list()
        found: dict[str, Any] = {self.image: (height, width, channels)}
        found |= {step.name: step.shape for step in self._steps}
        return None if any(None in shape for shape in found.values()) else found

    # What it takes, in multiply-adds

    def work_in_full(self, shapes: Shapes, start: int = 0) -> float:
        """Tell what the network takes for one image, from one of the steps on."""
        steps = (*self._steps[start:], *self._rest[max(0, start - len(self._steps)) :])
        return sum(_in_full(step, shapes) for step in steps)

    def work_of_parts(self, geometry: Geometry, shapes: Shapes) -> Iterator[tuple[str, float, int]]:
        """Tell of each map, in order, its name, what its new part takes, and how many numbers lie in memory for it."""
        yield self.image, 0.0, geometry.size(self.image) * shapes[self.image][-1]
        for step in self._steps:
            channels = shapes[step.name][-1]
            places = 0 if step.passes else geometry.size(step.name)
            work, numbers = step.work(places, channels), places * channels
            if step.source:
                seen = math.prod(pieces.size for pieces in geometry.seen(step)) * shapes[step.source][-1]
                work, numbers = work + GATHERED * seen, max(numbers, seen)
            yield step.name, work, numbers

    # What it computes

    def own(self, images: Any, end: int) -> Own:
        """Compute the maps of images [N, H, W, C], as the graph takes them, by so many steps."""
        return Own(taken(self._steps[:end], {self.image: images}))

    def rest(self, cut: Cut, values: Any) -> Any:
        """Compute the logits of a cut's map."""
        if self._is_simple_from(cut.end):
            return taken((*self._steps[cut.end :], *self._rest), {cut.name: values})[self._logits.name]
        if cut.name not in self._compiled:
            tensor = self._frozen.graph.get_tensor_by_name(cut.name)
            self._compiled[cut.name] = self._frozen.prune_from([tensor], [self._logits])
        return self._compiled[cut.name](values)[0]

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

    def compute(self, parts: Parts, geometry: Geometry, cut: Cut) -> None:
        """Compute the new parts up to a cut, from that of the image; what nothing needs any more is forgotten.

        Args:
            parts: Of the image; those of the maps are added.
            geometry: Where they lie.
            cut: Where to end.
        """
        last = {name: place for place, step in enumerate(self._steps[: cut.end]) for name in step.maps}
        for place, step in enumerate(self._steps[: cut.end]):
            parts.new[step.name] = _part(step, parts, geometry)
            for name in [name for name in parts.new if last.get(name, place + 1) <= place]:
                del parts.new[name]


def taken(steps: Sequence[Step], values: dict[str, Any]) -> dict[str, Any]:
    """Take steps one after the other, and add what they give to the values that they start with."""
    for step in steps:
        values[step.name] = step(values)
    return values


def _in_full(step: Step, shapes: Shapes) -> float:
    """What a step takes for a whole image; nothing where its size is open and not among ``shapes``."""
    if step.kind == "MatMul":
        return MULTIPLIED * sum(math.prod(value.shape) for value in step.inputs if not isinstance(value, str))
    shape = [side or 0 for side in shapes.get(step.name, step.shape)] or [0]
    # Elementwise operations are done along with what is before them, when they are compiled.
    return step.work(math.prod(shape[:-1]), shape[-1]) * (1.0 if step.window else 0.25)


def _part(step: Step, parts: Parts, geometry: Geometry) -> Any:
    """Compute the new parts of what a step gives: [M, h, w, C]."""
    if step.passes:
        return parts.new[step.maps[0]]
    if step.window is not None:
        return slid(step, parts, geometry)
    if step.padding is not None:
        value = float(step.inputs[2]) if len(step.inputs) > 2 else 0.0
        return parts.cut_out(step.source, geometry.seen(step), value)
    return step({name: parts.cut_out(name, geometry.at(name, step.name)) for name in step.maps})
