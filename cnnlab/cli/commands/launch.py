"""``cnnlab launch``: several processes of this machine that work together."""

from __future__ import annotations

import click

from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command, Option
from cnnlab.devices import launching


def _callback(count: int, command: tuple[str, ...]) -> int:
    return launching.launch(count, command, lambda words: echo(f"Error: {words}", err=True))


launch = Command(
    "launch",
    params=[
        Option(
            ["-n", "--processes", "count"],
            type=click.IntRange(1, 256),
            required=True,
            heading="Processes",
            help="How many to start.",
        ),
        click.Argument(["command"], nargs=-1, required=True, type=click.UNPROCESSED),
    ],
    callback=_callback,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    help="""Run a command in several processes of this machine that work together.

    `cnnlab launch -n 4 -- cnnlab train --out runs/four` trains one network with four processes. Each
    finds the others by TF_CONFIG, as on a cluster, where SLURM or Kubernetes starts them instead. The
    first has the terminal. Ctrl-C goes to all, and where one fails the others end.
    """,
    short_help="Run a command in several processes that work together.",
)
