"""The outlines of an image, so that a map over it can be read without its shades."""

from __future__ import annotations

import numpy as np
from contourpy import contour_generator
from PIL import Image as Pillow

SMALLEST = 10
"""How many times an outline may go into the shorter side of the image: smaller ones are specks."""

MOST = 64
"""Pixels to which a large image is made smaller first: the outlines of its grain are no outlines."""


def outlines(image: np.ndarray) -> list[np.ndarray]:
    """Return the lines on which an image [H, W] is halfway from its darkest to its lightest: points (x, y) in pixels.

    The upper left corner of the image is (0, 0), its lower right one (W, H).
    """
    values = np.nan_to_num(np.asarray(image, np.float32))
    shrink = min(1.0, MOST / max(values.shape))
    small = (max(2, round(values.shape[1] * shrink)), max(2, round(values.shape[0] * shrink)))
    if shrink < 1:
        values = np.asarray(Pillow.fromarray(values).resize(small, Pillow.Resampling.BOX))
    low, high = float(values.min()), float(values.max())
    if min(values.shape) < 2 or low == high:
        return []
    scale = image.shape[1] / values.shape[1], image.shape[0] / values.shape[0]
    lines = [np.asarray(line) for line in contour_generator(z=values).lines((low + high) / 2)]
    shorter = min(values.shape)
    return [(line + 0.5) * scale for line in lines if np.ptp(line, axis=0).max() * SMALLEST > shorter]
