"""What a notebook shows of a report, and of one of its sections."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cnnlab.drawings.tables import Table
from cnnlab.render.html.notebook import notebook
from cnnlab.reports import telling

if TYPE_CHECKING:
    from cnnlab.reports.chapter import Chapter, Conclusion
    from cnnlab.reports.report import Report, Written


def of_report(report: Report) -> str:
    """Return what a cell shows of a report: its conclusions, section by section; a section left out says why."""
    rows = [row for each in report.sections for row in _rows(each)]
    table = Table(("section", "verdict", "conclusion"), rows, most=len(rows))
    return notebook(telling.told(report), headline=report.title, notes=report.warnings, tables=[table])


def of_section(written: Written) -> str:
    """Return what a cell shows of a section: what it says, its figures, numbers and conclusions."""
    if written.chapter is None:
        return notebook(f"Left out: {written.reason}", headline=written.title)
    chapter = written.chapter
    return notebook(
        " ".join([*chapter.paragraphs, *filter(None, [written.command])]),
        headline=written.title,
        drawings=[figure.drawing for figure in chapter.figures],
        called=f"a figure of {telling.whose(written)}",
        attached=written.attached,
        tables=[_captions(chapter), *chapter.tables, _numbers(chapter), _conclusions(chapter)],
    )


def _rows(written: Written) -> Iterable[tuple[str, str, str]]:
    if written.chapter is None:
        return [(written.title, "left out", written.reason)]
    return [(written.title, _verdict(each), each.says) for each in written.chapter.conclusions]


def _verdict(conclusion: Conclusion) -> str:
    word, sign = telling.verdict(conclusion)
    return f"{sign} {word}".replace(" ", "\N{NO-BREAK SPACE}")


def _captions(chapter: Chapter) -> Table:
    rows = [(each.caption, each.command) for each in chapter.figures]
    return Table(("figure, in this order", "made by"), rows, most=len(rows))


def _numbers(chapter: Chapter) -> Table:
    rows = [
        (row.name, row.value, row.range, row.sample, row.reported, row.meaning)
        for row in map(telling.Row.of, chapter.metrics)
    ]
    shares = {metric.name for metric in chapter.metrics if telling.Row.of(metric).is_share}
    return Table(("metric", "value", "95% interval", "over", "reported", "meaning"), rows, shares, most=len(rows))


def _conclusions(chapter: Chapter) -> Table:
    rows = [(_verdict(each), each.says, each.rule) for each in chapter.conclusions]
    return Table(("verdict", "conclusion", "rule"), rows, most=len(rows))
