"""The numbers of a result: a row for each image, and the metrics, nothing said twice."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cnnlab.cli.views.tables import Column, fitted
from cnnlab.results.meanings import at_strength, axis_of, declared_as, meaning_of
from cnnlab.results.record import lists_beside
from cnnlab.results.rows import columns_of
from cnnlab.words import is_share, number

if TYPE_CHECKING:
    from cnnlab.results.result import Result

MOST_ROWS = 20
"""Rows of the per-image table that the terminal shows; result.json holds them all."""

Row = Mapping[str, Any]


def numbers(result: Result, width: int) -> list[RenderableType]:
    """The numbers of a result in one table: of its rows, with the metrics as lines below; of both where one row is all.

    Args:
        result: A result.
        width: Characters that a line may have.
    """
    said = result.record.get("meanings", {"metrics": {}, "columns": {}})
    axis = result.claims.axis if result.claims else ""
    metrics = untold(result.metrics, result.rows, said["metrics"], axis)
    if not result.rows:
        return metrics_tables(metrics, said["metrics"], axis, width)
    if len(result.rows) == 1:
        # Which image it is stands above, where there is one.
        row = {name: value for name, value in result.rows[0].items() if name != "image" or len(result.inputs) != 1}
        meanings = said["columns"] | {name: meaning_of(said["metrics"], name, axis) for name in metrics}
        return one_row({**row, **metrics}, meanings, width)
    where = lists_beside(result.record).get("rows", "result.json")
    table = rows_tables(result.rows, width, lambda name: is_share(said["columns"].get(name, "")), f" in {where}")
    return [*table, *metrics_lines(metrics, said["metrics"], axis, width)]


def one_row(values: Row, meanings: Mapping[str, str], width: int) -> list[RenderableType]:
    """Values and what they mean, below each other."""
    values = {name: value for name, value in values.items() if value is not None}
    said = [meanings.get(name, "") for name in values]
    texts = [number(value, is_share(meaning)) for value, meaning in zip(values.values(), said, strict=True)]
    columns = [Column("", list(values)), Column("value", texts, number=True), Column("meaning", said, style="dim")]
    return fitted(columns, width)


def metrics_lines(metrics: Row, declared: Mapping[str, str], axis: str, width: int) -> list[RenderableType]:
    """The metrics, a line each: its values at all strengths, and what it means.

    Args:
        metrics: Numbers by name.
        declared: What they mean.
        axis: What the strengths are.
        width: Characters that a line may have.
    """
    lines = Table.grid(padding=(0, 2, 0, 0))
    lines.add_column()
    lines.add_column(overflow="fold")
    told: set[str] = set()
    defined = {key.partition("@")[0] for key, value in metrics.items() if value is not None}
    metrics = {key: value for key, value in metrics.items() if key.partition("@")[0] in defined}
    for name in dict.fromkeys(key.partition("@")[0] for key in metrics):
        keys = [key for key in metrics if key.partition("@")[0] == name]
        said = declared_as(declared, keys[0]) or ""
        strengths = ", ".join(filter(None, (key.partition("@")[2] for key in keys)))
        where = at_strength(axis or axis_of(declared, keys[0]), strengths) if strengths else ""
        meaning = ", ".join(filter(None, ("" if said in told else said, where)))
        told.add(said)
        values = ", ".join(number(metrics[key], is_share(said)) for key in keys)
        lines.add_row(name, Text.assemble(values, (f"  {meaning}", "dim")))
    return [lines] if metrics else []


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
        of = list(islice((row for row in rows if not at or axis not in row or f"{row[axis]:g}" == strength), 2))
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
    rows: Sequence[Row],
    width: int,
    shares: Callable[[str], bool] = lambda name: False,
    where: str = " in result.json",
) -> list[RenderableType]:
    """The per-image rows, the first of them where there are many; what is the same in all is said once, below.

    Args:
        rows: Flat records, one at least.
        width: Characters that a line may have. Columns that do not fit side by side go on in a further table, which
            begins again with those that say what a row is about.
        shares: Whether a column holds numbers from 0 to 1 that are read in percent.
        where: Where all of them are to be found.
    """
    values = columns_of(rows)
    names = list(values)
    same = [name for name in names if len(rows) > 1 and _alike(values[name], repeat(values[name][0]))]
    shown: list[str] = []
    twice: dict[str, str] = {}
    for name in [name for name in names if name not in same] or names[:1]:
        first = next((other for other in shown if _alike(values[other], values[name])), None)
        if first is None or len(rows) == 1:
            shown.append(name)
        else:
            twice[name] = first

    def texts(name: str) -> list[str]:
        return [number(value, shares(name)) for value in values[name][:MOST_ROWS]]

    columns = [
        Column(spoken(name), texts(name), number=not any(isinstance(value, str) for value in values[name][:MOST_ROWS]))
        for name in shown
    ]
    found = fitted(columns, width, identifying(shown, rows[:MOST_ROWS]))
    once = [f"{spoken(name)} {texts(name)[0]}" for name in same if values[name][0] is not None]
    once += [f"{spoken(name)} = {spoken(first)}" for name, first in twice.items()]
    more = f"and {len(rows) - MOST_ROWS:,} more{where}" if len(rows) > MOST_ROWS else ""
    words = [more, f"in every row: {', '.join(once)}" if once else ""]
    return [*found, *(Text(text, style="dim") for text in words if text)]


def _alike(first: Iterable[Any], second: Iterable[Any]) -> bool:
    return all(map(operator.eq, first, second))


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
