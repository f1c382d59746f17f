"""Writing a report: whole or not at all, and over nothing but an earlier report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnnlab.files import write_beside, write_json
from cnnlab.render import save as save_figure
from cnnlab.reports import telling
from cnnlab.reports.chapter import Chapter
from cnnlab.reports.markdown import markdown
from cnnlab.reports.page import data_of, page
from cnnlab.reports.places import Format, check_file, pictures_of
from cnnlab.reports.report import SCHEMA, Report


def save(report: Report, path: Path, format: Format) -> list[Path]:
    """Write a report; see :meth:`Report.save`."""
    check_file(path, format)
    path.parent.mkdir(parents=True, exist_ok=True)
    if format == "json":
        write_json(path, to_json(report))
        return [path]
    if format == "html":
        return [_text(path, page(report))]
    folder = pictures_of(path)
    names = [f"figure-{number}.png" for number in telling.figure_numbers(report)]
    figures = [figure for each in report.sections if each.chapter for figure in each.chapter.figures]
    folder.mkdir(exist_ok=True)
    for name, figure in zip(names, figures, strict=True):
        with write_beside(folder / name) as place:
            save_figure(figure.drawing, place, None)
    return [_text(path, markdown(report, [f"{folder.name}/{name}" for name in names])), folder]


def _text(path: Path, text: str) -> Path:
    with write_beside(path) as place:
        place.write_text(text, encoding="utf-8")
    return path


def to_json(report: Report) -> dict[str, Any]:
    """Return everything that a report says as plain lists, numbers and texts."""
    return {
        "schema": SCHEMA,
        "report": telling.generator(),
        "title": report.title,
        **report.record,
        "sections": [
            {
                "name": each.name,
                "title": each.title,
                "seconds": each.seconds,
                "left_out": each.reason or None,
                **(_chapter(each.chapter) if each.chapter else {}),
            }
            for each in report.sections
        ],
    }


def _chapter(chapter: Chapter) -> dict[str, Any]:
    return {
        "says": list(chapter.paragraphs),
        "metrics": [metric.to_json() for metric in chapter.metrics],
        "tables": [
            {"title": table.title, "heads": list(table.heads), "rows": [list(row) for row in table.rows]}
            for table in chapter.tables
        ],
        "conclusions": [conclusion.to_json() for conclusion in chapter.conclusions],
        "figures": [data_of(figure) for figure in chapter.figures],
    }
