"""What the host makes of what a plugin handed over: arrays as declared, rows of its columns, drawings that are data."""

from __future__ import annotations

import base64
import io
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import drawings as drawing_data
from cnnlab.drawings import At, Image, Picture, Scrub, Sheet, Tiles
from cnnlab.errors import UsageError, told
from cnnlab.interrupts import STOPS
from cnnlab.pluginhost.axes import check_axes, optional_axes, with_optional_axes
from cnnlab.pluginhost.blaming import answer_of
from cnnlab.pluginhost.declarations import Analysis, resolve
from cnnlab.results.claims import Claims
from cnnlab.results.meanings import declared_as
from cnnlab.results.result import Result
from cnnlab.results.rows import MOST, Rows, kept, plain, rows_of
from cnnlab.sources import Sources
from cnnlab.words import is_text

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.pluginhost.params import Params

DRAWN = 8
"""Images that are shown; the arrays hold all."""

ACROSS = 4
"""Pictures side by side, at least, where there are several images."""


def sums_of(analysis: Analysis, classifier: Classifier, result: Result, params: Params) -> Result:
    """Return what ``Analysis.sum_up`` says of arrays, whether they were found just now or read from a disk.

    Raises:
        FailedError: It failed, or returned something else than a Result.
    """
    whole = replace(result, arrays=with_optional_axes(analysis.arrays, result.arrays))

    def sum_up() -> Any:
        assert analysis.sum_up is not None
        return resolve(analysis.sum_up)(classifier, whole, params)

    return answer_of(analysis, sum_up, Result, "cnnlab.plugin.Result")


def with_sums(result: Result, said: Result) -> Result:
    """Add the headline, metrics and columns of :func:`sums_of`; the sources that ``run`` gave stay."""
    columns = {**said.columns, **result.columns}
    return replace(result, headline=said.headline, metrics=said.metrics, columns=columns)


Lose = Callable[[str], None]
"""Told what of a result is left out, as the middle of a sentence whose subject is the analysis."""


def complete(analysis: Analysis, result: Result, sources: Sequence[str], lose: Lose) -> Result:
    """Hold what a plugin handed over against its declaration, and make all of it data.

    A row, a column or a drawing that cannot be kept is left out, and the rest is worth as much as before.

    Args:
        analysis: What it declares.
        result: What it handed over.
        sources: Where each of the images that it was given is from, [N].
        lose: Told what is left out.

    Raises:
        UsageError: It broke its declaration; as the middle of a sentence whose subject is the analysis.
    """
    lengths = check(analysis, result)
    _check_images(analysis, result, lengths, len(sources))
    rows = rows_from(analysis, result, sources, lose)
    gone = optional_axes(analysis.arrays, result.arrays)
    arrays = {name: np.squeeze(array, gone.get(name, ())) for name, array in result.arrays.items()}
    kept = drawings_of(result, lengths.get("N", len(sources)), arrays, lose, gone)
    return replace(result, arrays=arrays, drawings=kept, rows=rows, columns={}, show=None, title="")


def check(analysis: Analysis, result: Result) -> dict[str, int]:
    """Hold what a plugin handed over against its declaration.

    Returns:
        The length of each axis that is written with a capital letter, by its name.

    Raises:
        UsageError: It broke its declaration; as the middle of a sentence whose subject is the analysis.
    """
    _check_kinds(result)
    _check_declared(analysis, result)
    return check_axes(analysis.arrays, result.arrays)


def _check_images(analysis: Analysis, result: Result, lengths: Mapping[str, int], count: int) -> None:
    """Hold the axis N against the images given, or those that the column ``image`` names in their place."""
    named = result.columns.get("image")
    due = count if named is None else _length(named)
    if analysis.inputs == "required" and lengths.get("N", due) != due:
        of = "entries in its column 'image'"
        if named is None:
            of = "images given; where they are about others, a column 'image' says which"
        raise UsageError(f"gave arrays whose axis N is {lengths['N']:,} long; expected {due:,}, the number of {of}")


def check_answer(analysis: Analysis, result: Result, lose: Lose, *, idle: bool = False) -> None:
    """Hold what ``run`` itself handed over against the declaration; what it leaves to ``sum_up`` is not there yet.

    Args:
        analysis: What it declares.
        result: What it handed over.
        lose: Told what is missing.
        idle: Whether there may have been nothing to do: no image was given, or the user was warned of some.

    Raises:
        UsageError: It gave what another is to give; as the middle of a sentence whose subject is the analysis.
    """
    check(analysis, result)
    given = [*map(repr, result.metrics), *(repr(name) for name in result.columns if name != "image")]
    given += ["a headline"] if result.headline else []
    if given and analysis.sum_up is not None:
        raise UsageError(f"gave {given[0]} where it ran, and declares `sum_up`, which is to give it")
    told = [f"the drawing {name!r}" for name in result.drawings] + [f"the table {name!r}" for name in result.tables]
    if told and analysis.independent:
        raise UsageError(f"gave {told[0]} of some of the images; being `independent`, it gives `show` alone")
    missing = _undelivered(analysis, result, idle)
    if missing:
        lose(f"declares the array {missing[0]!r} and gave none; say with `sometimes` where that is as it should be")


def _undelivered(analysis: Analysis, result: Result, idle: bool) -> list[str]:
    """The declared arrays that are not there, though nothing says that they sometimes are not.

    Those of N images may be missing all together where it was idle: nothing was to be done to any.
    """
    due = [name for name in analysis.arrays if "<" not in name and name not in analysis.sometimes]
    missing = [name for name in due if name not in result.arrays]
    of_images = [name for name in due if "N" in analysis.arrays[name].axes]
    excused = of_images if idle and set(of_images) <= set(missing) else []
    return [name for name in missing if name not in excused]


def rows_from(analysis: Analysis, result: Result, sources: Sequence[str], lose: Lose) -> Sequence[Mapping[str, Any]]:
    """Make rows of the columns of a result, where there are any; those it has, where there are none.

    Raises:
        UsageError: The columns do not fit the claims; as the middle of a sentence.
    """
    columns, claims = _columns(analysis, result, sources, lose), result.claims or Claims()
    if columns:
        return kept(rows_of(columns, claims.axis, _strengths(claims, columns)))
    rows = [{key: plain(value) for key, value in row.items()} for row in result.rows if _is_row(row, lose)]
    return rows if len(rows) <= MOST else Rows.of(rows)


def _is_row(row: Mapping[str, Any], lose: Lose) -> bool:
    wrong = [f"a value called {key!r}, which is no name" for key in row if not is_text(key)]
    wrong += [f"{key!r} as {odd}, not as a text or a number" for key, value in row.items() if (odd := _odd(value))]
    if wrong:
        lose(f"gave a row that holds {wrong[0]}: it is left out")
    return not wrong


def _odd(value: Any) -> str:
    """What a value of a row is, where JSON cannot hold it; empty where it can."""
    value = plain(value)
    if isinstance(value, str):
        return "" if is_text(value) else "half of a character"
    if isinstance(value, int | float):
        return "" if math.isfinite(_as_float(value)) else "an integer larger than any float"
    return "" if value is None else type(value).__name__


def _as_float(value: Any) -> float:
    """A number as those take it who read it from JSON: an integer that is larger than any float is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _check_kinds(result: Result) -> None:
    """Hold the fields of a result against what can be gone through by name."""
    for field in ("arrays", "metrics", "columns", "drawings", "tables"):
        given = getattr(result, field)
        if not isinstance(given, Mapping):
            raise UsageError(f"gave {field} as {type(given).__name__}; expected a dict of them by their names")
        # What of these is left out costs no more than itself.
        odd = [name for name in given if not is_text(name) and field not in ("columns", "drawings")]
        if odd:
            raise UsageError(f"gave {field} by the name {odd[0]!r}; expected a text")


def _check_declared(analysis: Analysis, result: Result) -> None:
    if not is_text(result.headline) or "\n" in result.headline:
        raise UsageError(f"gave the headline {result.headline!r}, which is not a text of one line")
    for name, array in result.arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufU":
            kind = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise UsageError(
                f"returned the array {name!r} as {kind}; expected a NumPy array of numbers, of booleans or of texts"
            )
    taken = {"inputs", "rows"} & set(result.tables)
    if taken:
        raise UsageError(f"returned a table {taken.pop()!r}, whose file is the host's own; it takes another name")
    for name, value in result.metrics.items():
        if not isinstance(value, (int, float, np.integer, np.floating)):
            raise UsageError(f"returned the metric {name!r} as {type(value).__name__}, not as a number")
        if math.isinf(_as_float(value)):
            raise UsageError(
                f"returned the metric {name!r} as {_as_float(value)}; expected a finite number, or NaN where it is "
                "undefined"
            )
    named: tuple[tuple[Mapping[str, Any], Mapping[str, Any], str], ...] = (
        (analysis.arrays, result.arrays, "array"),
        (analysis.metrics, result.metrics, "metric"),
    )
    for declared, delivered, noun in named:
        for name in delivered:
            if declared and declared_as(declared, name) is None:
                raise UsageError(f"returned the {noun} {name!r}, which it does not declare")


def _columns(analysis: Analysis, result: Result, sources: Sequence[str], lose: Lose) -> dict[str, Any]:
    """The columns, with the sources of the images first where the analysis is about the images given."""
    columns = {name: values for name, values in result.columns.items() if _is_column(name, values, lose)}
    if not columns:
        return {}
    if analysis.inputs == "required":
        given = columns.get("image", np.arange(len(sources)))
        image = np.zeros(0) if isinstance(given, Sources) else np.asarray(given)
        if image.dtype.kind in "iu" and image.size and 0 <= image.min() <= image.max() < len(sources):
            columns = {"image": Sources.of(sources)[image]} | _without(columns, "image")
    lengths = {name: _length(values) for name, values in columns.items()}
    due = lengths.get("image", Counter(lengths.values()).most_common(1)[0][0])
    for name, length in lengths.items():
        if length != due:
            lose(f"gave the column {name!r} with {length:,} values where there are {due:,}: it is left out")
        elif _is_infinite(columns[name]):
            lose(f"gave infinities in the column {name!r}, which its rows hold as null; expected finite numbers or NaN")
    return {name: values for name, values in columns.items() if lengths[name] == due}


def _is_column(name: object, values: Any, lose: Lose) -> bool:
    if not is_text(name):
        lose(f"gave a column called {name!r}, which is no name: it is left out")
        return False
    if isinstance(values, Sources) or getattr(values, "dtype", np.dtype(object)).kind in "biuf":
        return True
    entries = values if np.ndim(values) == 1 else np.ravel(np.asarray(values, object))
    wrong = next(filter(None, map(_odd, entries)), "")
    if wrong:
        lose(f"gave the column {name!r} of {wrong}, not of texts or numbers: it is left out")
    return not wrong


def _is_infinite(values: Any) -> bool:
    """Whether a column holds numbers that JSON has none for, and that are not NaN, which says that there is none."""
    kind = getattr(values, "dtype", np.dtype(object)).kind
    if kind != "O" or isinstance(values, Sources):
        return kind == "f" and bool(np.isinf(values).any())
    return any(isinstance(value, float) and math.isinf(value) for value in np.ravel(np.asarray(values, object)))


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


def drawings_of(
    result: Result,
    count: int,
    arrays: Mapping[str, np.ndarray],
    lose: Lose,
    gone: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Make data of what is shown of the first images, and of the drawings, each by itself, so that one costs no other.

    Args:
        result: As the plugin gave it.
        count: How many images there are.
        arrays: What drawings refer to.
        lose: Told what cannot be kept.
        gone: The places of axes that ``arrays`` have no longer, by the array's name.
    """

    def adapted(value: Any) -> Any:
        """A reference to an array that lost axes loses their places too."""
        if not isinstance(value, At) or value.array not in gone:
            return value
        kept = tuple(index for place, index in enumerate(value.places) if place not in gone[value.array])
        return At(value.array, kept)

    given: dict[str, Any] = {} if result.show is None or not count else {"": None}
    kept: dict[str, Any] = {}
    for name, each in (given | dict(result.drawings)).items():
        try:
            if not is_text(name):
                raise TypeError("its name is no text")
            drawing = _as_data(drawing_data.changed(_shown(result, count) if each is None else each, adapted))
            # Read back as it will be from the disk: what is shown now is what will be loaded.
            (kept[name],) = drawing_data.from_json(drawing_data.to_json({name: drawing})).values()
            drawing_data.resolved(kept[name], arrays)
        except STOPS:
            raise
        except BaseException as error:
            kept.pop(name, None)
            which = "its pictures of the images" if name == "" else f"the drawing {name!r}"
            lose(f"gave {which} in a way that cannot be kept: {told(error)}")
    return kept


def as_preview(drawing: Any) -> Any:
    """Return a drawing that is shown while an analysis runs, as one of a result would be read back.

    Raises:
        CnnlabError: It is no drawing, or refers to arrays.
    """
    (kept,) = drawing_data.from_json(drawing_data.to_json({"": _as_data(drawing)})).values()
    return drawing_data.resolved(kept, {})


def _shown(result: Result, count: int) -> Tiles:
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


def _as_data(drawing: Any) -> Any:
    """Keep a matplotlib figure as an image; everything else is data already."""
    if not hasattr(drawing, "savefig"):
        return drawing
    from cnnlab.render import save_png

    buffer = io.BytesIO()
    save_png(drawing, buffer)
    return Image(png=base64.b64encode(buffer.getvalue()).decode())
