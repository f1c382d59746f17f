"""What the test of a map looks like: curves of deletion and insertion, and what is left when the model forgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cnnlab.drawings import At, Curves, Drawing, Line, Picture, Scale, Tiles

if TYPE_CHECKING:
    from cnnlab.inputs import Inputs

MOST_IMAGES = 4
"""Images whose shuffled maps are shown, a row for each; arrays.npz holds all."""

MOST_ACROSS = 8
"""Pictures in such a row. Where more layers are shuffled, one image has several rows of its own."""


def draw_map_test(
    arrays: Mapping[str, np.ndarray],
    metrics: Mapping[str, float],
    inputs: Inputs,
    *,
    of: str,
    name: str,
    titles: Sequence[str],
    score: str,
    signed: bool,
) -> dict[str, Drawing]:
    """Return the drawings by name: ``deletion-insertion`` and, where the model has weights, two of shuffling them.

    Args:
        arrays: What the test found; see :data:`cnnlab.explanations.names.MAP_TEST_ARRAYS`.
        metrics: The same for the metrics.
        inputs: The images.
        of: The result's array of maps.
        name: What the maps are called.
        titles: What stands above each image's own map, [N].
        score: What the curves follow.
        signed: Whether the maps' scale is centred at zero.
    """
    count = f"mean of {len(inputs):,} images" if len(inputs) > 1 else "1 image"
    drawn: dict[str, Drawing] = {"deletion-insertion": _curves(arrays, metrics, f"{name}, {count}", score)}
    if len(arrays["sanity_layers"]):
        drawn["sanity"] = _similarity(arrays, metrics, f"{name} when the model forgets, {count}")
        drawn["sanity-maps"] = _shuffled(arrays, inputs, of, name, titles, signed)
    return drawn


def _curves(arrays: Mapping[str, np.ndarray], metrics: Mapping[str, float], what: str, score: str) -> Curves:
    lines = tuple(
        Line(
            name=f"{noun} {words} (area {metrics[f'{noun}{suffix}_area']:.3f})",
            x=arrays["fraction"],
            y=arrays[noun + suffix].mean(axis=0, dtype=np.float64),
            dash="dashed" if suffix else "solid",
        )
        for suffix, words in (("", "by the map"), ("_random", "at random"))
        for noun in ("deletion", "insertion")
    )
    return Curves(
        lines=lines,
        x_label="part of the pixels deleted or inserted",
        y_label=f"{score} of the class",
        title=f"Deletion and insertion: {what}",
        y_limits=(0.0, 1.02) if score == "probability" else None,
        marks=False,
    )


def _similarity(arrays: Mapping[str, np.ndarray], metrics: Mapping[str, float], what: str) -> Curves:
    names = tuple(map(str, arrays["sanity_layers"]))
    means = np.array([1.0, *(metrics[f"sanity/{name}"] for name in names)])
    return Curves(
        lines=(Line(name="rank correlation", x=np.arange(len(means)), y=means),),
        x_label="weights shuffled from the top down to this layer",
        y_label="rank correlation with the own map",
        title=f"What is left of {what}",
        ticks=("none", *names),
        horizontal={"unrelated": 0.0},
        y_limits=(min(-0.1, float(np.nanmin(means)) - 0.05), 1.05),
    )


def _shuffled(
    arrays: Mapping[str, np.ndarray], inputs: Inputs, of: str, name: str, titles: Sequence[str], signed: bool
) -> Tiles:
    layers, likeness = arrays["sanity_layers"], arrays["sanity_similarity"]
    scale: Scale = "diverging" if signed else "sequential"
    across = 2 + len(layers)
    in_rows = across <= MOST_ACROSS
    shown = range(min(len(inputs), MOST_IMAGES if in_rows else 1))

    def tile(array: str, index: int, title: str) -> Picture:
        return Picture(values=At(array, index), title=title, scale=scale, image=index)

    tiles: list[Picture] = []
    for index in shown:
        own = [replace(inputs.picture(index), image=index), tile(of, index, titles[index])]
        alike = [f"{value:.2f}" if np.isfinite(value) else "own map is flat" for value in likeness[:, index]]
        shuffled = [
            tile(f"sanity_map/{layer}", index, f"to {layer}: {words}")
            for layer, words in zip(layers, alike, strict=True)
        ]
        tiles += [*own, *shuffled]
    return Tiles(
        tiles=tuple(tiles),
        columns=across if in_rows else 4,
        title=f"Weights shuffled from the top down to each layer: {name}, and rank correlation with the own map",
    )
