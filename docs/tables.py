"""Tables in Markdown, and the rows of those that several pages show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cnnlab.pluginhost.declarations import Array
from cnnlab.pluginhost.params import Params, fields_of
from cnnlab.results.meanings import settled


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """The lines of a table and an empty one after it; none where there is no row."""
    rows = list(rows)
    if not rows:
        return []
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def params_table(params: type[Params]) -> list[str]:
    """The parameters of an analysis."""
    rows = [
        (f"`{field.option}`", field.doc, field.expected, f"`{field.default_text}`" if field.default_text else "")
        for field in fields_of(params)
    ]
    return table(("option", "meaning", "values", "default"), rows)


def arrays_table(arrays: Mapping[str, Array]) -> list[str]:
    """What arrays mean, and their axes."""
    rows = [(f"`{name}`", f"`{array.shape}`", settled(array.meaning)) for name, array in arrays.items()]
    return table(("array", "axes", "meaning"), rows)


def metrics_table(metrics: Mapping[str, str], arrays: Mapping[str, Array] | None = None) -> list[str]:
    """What metrics mean; where an array has an axis of strengths, how those of each are called."""
    lines = table(("metric", "meaning"), [(f"`{name}`", settled(meaning)) for name, meaning in metrics.items()])
    if any(axis.startswith("E") for array in (arrays or {}).values() for axis in array.axes):
        lines += [
            "Of several strengths each has its own: `NAME@0.1` is NAME at 0.1, of one target `NAME@3` at class 3.",
            "",
        ]
    return lines
