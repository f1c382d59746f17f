"""``cnnlab verify DIR``: hold every claim of a saved result against its files and its model, read afresh."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnnlab.cli.completion import model_paths
from cnnlab.cli.model import TRUST

if TYPE_CHECKING:
    from cnnlab.analysis.reverify import Report

STYLES = {"holds": "green", "fails": "bold red", "note": "yellow", "not checked": "dim"}


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    shell_complete=model_paths,
    help="Hold it against this model. [default: the one that result.json names]",
)
@click.option("--trust", is_flag=True, help=TRUST)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, or gpu:0.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON on stdout and nothing else there.")
def verify(directory: Path, model: Path | None, trust: bool, device: str, as_json: bool) -> int:
    """Verify a saved result: read it, its images and its model afresh, and check every claim in it.

    DIRECTORY is what `cnnlab analyze NAME --out DIRECTORY` wrote. Adversarial images are run through the model again,
    from the arrays and from the PNG files. Exits with status 1 when a claim does not hold.
    """
    from cnnlab.analysis.reverify import reverify
    from cnnlab.classifier.device import use_device
    from cnnlab.cli.progress import status

    with use_device(device), status("Verifying"):
        report = reverify(directory, model, trust=trust)
    if as_json:
        sys.stdout.write(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        _show(report)
    return 1 if report.failed else 0


def _show(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

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
