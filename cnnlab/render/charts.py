"""Curves, bars and matrices in matplotlib axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator, PercentFormatter

from cnnlab.drawings import Bars, Curves, Matrix, as_numbers
from cnnlab.render.colors import is_dark
from cnnlab.render.style import BARS, CELLS, LINES
from cnnlab.words import shortened

MOST_NAMED = 30
"""Rows and columns up to which a matrix has names and numbers."""

DASHES: dict[str, Any] = {"solid": "-", "dotted": ":", "dashed": "--"}


def draw_curves(axes: Axes, curves: Curves, *, legend: bool = True) -> None:
    """Draw lines over one pair of axes.

    Args:
        axes: Where.
        curves: What, its numbers arrays.
        legend: Whether it says what the lines are; several charts of the same lines may share a legend.
    """
    for number, line in enumerate(curves.lines):
        color = LINES[(number if line.color is None else line.color) % len(LINES)]
        marked = curves.marks and line.dash == "solid"
        beyond = line.color is None and number >= len(LINES)
        x, y = as_numbers(line.x), as_numbers(line.y)
        axes.plot(
            x,
            y,
            color=color,
            linestyle="--" if beyond else DASHES[line.dash],
            marker="o" if marked else None,
            markersize=3.5,
            linewidth=1.6,
            label=line.name,
        )
        if line.low is not None and line.high is not None:
            axes.fill_between(x, as_numbers(line.low), as_numbers(line.high), color=color, alpha=0.15, linewidth=0)
        for words, across, up in zip(line.points, x, y, strict=False):
            axes.annotate(words, (across, up), xytext=(5, -9), textcoords="offset points", fontsize=7.5)
    for place, drawn in ((curves.horizontal, axes.axhline), (curves.vertical, axes.axvline)):
        for name, value in place.items():
            drawn(value, color="#666666", linestyle="--", linewidth=1.0, label=name)
    axes.set(xlabel=curves.x_label, ylabel=curves.y_label, title=curves.title)
    _scale(axes, curves)
    _dress(axes)
    if legend and len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(frameon=False, **_place_of_legend(len(curves.lines)))


def _place_of_legend(lines: int) -> dict[str, Any]:
    """Below the field, beside it where there are many lines; never on them."""
    if lines > 6:
        return {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    return {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13), "ncols": 2}


def _scale(axes: Axes, curves: Curves) -> None:
    if curves.ticks:
        turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if len(curves.ticks) > 8 else {}
        axes.set_xticks(range(len(curves.ticks)), curves.ticks, **turned)
    elif curves.whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if curves.percent:
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    if curves.y_limits:
        axes.set_ylim(*curves.y_limits)
    if curves.x_scale == "log":
        axes.set_xscale("log")
        _logarithmic(axes.xaxis)
    if curves.y_scale == "log" and axes.dataLim.y0 > 0:  # 0 has no place on a logarithmic axis
        axes.set_yscale("log")
        _logarithmic(axes.yaxis)


def _logarithmic(axis: Any) -> None:
    """Powers of ten alone would leave an axis of less than two decades with one number or none."""
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    if decades < 0.5:
        axis.set_major_locator(MaxNLocator(nbins=5))
        axis.set_minor_locator(NullLocator())
        return
    subs = (1.0, 2.0, 3.0, 5.0) if decades < 1.5 else (1.0, 3.0) if decades < 3.5 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_minor_formatter(NullFormatter())


def _dress(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def draw_bars(axes: Axes, bars: Bars, *, title: str, legend: bool = True) -> None:
    """Draw bars by class; of many classes, those with the largest values."""
    values = bars.heights
    shown = bars.shown
    places, width = np.arange(len(shown)), 0.8 / max(len(values), 1)
    for number, (series, heights) in enumerate(zip(bars.series, values, strict=True)):
        color = BARS[number % len(BARS)] if len(values) > 1 else LINES[0]
        shift = (number - (len(values) - 1) / 2) * width
        spread = None
        if series.low is not None and series.high is not None:
            low, high = (as_numbers(end)[shown] for end in (series.low, series.high))
            spread = np.maximum([heights[shown] - low, high - heights[shown]], 0)
        axes.bar(places + shift, heights[shown], width, color=color, label=series.name, yerr=spread, ecolor="#444444")
    names = [shortened(bars.names[label], 8) for label in shown]
    turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if max(map(len, names), default=0) > 2 else {}
    axes.set_xticks(places, names, **turned)
    for tick, label in zip(axes.get_xticklabels(), shown, strict=True):
        if label == bars.highlight:
            tick.set(fontweight="bold", color=BARS[1])
    if bars.limits:
        axes.set_ylim(*bars.limits)
    if bars.percent:
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_title(title, pad=3)
    axes.set_ylabel(bars.label)
    _dress(axes)
    axes.grid(visible=False, axis="x")
    if legend and len(values) > 1:
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.1}
        axes.legend(frameon=False, ncols=len(values), **place)


def draw_matrix(axes: Axes, matrix: Matrix, *, title: str, bar: bool = True) -> None:
    """Draw a matrix with its numbers."""
    values = np.asarray(matrix.values, np.float64)
    low, high = matrix.picture.ends
    axes.set_facecolor("#eeeeee")
    shades = axes.imshow(
        matrix.shaded, cmap=CELLS[matrix.scale], vmin=low, vmax=high, interpolation="nearest", aspect="auto"
    )
    if bar:
        bar_of = axes.figure.colorbar(shades, ax=axes, label=matrix.unit, shrink=0.85)
        bar_of.outline.set_visible(False)
        if matrix.number == "d":
            bar_of.ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel=matrix.column_label, ylabel=matrix.row_label, title=title, xticks=[], yticks=[])
    if max(values.shape) > MOST_NAMED:
        return
    columns = [shortened(name) for name in matrix.columns]
    upright = max(map(len, columns), default=0) <= 3
    axes.set_xticks(range(len(columns)), columns, rotation=0 if upright else 45, ha="center" if upright else "right")
    axes.set_yticks(range(len(matrix.rows)), [shortened(name, 24) for name in matrix.rows])
    axes.tick_params(length=0)
    for row, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
        value = values[row, column]
        if matrix.number == "d" and not value:
            continue
        color = _readable(shades, matrix.shaded[row, column])
        words = format(int(value) if matrix.number == "d" else float(value), matrix.number)
        axes.text(column, row, words, ha="center", va="center", fontsize=7.5, color=color)


def _readable(shades: Any, value: float) -> str:
    """Black or white, whichever can be read on the cell's colour."""
    if not np.isfinite(value):
        return "black"
    return "white" if is_dark(np.asarray(shades.cmap(shades.norm(value)))) else "black"
