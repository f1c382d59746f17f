"""Charts of numbers: lines against a quantity, and matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cnnlab.figures.picture import COLORMAPS, Picture
from cnnlab.figures.style import LINES, styled


@styled
def curves(
    lines: Mapping[str, tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    percent: bool = False,
    xscale: Literal["linear", "log"] = "linear",
    yscale: Literal["linear", "log"] = "linear",
    marks: bool = True,
    ylim: tuple[float, float] | None = None,
    horizontal: Mapping[str, float] | None = None,
    vertical: Mapping[str, float] | None = None,
) -> Figure:
    """Draw lines over one pair of axes.

    Args:
        lines: The horizontal and the vertical values of each line, by its name.
        xlabel: What the horizontal values are, with their unit.
        ylabel: What the vertical values are, with their unit.
        title: A heading.
        percent: Whether the vertical values are fractions, to be shown as percentages.
        xscale: ``linear`` or ``log``.
        yscale: ``linear`` or ``log``.
        marks: Whether to mark the points.
        ylim: The vertical values at the bottom and the top.
        horizontal: Dashed lines across at a height, by name.
        vertical: Dashed lines upwards at a place, by name.

    Returns:
        A figure of its own, unknown to pyplot.
    """
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    axes = figure.subplots()
    for number, (name, (x, y)) in enumerate(lines.items()):
        axes.plot(
            x,
            y,
            color=LINES[number % len(LINES)],
            linestyle="-" if number < len(LINES) else "--",
            marker="o" if marks else None,
            markersize=3.5,
            linewidth=1.6,
            label=name,
        )
    for place, drawn in ((horizontal or {}, axes.axhline), (vertical or {}, axes.axvline)):
        for name, value in place.items():
            drawn(value, color="#666666", linestyle="--", linewidth=1.0, label=name)
    axes.set_xscale(xscale)
    axes.set_yscale(yscale)
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if ylim:
        axes.set_ylim(*ylim)
    dress(axes)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if len(lines) > 6 else {}
        axes.legend(frameon=False, **beside)
    return figure


def dress(axes: Axes) -> None:
    """Give axes a light grid and no box."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


@styled
def matrix(
    values: np.ndarray,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    row_label: str,
    column_label: str,
    title: str = "",
    unit: str = "",
    scale: Literal["sequential", "diverging"] = "sequential",
    limits: tuple[float, float] | None = None,
    show: Callable[[float], str] = "{:.2g}".format,
) -> Figure:
    """Draw a matrix with its numbers.

    Args:
        values: [R, C]; NaN stays empty.
        rows: R names.
        columns: C names.
        row_label: What the rows are.
        column_label: What the columns are.
        title: A heading.
        unit: What the values are, for the colour bar.
        scale: ``sequential``, or ``diverging`` about zero.
        limits: The values at the ends of the colour scale.
        show: How a value is written into its cell.

    Returns:
        A figure of its own, unknown to pyplot.
    """
    picture = Picture(values, scale=scale, limits=limits)
    low, high = picture.ends
    figure = Figure(
        figsize=(max(4.0, 1.9 + 0.52 * len(columns)), max(3.0, 1.3 + 0.46 * len(rows))), layout="constrained"
    )
    axes = figure.subplots()
    axes.set_facecolor("#eeeeee")
    shades = axes.imshow(values, cmap=COLORMAPS[scale], vmin=low, vmax=high, interpolation="nearest", aspect="auto")
    figure.colorbar(shades, ax=axes, label=unit, shrink=0.85)
    upright = max((len(name) for name in columns), default=0) <= 3
    turned: dict[str, Any] = {} if upright else {"rotation": 45, "ha": "right"}
    axes.set_xticks(range(len(columns)), columns, **turned)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel=column_label, ylabel=row_label, title=title)
    for row, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
        red, green, blue, _ = shades.cmap(shades.norm(values[row, column]))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        words = show(float(values[row, column]))
        axes.text(column, row, words, ha="center", va="center", fontsize=7.5, color="white" if dark else "black")
    return figure
