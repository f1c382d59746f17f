"""Where values lie on an axis of a chart, and what its ticks say; for terminal and pages."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from cnnlab import words
from cnnlab.drawings import Curves, as_numbers
from cnnlab.drawings.charts import AxisScale


@dataclass(frozen=True)
class Axis:
    """An axis from ``low`` to ``high``.

    Attributes:
        low: The value at its beginning.
        high: The value at its end, above ``low``.
        logarithmic: Whether equal steps are equal factors; values of zero or below then have no place.
        percent: Whether its values are fractions, to be written as percentages.
        whole: Whether its values are whole numbers.
        names: Names of the values 0, 1, 2, ...
    """

    low: float
    high: float
    logarithmic: bool = False
    percent: bool = False
    whole: bool = False
    names: tuple[str, ...] = ()

    def place(self, values: np.ndarray | float) -> np.ndarray:
        """Return where values lie, 0 at the beginning and 1 at the end; NaN where a value has no place."""
        low, high = self._scaled(np.array([self.low, self.high]))
        return np.asarray((self._scaled(np.asarray(values, np.float64)) - low) / (high - low))

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        if not self.logarithmic:
            return values
        return np.log10(np.where(values > 0, values, np.nan))

    def ticks(self, most: int = 5) -> list[tuple[float, str]]:
        """Return about as many values as ``most`` within the axis, and what they are called."""
        if self.names:
            step = math.ceil(len(self.names) / max(most, 1))
            return [(float(place), self.names[place]) for place in range(0, len(self.names), step)]
        decades = math.log10(self.high / self.low) if self.logarithmic else 0.0
        if decades >= 1:
            subs = (1.0, 3.0) if decades < 3 else (1.0,)
            values = LogLocator(subs=subs, numticks=most + 1).tick_values(self.low, self.high)
        else:
            values = MaxNLocator(most, integer=self.whole, min_n_ticks=1).tick_values(self.low, self.high)
        slack = 1e-9 * (self.high - self.low)
        inside = [float(value) for value in values if self.low - slack <= value <= self.high + slack]
        return [(value, self.word(value)) for value in inside]

    def word(self, value: float) -> str:
        """Write a value of this axis; one that has a name is called so."""
        if value in range(len(self.names)):
            return self.names[int(value)]
        value = 0.0 if abs(value) < 1e-12 * (self.high - self.low) else value
        if not self.percent:
            return f"{value:.4g}"
        said = words.percent(value, 2).removesuffix("%")
        return f"{said.rstrip('0').rstrip('.') if '.' in said else said}%"


def axis_over(
    parts: Iterable[np.ndarray],
    *,
    scale: AxisScale = "linear",
    limits: tuple[float, float] | None = None,
    percent: bool = False,
    whole: bool = False,
    names: tuple[str, ...] = (),
) -> Axis:
    """Make an axis that holds all finite values of some arrays, or has the limits that are given.

    A logarithmic axis with a value of zero or below becomes a linear one, as on paper.
    """
    known = np.concatenate([part[np.isfinite(part)] for part in parts] or [np.zeros(0)])
    low, high = limits or ((float(known.min()), float(known.max())) if known.size else (0.0, 1.0))
    if not high > low:
        low, high = (low / 2, low * 2) if scale == "log" and low > 0 else (low - 0.5, low + 0.5)
    return Axis(low, high, scale == "log" and low > 0, percent, whole, names)


def axes_of(curves: Curves) -> tuple[Axis, Axis]:
    """Return the horizontal and the vertical axis that hold all lines of a chart."""
    across = [as_numbers(line.x) for line in curves.lines] + [np.array(list(curves.vertical.values()))]
    up = [as_numbers(line.y) for line in curves.lines] + [np.array(list(curves.horizontal.values()))]
    up += [as_numbers(end) for line in curves.lines for end in (line.low, line.high) if end is not None]
    return (
        axis_over(across, scale=curves.x_scale, whole=curves.whole, names=curves.ticks),
        axis_over(up, scale=curves.y_scale, limits=curves.y_limits, percent=curves.percent),
    )
