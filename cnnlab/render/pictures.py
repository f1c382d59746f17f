"""Pictures and sheets in matplotlib axes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LinearLocator, MaxNLocator

from cnnlab.drawings import Picture, Sheet
from cnnlab.render.outlines import outlines
from cnnlab.render.style import COLORMAPS, MARK, class_color
from cnnlab.words import shortened

BETWEEN = "#888888"
"""What lies between the pictures of a sheet whose zero is white, as paper is; names are read on white."""

NAMED_ABOVE = 8
"""Pixels of a small picture up to which its name has room above it."""

TITLE_CHARACTERS = 11
"""How many characters of a title fit over an inch of picture."""


def draw_picture(axes: Axes, picture: Picture, *, title: str, bar: bool) -> None:
    """Draw a picture.

    Args:
        axes: Where.
        picture: What, its values an array.
        title: Over it.
        bar: Whether to add a colour bar where its colours stand for numbers; classes have theirs always.
    """
    axes.set_axis_off()
    axes.xaxis.set_visible(False)  # or the layout measures their ticks all the same
    axes.yaxis.set_visible(False)
    axes.set_title(title, y=1.0, pad=3, color=MARK if picture.mark else "black")
    if picture.scale == "classes":
        _draw_classes(axes, picture)
    elif picture.in_colour:
        axes.imshow(np.nan_to_num(picture.unit_plane, nan=1.0), interpolation="nearest", extent=_extent(picture))
    else:
        low, high = picture.ends
        shades = axes.imshow(
            picture.plane,
            cmap=COLORMAPS[picture.scale],
            vmin=low,
            vmax=high,
            interpolation="nearest",
            extent=_extent(picture),
        )
        if bar and picture.measured:
            color_bar(shades, [axes], picture)
    if picture.outlined is not None:
        _draw_outline(axes, picture.outlined)
    if picture.mark:
        _frame(axes)


def _draw_outline(axes: Axes, image: np.ndarray) -> None:
    """Draw an image's outlines, and show as much as it covers."""
    height, width = image.shape
    lines = [line - 0.5 for line in outlines(image)]
    halo = [patheffects.withStroke(linewidth=2.0, foreground="white", alpha=0.7)]
    axes.add_collection(LineCollection(lines, colors="black", linewidths=0.8, path_effects=halo), autolim=False)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _extent(picture: Picture) -> Any:
    """Where values that cover a part of an image lie, in the order that matplotlib takes; None for all of it."""
    if picture.place is None:
        return None
    top, left, bottom, right = picture.place
    return (left - 0.5, right - 0.5, bottom - 0.5, top - 0.5)


def _frame(axes: Axes) -> None:
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=MARK, linewidth=2)


def color_bar(shades: Any, beside: list[Axes], shown: Picture | Sheet, extend: str = "neither") -> None:
    """Add a colour bar beside some axes, with few ticks: its ends where these were chosen, else whole digits."""
    figure = beside[0].figure
    several = len(beside) > 1
    size: dict[str, Any] = {"fraction": 0.04, "pad": 0.02} if several else {"fraction": 0.05, "pad": 0.03}
    bar = figure.colorbar(shades, ax=beside if several else beside[0], label=shown.unit, extend=extend, **size)
    bar.ax.yaxis.set_major_locator(LinearLocator(5) if shown.limits else MaxNLocator(nbins=5))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    bar.ax.tick_params(labelsize=7, length=2)
    bar.outline.set_visible(False)


def _draw_classes(axes: Axes, picture: Picture) -> None:
    present = [int(label) for label in np.unique(picture.plane)]
    colors = [class_color(label) for label in present]
    edges = [label - 0.5 for label in present] + [present[-1] + 0.5]
    # A colour for each class that occurs; BoundaryNorm wants at least one interval, which one class gives.
    norm = BoundaryNorm(edges, len(colors)) if len(colors) > 1 else None
    shades = axes.imshow(
        picture.plane, cmap=ListedColormap(colors), norm=norm, interpolation="nearest", extent=_extent(picture)
    )
    if norm is None:
        shades.set_clim(present[0] - 0.5, present[0] + 0.5)
    legend = axes.figure.colorbar(shades, ax=axes, fraction=0.05, pad=0.03, label=picture.unit, spacing="uniform")
    middles = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
    names = [picture.names[label] if label < len(picture.names) else str(label) for label in present]
    legend.set_ticks(middles, labels=[shortened(name) for name in names])
    legend.ax.tick_params(labelsize=7, length=0)
    legend.ax.minorticks_off()
    legend.outline.set_visible(False)


def draw_sheet(axes: Axes, sheet: Sheet, *, title: str, bar: bool) -> None:
    """Draw a sheet: its pictures in one, numbered or with names of rows and columns."""
    axes.set_title(title, pad=12 if sheet.names else 3)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=7)
    axes.set(xticks=[], yticks=[], xlabel=sheet.head_label, ylabel=sheet.row_label)
    # An axis without words costs the layout as much time as one with them.
    axes.xaxis.set_visible(bool(sheet.heads or sheet.head_label))
    axes.yaxis.set_visible(bool(sheet.rows or sheet.row_label))
    laid, (height, width) = sheet.mosaic, sheet.array.shape[1:3]
    if sheet.scale == "diverging" and not sheet.in_colour and not sheet.names:
        axes.set_facecolor(BETWEEN)
        last, empty = divmod(len(sheet.array), sheet.across)
        if empty:  # the rest of the last row is no place between pictures
            corner = (empty * (width + 1) - 1.5, last * (height + 1) - 0.5)
            axes.add_patch(Rectangle(corner, laid.shape[1], height, color="white"))
    if sheet.in_colour:
        axes.imshow(np.nan_to_num(sheet.unit_interval(laid), nan=1.0), interpolation="nearest")
    else:
        low, high = sheet.ends
        shades = axes.imshow(laid, cmap=COLORMAPS[sheet.scale], vmin=low, vmax=high, interpolation="nearest")
        if bar and sheet.measured:
            color_bar(shades, [axes], sheet, "both" if sheet.clipped else "neither")
            axes.set_anchor("C")  # moved beside its bar, a narrow sheet would push its title out of the figure
    for names, side, place in ((sheet.heads, width, axes.set_xticks), (sheet.rows, height, axes.set_yticks)):
        step = 1 if len(names) <= 12 else 4
        middles = np.arange(len(names))[::step] * (side + 1) + (side - 1) / 2
        place(middles, [shortened(name) for name in names[::step]])
    for index, name in enumerate(sheet.names[: len(sheet.array)]):
        row, column = divmod(index, sheet.across)
        where = (column * (width + 1) - 0.5, row * (height + 1) - 0.5)
        axes.annotate(name, where, **_beside_or_on(min(height, width)))


def _beside_or_on(side: int) -> dict[str, Any]:
    """How a small picture's name is written: above it if one of its pixels, which lies between two, leaves the room."""
    place: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6, "annotation_clip": False}
    if side <= NAMED_ABOVE:
        return place | {"xytext": (1, 1)}
    halo = [patheffects.withStroke(linewidth=1.5, foreground="white")]
    return place | {"xytext": (1.5, -1.5), "va": "top", "path_effects": halo}


def wrapped(text: str, inches: float) -> str:
    """Break a title so that no line is longer than its place is wide; a word that is, is cut."""
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
