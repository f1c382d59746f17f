"""Writing a report: whole or not at all, and over nothing but an earlier report."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from cnnlab.files.seals import BLANK, seal
from cnnlab.files.writing import alone_in, move_up, write_beside, write_into
from cnnlab.interrupts import keeping
from cnnlab.render import save as save_figure
from cnnlab.render.trying import tried
from cnnlab.reports import telling
from cnnlab.reports.chapter import Chapter, Figure
from cnnlab.reports.markdown import markdown
from cnnlab.reports.page import data_of, page
from cnnlab.reports.places import Format, check_file, is_own_picture, picture, pictures_of
from cnnlab.reports.report import SCHEMA, Report


def save(report: Report, path: Path, format: Format, *, force: bool = False) -> list[Path]:
    """Write a report; see :meth:`Report.save`."""
    check_file(path, format, force=force)
    if format == "md":
        return _with_pictures(report, path)
    text = (
        page(report)
        if format == "html"
        else json.dumps(to_json(report), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    )
    with write_beside(path) as beside:
        _write(beside, text, format)
    return [path]


def _write(path: Path, text: str, format: Format) -> None:
    path.write_bytes(seal(text.encode(), format))


def _with_pictures(report: Report, path: Path) -> list[Path]:
    """Write Markdown and its pictures. Those of the report before go once no text refers to them."""
    folder = pictures_of(path)
    figures = [(figure, each) for each in report.sections if each.chapter for figure in each.chapter.figures]
    with write_into(path.parent) as stage:
        (stage / folder.name).mkdir()
        numbers = telling.figure_numbers(report)
        looks = [
            tried(
                partial(_drawn, figure, number, stage / folder.name),
                f"{telling.called(number, written)} could not be drawn",
            )
            for number, (figure, written) in zip(numbers, figures, strict=True)
        ]
        names = [name for name, _ in looks if name is not None]
        _write(stage / path.name, markdown(report, looks), "md")
        with alone_in(path.parent), keeping():
            move_up(stage, path.parent, [*names, path.name])
            for file in folder.iterdir() if names else ():
                if f"{folder.name}/{file.name}" not in names and is_own_picture(file):
                    file.unlink()
    return [path, folder] if names else [path]


def _drawn(figure: Figure, number: int, folder: Path) -> str:
    """Draw a figure into a folder, and return where that is, seen from beside the folder."""
    plain = folder / "figure.png"
    save_figure(figure.drawing, plain, None)
    name = picture(number, plain.read_bytes())
    plain.rename(folder / name)
    return f"{folder.name}/{name}"


def to_json(report: Report) -> dict[str, Any]:
    """Return everything that a report says as plain lists, numbers and texts; its digest is made as it is written."""
    return {
        "schema": SCHEMA,
        "report": telling.generator(),
        "digest": BLANK,
        "title": report.title,
        **report.record,
        "sections": [
            {
                "name": each.name,
                "title": each.title,
                "seconds": each.seconds,
                "left_out": each.reason or None,
                "command": each.command or None,
                "attached": [file.name for file in each.attached],
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
