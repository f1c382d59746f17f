"""What run.json says."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cnnlab.runs.record import SCHEMA
from cnnlab.training.recipes import decided
from cnnlab.training.settings import Settings
from cnnlab.versions import versions

if TYPE_CHECKING:
    from cnnlab.datasets import Dataset
    from cnnlab.devices.replicas import Replicas
    from cnnlab.training.evaluation import Evaluation
    from cnnlab.training.precision import Choice

MOST_CLASSES = 100
"""With more classes than this, run.json holds no confusion matrix."""


def at_start(
    settings: Settings, dataset: Dataset, replicas: Replicas, precision: Choice, sizes: Mapping[str, int]
) -> dict[str, Any]:
    """What is known before the first step.

    Args:
        settings: What training is told.
        dataset: What it learns.
        replicas: What it computes on.
        precision: What it computes in, and why.
        sizes: How many images there are to train on, to validate on and to test on.
    """
    return {
        "schema": SCHEMA,
        "created": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "settings": settings.to_json(),
        "recipe": decided(settings.recipe),
        "dataset": {
            "name": dataset.name,
            "source": settings.dataset,
            "digest": dataset.digest,
            "class_names": list(dataset.class_names),
            "shape": [int(side) for side in dataset.shape],
            "value_range": [float(bound) for bound in dataset.value_range],
            **sizes,
        },
        "architecture": settings.architecture,
        "batch_norm": settings.batch_norm,
        "epochs": settings.epochs,
        "seed": settings.seed,
        "validated_on": "held-out training images" if settings.validation else "test images",
        "device": replicas.name,
        "workers": replicas.workers,
        "precision": asdict(precision),
        "versions": versions(),
    }


def at_end(
    start: Mapping[str, Any],
    history: list[dict[str, Any]],
    final: Evaluation,
    tested: bool,
    parameters: Mapping[str, int],
) -> dict[str, Any]:
    """The whole of run.json.

    ``train_loss`` and ``train_accuracy`` are the last row of the history: means over the last epoch, each batch taken
    before the step that it led to. ``val_loss`` and ``val_accuracy`` are of the final weights on what ``validated_on``
    says; ``test_loss`` and ``test_accuracy`` are of the final weights on the test images.

    Args:
        start: What :func:`at_start` said.
        history: The rows of all epochs.
        final: The final weights' evaluation, on the test images where there are any.
        tested: Whether it was on the test images.
        parameters: The network's parameters, ``total`` and ``trainable``.
    """
    last = history[-1]
    metrics = {
        "train_loss": last["loss"],
        "train_accuracy": last["accuracy"],
        "val_loss": last["val_loss"],
        "val_accuracy": last["val_accuracy"],
    }
    if tested:
        metrics |= {"test_loss": final.loss, "test_accuracy": final.accuracy}
    names = start["dataset"]["class_names"]
    images = final.confusion.sum(axis=1)
    record = {
        **start,
        "finished": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "seconds": round(sum(row["seconds"] for row in history), 3),
        "parameters": dict(parameters),
        "metrics": metrics,
        "evaluated_on": "test images" if tested else "held-out training images",
        "classes": [
            {"name": name, "images": int(count), "accuracy": accuracy}
            for name, count, accuracy in zip(names, images, final.class_accuracy, strict=True)
        ],
    }
    if len(names) <= MOST_CLASSES:
        record["confusion"] = final.confusion.tolist()
    return record
