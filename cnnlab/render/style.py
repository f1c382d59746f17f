"""How drawings look, whatever a user's matplotlibrc says: one palette and one style for files, terminal and pages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from matplotlib import style

P = ParamSpec("P")
R = TypeVar("R")

DPI = 150

SETTINGS: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so figures look alike everywhere
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "figure.titlesize": 11.0,
    "legend.fontsize": 8.5,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",  # text stays text, which can be searched and edited
    "svg.hashsalt": "cnnlab",  # the same bytes every time
    "pdf.fonttype": 42,
}

COLORMAPS = {"image": "gray", "diverging": "RdBu_r", "sequential": "viridis"}
"""matplotlib's names. The diverging one is white at zero, red above and blue below."""

CELLS = {"sequential": "Oranges", "diverging": "RdBu_r"}
"""The same for the cells of a matrix, in which numbers are to be read: little is pale."""

LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#5a3a22", "#999999", "#000000")
"""Colours of lines that eyes of every kind tell apart (after Okabe and Ito, 2008)."""

BARS = ("#999999", *LINES[1:])
"""Colours of bars: of two groups the first, before, is grey."""

MARK = "#c4302b"
"""What stands out: a mistake, an image that fools."""

CLASS_COLORS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f3c8d", "#999999", "#5a3a22"),
)


def class_color(label: int) -> str:
    """Return the colour that stands for a class, the same in every picture."""
    return CLASS_COLORS[label] if 0 <= label < len(CLASS_COLORS) else LINES[label % len(LINES)]


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw with :data:`SETTINGS` over matplotlib's own defaults, and leave the user's as they were."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **options: P.kwargs) -> R:
        with style.context(SETTINGS, after_reset=True):
            return draw(*args, **options)

    return wrapper
