"""What the host makes of what a plugin handed over: arrays as declared, rows of its columns, drawings that are data."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import drawings as drawing_data
from cnnlab.drawings import At, Image, Picture, Scrub, Sheet, Tiles
from cnnlab.errors import UsageError
from cnnlab.pluginhost.axes import check_axes, optional_axes, with_optional_axes
from cnnlab.pluginhost.declarations import Analysis, resolve
from cnnlab.results.claims import Claims
from cnnlab.results.meanings import declared_as
from cnnlab.results.result import Result
from cnnlab.results.rows import MOST, Rows, kept, plain, rows_of
from cnnlab.sources import Sources

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.pluginhost.params import Params

DRAWN = 8
"""Images that are shown; the arrays hold all."""

ACROSS = 4
"""Pictures side by side, at least, where there are several images."""


def sums_of(analysis: Analysis, classifier: Classifier, result: Result, params: Params) -> Any:
    """Return what ``Analysis.sum_up`` says of arrays, whether they were found just now or read from a disk."""
    assert analysis.sum_up is not None
    whole = with_optional_axes(analysis.arrays, result.arrays)
    return resolve(analysis.sum_up)(classifier, replace(result, arrays=whole), params)


def with_sums(result: Result, said: Result) -> Result:
    """Add the headline, metrics and columns of :func:`sums_of`; the sources that ``run`` gave stay."""
    columns = {**said.columns, **result.columns}
    return replace(result, headline=said.headline, metrics=said.metrics, columns=columns)


def complete(analysis: Analysis, result: Result, sources: Sequence[str]) -> Result:
    """Hold what a plugin handed over against its declaration, and make all of it data.

    Args:
        analysis: What it declares.
        result: What it handed over.
        sources: Where each of the images that it was given is from, [N].

    Raises:
        UsageError: It broke its declaration; as the middle of a sentence whose subject is the analysis.
    """
    lengths = check(analysis, result)
    rows = rows_from(analysis, result, sources)
    gone = optional_axes(analysis.arrays, result.arrays)
    arrays = {name: np.squeeze(array, gone.get(name, ())) for name, array in result.arrays.items()}
    drawings = _drawings(result, lengths.get("N", len(sources)), gone)
    try:
        # Read back as it will be from the disk: what is shown now is what will be loaded.
        kept = drawing_data.from_json(drawing_data.to_json(drawings))
        for name in kept:
            drawing_data.resolved(kept[name], arrays)
    except Exception as error:
        raise UsageError(f"gave a drawing that cannot be kept: {error}") from error
    return replace(result, arrays=arrays, drawings=kept, rows=rows, columns={}, show=None, title="")


def check(analysis: Analysis, result: Result) -> dict[str, int]:
    """Hold what a plugin handed over against its declaration.

    Returns:
        The length of each axis that is written with a capital letter, by its name.

    Raises:
        UsageError: It broke its declaration; as the middle of a sentence whose subject is the analysis.
    """
    _check_declared(analysis, result)
    return check_axes(analysis.arrays, result.arrays)


def check_answer(analysis: Analysis, result: Result) -> None:
    """Hold what ``run`` itself handed over against the declaration; what it leaves to ``sum_up`` is not there yet.

    Raises:
        UsageError: It gave what another is to give; as the middle of a sentence whose subject is the analysis.
    """
    check(analysis, result)
    given = [*map(repr, result.metrics), *(repr(name) for name in result.columns if name != "image")]
    given += ["a headline"] if result.headline else []
    if given and analysis.sum_up is not None:
        raise UsageError(f"gave {given[0]} where it ran, and declares `sum_up=`, which is to give it")
    told = [f"the drawing {name!r}" for name in result.drawings] + [f"the table {name!r}" for name in result.tables]
    if told and analysis.independent:
        raise UsageError(f"gave {told[0]} of some of the images; being `independent`, it gives `show` alone")
    if analysis.independent and analysis.sum_up is None:
        raise UsageError("is `independent`, and declares no `sum_up=`, which is to say what holds of all images")


def rows_from(analysis: Analysis, result: Result, sources: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Make rows of the columns of a result, where there are any; those it has, where there are none.

    Raises:
        UsageError: The columns fit neither each other nor the claims; as the middle of a sentence.
    """
    columns, claims = _columns(analysis, result, sources), result.claims or Claims()
    if columns:
        return kept(rows_of(columns, claims.axis, _strengths(claims, columns)))
    rows = [{key: plain(value) for key, value in row.items()} for row in result.rows]
    return rows if len(rows) <= MOST else Rows.of(rows)


def _check_declared(analysis: Analysis, result: Result) -> None:
    if not isinstance(result.headline, str) or "\n" in result.headline:
        raise UsageError(f"gave the headline {result.headline!r}, which is not a text of one line")
    for name, array in result.arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufU":
            kind = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise UsageError(f"returned the array {name!r} as {kind}, not as numbers in NumPy")
    taken = {"inputs", "rows"} & set(result.tables)
    if taken:
        raise UsageError(f"returned a table {taken.pop()!r}, whose file is the host's own; it takes another name")
    for name, value in result.metrics.items():
        if not isinstance(value, (int, float, np.integer, np.floating)):
            raise UsageError(f"returned the metric {name!r} as {type(value).__name__}, not as a number")
    named: tuple[tuple[Mapping[str, Any], Mapping[str, Any], str], ...] = (
        (analysis.arrays, result.arrays, "array"),
        (analysis.metrics, result.metrics, "metric"),
    )
    for declared, delivered, noun in named:
        for name in delivered:
            if declared and declared_as(declared, name) is None:
                raise UsageError(f"returned the {noun} {name!r}, which it does not declare")


def _columns(analysis: Analysis, result: Result, sources: Sequence[str]) -> dict[str, Any]:
    """The columns, with the sources of the images first where the analysis is about the images given."""
    columns = dict(result.columns)
    if not columns:
        return {}
    if analysis.inputs == "required":
        given = columns.get("image", np.arange(len(sources)))
        image = np.zeros(0) if isinstance(given, Sources) else np.asarray(given)
        if image.dtype.kind in "iu" and image.size and 0 <= image.min() <= image.max() < len(sources):
            columns = {"image": Sources.of(sources)[image]} | _without(columns, "image")
    lengths = {name: _length(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{count} of {name}" for name, count in lengths.items())
        raise UsageError(f"gave columns of different lengths: {said}")
    return columns


def _length(values: Any) -> int:
    """Of the last axis; texts that are written when they are asked for are not, and what is no column has -1."""
    if isinstance(values, Sources):
        return len(values)
    return int(np.shape(values)[-1]) if np.ndim(values) else -1


def _without(columns: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {column: values for column, values in columns.items() if column != name}


def _strengths(claims: Claims, columns: Mapping[str, Any]) -> tuple[str, ...]:
    """What the strengths are called that columns [E, N] have; none where there is no such column."""
    counts = [len(values) for values in columns.values() if not isinstance(values, Sources) and np.ndim(values) > 1]
    try:
        return claims.names(max(counts)) if counts else ()
    except UsageError as error:
        raise UsageError(f"gave claims that do not fit its columns: {error}") from error


def _drawings(result: Result, count: int, gone: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    drawings: dict[str, Any] = {}
    if result.show is not None and count:
        drawings[""] = shown(result, count)
    drawings |= result.drawings

    def adapted(value: Any) -> Any:
        """A reference to an array that lost axes loses their places too."""
        if not isinstance(value, At) or value.array not in gone:
            return value
        kept = tuple(index for place, index in enumerate(value.places) if place not in gone[value.array])
        return At(value.array, kept)

    return {name: as_data(drawing_data.changed(drawing, adapted)) for name, drawing in drawings.items()}


def shown(result: Result, count: int) -> Tiles:
    """Lay out what is shown of the first images, a row for each, or several where a row would be short.

    Args:
        result: Which has something to show of each.
        count: How many images there are; the result is of the first :data:`DRAWN` of them at least.
    """
    assert result.show is not None
    shown = [list(_of_image(result.show(index), index)) for index in range(min(count, DRAWN))]
    across = max(len(row) for row in shown)
    plain = not any(isinstance(panel, Scrub) for row in shown for panel in row)
    several = max(1, min(ACROSS // across, len(shown))) if across and plain else 1
    title = result.title
    if count > DRAWN:
        title = f"{title}: the first {DRAWN} of {count:,} images".removeprefix(": ")
    padded = [panel for row in shown for panel in [*row, *[None] * (across - len(row))]]
    return Tiles(tiles=tuple(padded), columns=across * several, title=title)


def _of_image(panels: Sequence[Any], index: int) -> Iterator[Any]:
    """Say of each picture which image it is about."""
    for panel in panels:
        if isinstance(panel, Picture | Sheet):
            yield replace(panel, image=index)
        elif isinstance(panel, Scrub):
            yield replace(panel, frames=tuple(tuple(_of_image(frame, index)) for frame in panel.frames))
        else:
            yield panel


def as_data(drawing: Any) -> Any:
    """Keep a matplotlib figure as an image; everything else is data already."""
    if not hasattr(drawing, "savefig"):
        return drawing
    from cnnlab.render import save_png

    buffer = io.BytesIO()
    save_png(drawing, buffer)
    return Image(png=base64.b64encode(buffer.getvalue()).decode())
