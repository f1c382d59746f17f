"""``cnnlab inspect``: what a model is, what it expects, and what can be asked of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.cli.commands.completion import model_paths
from cnnlab.cli.commands.options import MODEL, Place, about_options_only, device_option, json_option, with_options
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command, Option


@click.command(cls=Command)
@click.argument("model", required=False, type=Place(), shell_complete=model_paths)
@about_options_only
@click.option(
    "--remember",
    cls=Option,
    heading=MODEL,
    is_flag=True,
    help="Keep what these options say in cnnlab.json beside the model, for every command.",
)
@with_options(device_option(), json_option())
def inspect(choice: ModelChoice, model: Path | None, remember: bool, device: str, as_json: bool) -> None:
    """Tell what a model is: who wrote it, what it expects and gives, its layers, and what can be asked of it.

    MODEL is a run folder, a SavedModel folder, or a .keras or .h5 file; the newest run without it.
    """
    choice = replace(choice, model=model)
    _ = choice.source

    import cnnlab
    from cnnlab.classifier import hints
    from cnnlab.cli.views import inspection as view
    from cnnlab.devices.choice import use_devices
    from cnnlab.progress import status

    with use_devices(device), status("Opening and inspecting the model"):
        found = cnnlab.inspect(choice.open())
    if as_json:
        echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        view.show(found)
    if remember:
        echo(f"Remembered in {hints.remember(choice.source, found.classifier.about)}", err=True)
