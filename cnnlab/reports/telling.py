"""What a report says in words, alike on a page, in Markdown and in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnlab.drawings.tables import Table
from cnnlab.reports.chapter import Conclusion, Figure, Metric
from cnnlab.reports.report import Report, Written
from cnnlab.spelling import as_options
from cnnlab.versions import versions
from cnnlab.words import is_share, number


@dataclass(frozen=True)
class Row:
    """A metric as a row of a table.

    Attributes:
        name: What it is called.
        value: The number.
        is_share: Whether it is read in percent.
        range: Its 95% interval, in words; empty where none is known.
        sample: Over what it was measured, in words.
        reported: What others reported; None where nobody did.
        meaning: What it means.
    """

    name: str
    value: float | None
    is_share: bool
    range: str
    sample: str
    reported: float | None
    meaning: str

    @classmethod
    def of(cls, metric: Metric) -> Row:
        """Make one of a metric."""
        share = is_share(metric.meaning)
        ends = [] if metric.interval is None else [number(end, share) for end in metric.interval]
        images = "" if metric.of is None else f"{metric.of:,} image{'' if metric.of == 1 else 's'}"
        value = metric.value
        whole = int(value) if isinstance(value, float) and not share and value.is_integer() else value
        return cls(metric.name, whole, share, " to ".join(ends), images, metric.reported, metric.meaning)


def verdict(conclusion: Conclusion) -> tuple[str, str]:
    """Return a conclusion's verdict, as a word and as a sign."""
    words: dict[bool | None, tuple[str, str]] = {
        True: ("as expected", "✓"),
        False: ("not as expected", "✗"),
        None: ("undecided", "–"),
    }
    return words[conclusion.holds]


def reason(section: Written) -> str:
    """Say why a section is left out, to somebody who made the report by a command."""
    return as_options(section.reason)


def said(value: Any) -> str:
    """Write the value of a parameter."""
    if isinstance(value, list | tuple):
        return ", ".join(map(said, value)) or "-"
    return number(value) if value is None or isinstance(value, bool) else str(value)


def told(report: Report) -> str:
    """Say in one line what the report is about, and when it was made."""
    data = report.record["dataset"]
    about = f"of {models(report)}"
    images = f", on {data['name']}/{data['split']}" if data else ""
    return (
        f"The {report.profile.name} report {about}{images}, made by {generator()} on {report.record['created'][:10]}."
    )


def models(report: Report) -> str:
    """What the report is of: where its model lies, or its models, where it is of results."""
    of = report.record.get("models") or [report.record["model"]]
    return " and ".join(dict.fromkeys(str(model["path"] or "a live model") for model in of))


def generator() -> str:
    """What made the report, as it says of itself."""
    return f"cnnlab {versions()['cnnlab']}"


def about(report: Report) -> list[tuple[str, str]]:
    """Return what repeats the report: names and values."""
    record = report.record
    data = record["dataset"] or {}
    of_results = "results" in record
    facts: dict[str, Any] = {
        "made": record["created"],
        **_of_models(record.get("models") or [record["model"]]),
        "results": len(record["results"]) if of_results else None,
        "dataset": f"{data['name']}, its {data['split']} images" if data else None if of_results else "none",
        "dataset digest": data.get("digest"),
        "seed": record["seed"],
        "device": record["device"],
        "seconds": record["seconds"],
        "command": record["command"] or None,
        "versions": ", ".join(f"{name} {version}" for name, version in record["versions"].items()),
    }
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def _of_models(models: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What is said of each model; of several by their numbers."""
    facts = {}
    for place, model in enumerate(models, start=1):
        which = f" {place}" if len(models) > 1 else ""
        facts[f"model{which}"] = model["path"] or "a live model"
        facts[f"kind of model{which}"] = model["kind"]
        facts[f"model{which} digest"] = model["digest"]
    return facts


def seconds(report: Report) -> Table:
    """Return how long each section took: what was kept from before takes none."""
    rows = [(each.title, round(each.seconds, 1)) for each in report.sections]
    return Table(("section", "seconds"), rows, title="Seconds by section", most=len(rows))


def command(figure: Figure, report: Report) -> str:
    """Return the command that makes a figure again: its own, or the report's where the report itself drew it."""
    return figure.command or str(report.record["command"])


def called(figure: int, written: Written) -> str:
    """Say what a figure is called, and whose it is, where it cannot be drawn."""
    return f"figure {figure}, of {whose(written)},"


def whose(written: Written) -> str:
    """Name a section, and the distribution that it is by."""
    return f"{written.title!r}{written.owner and f' ({written.owner})'}"


def figure_numbers(report: Report) -> Iterable[int]:
    """Number the figures, from 1, through all sections."""
    chapters = [each.chapter for each in report.sections if each.chapter]
    return range(1, 1 + sum(len(chapter.figures) for chapter in chapters))
