"""``cnnlab predict``: what a model says of images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cnnlab.cli.commands.options import (
    OUTPUT,
    about_options,
    device_option,
    json_option,
    model_option,
    other_image_options,
    take_images,
    take_model,
    with_options,
)
from cnnlab.cli.help import Command, Option
from cnnlab.errors import UsageError


@click.command(cls=Command)
@click.argument("images", nargs=-1, metavar="[IMAGE]...", type=click.Path(path_type=Path))
@with_options(model_option(), *about_options(), *other_image_options())  # type: ignore[arg-type]
@click.option(
    "--top",
    cls=Option,
    heading=OUTPUT,
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How many classes are told of each image.",
)
@click.option("--csv", "as_csv", cls=Option, heading=OUTPUT, is_flag=True, help="Print all probabilities as CSV.")
@with_options(device_option(), json_option())
def predict(top: int, as_csv: bool, as_json: bool, device: str, **values: Any) -> None:
    """Tell what a model says of images: the likeliest classes, with their probabilities.

    IMAGE is an image file, or a folder of them; instead, --dataset names images of a dataset.
    """
    from cnnlab.analysis.prediction import check, predict_chosen

    model, images = take_model(values), take_images(values)
    images = replace(images, images=list(images.images) if images.images else None)
    if as_csv and as_json:
        raise UsageError("--csv and --json exclude each other; give one of them.")
    check(images)
    _ = model.source

    from cnnlab.classifier.device import use_device
    from cnnlab.cli.views import prediction as view
    from cnnlab.cli.views.result import warn
    from cnnlab.progress import RichProgress

    progress = RichProgress()
    with use_device(device, progress):
        with progress.stage("Opening the model"):
            classifier = model.open()
        found = predict_chosen(classifier, images, progress)
    if as_json:
        click.echo(json.dumps(found.to_json(top), indent=2, ensure_ascii=False))
    elif as_csv:
        click.echo(found.to_csv(), nl=False)
    else:
        view.show(found, top)
    warn(found.notes)
