"""What colour each value of a picture has, for terminal and pages; matplotlib's colour maps in files are the same."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from cnnlab.drawings import Picture
from cnnlab.render.style import CELLS, COLORMAPS, class_color

EVEN = (1.05 * 0.05) ** 0.5 - 0.05
"""The luminance on which black and white have one contrast, 4.6."""


def colors_of(picture: Picture, unknown: float = 0.5) -> np.ndarray:
    """Return a picture's colours, float [H, W, 3] in [0, 1].

    Args:
        picture: What, its values an array.
        unknown: The grey level of NaN.
    """
    if picture.scale == "classes":
        labels = picture.plane.astype(int)
        palette = {label: to_rgb(class_color(label)) for label in np.unique(labels)}
        return np.array([[palette[label] for label in row] for row in labels])
    unit = picture.unit_plane
    if picture.in_colour:
        return np.nan_to_num(unit, nan=unknown)
    if picture.scale == "image":
        return np.repeat(np.nan_to_num(unit, nan=unknown)[..., np.newaxis], 3, axis=2)
    return shades(unit, COLORMAPS[picture.scale], unknown)


def shades(unit: np.ndarray, name: str, unknown: float = 0.5) -> np.ndarray:
    """Return the colours [..., 3] that a colour map of matplotlib's gives values in [0, 1]."""
    colors: np.ndarray = colormaps[name](np.nan_to_num(unit))[..., :3]
    return np.where(np.isfinite(unit)[..., np.newaxis], colors, unknown)


def cell_colors(picture: Picture, scale: str) -> np.ndarray:
    """Return the colours [R, C, 3] of a matrix' cells, on which numbers can be read; NaN is white."""
    return shades(picture.unit_plane, CELLS[scale], unknown=1.0)


def is_dark(color: np.ndarray) -> bool:
    """Whether white is easier to read on a colour than black: whether its contrast is higher, as WCAG 2 measures it."""
    parts = np.asarray(color, np.float64)[:3]
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return bool(linear @ (0.2126, 0.7152, 0.0722) < EVEN)


def written(color: np.ndarray) -> str:
    """Write a colour as pages do: ``#0072b2``."""
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in np.clip(color, 0, 1))
