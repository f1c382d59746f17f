"""A picture: values, and how to colour them, whether in a figure or in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Scale = Literal["grey", "rgb", "diverging", "sequential", "classes"]

COLORMAPS = {"grey": "gray", "diverging": "RdBu_r", "sequential": "viridis"}
"""matplotlib's names. The diverging one is white at zero, red above and blue below."""

# Eleven colours that stay apart for every kind of eye, then matplotlib's twenty.
CLASS_COLORS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f3c8d", "#999999", "#5a3a22",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Picture:
    """Values [H, W], [H, W, 1] or, with the scale ``rgb``, [H, W, 3].

    Attributes:
        values: The numbers. NaN stays uncoloured.
        title: A line above it.
        scale: ``grey`` (black to white), ``rgb``, ``diverging`` (centred at zero: red above, blue below),
            ``sequential`` (viridis), or ``classes`` (integers, a colour each).
        limits: The values at the ends of the scale; by default [0, 1] for images within it, else the smallest and the
            largest value, made symmetric for a diverging scale.
        names: The classes' names, for the scale ``classes``.
        unit: What the values are, for the colour bar.
        under: An image [H, W], [H, W, 1] or [H, W, 3] in [0, 1] that figures show faintly below the values.
    """

    values: np.ndarray
    title: str = ""
    scale: Scale = "grey"
    limits: tuple[float, float] | None = None
    names: Sequence[str] = ()
    unit: str = ""
    under: np.ndarray | None = None

    @classmethod
    def of_image(cls, image: np.ndarray, bounds: tuple[float, float], title: str = "") -> Picture:
        """Make a picture of an image [H, W, C] as a model takes it, in grey or, with three channels, in colour."""
        return cls(image, title, "rgb" if image.shape[-1] == 3 else "grey", bounds)

    @property
    def plane(self) -> np.ndarray:
        """The values [H, W], or [H, W, 3] for ``rgb``. Of other numbers of channels, the mean."""
        values = np.asarray(self.values)
        if values.ndim == 3 and self.scale != "rgb":
            return values[..., 0] if values.shape[-1] == 1 else values.mean(axis=-1)
        return values

    @property
    def ends(self) -> tuple[float, float]:
        """The values at the ends of the colour scale; the second is the larger one."""
        if self.scale == "classes":
            return (0.0, float(max(len(self.names) - 1, 1)))
        low, high = self.limits or self._natural_ends()
        if self.scale == "diverging":
            largest = max(abs(low), abs(high)) or 1.0
            return (-largest, largest)
        return (low, high) if high > low else (low, low + 1.0)

    @property
    def unit_plane(self) -> np.ndarray:
        """The values mapped to [0, 1] by the scale's ends, and clipped; NaN stays."""
        low, high = self.ends
        return np.clip((self.plane.astype(np.float64) - low) / (high - low), 0.0, 1.0)

    def _natural_ends(self) -> tuple[float, float]:
        finite = np.asarray(self.values)[np.isfinite(self.values)]
        if not finite.size:
            return (0.0, 1.0)
        low, high = float(finite.min()), float(finite.max())
        if self.scale in ("grey", "rgb") and low >= 0 and high <= 1:
            return (0.0, 1.0)
        return (low, high)


def mosaic(stack: np.ndarray, columns: int | None = None, gap: int = 1) -> np.ndarray:
    """Lay many small images out in one array, row by row.

    Args:
        stack: [N, h, w] or [N, h, w, C].
        columns: How many side by side; as many as make it about square by default.
        gap: How many pixels of NaN lie between them.

    Returns:
        [H, W] or [H, W, C], float32.
    """
    count, height, width, *channels = stack.shape
    columns = min(columns or math.ceil(math.sqrt(count * height / width)), count)
    rows = math.ceil(count / columns)
    shape: list[Any] = [rows * (height + gap) - gap, columns * (width + gap) - gap, *channels]
    laid = np.full(shape, np.nan, np.float32)
    for index, image in enumerate(stack):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        laid[top : top + height, left : left + width] = image
    return laid
