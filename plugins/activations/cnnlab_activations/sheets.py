"""Contact sheets of feature maps: a row for each image, the image first and then what a layer makes of it."""

from __future__ import annotations

import math

import numpy as np

from cnnlab.plugin import At, Inputs, Picture, Sheet, Tiles
from cnnlab_activations import ActivationsParams

IMAGES = 4
"""Images in a figure; arrays.npz holds all that were kept."""


def layer(name: str, values: np.ndarray, inputs: Inputs, params: ActivationsParams) -> Tiles:
    """Draw a layer's output for the first images, on one scale.

    Args:
        name: The layer.
        values: Its output [kept, h, w, c], [kept, units] or another shape [kept, ..., c].
        inputs: All images.
        params: How it is drawn.
    """
    count = min(len(values), IMAGES)
    known = values[:count][np.isfinite(values[:count])]
    low, high = float(known.min(initial=0.0)), float(known.max(initial=0.0))
    with_maps = values.ndim == 4
    by_map = with_maps and params.scale == "map"
    tiles: list[Picture | Sheet] = []
    for index in range(count):
        image = Picture.of_image(At("image", index), inputs.bounds, inputs.sources[index], image=index)
        maps = Sheet(
            values=At(f"activation/{name}", index) if with_maps else row_by_row(values[index].reshape(-1)),
            channels_last=with_maps,
            most=params.most if with_maps else None,
            normalised=by_map,
            title=_heading(name, values.shape[1:], params),
            # Values below zero need a scale that is white at zero.
            scale="diverging" if low < 0 else "sequential",
            limits=(-1.0 if low < 0 else 0.0, 1.0) if by_map else (low, high),
            unit="share of the map's largest |value|" if by_map else "activation",
            image=index,
        )
        tiles += [image, maps]
    title = f"the first {count} of {len(inputs):,} images" if count < len(inputs) else ""
    return Tiles(tiles=tuple(tiles), columns=2, title=title, size=1.5, bars="shared")


def _heading(name: str, shape: tuple[int, ...], params: ActivationsParams) -> str:
    """What is drawn, of what, and how."""
    if len(shape) != 3:
        return f"{name}: {'×'.join(map(str, shape))} units, row by row, all on one scale"
    height, width, count = shape
    maps = f"the first {params.most} of {count} maps" if params.most < count else f"{count} maps"
    spans = "each by its own largest value" if params.scale == "map" else "all on one scale"
    return f"{name}: {maps}, {height}×{width}, row by row, {spans}"


def row_by_row(values: np.ndarray) -> np.ndarray:
    """Write values [n] into the rows of one picture [1, rows, columns], wider than high; NaN in what is left over."""
    columns = min(len(values), max(10, math.ceil(math.sqrt(len(values) * 2))))
    laid = np.full((1, math.ceil(len(values) / columns), columns), np.nan, np.float32)
    laid.reshape(-1)[: len(values)] = values
    return laid
