"""How the verification of a result looks in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from cnnlab.cli.views.tables import Column, fitted, print_all

if TYPE_CHECKING:
    from cnnlab.adversarial.verify import Report

STYLES = {"holds": "green", "fails": "bold red", "note": "yellow", "not checked": "dim"}


def show(report: Report) -> None:
    """Print every claim and whether it holds."""
    console = Console()
    if report.failed:
        wrong = ", ".join(dict.fromkeys(finding.claim for finding in report.failed))
        console.print(Text(f"Not verified: {wrong}", style="bold red"))
    else:
        console.print(Text("Verified: every claim that was checked holds", style="bold"))
    about = f"{report.record.get('analysis')} in {report.directory}, held against {report.model.path}"
    console.print(Text(about, style="dim"))
    columns = [
        Column("claim", [finding.claim for finding in report.findings]),
        Column("state", [finding.state for finding in report.findings], styles=STYLES),
        Column("found", [finding.says for finding in report.findings]),
    ]
    print_all(console, fitted(columns, console.width))
