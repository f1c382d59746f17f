"""A run, held against its files, its dataset, and both forms of its model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import datasets
from cnnlab.adversarial.judge import OTHER_DEVICE, SAME_DEVICE, Finding
from cnnlab.classifier.device import current_device
from cnnlab.errors import CnnlabError
from cnnlab.inputs import Inputs, of_split
from cnnlab.inspection.evaluation import Evaluation, tally
from cnnlab.runs.folder import CHECKPOINT, RECORD
from cnnlab.training.data import held_out
from cnnlab.verification.files import as_recorded, as_written, redrawn
from cnnlab.verification.report import fails, guarded, judged, not_checked

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset
    from cnnlab.runs import Run

COMPARED = 64
"""Images that both forms of the model are asked about."""

LOSS = 1e-3
"""By which part a loss may differ: it is a mean of short floats."""

KNOWN = (RECORD, CHECKPOINT, "analyses", "report")
"""What lies in a run's folder beside the files that training leaves."""

UNPROVED = "seed, settings, train_loss, train_accuracy, seconds, created, finished, versions, device, parameters"
"""What a run's record says and only training it again could show."""

PICTURES = ("curves", "predictions", "confusion")


@dataclass(frozen=True)
class Read:
    """What a model makes of labelled images.

    Attributes:
        counts: Its evaluation.
        unsure: Of how many images the two largest logits are too near to tell which is larger on another day.
    """

    counts: Evaluation
    unsure: int


def findings_of_run(run: Run, classifier: Classifier, opening: Mapping[str, Any]) -> Iterator[Finding]:
    """Check everything that a run says.

    Args:
        run: It.
        classifier: Its model, opened from its SavedModel.
        opening: How models are opened: see :func:`cnnlab.load`.
    """
    record = run.config
    yield as_recorded(record, RECORD)
    yield from guarded("files", as_written, run.path, record.get("files"), KNOWN)
    yield from guarded("history", _history, run)
    dataset = _dataset(run)
    yield from guarded("dataset", _same_dataset, run, dataset)
    images = _images(run, classifier, dataset) if isinstance(dataset, datasets.Dataset) else {}
    yield from guarded("model.keras", _both_models, run, classifier, images, opening)
    if images:
        yield from guarded("metrics", _metrics, run, classifier, images)
    else:
        yield not_checked(
            "metrics", "Without the dataset nothing was evaluated: losses, accuracies, confusion, classes."
        )
    figures = {f"{name}.png": drawing for name, drawing in run.drawings.items() if name in PICTURES}
    yield from guarded("figures", redrawn, run.path, figures, record["versions"])
    yield not_checked("training", f"What only training it again could show: {UNPROVED}.")


def _history(run: Run) -> Iterator[Finding]:
    """Hold the last row of history.csv against the final numbers."""
    rows, metrics = run.history, run.metrics
    if len(rows) != run.config["epochs"]:
        yield fails("history", f"history.csv has {len(rows):,} rows for {run.config['epochs']:,} epochs.")
        return
    columns = {
        "loss": "train_loss",
        "accuracy": "train_accuracy",
        "val_loss": "val_loss",
        "val_accuracy": "val_accuracy",
    }
    wrong = [
        f"{metric} is {metrics[metric]:.6g}, and {column} of the last epoch {rows[-1][column]:.6g}"
        for column, metric in columns.items()
        if not math.isclose(rows[-1][column], metrics[metric], rel_tol=1e-9, abs_tol=1e-12)
    ]
    yield judged("history", wrong, f"Its last of {len(rows)} rows has the numbers of run.json.")


def _dataset(run: Run) -> Dataset | str:
    """The dataset, or why it is not to be had."""
    try:
        return datasets.load(run.dataset_name)
    except CnnlabError as error:
        return str(error)


def _same_dataset(run: Run, dataset: Dataset | str) -> Iterator[Finding]:
    if isinstance(dataset, str):
        yield not_checked("dataset", dataset)
        return
    wrong = [] if dataset.digest == run.config["dataset"]["digest"] else [f"{dataset.name} is another than it learned"]
    yield judged("dataset", wrong, f"{dataset.name} is what it was, to the bit.")


def _images(run: Run, classifier: Classifier, dataset: Dataset) -> dict[str, Inputs]:
    """The images that the final numbers are of, by what run.json calls them."""
    settings = run.config["settings"]
    found = {}
    if len(dataset.test):
        found["test images"] = of_split(classifier, dataset.test)
    if settings["validation"]:
        count = min(len(dataset.train), settings["limit"] or len(dataset.train))
        _, kept = held_out(count, settings["validation"], settings["seed"])
        found["held-out training images"] = of_split(classifier, dataset.train[kept])
    return found


def _both_models(
    run: Run, classifier: Classifier, images: Mapping[str, Inputs], opening: Mapping[str, Any]
) -> Iterator[Finding]:
    """Ask the SavedModel and the .keras file about the same images."""
    from cnnlab.classifier import load

    other = load(run.keras_path, **opening)
    if images:
        asked = next(iter(images.values()))
        batch = asked.select(np.arange(min(COMPARED, len(asked)))).images
    else:
        sides = [side or COMPARED for side in classifier.input_shape]
        batch = np.random.default_rng(0).uniform(*classifier.bounds, (COMPARED, *sides)).astype(np.float32)
    first, second = classifier.logits(batch), other.logits(batch)
    if first.shape != second.shape:
        yield fails("model.keras", f"model.keras has {second.shape[-1]} outputs, and model/ {first.shape[-1]}.")
        return
    off = np.abs(first - second).max()
    most = SAME_DEVICE * (1 + np.abs(first).max())
    wrong = [] if off <= most else [f"model.keras and model/ give logits that differ by {off:.3g}"]
    yield judged("model.keras", wrong, f"model.keras and model/ give the same logits for {len(batch)} images.")


def _metrics(run: Run, classifier: Classifier, images: Mapping[str, Inputs]) -> Iterator[Finding]:
    """Evaluate the model again on what run.json names."""
    record, said = run.config, run.metrics
    read = {name: _read(classifier, inputs) for name, inputs in images.items()}
    wrong: list[str] = []
    named = {"test": "test images", "val": record["validated_on"]}
    for prefix, which in named.items():
        if f"{prefix}_accuracy" not in said:
            continue
        if which not in read:
            wrong.append(f"{prefix}_accuracy is of {which}, and there is none")
            continue
        counts, unsure = read[which].counts, read[which].unsure
        accuracy, loss = said[f"{prefix}_accuracy"], said[f"{prefix}_loss"]
        if abs(accuracy - counts.accuracy) * len(counts.predicted) > unsure + 0.5:
            wrong.append(f"{prefix}_accuracy is {counts.accuracy:.6g}")
        if not math.isclose(loss, counts.loss, rel_tol=LOSS, abs_tol=1e-6):
            wrong.append(f"{prefix}_loss is {counts.loss:.6g}")
    count = sum(len(each.counts.predicted) for each in read.values())
    yield judged("metrics", wrong, f"Losses and accuracies are what an evaluation of {count:,} images gives.")
    final = read.get(record["evaluated_on"])
    if final is None:
        yield fails("confusion", f"It is of {record['evaluated_on']}, and there is none.")
        return
    yield from _confusion(record, final)


def _confusion(record: Mapping[str, Any], read: Read) -> Iterator[Finding]:
    """Hold the classes and the confusion matrix against an evaluation."""
    due, wrong = read.counts.confusion, []
    if record.get("confusion"):
        said = np.array(record["confusion"])
        if said.shape != due.shape or np.abs(said - due).sum() > 2 * read.unsure:
            wrong.append("The confusion matrix is another")
    names = [each["name"] for each in record["classes"]]
    if names != record["dataset"]["class_names"]:
        wrong.append("The classes are called otherwise than those of the dataset")
    elif [each["images"] for each in record["classes"]] != due.sum(axis=1).tolist():
        wrong.append("The classes have other numbers of images")
    else:
        right = np.array([(each["accuracy"] or 0.0) * each["images"] for each in record["classes"]])
        if np.abs(right - np.diag(due)).sum() > read.unsure + 0.5:
            wrong.append("The accuracies of the classes are others")
    yield judged("confusion", wrong, "Confusion matrix and classes are what an evaluation gives.")


def _read(classifier: Classifier, inputs: Inputs) -> Read:
    slack = SAME_DEVICE if current_device() == "cpu" else OTHER_DEVICE
    unsure = 0
    for images, _ in inputs.batches(classifier.batch_size):
        logits = np.sort(classifier.logits(images), axis=1)
        off = slack * (1 + np.abs(logits).max(axis=1))
        unsure += int((logits[:, -1] - logits[:, -2] <= 2 * off).sum())
    return Read(tally(classifier, inputs.batches(classifier.batch_size)), unsure)
