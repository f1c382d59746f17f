"""Charts as data: named numbers against a quantity, by class, by row and column."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cnnlab.drawings.picture import ARRAYS, Picture
from cnnlab.drawings.values import Numbers, Values, as_numbers

AxisScale = Literal["linear", "log"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """One line of :class:`Curves`.

    Attributes:
        name: What it is, for the legend.
        x: Horizontal values [P].
        y: Vertical values [P].
        low: Where each point's interval begins, [P]; None without intervals.
        high: Where it ends.
        dash: How it is drawn.
        color: Which of the palette's colours it has; its own, in order, by default.
        points: What stands beside each point; nothing by default.

    Raises:
        ValueError: There are not as many values of each kind.

    Example:
        >>> line = Line(name="accuracy", x=(0.1, 0.2), y=(0.9, 0.4), low=(0.8, 0.3), high=(0.95, 0.5), dash="dashed")
        >>> line.y
        (0.9, 0.4)
    """

    name: str
    x: Numbers
    y: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    dash: Literal["solid", "dotted", "dashed"] = "solid"
    color: int | None = None
    points: tuple[str, ...] = ()

    __pydantic_config__ = ARRAYS

    def __post_init__(self) -> None:
        said = {name: vars(self)[name] for name in ("x", "y", "low", "high")}
        known = {name: len(values) for name, values in said.items() if isinstance(values, Sized)}
        if len(set(known.values())) > 1:
            counts = ", ".join(f"{count} of {name}" for name, count in known.items())
            raise ValueError(f"the line {self.name!r} needs as many values of each kind; received {counts}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """Lines over one pair of axes.

    Attributes:
        lines: What is drawn.
        x_label: What the horizontal values are, with their unit.
        y_label: What the vertical values are, with their unit.
        title: A heading.
        percent: Whether the vertical values are fractions, to be shown as percentages.
        x_scale: ``linear`` or ``log``.
        y_scale: The same upwards; values of zero or below make a logarithmic axis linear.
        y_limits: The values at the bottom and the top; whatever fits by default.
        marks: Whether each point is marked.
        whole: Whether horizontal values are whole numbers, as epochs are.
        ticks: Names of the horizontal values 0, 1, 2, ...; their numbers by default.
        horizontal: Dashed lines across by name, at values of y.
        vertical: Dashed lines upwards by name, at values of x.

    Example:
        >>> from cnnlab.plugin import Line
        >>> line = Line(name="accuracy", x=(1, 2, 3), y=(0.91, 0.97, 0.99))
        >>> Curves(lines=(line,), x_label="epoch", y_label="accuracy", percent=True).kind
        'curves'
    """

    lines: tuple[Line, ...]
    x_label: str
    y_label: str
    title: str = ""
    percent: bool = False
    x_scale: AxisScale = "linear"
    y_scale: AxisScale = "linear"
    y_limits: tuple[float, float] | None = None
    marks: bool = True
    whole: bool = False
    ticks: tuple[str, ...] = ()
    horizontal: dict[str, float] = field(default_factory=dict)
    vertical: dict[str, float] = field(default_factory=dict)
    kind: Literal["curves"] = "curves"


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One group of :class:`Bars`.

    Attributes:
        name: What it is, for the legend.
        values: A number for each class [K].
        low: Where each interval begins; None without intervals.
        high: Where it ends.

    Example:
        >>> from cnnlab.plugin import Bars
        >>> before, after = Series(name="before", values=(0.9, 0.1)), Series(name="after", values=(0.3, 0.7))
        >>> Bars(names=("cat", "dog"), series=(before, after), label="probability", most=1).shown.tolist()
        [0]
    """

    name: str
    values: Numbers
    low: Numbers | None = None
    high: Numbers | None = None

    __pydantic_config__ = ARRAYS


@dataclass(frozen=True, kw_only=True, eq=False)
class Bars:
    """Bars by class, one group or several side by side.

    Attributes:
        names: The classes.
        series: What is drawn.
        label: What the numbers are, with their unit.
        title: A heading.
        percent: Whether the numbers are fractions, to be shown as percentages.
        limits: The values at the bottom and the top; whatever fits by default.
        highlight: Which class stands out; None for none.
        most: Of more classes than this, those with the largest values are drawn.

    Example:
        >>> from cnnlab.plugin import Series
        >>> Bars(names=("cat", "dog"), series=(Series(name="probability", values=(0.2, 0.8)),), label="").kind
        'bars'
    """

    names: tuple[str, ...]
    series: tuple[Series, ...]
    label: str
    title: str = ""
    percent: bool = False
    limits: tuple[float, float] | None = None
    highlight: int | None = None
    most: int = 12
    kind: Literal["bars"] = "bars"

    @property
    def heights(self) -> np.ndarray:
        """The numbers of all series, [S, K] float64."""
        values = [as_numbers(series.values) for series in self.series]
        return np.array(values) if values else np.zeros((0, len(self.names)))

    @property
    def shown(self) -> np.ndarray:
        """The classes that are drawn, ascending, int64."""
        largest = np.nan_to_num(self.heights.max(axis=0, initial=-np.inf), nan=-np.inf)
        return np.sort(np.argsort(-largest, kind="stable")[: self.most])


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """Numbers by row and column, each in its cell.

    Attributes:
        values: [R, C]; NaN stays empty.
        rows: R names.
        columns: C names.
        row_label: What the rows are.
        column_label: What the columns are.
        title: A heading.
        unit: What the values are, for the colour bar.
        scale: ``sequential`` from little to much, or ``diverging`` about zero.
        limits: The values at the ends of the colour scale; whatever there is by default.
        number: How a value is written into its cell, as :func:`format` takes it.
        plain_diagonal: Whether the diagonal has numbers and no colour: in a confusion matrix it outshines the rest.

    Example:
        >>> import numpy as np
        >>> Matrix(values=np.eye(2), rows=("0", "1"), columns=("0", "1"), row_label="true", column_label="read").kind
        'matrix'
    """

    values: Values
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_label: str
    column_label: str
    title: str = ""
    unit: str = ""
    scale: Literal["sequential", "diverging"] = "sequential"
    limits: tuple[float, float] | None = None
    number: str = ".2g"
    plain_diagonal: bool = False
    kind: Literal["matrix"] = "matrix"

    __pydantic_config__ = ARRAYS

    def __post_init__(self) -> None:
        wanted = (len(self.rows), len(self.columns))
        if isinstance(self.values, np.ndarray) and self.values.shape != wanted:
            raise ValueError(f"a matrix with names of {list(wanted)} cells got {list(self.values.shape)} values.")

    @property
    def picture(self) -> Picture:
        """The cells as a picture, which has their scale."""
        return Picture(values=self.shaded, scale=self.scale, limits=self.limits, unit=self.unit)

    @property
    def shaded(self) -> np.ndarray:
        """What is coloured, [R, C]: the values, without the diagonal where that is plain."""
        values = np.asarray(self.values, np.float64)
        return np.where(np.eye(*values.shape) == 1, np.nan, values) if self.plain_diagonal else values
