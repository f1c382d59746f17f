"""How cnnlab's figures look, whatever a user's matplotlibrc says."""

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
}

LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#5a3a22", "#999999", "#000000")
"""Colours of lines that eyes of every kind tell apart (after Okabe and Ito, 2008)."""


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw with :data:`SETTINGS` over matplotlib's own defaults, and leave the user's as they were."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **options: P.kwargs) -> R:
        with style.context(SETTINGS, after_reset=True):
            return draw(*args, **options)

    return wrapper
