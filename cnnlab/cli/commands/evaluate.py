"""``cnnlab evaluate``: how well a model does on a dataset."""

from __future__ import annotations

import json

import click

from cnnlab.analysis import gates as gating
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.cli.commands.completion import dataset_names
from cnnlab.cli.commands.options import (
    IMAGES,
    device_option,
    gates_option,
    json_option,
    model_options,
    with_options,
)
from cnnlab.cli.help import Command, Option


@click.command(cls=Command)
@model_options
@click.option(
    "--dataset",
    cls=Option,
    heading=IMAGES,
    shell_complete=dataset_names,
    help="A dataset: a name, or a path. See `cnnlab datasets`. [default: the one the run was trained on]",
)
@click.option(
    "--split",
    cls=Option,
    heading=IMAGES,
    type=click.Choice(["train", "test"]),
    default="test",
    show_default=True,
    help="Its part.",
)
@click.option("--limit", cls=Option, heading=IMAGES, type=click.IntRange(min=1), help="Only the first so many images.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="At most so many images in memory at a time.",
)
@with_options(device_option(), gates_option(), json_option())
def evaluate(
    choice: ModelChoice,
    dataset: str | None,
    split: str,
    limit: int | None,
    batch_size: int,
    device: str,
    gates: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell how well a model does on a dataset: accuracy, loss, each class, speed.

    The metrics, for --fail-under: accuracy, loss (mean cross-entropy, in nats), worst_class_accuracy,
    class_accuracy/NAME of one class, images_per_second (of the model itself, reading not counted).
    """
    from cnnlab.inspection.evaluation import METRICS

    wanted = gating.parse(gates, METRICS, "evaluate")
    _ = choice.source

    import cnnlab
    from cnnlab.classifier.device import use_device
    from cnnlab.cli.views import evaluation as view
    from cnnlab.cli.views.result import warn
    from cnnlab.progress import RichProgress

    progress = RichProgress()
    with use_device(device, progress):
        with progress.stage("Opening the model"):
            classifier = choice.open()
        found = cnnlab.evaluate(
            classifier,
            dataset,
            split=split,
            limit=limit,
            batch_size=batch_size,
            device=device,
            progress=progress,
        )
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        view.show(found)
    warn(found.notes)
    gating.judge(wanted, found.metrics)
