"""How a report looks in the terminal: a line for each section while it is written, and then what follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cnnlab.cli.views.result import paths, warn
from cnnlab.console import Console
from cnnlab.progress import console
from cnnlab.reports import telling
from cnnlab.reports.report import Report, Written

STYLES = {"as expected": "green", "not as expected": "bold red", "undecided": "dim"}


def told(section: Written, number: int, total: int) -> None:
    """Say that a section is written, on stderr, and how long it took."""
    words = f"{number:>2}/{total}  {section.title}  {section.seconds:.1f} s{'  left out' if section.reason else ''}"
    console().print(Text(words, style="dim"), highlight=False, soft_wrap=True)


def show(report: Report, files: Sequence[Path]) -> None:
    """Print what follows from the numbers, section by section, and where the files are."""
    stdout = Console()
    stdout.print(Text(report.title, style="bold"))
    stdout.print(Text(f"{telling.told(report)} It took {report.record['seconds']:.1f} s.", style="dim"))
    for section in report.sections:
        stdout.print()
        stdout.print(Text.assemble((section.title, "bold"), (f"  {section.seconds:.1f} s", "dim")))
        stdout.print(Padding(_lines(section), (0, 0, 0, 2)))
    stdout.print()
    warn(report.warnings)
    paths(stdout, files)


def _lines(section: Written) -> Table:
    """What follows in a section, line by line, each behind its sign."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column()
    if section.headline:
        table.add_row("", Text(section.headline))
    if section.chapter is None:
        table.add_row("", Text(f"left out: {telling.reason(section)}", style="dim"))
    for conclusion in section.chapter.conclusions if section.chapter else ():
        word, sign = telling.verdict(conclusion)
        table.add_row(Text(sign, style=STYLES[word]), Text(conclusion.says))
    return table
