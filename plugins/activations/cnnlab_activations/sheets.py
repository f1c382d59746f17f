"""Contact sheets of feature maps, with their scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnnlab.analysis import Inputs
from cnnlab.figures import Picture, mosaic
from cnnlab.figures.style import styled

IMAGES = 4
"""Images in a figure; arrays.npz holds all that were kept."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A layer's activations, and how they are drawn.

    Attributes:
        name: The layer.
        values: [N, h, w, c], [N, units] or another shape [N, ..., c].
        scale: Whether the colours span the layer's values or each map's own.
        most: Most maps drawn.
    """

    name: str
    values: np.ndarray
    scale: Literal["layer", "map"]
    most: int

    @property
    def with_maps(self) -> bool:
        """Whether each channel is a map."""
        return self.values.ndim == 4

    @property
    def drawn(self) -> int:
        """How many maps are drawn."""
        return min(self.values.shape[-1], self.most)

    @property
    def signed(self) -> bool:
        """Whether there are values below zero, which need a diverging scale."""
        return bool(self.values[:IMAGES].min() < 0)

    @property
    def limits(self) -> tuple[float, float]:
        """The values at the ends of the layer's scale."""
        low, high = float(self.values[:IMAGES].min()), float(self.values[:IMAGES].max())
        largest = max(abs(low), abs(high)) or 1.0
        return (-largest, largest) if self.signed else (0.0, largest)

    def sheet(self, index: int) -> np.ndarray:
        """Lay the maps of image ``index`` out as one array [H, W], scaled as asked for."""
        values = self.values[index]
        if not self.with_maps:
            return row_by_row(values.reshape(-1))
        maps = values[..., : self.drawn].transpose(2, 0, 1)
        if self.scale == "map":
            largest = np.abs(maps).max(axis=(1, 2), keepdims=True)
            maps = maps / np.where(largest > 0, largest, 1.0)
        return mosaic(maps, columns=self.columns)

    @property
    def columns(self) -> int:
        """How many maps lie side by side."""
        return min(self.drawn, max(1, math.ceil(math.sqrt(self.drawn * 2))))

    @property
    def ends(self) -> tuple[float, float]:
        """The values at the ends of the colour scale."""
        if self.scale == "map" and self.with_maps:
            return (-1.0, 1.0) if self.signed else (0.0, 1.0)
        return self.limits

    @property
    def heading(self) -> str:
        """What is drawn, of what, and how."""
        if not self.with_maps:
            shape = "×".join(map(str, self.values.shape[1:]))
            return f"{self.name}: {shape} units, row by row, all on one scale"
        height, width, count = self.values.shape[1:]
        maps = f"the first {self.drawn} of {count} maps" if self.drawn < count else f"{count} maps"
        spans = "each by its own largest value" if self.scale == "map" else "all on one scale"
        return f"{self.name}: {maps}, {height}×{width}, row by row, {spans}"


def row_by_row(values: np.ndarray) -> np.ndarray:
    """Write values [n] into rows, twice as wide as high; what is left of the last row is NaN."""
    columns = min(len(values), max(10, math.ceil(math.sqrt(len(values) * 2))))
    laid = np.full((math.ceil(len(values) / columns), columns), np.nan, np.float32)
    laid.reshape(-1)[: len(values)] = values
    return laid


@styled
def layer(subject: Subject, inputs: Inputs, count: int, bounds: tuple[float, float]) -> Figure:
    """Draw one layer: a row for each image, the image first and then its maps.

    Args:
        subject: The layer.
        inputs: The images drawn.
        count: How many images there were in all.
        bounds: The model's value range.
    """
    sheets = [subject.sheet(index) for index in range(len(inputs))]
    height, width = sheets[0].shape
    wide = 5.6
    # A single row of units is drawn higher than it is, so that it can be seen.
    high = min(max(wide * height / width, 0.5), 9.0)
    figure = Figure(figsize=(wide + 2.6, len(sheets) * (max(high, 1.5) + 0.25) + 0.7), layout="constrained")
    grid = figure.subplots(len(sheets), 2, squeeze=False, width_ratios=(1.4, wide))
    shades: Any = None
    for axes, sheet, image, source in zip(grid, sheets, inputs.images, inputs.sources, strict=True):
        _image(axes[0], Picture.of_image(image, bounds), _short(source))
        low, high_end = subject.ends
        axes[1].set_axis_off()
        shades = axes[1].imshow(
            sheet,
            cmap="RdBu_r" if subject.signed else "viridis",
            vmin=low,
            vmax=high_end,
            interpolation="nearest",
            aspect="equal" if subject.with_maps or height > 1 else "auto",
        )
    heading = subject.heading
    if count > len(inputs):
        heading += f"\nthe first {len(inputs)} of {count:,} images"
    figure.suptitle(heading, fontsize=9.5)
    label = "share of the map's largest |value|" if subject.scale == "map" and subject.with_maps else "activation"
    bar = figure.colorbar(shades, ax=grid[:, 1].tolist(), label=label, fraction=0.04, pad=0.02)
    bar.ax.tick_params(labelsize=7, length=2)
    bar.outline.set_visible(False)
    return figure


def _image(axes: Axes, picture: Picture, title: str) -> None:
    axes.set_axis_off()
    axes.set_title(title, fontsize=7.5, pad=3)
    axes.imshow(picture.unit_plane, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _short(source: str) -> str:
    return source if len(source) <= 22 else f"…{source[-21:]}"


def pictures(subjects: Sequence[Subject], inputs: Inputs, bounds: tuple[float, float]) -> Iterator[Picture]:
    """Make the terminal's pictures: the first image, and the first layer's maps of it."""
    yield Picture.of_image(inputs.images[0], bounds, _short(inputs.sources[0]))
    if subjects:
        subject = subjects[0]
        scale: Literal["diverging", "sequential"] = "diverging" if subject.signed else "sequential"
        yield Picture(subject.sheet(0), subject.name, scale, subject.ends)
