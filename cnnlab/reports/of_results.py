"""A report of results that lie there already: a section for each, in the order in which they were named."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.analysis.again import request_of
from cnnlab.analysis.command import command_of
from cnnlab.drawings.tables import Table
from cnnlab.errors import UsageError
from cnnlab.pluginhost import registry, sources
from cnnlab.progress import Progress
from cnnlab.reports.chapter import Chapter
from cnnlab.reports.profiles import Profile
from cnnlab.reports.report import Report, Written
from cnnlab.reports.subject import Answer
from cnnlab.results.meanings import declared_as, owner
from cnnlab.results.result import Result
from cnnlab.results.rows import columns_of
from cnnlab.versions import versions
from cnnlab.words import few, is_share

MOST = 100
"""Results of one report: each is drawn into one page."""

NAMED = 4
"""Images of a result that are named; the files of its folder name all."""

PROFILE = Profile(
    name="results",
    title="What was found in {model}",
    summary="What analyses found, as it was kept: each with its figures, its numbers, and the command that repeats it.",
    sections=(),
)

Place = str | os.PathLike[str]


def report_of(
    folders: Sequence[Place], progress: Progress, told: Callable[[Written, int, int], None] = lambda *_: None
) -> Report:
    """Make a report of saved results; no model is opened, and nothing is asked again.

    Args:
        folders: The folders of the results, in the order of the sections.
        progress: Where it is said how far it is.
        told: Called with each section once it is written, its number from 1, and how many there are.

    Raises:
        UsageError: There are too many, or one was named twice.
        CnnlabError: One is none, or is damaged.
    """
    started = time.perf_counter()
    places = _checked(folders)
    models: dict[str, Any] = {}
    written, listed = [], []
    with progress.task("Reading the results", len(places)) as advance:
        for number, folder in enumerate(places, start=1):
            result = Result.load(folder)
            record = result.record
            models.setdefault(record["model"]["digest"], record["model"])
            listed.append({"folder": str(folder), "analysis": record["analysis"], "digest": record.get("digest")})
            written.append(_section(number, folder, result))
            told(written[-1], number, len(places))
            advance(1)
    return Report(
        profile=PROFILE,
        title=PROFILE.title.format(model=" and ".join(dict.fromkeys(map(_name, models.values())))),
        sections=tuple(written),
        record={
            "model": next(iter(models.values())) if len(models) == 1 else None,
            "models": list(models.values()),
            "dataset": None,
            "results": listed,
            "seed": None,
            "command": command(places),
            "profile": PROFILE.name,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            "device": None,
            "seconds": round(time.perf_counter() - started, 3),
        },
    )


def command(folders: Sequence[Place], out: Place | None = None) -> str:
    """Return the command that writes a report of results.

    >>> command(["runs/classic/analyses/occlusion"])
    'cnnlab report --result runs/classic/analyses/occlusion'
    """
    words = ["report", *(word for folder in folders for word in ("--result", str(folder)))]
    return sources.command(*words, *(("--out", str(out)) if out else ()))


def _checked(folders: Sequence[Place]) -> list[Path]:
    places = [Path(folder) for folder in folders]
    if not 0 < len(places) <= MOST:
        raise UsageError(f"a report is of 1 to {MOST} results; received {len(places):,}.")
    twice = [str(place) for number, place in enumerate(places) if place in places[:number]]
    if twice:
        raise UsageError(f"the result {twice[0]} was named twice; a report has each once.")
    return places


def _section(number: int, folder: Path, result: Result) -> Written:
    """What a report says of one result."""
    started = time.perf_counter()
    record = result.record
    request = request_of(record, result.inputs)
    answer = Answer(result, command_of(request) if request else "")
    seen = _summary(record)
    figures = [answer.figure(name, f"{name}: {seen}" if name else seen) for name in result.drawings]
    chapter = Chapter(
        says=[*filter(None, (result.headline, _asked(folder, result))), *(f"Note: {each}" for each in result.warnings)],
        figures=figures,
        metrics=[answer.metric(name) for name, value in result.metrics.items() if value is not None],
        tables=[_by_image(result)] if len(result.rows) else [],
    )
    return Written(
        name=f"result-{number}",
        title=f"{number}. {record['analysis']} of {_name(record['model'])}",
        chapter=chapter,
        headline=result.headline,
        seconds=round(time.perf_counter() - started, 3),
        owner=owner(record),
        command="" if figures else answer.command,
        attached=() if figures else answer.attached,
    )


def _asked(folder: Path, result: Result) -> str:
    """Of which images, and where it lies."""
    lies = f"The result lies in `{folder}`."
    count = len(result.inputs)
    if not count:
        return f"Asked about the model alone. {lies}"
    sources = (str(result.inputs[place]["source"]) for place in range(min(count, NAMED + 1)))
    return f"Asked about {count:,} image{'' if count == 1 else 's'}: {few(sources, NAMED)}. {lies}"


def _by_image(result: Result) -> Table:
    said = result.record.get("meanings", {}).get("columns", {})
    shares = [name for name in said if is_share(declared_as(said, name) or "")]
    return Table.of(result.rows, shares, list(columns_of(result.rows)))


def _summary(record: Mapping[str, Any]) -> str:
    """What an analysis shows, in the words of its plugin; its name, where that is not installed here."""
    analysis = registry.analysis_of(record)
    return analysis.summary if analysis else f"{record['analysis']}."


def _name(model: Any) -> str:
    return Path(model["path"]).name if model["path"] else "a live model"
