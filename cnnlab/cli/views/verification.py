"""How the verification of a result looks in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from cnnlab.adversarial.verify import Report

STYLES = {"holds": "green", "fails": "bold red", "note": "yellow", "not checked": "dim"}


def show(report: Report) -> None:
    """Print every claim and whether it holds."""
    console = Console()
    about = f"{report.record.get('analysis')} in {report.directory}, held against {report.model.path}"
    console.print(escape(about), highlight=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("claim", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("found", overflow="fold")
    for finding in report.findings:
        style = STYLES[finding.state]
        table.add_row(escape(finding.claim), f"[{style}]{finding.state}[/]", escape(finding.says))
    console.print(table)
    if report.failed:
        wrong = ", ".join(dict.fromkeys(finding.claim for finding in report.failed))
        console.print(f"[bold red]Not verified:[/] {escape(wrong)}.", highlight=False)
    else:
        console.print("[green]Verified:[/] every claim that was checked holds.", highlight=False)
