"""The numbers of a result: a row for each image, and the metrics, nothing said twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from cnnlab.cli.views.tables import Column, fitted
from cnnlab.drawings.words import number
from cnnlab.pluginhost.meanings import at_strength, axis_of, declared_as, is_share, meaning_of

if TYPE_CHECKING:
    from cnnlab.pluginhost.declarations import Analysis
    from cnnlab.results.result import Result

MOST_ROWS = 20
"""Rows of the per-image table that the terminal shows; result.json holds them all."""

Row = Mapping[str, Any]


def numbers(result: Result, width: int) -> list[RenderableType]:
    """The rows and the metrics of a result, as what fits `width` characters: one table where there is one row."""
    from cnnlab.pluginhost import registry

    analysis = registry.analyses().get(result.record["analysis"])
    axis = result.claims.axis if result.claims else ""
    metrics = untold(result.metrics, result.rows, analysis.metrics if analysis else {}, axis)
    if len(result.rows) == 1:
        # Which image it is stands above, where there is one.
        row = {
            name: value
            for name, value in result.rows[0].items()
            if name != "image" or len(result.record["inputs"]) != 1
        }
        return [*_one_row(row, metrics, analysis, axis, width)]
    found = rows_tables(result.rows, width, lambda name: is_share(_of_column(analysis, name)))
    return [*found, *metrics_tables(metrics, analysis.metrics if analysis else {}, axis, width)]


def _of_column(analysis: Analysis | None, name: str) -> str:
    """What is declared of a column: as of the array, or of the metric, that has its name."""
    if analysis is None:
        return ""
    array = declared_as(analysis.arrays, name)
    of_layers = [text for metric, text in analysis.metrics.items() if metric.startswith(f"{name}/<")]
    return array.meaning if array else declared_as(analysis.metrics, name) or "".join(of_layers[:1])


def _one_row(
    row: Row, metrics: Mapping[str, Any], analysis: Analysis | None, axis: str, width: int
) -> list[RenderableType]:
    """One image: its values and what they mean below each other, and the metrics that say more."""
    declared = analysis.metrics if analysis else {}
    said = {name: _of_column(analysis, name) for name in row} | {
        name: meaning_of(declared, name, axis) for name in metrics
    }
    values = {name: value for name, value in {**row, **metrics}.items() if value is not None}
    columns = [
        Column("", list(values)),
        Column("value", [number(value, is_share(said[name])) for name, value in values.items()], number=True),
        Column("meaning", [said[name] for name in values], style="dim"),
    ]
    return fitted(columns, width)


def untold(
    metrics: Mapping[str, Any], rows: Sequence[Row], declared: Mapping[str, str], axis: str = ""
) -> dict[str, Any]:
    """The metrics that neither a row tells already, where it alone has that number, nor another metric.

    Args:
        metrics: All of them.
        rows: A record for each image (and strength).
        declared: What the metrics mean.
        axis: The key of the strength in a row.
    """
    plain = {(declared_as(declared, name), value) for name, value in metrics.items() if "@" not in name}

    def told(name: str, value: Any) -> bool:
        bare, at, strength = name.partition("@")
        if at and (declared_as(declared, name), value) in plain:
            return True
        of = [row for row in rows if not at or axis not in row or f"{row[axis]:g}" == strength]
        return len(of) == 1 and bare in of[0] and _same(of[0][bare], value)

    return {name: value for name, value in metrics.items() if not told(name, value)}


def _same(shown: Any, value: Any) -> bool:
    shown = {"yes": 1.0, "no": 0.0}.get(shown, shown) if isinstance(shown, str) else shown
    if shown is None or value is None:
        return shown is value
    return not isinstance(shown, str) and math.isclose(shown, value, rel_tol=1e-6)


def metrics_tables(
    metrics: Mapping[str, Any], declared: Mapping[str, str], axis: str, width: int
) -> list[RenderableType]:
    """The metrics, those of several strengths side by side, and what they mean, said once."""
    if not metrics:
        return []
    strengths = list(dict.fromkeys(name.partition("@")[2] for name in metrics))
    names = list(dict.fromkeys(name.partition("@")[0] for name in metrics))

    def cells(strength: str) -> list[str]:
        keys = [f"{name}@{strength}" if strength else name for name in names]
        shares = [is_share(declared_as(declared, key) or "") for key in keys]
        return [number(metrics[key], share) if key in metrics else "" for key, share in zip(keys, shares, strict=True)]

    def heading(strength: str) -> str:
        if not strength:
            return "value"
        some = next(name for name in metrics if name.endswith(f"@{strength}"))
        return at_strength(axis or axis_of(declared, some), strength)

    first = [next(key for key in metrics if key.partition("@")[0] == name) for name in names]
    meanings: list[str] = []
    for key in first:
        said = declared_as(declared, key) or ""
        meanings.append("" if said in meanings else said)
    columns = [
        Column("metric", names),
        *(Column(heading(each), cells(each), number=True) for each in strengths),
        Column("meaning", meanings, style="dim"),
    ]
    return fitted(columns, width, blank=False)


def rows_tables(
    rows: Sequence[Row], width: int, shares: Callable[[str], bool] = lambda name: False
) -> list[RenderableType]:
    """The per-image rows, the first of them where there are many; what is the same in all is said once, below.

    Args:
        rows: Flat records.
        width: Characters that a line may have. Columns that do not fit side by side go on in a further table, which
            begins again with those that say what a row is about.
        shares: Whether a column holds numbers from 0 to 1 that are read in percent.
    """
    if not rows:
        return []
    names = list(dict.fromkeys(key for row in rows for key in row))
    values = {name: tuple(row.get(name) for row in rows) for name in names}
    same = [name for name in names if len(rows) > 1 and len(set(values[name])) == 1]
    shown: list[str] = []
    twice: dict[str, str] = {}
    for name in [name for name in names if name not in same] or names[:1]:
        first = next((other for other in shown if values[other] == values[name]), None)
        if first is None or len(rows) == 1:
            shown.append(name)
        else:
            twice[name] = first

    def texts(name: str) -> list[str]:
        return [number(value, shares(name)) for value in values[name][:MOST_ROWS]]

    columns = [
        Column(spoken(name), texts(name), number=not any(isinstance(value, str) for value in values[name]))
        for name in shown
    ]
    found = fitted(columns, width, identifying(shown, rows))
    once = [f"{spoken(name)} {texts(name)[0]}" for name in same if values[name][0] is not None]
    once += [f"{spoken(name)} = {spoken(first)}" for name, first in twice.items()]
    more = f"and {len(rows) - MOST_ROWS:,} more in result.json" if len(rows) > MOST_ROWS else ""
    words = [more, f"in every row: {', '.join(once)}" if once else ""]
    return [*found, *(Text(text, style="dim") for text in words if text)]


def spoken(name: str) -> str:
    """Return the name of a column as words."""
    return name.replace("_", " ")


def identifying(names: Sequence[str], rows: Sequence[Row]) -> int:
    """Return how many of the first columns it takes to tell any two rows apart; 1 where even all do not.

    >>> identifying(["image", "epsilon", "after"], [{"image": "7.png", "epsilon": e, "after": 7} for e in (0.1, 0.2)])
    2
    """
    for count in range(1, len(names)):
        if len({tuple(row.get(name) for name in names[:count]) for row in rows}) == len(rows):
            return count
    return 1
