"""Curves and bars as SVG: where every line, point, bar and tick goes, in pixels of the drawing's own plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cnnlab.drawings import Bars, Curves, Line, Series, as_numbers
from cnnlab.render.axis import Axis, axes_of, axis_over
from cnnlab.render.style import LINES
from cnnlab.words import percent, shortened

WIDTH, HEIGHT = 640.0, 360.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 16.0, 14.0, 46.0
"""Room for ticks and labels around the field."""

FIELD = {
    "width": WIDTH,
    "height": HEIGHT,
    "left": LEFT,
    "top": TOP,
    "right": WIDTH - RIGHT,
    "bottom": HEIGHT - BOTTOM,
}
"""The plane, and the edges of the field in it."""

LABEL = 60
"""Characters of a label up to which it fits along its axis."""

MOST_POINTS = 60
"""Points of a line up to which each is drawn and says its values."""

Point = tuple[float, float]


@dataclass(frozen=True)
class PageLine:
    """A line of a chart.

    Attributes:
        name: What it is.
        color: Which colour of the palette it has.
        dash: How it is drawn.
        paths: Its connected parts, as SVG paths.
        band: The path around its intervals; empty where there are none.
        points: Places of the points, and what each says.
        rows: Its values in words, x and y.
    """

    name: str
    color: int
    dash: str
    paths: tuple[str, ...]
    band: str
    points: tuple[tuple[float, float, str], ...]
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PageBar:
    """A bar of a chart: its rectangle, its interval from low to high, and what it says."""

    x: float
    y: float
    width: float
    height: float
    color: int
    words: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class PageRow:
    """A row of the table below a chart, by which a page also says what is under the pointer.

    Attributes:
        names: What it is about, as its cells say.
        value: In words.
        place: Where in the plane it is; empty where it has no place.
        group: The line or the group of bars that it belongs to.
    """

    names: tuple[str, ...]
    value: str
    place: tuple[float, ...]
    group: int


@dataclass(frozen=True)
class Chart:
    """A chart in a page.

    Attributes:
        title: The heading.
        x_label: Below it.
        y_label: Beside it.
        x_ticks: Places and words along the bottom.
        y_ticks: Places and words along the left.
        lines: What is drawn, of curves.
        bars: What is drawn, of bars.
        rules: Dashed lines across or upwards: two points, and a name.
        legend: Colour and name of each line or group.
        turned: Whether the words along the bottom are turned to have room.
        heads: What the columns of its table are.
        rows: The table of its numbers.
        words: What those who do not see it are told.
    """

    title: str
    x_label: str
    y_label: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    heads: tuple[str, ...]
    rows: tuple[PageRow, ...]
    words: str
    lines: tuple[PageLine, ...] = ()
    bars: tuple[PageBar, ...] = ()
    rules: tuple[tuple[Point, Point, str], ...] = ()
    legend: tuple[tuple[int, str], ...] = ()
    turned: bool = False


def chart_of(curves: Curves) -> Chart:
    """Lay out curves."""
    across, up = axes_of(curves)
    lines = tuple(_line(curves, number, across, up) for number in range(len(curves.lines)))
    rules = [((LEFT, _y(up, value)), (WIDTH - RIGHT, _y(up, value)), name) for name, value in curves.horizontal.items()]
    rules += [
        ((_x(across, value), TOP), (_x(across, value), HEIGHT - BOTTOM), name)
        for name, value in curves.vertical.items()
    ]
    return Chart(
        title=curves.title,
        x_label=shortened(curves.x_label, LABEL),
        y_label=shortened(curves.y_label, LABEL),
        x_ticks=tuple((_x(across, value), shortened(word)) for value, word in across.ticks(20 if curves.ticks else 8)),
        y_ticks=tuple((_y(up, value), word) for value, word in up.ticks()),
        heads=("line", curves.x_label, curves.y_label),
        rows=tuple(row for number in range(len(lines)) for row in _rows(curves, number, across, up)),
        lines=lines,
        rules=tuple(rules),
        legend=tuple((line.color, line.name) for line in lines),
        turned=len(curves.ticks) > 8,
        words=f"{shortened(curves.title or curves.y_label, 200)}: " + " ".join(_told(line) for line in lines),
    )


def _x(axis: Axis, value: float) -> float:
    return round(LEFT + float(axis.place(value)) * (WIDTH - LEFT - RIGHT), 2)


def _y(axis: Axis, value: float) -> float:
    return round(HEIGHT - BOTTOM - float(axis.place(value)) * (HEIGHT - TOP - BOTTOM), 2)


def _line(curves: Curves, number: int, across: Axis, up: Axis) -> PageLine:
    line = curves.lines[number]
    x, y = as_numbers(line.x), as_numbers(line.y)
    places = [(_x(across, a), _y(up, b)) for a, b in zip(x, y, strict=True)]
    rows = tuple((_x_word(across, a), up.word(b) if np.isfinite(b) else "-") for a, b in zip(x, y, strict=True))
    shown = curves.marks and line.dash == "solid" and len(places) <= MOST_POINTS
    said = [f"{shortened(line.name, 60)}, {row[0]}: {row[1]}" for row in rows]
    return PageLine(
        name=line.name,
        color=(number if line.color is None else line.color) % len(LINES),
        dash=line.dash,
        paths=tuple(_path(part) for part in _connected(places)),
        band=_band(line, x, across, up),
        points=tuple(
            (*place, words) for place, words in zip(places, said, strict=True) if shown and np.isfinite(place).all()
        ),
        rows=rows,
    )


def _rows(curves: Curves, number: int, across: Axis, up: Axis) -> Iterator[PageRow]:
    """The values of a line in words, with their intervals, and where they are."""
    line = curves.lines[number]
    points = zip(as_numbers(line.x), as_numbers(line.y), _spreads(line, up), strict=True)
    for x, y, spread in points:
        place = (_x(across, x), _y(up, y))
        value = f"{up.word(y)}{spread}" if np.isfinite(y) else "-"
        yield PageRow((line.name, _x_word(across, x)), value, place if np.isfinite(place).all() else (), number)


def _spreads(line: Line | Series, up: Axis) -> list[str]:
    """The intervals of a line's or a group's values, in words."""
    count = len(as_numbers(line.y if isinstance(line, Line) else line.values))
    if line.low is None or line.high is None:
        return [""] * count
    ends = zip(as_numbers(line.low), as_numbers(line.high), strict=True)
    return [f" ({up.word(low)} to {up.word(high)})" if np.isfinite((low, high)).all() else "" for low, high in ends]


def _x_word(axis: Axis, value: float) -> str:
    return axis.names[int(value)] if axis.names and 0 <= value < len(axis.names) else axis.word(value)


def _connected(places: list[Point]) -> list[list[Point]]:
    """Split at points that have no place."""
    parts: list[list[Point]] = [[]]
    for place in places:
        if np.isfinite(place).all():
            parts[-1].append(place)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def _path(places: list[Point]) -> str:
    return "M" + " L".join(f"{x:g} {y:g}" for x, y in places)


def _band(line: object, x: np.ndarray, across: Axis, up: Axis) -> str:
    low, high = (getattr(line, end) for end in ("low", "high"))
    if low is None or high is None:
        return ""
    above = [(_x(across, a), _y(up, b)) for a, b in zip(x, as_numbers(high), strict=True)]
    below = [(_x(across, a), _y(up, b)) for a, b in zip(x, as_numbers(low), strict=True)]
    around = [place for place in [*above, *reversed(below)] if np.isfinite(place).all()]
    return _path(around) + " Z" if around else ""


def _told(line: PageLine) -> str:
    known = [row for row in line.rows if row[1] != "-"]
    if not known:
        return f"{shortened(line.name, 60)}, no values."
    return f"{shortened(line.name, 60)}, from {known[0][1]} at {known[0][0]} to {known[-1][1]} at {known[-1][0]}."


def bars_of(bars: Bars) -> Chart:
    """Lay out bars by class; of many classes, those with the largest values."""
    values = bars.heights
    shown = bars.shown
    ends = [as_numbers(end) for series in bars.series for end in (series.low, series.high) if end is not None]
    up = axis_over([np.zeros(1), *values[:, shown], *ends], limits=bars.limits, percent=bars.percent)
    room = (WIDTH - LEFT - RIGHT) / max(len(shown), 1)
    width = 0.8 * room / max(len(values), 1)
    names = [shortened(bars.names[label], 14) for label in shown]
    spreads = [_spreads(series, up) for series in bars.series]
    drawn = [
        _bar(bars, number, label, LEFT + (place + 0.1) * room + number * width, width, up)
        for place, label in enumerate(shown)
        for number in range(len(values))
    ]
    several = len(values) > 1
    return Chart(
        title=bars.title,
        x_label="",
        y_label=shortened(bars.label, LABEL),
        x_ticks=tuple((LEFT + (place + 0.5) * room, name) for place, name in enumerate(names)),
        y_ticks=tuple((_y(up, value), word) for value, word in up.ticks()),
        heads=("class", *(("group",) if several else ()), bars.label or "value"),
        rows=tuple(
            PageRow(
                (bars.names[label], *((series.name,) if several else ())),
                _value(bars, number, label) + spreads[number][label],
                _top(drawn[place * len(values) + number]),
                number,
            )
            for number, series in enumerate(bars.series)
            for place, label in enumerate(shown)
        ),
        bars=tuple(bar for bar in drawn if bar is not None),
        legend=tuple((number, series.name) for number, series in enumerate(bars.series)) if several else (),
        turned=sum(map(len, names)) > 70,
        words=f"{shortened(bars.title or bars.label, 200)}: "
        + ", ".join(bar.words for bar in drawn if bar is not None),
    )


def _bar(bars: Bars, number: int, label: int, x: float, width: float, up: Axis) -> PageBar | None:
    series = bars.series[number]
    value = float(as_numbers(series.values)[label])
    if not np.isfinite(value):
        return None
    foot, top = _y(up, min(max(0.0, up.low), up.high)), _y(up, min(max(value, up.low), up.high))
    said, name = _value(bars, number, label), shortened(bars.names[label], 60)
    name = f"{name}, {shortened(series.name, 60)}" if len(bars.series) > 1 else name
    low, high = (None if end is None else _y(up, float(as_numbers(end)[label])) for end in (series.low, series.high))
    return PageBar(round(x, 2), min(foot, top), round(width, 2), abs(foot - top), number, f"{name}: {said}", low, high)


def _value(bars: Bars, number: int, label: int) -> str:
    value = float(as_numbers(bars.series[number].values)[label])
    return percent(value) if bars.percent else f"{value:.4g}" if np.isfinite(value) else "-"


def _top(bar: PageBar | None) -> tuple[float, ...]:
    """The middle of a bar's upper end; empty where there is no bar."""
    return () if bar is None else (round(bar.x + bar.width / 2, 2), bar.y)
