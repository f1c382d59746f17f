"""``cnnlab devices``: what there is to compute on."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def devices(as_json: bool) -> None:
    """Tell which devices TensorFlow sees.

    Where it sees no GPU, the table says why: no driver, no libraries of CUDA, or a TensorFlow that was
    built without it.
    """
    from cnnlab.devices.listing import listing
    from cnnlab.progress import status

    with status("Loading TensorFlow"):
        found = listing()
    if as_json:
        echo(json.dumps(asdict(found), indent=2))
        return
    from cnnlab.cli.views.tables import Column, fitted, print_all
    from cnnlab.console import Console

    rows = dict(found.devices)
    if found.why:
        rows["gpu"] = f"none: {found.why}"
    rows["TensorFlow"] = found.tensorflow
    rows["NVIDIA driver"] = found.driver or "none"
    if "built for CUDA" in found.tensorflow:
        rows["CUDA libraries"] = f"missing: {', '.join(found.missing)}" if found.missing else "found"
    console = Console()
    print_all(console, fitted([Column("device", list(rows)), Column("what it is", list(rows.values()))], console.width))
