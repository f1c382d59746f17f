"""``cnnlab verify DIR``: hold every claim of a saved result or a run against its files and its model, read afresh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cnnlab.cli.commands.completion import model_paths
from cnnlab.cli.commands.options import MODEL, Place, device_option, json_option, trust_options, with_options
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command, Option


@click.command(cls=Command)
@click.argument("directory", type=Place())
@click.option(
    "--model",
    cls=Option,
    heading=MODEL,
    type=Place(),
    shell_complete=model_paths,
    help="Hold a result against this model. [default: the one that result.json names]",
)
@click.option(
    "--rerun",
    is_flag=True,
    help="Run the analysis again too, and compare: only this shows that parameters and seed gave these arrays.",
)
@with_options(*trust_options(), device_option(), json_option("the findings as JSON"))
def verify(directory: Path, model: Path | None, rerun: bool, device: str, as_json: bool, **trust: Any) -> int:
    """Verify a saved result or a run: read everything afresh, check every claim, and name what was not checked.

    DIRECTORY is what `cnnlab analyze NAME --out DIRECTORY`, `cnnlab evaluate --out DIRECTORY` or `cnnlab train` wrote.
    Of a result, files are held against their digests, figures drawn again, numbers worked out from the arrays, and
    adversarial images run through the model. A run is evaluated again, and both forms of its model compared.
    Exits with status 1 when a claim does not hold.
    """
    import cnnlab
    from cnnlab.devices.choice import use_devices
    from cnnlab.progress import status

    with use_devices(device), status("Verifying"):
        report = cnnlab.verify(directory, model, rerun=rerun, **trust)
    if as_json:
        echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        from cnnlab.cli.views import verification

        verification.show(report)
    return 1 if report.failed else 0
