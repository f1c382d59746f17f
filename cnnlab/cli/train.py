"""``cnnlab train``: its options are made from the declaration of :class:`cnnlab.training.Settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cnnlab.cli.analyze import option_for
from cnnlab.cli.completion import architecture_names, dataset_names
from cnnlab.plugins.params import fields_of
from cnnlab.training.settings import Settings

COMPLETED = {"dataset": dataset_names, "architecture": architecture_names}
"""What completes the values of these options."""

OWN = [
    click.Option(["--device"], default="auto", show_default=True, help="auto, cpu, or gpu:0."),
    click.Option(
        ["--out"],
        type=click.Path(path_type=Path),
        help="The run folder. [default: a new one below runs/]",
    ),
    click.Option(
        ["--resume"],
        is_flag=True,
        help="Go on with the run in --out (without --out: the newest unfinished one), with the settings that it was "
        "started with. A folder that does not exist yet is begun; a complete run is left as it is.",
    ),
    click.Option(["--json", "as_json"], is_flag=True, help="Print run.json on stdout and nothing else there."),
]


def _callback(**values: Any) -> None:
    """Sort the values into settings that somebody gave, and the rest; then train."""
    context = click.get_current_context()
    given = {
        field.public: values[field.name]
        for field in fields_of(Settings)
        if context.get_parameter_source(field.name) is not click.core.ParameterSource.DEFAULT
    }
    from cnnlab.cli.training import run

    run(
        given,
        device=values["device"],
        out=values["out"],
        resume=values["resume"],
        as_json=values["as_json"],
    )


def _options() -> list[click.Parameter]:
    declared = [option_for(field, shell_complete=COMPLETED.get(field.name)) for field in fields_of(Settings)]
    return [*declared, *OWN]


train = click.Command(
    "train",
    params=_options(),
    callback=_callback,
    help="""Train a network, and leave a run folder.

    The folder holds the model (model/, model.keras), run.json, history.csv, curves.png, predictions.png and
    confusion.png. Ctrl-C keeps what is done, and --resume goes on with it.
    """,
    short_help="Train a network, and leave a run folder.",
)
