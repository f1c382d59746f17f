"""A report as Markdown, its pictures in files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cnnlab.drawings.tables import Table
from cnnlab.files.seals import BLANK
from cnnlab.reports import telling
from cnnlab.reports.chapter import Chapter, Figure
from cnnlab.reports.report import Report, Written
from cnnlab.results.artifacts import Attached
from cnnlab.words import number

Look = tuple[str | None, str]
"""Where the picture of a figure lies, seen from the file; or None, and a note that says why there is none."""


def markdown(report: Report, pictures: Sequence[Look]) -> str:
    """Return a report as Markdown.

    Args:
        report: What to tell.
        pictures: Those of the figures.
    """
    return "\n".join(_lines(report, iter(pictures))) + "\n"


def _lines(report: Report, pictures: Iterator[Look]) -> Iterator[str]:
    yield f"<!-- made by {telling.generator()}, sha256 {BLANK} -->"
    yield from (f"# {escaped(report.title)}", "", escaped(telling.told(report)), "")
    for written in report.sections:
        yield from (f"## {escaped(written.title)}", "")
        if written.chapter is None:
            yield from (f"Left out: {escaped(telling.reason(written))}", "")
        else:
            yield from _chapter(written, written.chapter, report, pictures)
    yield from ("## About this report", "")
    yield from _table(Table(("", ""), telling.about(report), most=100))
    yield from _table(telling.seconds(report))


def _chapter(written: Written, chapter: Chapter, report: Report, pictures: Iterator[Look]) -> Iterator[str]:
    for paragraph in chapter.paragraphs:
        yield from (escaped(paragraph), "")
    yield from (*_command(written.command), *_files(written.attached))
    for figure in chapter.figures:
        yield from _figure(figure, telling.command(figure, report), next(pictures))
    for table in chapter.tables:
        yield from _table(table)
    if chapter.metrics:
        yield from _table(_metrics(chapter))
    for conclusion in chapter.conclusions:
        word, sign = telling.verdict(conclusion)
        yield from (f"- {sign} **{word}** {escaped(conclusion.says)}", f"  Rule: {escaped(conclusion.rule)}")
    yield ""


def _figure(figure: Figure, command: str, look: Look) -> Iterator[str]:
    picture, note = look
    shown = f"Note: {escaped(note)}" if picture is None else f"![{escaped(figure.caption)}](<{picture}>)"
    yield from (shown, "", escaped(figure.caption), "", *_command(command), *_files(figure.attached))


def _command(command: str) -> Sequence[str]:
    return ("```sh", command, "```", "") if command else ()


def _files(attached: Sequence[Attached]) -> Sequence[str]:
    return (f"With the saved result: {', '.join(escaped(file.name) for file in attached)}", "") if attached else ()


def _metrics(chapter: Chapter) -> Table:
    rows = []
    for row in map(telling.Row.of, chapter.metrics):
        reported = "" if row.reported is None else number(row.reported, row.is_share)
        rows.append((row.name, number(row.value, row.is_share), row.range, row.sample, reported, row.meaning))
    return Table(("metric", "value", "95% interval", "over", "reported", "meaning"), rows, most=len(rows))


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield from (f"**{escaped(table.title)}**", "")
    yield _row(table.heads)
    yield _row(["---"] * len(table.heads), raw=True)
    for row in table.shown:
        yield _row([number(cell, table.is_share(head, row)) for head, cell in zip(table.heads, row, strict=True)])
    yield from ((f"and {table.more}", "") if table.more else ("",))


def _row(cells: Sequence[Any], raw: bool = False) -> str:
    return f"| {' | '.join(str(cell) if raw else escaped(str(cell)) for cell in cells)} |"


def escaped(text: str) -> str:
    r"""Return a text that Markdown shows as it is: names of models and classes are anybody's.

    >>> escaped("a<b>|*c*")
    'a&lt;b&gt;\\|\\*c\\*'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{sign}" if sign in "\\`*_[]|#!" else sign for sign in text)
