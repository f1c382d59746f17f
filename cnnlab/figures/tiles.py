"""Pictures side by side in one figure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cnnlab.figures.picture import CLASS_COLORS, COLORMAPS, Picture
from cnnlab.figures.style import LINES, styled

TITLE_CHARACTERS = 11
"""How many characters of a title fit over an inch of tile."""


OVER = 0.7
"""How opaque values are over the image below them."""


@styled
def tiles(
    pictures: Sequence[Picture],
    *,
    title: str = "",
    columns: int | None = None,
    size: float | None = None,
    bars: Literal["each", "none"] = "each",
    row_titles: Sequence[str] = (),
) -> Figure:
    """Draw pictures in a grid, each with its title and, where its colours stand for numbers, with a colour bar.

    Args:
        pictures: What to draw, row by row.
        title: A heading over all.
        columns: How many side by side; about a square grid by default.
        size: Side of a tile in inches; by default larger where there are few.
        bars: Whether pictures with scales other than grey and colour get a colour bar.
        row_titles: What each row is, written to its left.

    Returns:
        A figure of its own, unknown to pyplot.
    """
    count = max(len(pictures), 1)
    columns = columns or min(count, 4 if count <= 8 else math.ceil(math.sqrt(count * 1.5)))
    rows = math.ceil(count / columns)
    size = size or (2.6 if columns <= 4 else 1.5 if columns <= 8 else 1.1)
    with_bars = bars == "each" and any(picture.scale not in ("grey", "rgb") for picture in pictures)
    aspect = float(np.median([picture.plane.shape[0] / picture.plane.shape[1] for picture in pictures] or [1.0]))
    lines = max((_wrapped(picture.title, size).count("\n") + 1 for picture in pictures if picture.title), default=0)
    cell = (size * (1.28 if with_bars else 1.06), size * min(max(aspect, 0.3), 3.0) + 0.16 * lines + 0.08)
    height = rows * cell[1] + (0.4 if title else 0.08)
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)
    figure = Figure(figsize=(max(columns * cell[0], 2.4) + (0.5 if row_titles else 0), height), layout=layout)
    if title:
        figure.suptitle(title)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, picture in zip(grid.flat, pictures, strict=False):
        draw(axes, picture, bar=bars == "each", title=_wrapped(picture.title, size))
    for axes, words in zip(grid[:, 0], row_titles, strict=False):
        axes.text(-0.08, 0.5, words, transform=axes.transAxes, rotation=90, ha="right", va="center")
    return figure


def draw(axes: Axes, picture: Picture, *, bar: bool = True, title: str | None = None) -> None:
    """Draw one picture into axes of a figure.

    Args:
        axes: Where.
        picture: What.
        bar: Whether to add a colour bar where its colours stand for numbers or classes.
        title: Over it; the picture's own by default.
    """
    axes.set_axis_off()
    axes.set_title(picture.title if title is None else title, pad=3)
    if picture.scale == "classes":
        _draw_classes(axes, picture, bar)
        return
    if picture.scale == "rgb":
        shades = axes.imshow(np.nan_to_num(picture.unit_plane, nan=1.0), interpolation="nearest")
        return
    low, high = picture.ends
    cmap = COLORMAPS[picture.scale]
    alpha = 1.0
    if picture.under is not None:
        axes.imshow(
            Picture(picture.under.mean(axis=-1) if picture.under.ndim == 3 else picture.under).plane, cmap="gray"
        )
        alpha = OVER
    shades = axes.imshow(picture.plane, cmap=cmap, vmin=low, vmax=high, interpolation="nearest", alpha=alpha)
    if bar and picture.scale != "grey":
        colorbar = axes.figure.colorbar(shades, ax=axes, fraction=0.05, pad=0.03, label=picture.unit)
        colorbar.ax.yaxis.set_major_locator(MaxNLocator(nbins=5))
        colorbar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
        colorbar.ax.tick_params(labelsize=7, length=2)
        colorbar.outline.set_visible(False)


def _draw_classes(axes: Axes, picture: Picture, bar: bool) -> None:
    present = [int(label) for label in np.unique(picture.plane)]
    colors = [class_color(label) for label in present]
    edges = [label - 0.5 for label in present] + [present[-1] + 0.5]
    # A colour for each class that occurs; BoundaryNorm wants at least one interval, which one class gives.
    norm = BoundaryNorm(edges, len(colors)) if len(colors) > 1 else None
    shades = axes.imshow(picture.plane, cmap=ListedColormap(colors), norm=norm, interpolation="nearest")
    if not bar:
        return
    if norm is None:
        shades.set_clim(present[0] - 0.5, present[0] + 0.5)
    colorbar = axes.figure.colorbar(shades, ax=axes, fraction=0.05, pad=0.03, label=picture.unit, spacing="uniform")
    middles = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
    names = [picture.names[label] if label < len(picture.names) else str(label) for label in present]
    colorbar.set_ticks(middles, labels=[name if len(name) <= 12 else f"{name[:11]}…" for name in names])
    colorbar.ax.tick_params(labelsize=7, length=0)
    colorbar.ax.minorticks_off()
    colorbar.outline.set_visible(False)


def class_color(label: int) -> str:
    """Return the colour that stands for a class, the same in every picture."""
    if label < len(CLASS_COLORS):
        return CLASS_COLORS[label]
    return LINES[label % len(LINES)]


def _wrapped(text: str, inches: float) -> str:
    """Break a title so that no line is longer than its tile is wide; a word that is, is cut."""
    width = max(8, int(TITLE_CHARACTERS * inches))
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            word = word if len(word) <= width else f"…{word[-(width - 1) :]}"
            if line and len(line) + 1 + len(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return "\n".join(lines)
