"""``cnnlab evaluate``: how well a model does on a dataset."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cnnlab.analysis import gates as gating
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.cli.commands.completion import dataset_names
from cnnlab.cli.commands.options import (
    IMAGES,
    OUTPUT,
    RESULTS,
    Place,
    device_option,
    force_option,
    gates_option,
    json_option,
    keep_option,
    model_options,
    with_options,
)
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command, Option
from cnnlab.results.keeping import Keep


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
@click.option(
    "--out",
    cls=Option,
    heading=OUTPUT,
    type=Place(),
    help="Save it as a result: figures, arrays, predictions.csv. [default: nothing is written]",
)
@with_options(force_option(RESULTS), keep_option(), device_option(), gates_option(), json_option())
def evaluate(
    choice: ModelChoice,
    dataset: str | None,
    split: str,
    limit: int | None,
    batch_size: int,
    out: Path | None,
    force: bool,
    keep: Keep,
    device: str,
    gates: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell how well a model does on a dataset: accuracy, loss, calibration, classes, speed.

    --out saves it as a result: confusion, reliability diagram, most confident mistakes, and predictions.csv. The
    metrics, for --fail-under: accuracy (accuracy_low and accuracy_high are its 95% interval), loss (mean cross-entropy,
    in nats), worst_class_accuracy, class_accuracy/NAME of one class, mean_confidence, expected_calibration_error (over
    15 bins), calibration_standard_error, calibration_error_by_chance and calibration_error_by_chance_high (of a
    perfectly calibrated model on as many images), brier_score, images_per_second (of the model itself, reading not
    counted).
    """
    from cnnlab.inspection.evaluation import METRICS
    from cnnlab.results.folder import check_folder

    wanted = gating.parse(gates, METRICS, "evaluate")
    _ = choice.source
    if out is not None:
        check_folder(out, force=force)

    import cnnlab
    from cnnlab.cli.views import evaluation as view
    from cnnlab.cli.views.result import warn
    from cnnlab.devices.choice import use_all_devices
    from cnnlab.progress import RichProgress

    progress = RichProgress()
    with use_all_devices(device, progress) as replicas:
        with progress.stage("Opening the model"):
            classifier = choice.open()
        found = cnnlab.evaluate(
            classifier,
            dataset,
            split=split,
            limit=limit,
            batch_size=batch_size,
            progress=progress if replicas.is_chief else False,
        )
    if not replicas.is_chief:
        return  # the first process shows and saves it
    files = []
    if out is not None:
        with progress.stage("Drawing and saving"):
            files = found.result(keep).save(out, force=force)
    if as_json:
        echo(json.dumps(found.to_json(), indent=2))
    else:
        view.show(found, files)
    warn((*classifier.notes, *found.notes))
    gating.judge(wanted, found.metrics)
