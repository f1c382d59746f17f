"""Contact sheets of feature maps: a row for each image, the image first and then what a layer makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cnnlab.plugin import At, Bars, Inputs, Picture, Series, Sheet, Tiles
from cnnlab_activations import ActivationsParams

IMAGES = 4
"""Images in a figure; arrays.npz holds all that were kept."""


def layer(
    name: str, values: np.ndarray, inputs: Inputs, params: ActivationsParams, classes: Sequence[str] = ()
) -> Tiles:
    """Draw a layer's output for the first images, on one scale.

    Args:
        name: The layer.
        values: Its output [kept, h, w, c], [kept, units] or another shape [kept, ..., c].
        inputs: All images.
        params: How it is drawn.
        classes: The names of the model's classes, where the layer's units are these.
    """
    count = min(len(values), IMAGES)
    known = values[:count][np.isfinite(values[:count])]
    low, high = float(known.min(initial=0.0)), float(known.max(initial=0.0))
    with_maps = values.ndim == 4
    by_map = with_maps and params.scale == "map"
    tiles: list[Picture | Sheet | Bars] = []
    for index in range(count):
        image = Picture.of_image(At("image", index), inputs.bounds, inputs.sources[index], image=index)
        if not with_maps:
            tiles += [image, units(name, index, values, classes, (low, high))]
            continue
        maps = Sheet(
            values=At(f"activation/{name}", index),
            channels_last=True,
            most=params.most,
            normalised=by_map,
            title=_heading(name, values.shape[1:], params),
            names=tuple(map(str, range(min(values.shape[-1], params.most)))),
            # Values below zero need a scale that is white at zero.
            scale="diverging" if low < 0 else "sequential",
            limits=(-1.0 if low < 0 else 0.0, 1.0) if by_map else (low, high),
            unit="share of the map's largest |value|" if by_map else "activation",
            layer=name,
            image=index,
        )
        tiles += [image, maps]
    title = f"the first {count} of {len(inputs):,} images" if count < len(inputs) else ""
    return Tiles(tiles=tuple(tiles), columns=2, title=title, size=1.5)


def _heading(name: str, shape: tuple[int, ...], params: ActivationsParams) -> str:
    """What is drawn, of what, and how."""
    height, width, count = shape
    maps = f"the first {params.most} of {count} maps" if params.most < count else f"{count} maps"
    spans = "each by its own largest value" if params.scale == "map" else "all on one scale"
    return f"{name}: {maps}, {height}×{width}, {spans}"


def units(name: str, index: int, values: np.ndarray, classes: Sequence[str], ends: tuple[float, float]) -> Bars:
    """Draw the output of a layer without maps as bars: of the last one by class, of others the largest units.

    Args:
        name: The layer.
        index: Which image.
        values: The layer's output, [kept, units] or another shape.
        classes: The names of the model's classes where these are its outputs; empty elsewhere.
        ends: The least and the largest value of all images drawn.
    """
    shape = values.shape[1:]
    count = math.prod(shape)
    said = f"{name}: a unit for each class" if classes else f"{name}: {'×'.join(map(str, shape))} units"
    of_image = At(f"activation/{name}", index) if len(shape) == 1 else values[index].reshape(-1)
    bars = Bars(
        names=tuple(classes) or tuple(map(str, range(count))),
        series=(Series(name="activation", values=of_image),),
        label="activation",
        title=said,
        limits=(1.05 * min(ends[0], 0.0), 1.05 * ends[1] or 1.0),
    )
    return replace(bars, title=f"{said}, the {bars.most} largest") if count > bars.most else bars
