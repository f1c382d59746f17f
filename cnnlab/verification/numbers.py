"""Numbers held against the arrays that they are of, summed up anew by the function that summed them up at first."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.adversarial.judge import Finding, is_adversarial
from cnnlab.adversarial.measure import derive, with_strengths
from cnnlab.analysis.completion import rows_from, sums_of, with_sums
from cnnlab.errors import CnnlabError
from cnnlab.files.reading import open_regular
from cnnlab.inspection import evaluation_result
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.blaming import params_of
from cnnlab.results.folder import tables_of
from cnnlab.results.meanings import owner
from cnnlab.results.result import Result
from cnnlab.results.rows import plain
from cnnlab.results.tables import Tables
from cnnlab.verification.report import fails, holds, judged, not_checked
from cnnlab.versions import versions

if TYPE_CHECKING:
    from cnnlab.verification.of_result import Saved

TOLERANCE = 1e-6
"""By which part a number may differ from what the arrays give: sums of short floats end otherwise elsewhere."""

BY_THE_CLOCK = ("images_per_second",)
"""Metrics of an evaluation that follow from no array."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What follows from the arrays of a saved result.

    Attributes:
        metrics: By name.
        rows: One for each image (and strength); None where nobody can tell.
        headline: None where nobody can tell.
        tables: By name.
        reason: Why more than this cannot be told; empty where it is all that there is.
    """

    metrics: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] | None = None
    headline: str | None = None
    tables: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def numbers(saved: Saved) -> Iterator[Finding]:
    """Hold metrics, rows, headline and tables against the arrays."""
    sums = _sums(saved)
    yield from _metrics(saved.record["metrics"], sums)
    yield from _rows(saved, sums)
    yield from _headline(saved.record.get("headline", ""), sums)
    yield from _tables(saved, sums)


def _sums(saved: Saved) -> Sums:
    other = saved.left_out or another_version(saved)
    if other:
        return Sums(reason=other)
    if saved.record["analysis"] == evaluation_result.NAME:
        said = evaluation_result.sum_up(saved.arrays, saved.record["classes"])
        metrics = {name: value for name, value in said.metrics.items() if name not in BY_THE_CLOCK}
        return Sums(metrics=metrics, rows=(), headline=said.headline, tables=said.tables)
    analysis, name = saved.analysis, saved.record["analysis"]
    if analysis is not None and analysis.sum_up is not None:
        result = Result(arrays=saved.arrays, claims=saved.claims)
        try:
            params = params_of(
                analysis, lambda: analysis.params.from_public(dict(saved.record["params"])).settled(saved.classifier)
            )
        except CnnlabError as error:  # another model that took part is gone, or lived in memory alone
            return Sums(reason=str(error).rstrip("."))
        result = with_sums(result, sums_of(analysis, saved.classifier, result, params))
        rows = rows_from(analysis, result, saved.sources, lambda what: None)  # it was told when it ran
        return Sums(metrics=result.metrics, rows=rows, headline=result.headline)
    reason = f"{name} does not declare where its arrays are summed up (`sum_up`)"
    if analysis is None:
        reason = saved.not_here
    if saved.claims is None or not is_adversarial(saved.arrays):
        return Sums(reason=reason)
    measured = derive(with_strengths(saved.arrays), saved.claims)
    return Sums(metrics=measured.metrics, rows=measured.rows(saved.claims), reason=reason)


def another_version(saved: Saved) -> str:
    """Say where a result was made by another version of what sums up here; an empty text where it was not.

    Args:
        saved: The saved result.
    """
    made = saved.record.get("plugin")
    if not made or (saved.analysis is None and saved.record["analysis"] != evaluation_result.NAME):
        return ""
    here = registry.provider(saved.analysis).version if saved.analysis is not None else versions()["cnnlab"]
    if here == made["version"]:
        return ""
    return f"{owner(saved.record)} made them, and {here} is installed here"


def _metrics(said: Mapping[str, Any], sums: Sums) -> Iterator[Finding]:
    due = {name: plain(value) for name, value in sums.metrics.items()}
    wrong = [f"{name} is {_told(due[name])}" for name in due if name in said and not same(said[name], due[name])]
    others = [name for name in said if name not in due]
    unknown = [name for name in others if sums.reason or name in BY_THE_CLOCK]
    if not sums.reason:
        wrong += [f"{name} is missing" for name in due if name not in said]
        wrong += [f"{name} follows from no array" for name in others if name not in BY_THE_CLOCK]
    checked = [name for name in due if name in said]
    if wrong or checked:
        yield judged("metrics", wrong, f"All {len(checked)} follow from the arrays, to a millionth.")
    elif not said:
        none = "There is none, and none follows from the arrays."
        yield not_checked("metrics", f"There is none: {sums.reason}.") if sums.reason else holds("metrics", none)
    if unknown:
        why = sums.reason or "a clock measured it"
        yield not_checked("metrics", f"{_listed(unknown)} {'was' if len(unknown) == 1 else 'were'} not checked: {why}.")


def _rows(saved: Saved, sums: Sums) -> Iterator[Finding]:
    said = saved.rows
    if sums.rows is None or (sums.reason and not said):
        yield not_checked("rows", f"{len(said):,} rows were not checked: {sums.reason}.")
        return
    if len(said) != len(sums.rows):
        yield fails("rows", f"There are {len(said):,}, where {len(sums.rows):,} follow from the arrays.")
        return
    wrong: list[str] = []
    unknown: dict[str, None] = {}
    for index, (row, known) in enumerate(zip(said, _with_images(saved, sums, said), strict=True)):
        wrong += [
            f"row {index}: {key} is {_told(known[key])}" for key in known if not same(row.get(key, row), known[key])
        ]
        unknown |= dict.fromkeys(key for key in row if key not in known)
    if not sums.reason:
        wrong += [f"{key} follows from no array" for key in unknown if key != "image"]
        unknown = {key: None for key in unknown if key == "image"}
    yield judged("rows", wrong, f"All {len(said):,} follow from the arrays, to a millionth.")
    if unknown:
        yield not_checked("rows", f"The columns {_listed(list(unknown))} were not checked.")


def _with_images(saved: Saved, sums: Sums, said: Sequence[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Leave out what the rows call their images, where nobody can tell: an analysis may choose images of its own."""
    assert sums.rows is not None
    required = saved.analysis is not None and saved.analysis.inputs == "required"
    if required and not sums.reason:
        return sums.rows
    sources = saved.sources
    each = len(said) // len(sources) if len(sources) else 0
    named = (source for source in sources for _ in range(each))
    in_order = each * len(sources) == len(said) and all(
        row.get("image") == name for row, name in zip(said, named, strict=True)
    )
    return (
        {key: value for key, value in due.items() if key != "image"} | ({"image": row["image"]} if in_order else {})
        for row, due in zip(said, sums.rows, strict=True)
    )


def _headline(said: str, sums: Sums) -> Iterator[Finding]:
    if sums.headline is None:
        yield not_checked("headline", f"It was not checked: {sums.reason}.")
    else:
        yield judged("headline", [] if said == sums.headline else [f"It is {sums.headline!r}"], "It follows from them.")


def _tables(saved: Saved, sums: Sums) -> Iterator[Finding]:
    held, due = tables_of(saved.record), Tables.of(sums.tables)
    wrong = [f"{name}.csv is missing" for name in due if name not in held]
    for name in (name for name in held if name in due):
        if not any(_reads(saved.directory / f"{name}.csv", due.pieces(name), ends) for ends in ("", None)):
            wrong.append(f"{name}.csv does not follow from the arrays")
    if sums.tables:
        yield judged("tables", wrong, "They follow from the arrays.")
    others = [f"{name}.csv" for name in held if name not in sums.tables]
    if others:
        yield not_checked("tables", f"{_listed(others)} were not checked beyond their digests.")


def _reads(path: Path, pieces: Iterable[str], ends: str | None) -> bool:
    """Whether a file holds a text, the ends of its lines being taken for ``ends``, or for any where that is None."""
    with open_regular(path) as file:
        text = io.TextIOWrapper(file, "utf-8", newline=ends)
        return all(text.read(len(piece)) == piece for piece in pieces) and not text.read(1)


def same(said: Any, due: Any) -> bool:
    """Whether two entries say the same, None standing for a number that is undefined."""
    if isinstance(said, bool | str) or isinstance(due, bool | str):
        return bool(type(said) is type(due) and said == due)
    if not isinstance(said, int | float | None) or not isinstance(due, int | float | None):
        return False
    if said is None or due is None:
        return said is due
    return math.isclose(said, due, rel_tol=TOLERANCE, abs_tol=TOLERANCE * TOLERANCE)


def _told(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _listed(words: Sequence[str]) -> str:
    """Every one by its name, for what was not looked at must be known."""
    return ", ".join(words)
