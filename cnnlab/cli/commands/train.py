"""``cnnlab train``: its options are made from the declaration of :class:`cnnlab.training.Settings`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from cnnlab.cli.commands.completion import architecture_names, dataset_names, recipe_names
from cnnlab.cli.commands.declared_options import option_for
from cnnlab.cli.commands.options import OUTPUT, Place, force_option, json_option
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command, Option
from cnnlab.errors import UsageError
from cnnlab.pluginhost.params import fields_of
from cnnlab.training.settings import Settings

COMPLETED = {"dataset": dataset_names, "architecture": architecture_names, "recipe": recipe_names}
"""What completes the values of these options."""

HEADINGS = dict.fromkeys(("dataset", "validation", "limit"), "Data") | dict.fromkeys(
    ("architecture", "batch_norm", "sync_batch_norm"), "Network"
)
"""Under which heading the help shows what is not about training itself."""

OWN = [
    Option(
        ["--devices", "--device", "device"],
        heading="Training",
        default="auto",
        show_default=True,
        help="What to compute on: auto, cpu or gpu:0; or several, which share each batch: all (GPUs), or cpu:N.",
    ),
    Option(
        ["--out"],
        heading=OUTPUT,
        type=Place(),
        help="The run folder. [default: a new one below runs/]",
    ),
    force_option("Begin also in a folder that holds other files. Those called as a run's are replaced, no other."),
    Option(
        ["--resume"],
        heading=OUTPUT,
        is_flag=True,
        help="Go on with the run in --out (without --out: the newest unfinished one), with the settings that it was "
        "started with. A folder that does not exist yet is begun; a complete run is left as it is.",
    ),
    Option(
        ["--seeds"],
        metavar="SEED,SEED",
        heading="Training",
        help="Train once with each of these seeds, and tell mean and spread. The folders are called as --out says (by "
        "default the dataset and the network, below runs/), -seed0 and so on behind it. Given again, it goes on: "
        "complete runs are left as they are.",
    ),
    Option(
        ["--tensorboard"],
        heading=OUTPUT,
        is_flag=True,
        help="Write losses, learning rate and the first kernels for TensorBoard, into the run's folder tensorboard: "
        "`tensorboard --logdir runs` shows all runs.",
    ),
    Option(
        ["--profile"],
        heading=OUTPUT,
        is_flag=True,
        help="Profile a few steps for TensorBoard, too.",
    ),
    json_option("run.json (with --seeds: all of them, and their spread)"),
]


def _callback(**values: Any) -> None:
    """Sort the values into settings that somebody gave, and the rest; then train."""
    context = click.get_current_context()
    given = {
        field.public: values[field.name]
        for field in fields_of(Settings)
        if context.get_parameter_source(field.name) is not click.core.ParameterSource.DEFAULT
    }
    if values["seeds"] is not None:
        _train_seeds(values["seeds"], given, values)
    else:
        _train(given, values)


def _train(given: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Train as it was asked for, then show the result; a run that is gone on with has its own settings."""
    from cnnlab.cli.views import training as view
    from cnnlab.devices import cluster
    from cnnlab.training import run_choice, train as train_network
    from cnnlab.training.live import RichReporter

    out, resume, force = values["out"], values["resume"], values["force"]
    before = run_choice.find_unfinished(out, force=force) if resume else None
    if before is not None:
        out, given = before.path, run_choice.stored_settings(before, given) | given
    if before is None or not before.complete:
        Settings.from_public(dict(given))
    board = {name: values[name] for name in ("tensorboard", "profile")}
    done = train_network(
        **given, **board, device=values["device"], out=out, resume=resume, force=force, reporter=RichReporter()
    )
    together = cluster.from_environment(os.environ)
    if together and together.index:
        return  # the first process shows it
    if values["as_json"]:
        sys.stdout.write(done.record_path.read_text(encoding="utf-8"))
    else:
        view.show(done)


def _train_seeds(text: str, given: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Train with one seed after the other, then show how the results spread."""
    from cnnlab.cli.views import training as view
    from cnnlab.runs.comparison import Spread
    from cnnlab.training import seeds
    from cnnlab.training.live import RichReporter

    wanted = seeds.parse(text)
    if "seed" in given:
        raise UsageError("--seed and --seeds exclude each other; give one of them.")
    others = {name: values[name] for name in ("out", "device", "force", "tensorboard", "profile")}
    runs = seeds.train_seeds(wanted, given, **others, reporter=RichReporter)
    label = str(runs[0].path).removesuffix(f"-seed{wanted[0]}")
    spread = Spread.of(label, runs)
    if values["as_json"]:
        echo(json.dumps({"runs": [run.config for run in runs], "over_seeds": asdict(spread)}, indent=2))
    else:
        view.show_seeds(runs, spread)


def _options() -> list[click.Parameter]:
    declared = [
        option_for(field, COMPLETED.get(field.name), heading=HEADINGS.get(field.name, "Training"))
        for field in fields_of(Settings)
    ]
    return [*declared, *OWN]


train = Command(
    "train",
    params=_options(),
    callback=_callback,
    help="""Train a network, and leave a run folder.

    The folder holds the model (model/, model.keras), run.json, history.csv, curves.png, predictions.png and
    confusion.png. Ctrl-C, SIGTERM and SIGHUP keep what is done, and --resume goes on with it.
    """,
    short_help="Train a network, and leave a run folder.",
)
