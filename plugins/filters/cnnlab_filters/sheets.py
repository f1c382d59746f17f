"""Contact sheets of kernels: one diverging scale a layer, centred at zero; colour tiles for three input channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnnlab.figures import Picture, mosaic, tiles
from cnnlab.figures.style import styled

COLORMAP = "RdBu_r"

MANY = 4096
"""Weights of a layer beyond which its scale ends at the quantile :data:`CLIPPED` of their sizes."""

CLIPPED = 0.995


@dataclass(frozen=True, eq=False)
class Subject:
    """What of a layer is drawn.

    Attributes:
        name: The layer.
        kernel: [h, w, in, out].
        channels: The input channels drawn.
        most: Most filters drawn.
        picked: Whether the channels were asked for; if not, three of them make colours.
    """

    name: str
    kernel: np.ndarray
    channels: Sequence[int]
    most: int
    picked: bool

    @property
    def limit(self) -> float:
        """The end of the layer's scale: its largest |weight|, or a quantile of many, whose outliers would pale all."""
        sizes = np.abs(self.kernel)
        return float(np.quantile(sizes, CLIPPED) if self.clipped else sizes.max()) or 1.0

    @property
    def clipped(self) -> bool:
        """Whether the scale ends at a quantile."""
        return self.kernel.size > MANY

    @property
    def filters(self) -> int:
        """How many filters are drawn."""
        return min(self.kernel.shape[-1], self.most)

    @property
    def in_colour(self) -> bool:
        """Whether a filter's three slices are drawn as the red, green and blue of one tile."""
        return self.kernel.shape[2] == 3 and not self.picked and len(self.channels) == 3

    @property
    def heading(self) -> str:
        """What is drawn, of what, and how."""
        height, width, inputs, outputs = self.kernel.shape
        text = f"{self.name}: "
        text += f"the first {self.filters} of {outputs} filters" if self.filters < outputs else f"{outputs} filters"
        text += f", {height}×{width}"
        if self.in_colour:
            return f"{text}; colour: the weights of red, green and blue, 0 is grey, the ends are ±{self.limit:.2g}"
        if inputs == 1:
            return text
        if self.picked:
            return f"{text}, input channel{'s' * (len(self.channels) > 1)} {', '.join(map(str, self.channels))}"
        shown = f"the first {len(self.channels)} of {inputs}" if len(self.channels) < inputs else f"all {inputs}"
        return f"{text}, {shown} input channels"


def picture(name: str, kernel: np.ndarray, channels: Sequence[int], most: int) -> Picture:
    """Make a picture of a layer's kernels for the terminal: a row a filter, or a square of filters of one channel."""
    stack = kernel[:, :, list(channels)[:most], :most].transpose(3, 2, 0, 1)
    limit = float(np.abs(kernel).max()) or 1.0
    columns = stack.shape[1] if stack.shape[1] > 1 else None
    return Picture(
        mosaic(stack.reshape(-1, *stack.shape[2:]), columns=columns),
        title=name,
        scale="diverging",
        limits=(-limit, limit),
    )


@styled
def kernels(subject: Subject, summary: str) -> Figure:
    """Draw the kernels of one layer, all on the scale of the layer's largest |weight|.

    Args:
        subject: The layer.
        summary: A second line for the heading.

    Returns:
        With one slice a filter, a square of numbered tiles; with several, a row for each filter and a column for each
        input channel.
    """
    if subject.in_colour or len(subject.channels) == 1:
        return _square(subject, summary)
    return _table(subject, summary)


def _square(subject: Subject, summary: str) -> Figure:
    columns = min(subject.filters, 8 if subject.filters <= 64 else 16)
    rows = math.ceil(subject.filters / columns)
    side = 0.85 if columns <= 8 else 0.5
    width = max(columns * side + 1.0, 5.6)
    figure = Figure(figsize=(width, rows * (side + 0.16) + 0.8), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    shades = None
    for number, axes in zip(range(subject.filters), grid.flat, strict=False):
        shades = _draw(axes, subject, number)
        axes.set_title(str(number), fontsize=7, pad=2)
    figure.suptitle(f"{subject.heading}\n{summary}", fontsize=9.5)
    if not subject.in_colour:
        _bar(figure, shades, grid, subject)
    return figure


def _draw(axes: Axes, subject: Subject, number: int) -> Any:
    limit = subject.limit
    if subject.in_colour:
        return axes.imshow(np.clip(0.5 + subject.kernel[..., number] / (2 * limit), 0, 1), interpolation="nearest")
    plane = subject.kernel[:, :, subject.channels[0], number]
    return axes.imshow(plane, cmap=COLORMAP, vmin=-limit, vmax=limit, interpolation="nearest")


def _table(subject: Subject, summary: str) -> Figure:
    height, width = subject.kernel.shape[:2]
    drawn = subject.kernel[:, :, list(subject.channels), : subject.filters].transpose(3, 2, 0, 1)
    columns = len(subject.channels)
    laid = mosaic(drawn.reshape(-1, height, width), columns=columns)
    # About a quarter of an inch a kernel: a pixel of a 3x3 one is then larger than a millimetre's half.
    cell = 0.25 if max(drawn.shape[:2]) > 12 else 0.5
    figure = Figure(
        figsize=(max(columns * cell + 1.6, 5.6), subject.filters * cell * height / width + 1.3), layout="constrained"
    )
    axes = figure.subplots()
    shades = axes.imshow(laid, cmap=COLORMAP, vmin=-subject.limit, vmax=subject.limit, interpolation="nearest")
    axes.set_facecolor("#777777")
    step = 1 if max(drawn.shape[:2]) <= 12 else 4
    middles = [
        np.arange(count)[::step] * (side + 1) + (side - 1) / 2
        for count, side in ((columns, width), (subject.filters, height))
    ]
    axes.set_xticks(middles[0], [str(channel) for channel in subject.channels[::step]])
    axes.set_yticks(middles[1], [str(number) for number in range(0, subject.filters, step)])
    axes.set(xlabel="input channel", ylabel="filter")
    axes.tick_params(length=0, labelsize=7)
    axes.spines[:].set_visible(False)
    figure.suptitle(f"{subject.heading}\n{summary}", fontsize=9.5)
    _bar(figure, shades, axes, subject)
    return figure


def _bar(figure: Figure, shades: Any, beside: Any, subject: Subject) -> None:
    label = f"weight; the ends also stand for the largest {1 - CLIPPED:.1%}" if subject.clipped else "weight"
    extend = "both" if subject.clipped else "neither"
    bar = figure.colorbar(shades, ax=beside, shrink=0.8, label=label, fraction=0.04, pad=0.02, extend=extend)
    bar.ax.tick_params(labelsize=7, length=2)
    bar.outline.set_visible(False)


def maximized(
    subject: Subject, images: np.ndarray, excitation: np.ndarray, bounds: tuple[float, float], objective: str
) -> Figure:
    """Draw each filter beside the input that excites it most.

    Args:
        subject: The layer.
        images: One for each filter drawn, [F, H, W, C].
        excitation: The objective at start and end, [2, F].
        bounds: The model's value range.
        objective: ``map`` or ``unit``.
    """
    pictures = []
    for number, image in enumerate(images):
        pictures += [_filter(subject, number), Picture.of_image(image, bounds, f"{excitation[1, number]:.3g}")]
    what = "the mean of its map" if objective == "map" else "its middle unit"
    scale = "" if subject.in_colour else f" (blue to {-subject.limit:.2g}, red to {subject.limit:.2g})"
    return tiles(
        pictures,
        title=f"{subject.heading}\nBeside each filter{scale} the input that excites it most, and how much: {what}",
        columns=min(8, 2 * len(images)),
        size=1.1,
        bars="none",
    )


def _filter(subject: Subject, number: int) -> Picture:
    """One filter with all its drawn slices, on the layer's scale."""
    limit = subject.limit
    if subject.in_colour:
        return Picture(subject.kernel[..., number], f"{number}", "rgb", (-limit, limit))
    slices = subject.kernel[:, :, list(subject.channels), number].transpose(2, 0, 1)
    return Picture(mosaic(slices), f"{number}", "diverging", (-limit, limit))
