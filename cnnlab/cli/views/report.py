"""How a report looks in the terminal: a line for each section while it is written, and then what follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cnnlab.cli.spelling import as_options
from cnnlab.cli.views.result import paths, warn
from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.progress import console
from cnnlab.reports import telling
from cnnlab.reports.report import Report, Written

STYLES = {"holds": "green", "does not hold": "red", "left out": "dim"}


def told(section: Written, number: int, total: int) -> None:
    """Say that a section is written, on stderr, and how long it took."""
    left_out = f"  left out: {as_options(section.reason)}" if section.chapter is None else ""
    words = Text(f"{number:>2}/{total} {section.title}  {section.seconds:.1f} s{left_out}", style="dim")
    console().print(words, highlight=False, soft_wrap=True)


def show(report: Report, files: Sequence[Path]) -> None:
    """Print what follows from the numbers, section by section, and where the files are."""
    stdout = Console()
    stdout.print(Text(report.title, style="bold"))
    rows = [row for section in report.sections for row in _rows(section)]
    titles, verdicts, says, seconds = zip(*rows, strict=True)
    columns = [
        Column("section", titles),
        Column("verdict", verdicts, styles=STYLES),
        Column("what follows from the numbers", says),
        Column("seconds", seconds, number=True, style="dim", footer=f"{report.record['seconds']:.1f}"),
    ]
    print_all(stdout, fitted(columns, stdout.width))
    warn(report.warnings)
    paths(stdout, files)


def _rows(section: Written) -> list[tuple[str, str, str, str]]:
    """A row for each conclusion of a section; the first has its title and its seconds."""
    if section.chapter is None:
        told = [("left out", as_options(section.reason))]
    else:
        told = [(telling.verdict(each)[0], each.says) for each in section.chapter.conclusions] or [("", "")]
    heads = [(section.title, f"{section.seconds:.1f}"), *[("", "")] * (len(told) - 1)]
    return [(title, word, says, seconds) for (title, seconds), (word, says) in zip(heads, told, strict=True)]
