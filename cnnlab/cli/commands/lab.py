"""``cnnlab lab``: every installed analysis in a page on this machine."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import replace
from pathlib import Path

import click

from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.cli.commands.completion import model_paths
from cnnlab.cli.commands.options import Place, about_options_only, device_option, with_options
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command, Option
from cnnlab.errors import CnnlabError

LISTENING = "Listening"

NEEDED = ("starlette", "uvicorn", "python_multipart")


@click.command(cls=Command)
@click.argument("models", metavar="[MODEL...]", nargs=-1, type=Place(), shell_complete=model_paths)
@click.option(
    "--port",
    cls=Option,
    heading=LISTENING,
    type=click.IntRange(0, 65535),
    default=0,
    help="The port to listen on. [default: any that is free]",
)
@click.option(
    "--host",
    cls=Option,
    heading=LISTENING,
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; any but this one lets others in who have the token.",
)
@click.option(
    "--browser/--no-browser",
    cls=Option,
    heading=LISTENING,
    default=True,
    show_default=True,
    help="Whether to open the page in a browser.",
)
@click.option(
    "--jobs",
    cls=Option,
    heading=LISTENING,
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="How many analyses run at the same time; the others wait.",
)
@about_options_only
@with_options(device_option())
def lab(
    choice: ModelChoice, models: tuple[Path, ...], port: int, host: str, browser: bool, jobs: int, device: str
) -> None:
    """Open a page on this machine in which every installed analysis runs: draw, ask, compare, train.

    MODEL is a run folder, a SavedModel folder, or a .keras or .h5 file; the newest run without it, and where there is
    none, one can train. Several are compared side by side. Prints the page's URL; Ctrl-C ends it.
    """
    if not all(importlib.util.find_spec(name) for name in NEEDED):
        raise CnnlabError(
            'the lab needs packages that are not installed; install them with `pip install "cnnlab[lab]"`.'
        )
    from cnnlab import runs
    from cnnlab.lab import serving

    newest = next((run.path for run in runs.list_runs() if run.state == "complete"), None)
    found = models or tuple(filter(None, [newest]))

    if warning := serving.warning_of(host):
        echo(f"Warning: {warning}", err=True)
    if not found:
        echo(f"Note: there is no complete run below {runs.DEFAULT_ROOT} yet; train one on the page.", err=True)
    place = serving.Place(host=host, port=port, browser=browser, at_once=jobs, device=device, more=choice)
    note = functools.partial(echo, err=True)
    serving.serve([replace(choice, model=model) for model in found], place, echo, note)
