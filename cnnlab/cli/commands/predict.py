"""``cnnlab predict``: what a model says of images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cnnlab.cli.commands.options import (
    OUTPUT,
    Place,
    about_options,
    device_option,
    json_option,
    model_option,
    other_image_options,
    take_images,
    take_model,
    with_options,
)
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command, Option
from cnnlab.errors import UsageError


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="[MODEL] [IMAGE]...", type=Place())
@with_options(model_option(), *about_options(), *other_image_options())
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
def predict(paths: tuple[Path, ...], top: int, as_csv: bool, as_json: bool, device: str, **values: Any) -> None:
    """Tell what a model says of images: the likeliest classes, with their probabilities.

    IMAGE is an image file, or a folder of them; instead, --dataset names images of a dataset. MODEL, a run folder, a
    SavedModel folder or a .keras or .h5 file, may stand before them in place of --model.
    """
    from cnnlab.analysis.prediction import check, predict_chosen

    model, images = take_model(values), take_images(values)
    named, files = _parted(paths)
    if named is not None and model.model is not None:
        raise UsageError(f"{named} and --model both name a model; give one of them.")
    model = model if named is None else replace(model, model=named)
    images = replace(images, images=files or None)
    if as_csv and as_json:
        raise UsageError("--csv and --json exclude each other; give one of them.")
    check(images)
    _ = model.source

    from cnnlab.cli.views import prediction as view
    from cnnlab.cli.views.result import warn
    from cnnlab.devices.choice import use_all_devices
    from cnnlab.progress import RichProgress, Silent

    progress = RichProgress()
    with use_all_devices(device, progress) as replicas:
        with progress.stage("Opening the model"):
            classifier = model.open()
        found = predict_chosen(classifier, images, progress if replicas.is_chief else Silent())
    if not replicas.is_chief:
        return  # the first process shows it
    if as_json:
        echo(json.dumps(found.to_json(top), indent=2, ensure_ascii=False))
    elif as_csv:
        for line in found.csv_lines():
            echo(line, nl=False)
    else:
        view.show(found, top)
    warn(found.notes)


def _parted(paths: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """Tell a model that stands first from the images behind it.

    Raises:
        UsageError: A model stands among the images; read as a folder of images, its drawings would be predicted.
    """
    from cnnlab.classifier.opening import looks_like_model

    named = paths[0] if paths and looks_like_model(paths[0]) else None
    files = list(paths if named is None else paths[1:])
    for file in files:
        if looks_like_model(file):
            raise UsageError(f"{file} is a model, and one model is asked at a time: name it first, or with --model.")
    return named, files
