"""``cnnlab verify DIR``: hold every claim of a saved result against its files and its model, read afresh."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from cnnlab.cli.commands.completion import model_paths
from cnnlab.cli.commands.options import MODEL, device_option, json_option, trust_options, with_options
from cnnlab.cli.help import Command, Option


@click.command(cls=Command)
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--model",
    cls=Option,
    heading=MODEL,
    type=click.Path(path_type=Path),
    shell_complete=model_paths,
    help="Hold it against this model. [default: the one that result.json names]",
)
@with_options(*trust_options(), device_option(), json_option("the findings as JSON"))
def verify(directory: Path, model: Path | None, device: str, as_json: bool, **trust: Any) -> int:
    """Verify a saved result: read it, its images and its model afresh, and check every claim in it.

    DIRECTORY is what `cnnlab analyze NAME --out DIRECTORY` wrote. Adversarial images are run through the model again,
    from the arrays and from the PNG files. Exits with status 1 when a claim does not hold.
    """
    import cnnlab
    from cnnlab.classifier.device import use_device
    from cnnlab.progress import status

    with use_device(device), status("Verifying"):
        report = cnnlab.verify(directory, model, **trust)
    if as_json:
        sys.stdout.write(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        from cnnlab.cli.views import verification

        verification.show(report)
    return 1 if report.failed else 0
