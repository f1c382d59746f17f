"""A report as one self-contained page: no script, font or image from elsewhere, readable without its script."""

from __future__ import annotations

import csv
import functools
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup

from cnnlab.drawings import to_json
from cnnlab.files.seals import BLANK
from cnnlab.render import html
from cnnlab.render.html.addresses import data_url
from cnnlab.reports import telling
from cnnlab.reports.chapter import Figure
from cnnlab.reports.report import Report, Written


@dataclass(frozen=True)
class Link:
    """A file that the page holds: its name, and its content as a ``data:`` address.

    Or, where another figure has the same file, that figure's address: the page holds each once.
    """

    name: str
    href: str

    @property
    def is_held(self) -> bool:
        """Whether it is the file itself."""
        return self.href.startswith("data:")

    @classmethod
    def of(cls, name: str, kind: str, text: str) -> Link:
        """Make one of a text."""
        return cls(name, data_url(text.encode(), kind))


def page(report: Report) -> str:
    """Return the page of a report."""
    script = html.script()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            title=report.title,
            told=telling.told(report),
            sections=list(_sections(report)),
            about=telling.about(report),
            seconds=telling.seconds(report),
            generator=f"{telling.generator()}, sha256 {BLANK}",
            style=html.style(),
            own_style=Markup(resources.files(__package__).joinpath("templates", "report.css").read_text("utf-8")),
            script=script,
            policy=html.policy(),
        )
    )


def _sections(report: Report) -> Iterator[dict[str, Any]]:
    """What the template shows of each section."""
    numbers = iter(telling.figure_numbers(report))
    held: dict[str, int] = {}
    for written in report.sections:
        chapter = written.chapter
        yield {
            "name": written.name,
            "title": written.title,
            "reason": telling.reason(written),
            "headline": written.headline,
            "command": written.command,
            "attached": written.attached,
            "paragraphs": chapter.paragraphs if chapter else (),
            "tables": chapter.tables if chapter else (),
            "metrics": [telling.Row.of(metric) for metric in chapter.metrics] if chapter else [],
            "conclusions": chapter.conclusions if chapter else (),
            "figures": [_figure(each, next(numbers), written, report, held) for each in chapter.figures]
            if chapter
            else [],
        }


def _figure(figure: Figure, number: int, written: Written, report: Report, held: dict[str, int]) -> dict[str, Any]:
    """What the template shows of a figure.

    Args:
        figure: The figure.
        number: Its number.
        written: The section that shows it.
        report: The report.
        held: By their addresses the files that the page holds already, and at which figure; its own are added.
    """
    return {
        "number": number,
        "drawn": html.shown(figure.drawing, telling.called(number, written), figure.images),
        "caption": figure.caption,
        "command": telling.command(figure, report),
        "params": figure.params,
        "seed": figure.seed,
        "links": list(_links(figure, number, held)),
    }


def _links(figure: Figure, number: int, held: dict[str, int]) -> Iterator[Link]:
    yield Link.of(f"figure-{number}.json", "application/json", json.dumps(data_of(figure), ensure_ascii=False))
    if figure.rows:
        yield Link.of(f"figure-{number}.csv", "text/csv", _csv(figure.rows))
    for file in figure.attached:
        if file.address:
            at = held.setdefault(f"{file.name} {file.address}", number)
            here = Link(file.name, file.address)
            yield here if at == number else Link(f"{file.name} at figure {at}", f"#figure-{at}")


def data_of(figure: Figure) -> dict[str, Any]:
    """Return what is behind a figure: plain lists, numbers and texts."""
    return {
        "caption": figure.caption,
        "command": figure.command,
        "params": dict(figure.params),
        "seed": figure.seed,
        "images": list(figure.images),
        "rows": [dict(row) for row in figure.rows],
        "drawing": json.loads(to_json({"": figure.drawing}))[""],
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def coded(text: str) -> Markup:
    """Return a text for a page, its words in backticks as code; a backtick without another stays one.

    >>> coded("`cnnlab train` makes <one>")
    Markup('<code>cnnlab train</code> makes &lt;one&gt;')
    """
    pieces = re.split(r"`([^`]+)`", text.translate(html.UNSEEN))
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(pieces))


@functools.cache
def _environment() -> Environment:
    """The environment of drawings, with the templates of reports before its own."""
    drawings = html.environment()
    assert drawings.loader is not None
    made = drawings.overlay(loader=ChoiceLoader([PackageLoader(__package__, "templates"), drawings.loader]))
    made.filters = {**drawings.filters, "said": telling.said, "coded": coded}
    made.globals = {**drawings.globals, "verdict_of": telling.verdict}
    return made
