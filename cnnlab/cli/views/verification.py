"""How the verification of a result or of a run looks in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.console import Console

if TYPE_CHECKING:
    from cnnlab.adversarial.judge import Finding
    from cnnlab.verification.report import Report

STYLES = {"holds": "green", "fails": "bold red", "note": "yellow"}


def show(report: Report) -> None:
    """Print the verdict, every claim and whether it holds, and what was not checked."""
    from cnnlab.verification.report import names

    console = Console()
    verdict = report.verdict.capitalize() + (f": {', '.join(names(report.failed))}" if report.failed else "")
    console.print(Text(verdict, style="bold red" if report.failed else "bold"))
    console.print(Text(f"{report.of} in {report.directory}, held against {report.model.path}", style="dim"))
    looked_at = [finding for finding in report.findings if finding.state != "not checked"]
    print_all(console, fitted(_columns(looked_at), console.width))
    if report.not_checked:
        console.print(Text("\nNot checked", style="bold"))
        claims, _, found = _columns(report.not_checked)
        print_all(console, fitted([claims, found], console.width))


def _columns(findings: list[Finding]) -> list[Column]:
    return [
        Column("claim", [finding.claim for finding in findings]),
        Column("state", [finding.state for finding in findings], styles=STYLES),
        Column("found", [finding.says for finding in findings]),
    ]
