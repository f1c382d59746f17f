"""A run, held against its files, its dataset, and both forms of its model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import datasets
from cnnlab.adversarial.judge import SAME_DEVICE, Finding
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.inputs import Inputs, of_split
from cnnlab.inspection.evaluation import Evaluation, tally
from cnnlab.pluginhost import registry
from cnnlab.runs.folder import CHECKPOINT, RECORD, TENSORBOARD
from cnnlab.training.data import held_out
from cnnlab.training.record import MOST_CLASSES
from cnnlab.verification.drawings_of_run import PICTURES, as_drawn
from cnnlab.verification.entries import others
from cnnlab.verification.files import as_recorded, as_written, redrawn
from cnnlab.verification.likeness import same_counts, unsure
from cnnlab.verification.report import fails, guarded, judged, not_checked

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset
    from cnnlab.runs import Run

COMPARED = 64
"""Images that both forms of the model are asked about."""

LOSS = 1e-3
"""By which part a loss may differ: it is a mean of short floats."""

BESIDE = (RECORD, CHECKPOINT, TENSORBOARD, "analyses", "report")
"""What lies in a run's folder beside the files that training leaves."""

UNPROVED = (
    *("settings", "recipe", "epochs", "seed", "metrics.train_loss", "metrics.train_accuracy"),
    *("created", "finished", "seconds", "versions", "device", "workers", "precision"),
    "history.csv but for val_loss and val_accuracy of the last epoch",
)
"""What a run says and only training it again could show."""

KNOWN = (
    *("schema", "digest", "files", "architecture", "batch_norm", "validated_on", "evaluated_on", "confusion"),
    *("parameters.total", "parameters.trainable", "classes.name", "classes.images", "classes.accuracy", *UNPROVED),
    *(f"metrics.{name}" for name in ("val_loss", "val_accuracy", "test_loss", "test_accuracy")),
    *(f"dataset.{name}" for name in ("name", "source", "digest", "class_names", "shape", "value_range")),
    *(f"dataset.{name}" for name in ("training_images", "validation_images", "test_images")),
)
"""The entries of its record that the checks below speak of, or that are listed as not checked."""

TEST, HELD_OUT = "test images", "held-out training images"
"""What run.json calls the images that a network is evaluated on."""


def findings_of_run(run: Run, classifier: Classifier, opening: Mapping[str, Any]) -> Iterator[Finding]:
    """Check everything that a run says.

    Args:
        run: It.
        classifier: Its model, opened from its SavedModel.
        opening: How models are opened: see :func:`cnnlab.load`.
    """
    record = run.config
    yield as_recorded(record, RECORD)
    yield from guarded("files", _files, run)
    yield from guarded("history", _history, run)
    yield from guarded("settings", _settings, run)
    dataset = _dataset(run)
    yield from guarded("dataset", _same_dataset, run, dataset)
    images = _images(run, classifier, dataset) if isinstance(dataset, datasets.Dataset) else {}
    yield from guarded("model.keras", _both_models, run, classifier, images, opening)
    read = {name: tally(classifier, inputs, classifier.batch_size) for name, inputs in images.items()}
    if images:
        yield from guarded("metrics", _metrics, run, read)
    else:
        yield not_checked("metrics", "Without the dataset nothing was evaluated: metrics, confusion, classes.")
    yield from guarded("drawings", as_drawn, run, images, read)
    figures = {f"{name}.png": drawing for name, drawing in run.drawings.items() if name in PICTURES}
    yield from guarded("figures", redrawn, run.path, figures, record["versions"])
    strange = others(record, KNOWN)
    yield not_checked("training", f"What only training it again could show: {', '.join([*UNPROVED, *strange])}.")


def _files(run: Run) -> Iterator[Finding]:
    """Hold every file against its digest; no file that training leaves may lack one."""
    files = run.config.get("files")
    yield from as_written(run.path, files, BESIDE)
    due = [run.keras_path, run.history_path, run.drawings_path, *(run.path / f"{name}.png" for name in PICTURES)]
    due += [path for path in sorted(run.model_path.rglob("[!.]*")) if path.is_file()]
    unlisted = [name for path in due if (name := path.relative_to(run.path).as_posix()) not in (files or ())]
    if files and unlisted:
        yield judged("files", [f"The record holds no digest of {name}" for name in unlisted], "")


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


def _settings(run: Run) -> Iterator[Finding]:
    """Hold what stands twice in the record: among the settings, and by itself."""
    record, settings = run.config, run.config["settings"]
    names = ("architecture", "batch_norm", "epochs", "seed")
    wrong = [
        f"{name} is {record[name]}, and {settings.get(name)} among the settings"
        for name in names
        if record[name] != settings.get(name)
    ]
    if record["dataset"]["source"] != settings.get("dataset"):
        wrong.append(f"the dataset is {record['dataset']['source']}, and {settings.get('dataset')} among the settings")
    due = HELD_OUT if settings.get("validation") else TEST
    if record["validated_on"] != due:
        wrong.append(f"it was validated on {due}")
    yield judged("settings", wrong, "What stands twice in run.json is the same.")


def _dataset(run: Run) -> Dataset | str:
    """The dataset, or why it is not to be had."""
    try:
        return datasets.load(run.dataset_name)
    except CnnlabError as error:
        return str(error)


def _same_dataset(run: Run, dataset: Dataset | str) -> Iterator[Finding]:
    if isinstance(dataset, str):
        yield not_checked("dataset", f"{dataset} So this was not checked: dataset.")
        return
    said = run.config["dataset"]
    if dataset.digest != said["digest"]:
        yield fails("dataset", f"{dataset.name} is another than it learned.")
        return
    wrong = [f"{name} is {due}" for name, due in _facts(run, dataset).items() if said[name] != due]
    yield judged("dataset", wrong, f"{dataset.name} is what it was, to the bit.")


def _facts(run: Run, dataset: Dataset) -> dict[str, Any]:
    """What a run's record must say of its dataset."""
    used, kept = _shares(run, dataset)
    return {
        "name": dataset.name,
        "class_names": list(dataset.class_names),
        "shape": list(dataset.shape),
        "value_range": list(dataset.value_range),
        "training_images": used - kept,
        "validation_images": kept or len(dataset.test),
        "test_images": len(dataset.test),
    }


def _shares(run: Run, dataset: Dataset) -> tuple[int, int]:
    """How many of its training images were taken, and how many of these held out."""
    used = min(len(dataset.train), _number(run, "limit") or len(dataset.train))
    return used, min(_number(run, "validation"), used)


def _number(run: Run, name: str) -> int:
    """A setting that is a count; 0 where the record holds none, for nothing says what its settings are."""
    value = run.config["settings"].get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _images(run: Run, classifier: Classifier, dataset: Dataset) -> dict[str, Inputs]:
    """The images that the final numbers are of, by what run.json calls them."""
    found = {}
    if len(dataset.test):
        found[TEST] = of_split(classifier, dataset.test)
    used, count = _shares(run, dataset)
    if count:
        _, kept = held_out(used, count, run.config["seed"])
        found[HELD_OUT] = of_split(classifier, dataset.train[kept])
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
    yield from guarded("architecture", _architecture, run, other)


def _architecture(run: Run, found: Classifier) -> Iterator[Finding]:
    """Build the network that run.json names, and hold its layers against those of the one that is there."""
    from cnnlab.classifier import load
    from cnnlab.training import network
    from cnnlab.training.artifacts import parameters_of

    record, data = run.config, run.config["dataset"]
    name, classes = record["architecture"], len(data["class_names"])
    try:
        registry.find_architecture(name)
    except UsageError as error:  # it is not installed here, or the name is that of several
        yield not_checked("architecture", f"{error} So these were not checked: architecture, batch_norm, parameters.")
        return
    built = network.build_network(name, data["shape"], classes, record["batch_norm"])
    wrong = [] if _layers(load(built)) == _layers(found) else [f"model.keras is no {name} as run.json describes it"]
    yield judged("architecture", wrong, f"Its {len(found.layers)} layers are those of {name}.")
    due = parameters_of(built)
    wrong = (
        [] if record["parameters"] == due else [f"They are {due['total']:,}, of which {due['trainable']:,} are learned"]
    )
    yield judged("parameters", wrong, "They are as many as this network has.")


def _layers(classifier: Classifier) -> list[tuple[Any, ...]]:
    return [(layer.kind, layer.output_shape, layer.parameters) for layer in classifier.layers]


def _metrics(run: Run, read: Mapping[str, Evaluation]) -> Iterator[Finding]:
    """Hold the final numbers against evaluations of what run.json names."""
    record, said = run.config, run.metrics
    wrong: list[str] = []
    named = {"val": record["validated_on"], **({"test": TEST} if "test_accuracy" in said or TEST in read else {})}
    for prefix, which in named.items():
        if which not in read:
            wrong.append(f"{prefix}_accuracy is of {which}, and there is none")
            continue
        counts = read[which]
        accuracy, loss = said.get(f"{prefix}_accuracy"), said.get(f"{prefix}_loss", math.nan)
        if not _off(accuracy, counts.accuracy, len(counts.predicted)) <= unsure(counts):
            wrong.append(f"{prefix}_accuracy is {counts.accuracy:.6g}")
        if not math.isclose(loss, counts.loss, rel_tol=LOSS, abs_tol=1e-6):
            wrong.append(f"{prefix}_loss is {counts.loss:.6g}")
    count = sum(len(each.predicted) for each in read.values())
    yield judged("metrics", wrong, f"Losses and accuracies are what an evaluation of {count:,} images gives.")
    due = TEST if TEST in read else HELD_OUT
    if record["evaluated_on"] != due:
        yield fails("confusion", f"It is of {due}, and run.json says of {record['evaluated_on']}.")
        return
    yield from _confusion(record, read[due])


def _confusion(record: Mapping[str, Any], read: Evaluation) -> Iterator[Finding]:
    """Hold the classes and the confusion matrix against an evaluation."""
    due, wrong = read.confusion, []
    said = record.get("confusion", [] if len(due) <= MOST_CLASSES else due)
    if not same_counts(np.array(said), read):
        wrong.append("The confusion matrix is another")
    names = [each["name"] for each in record["classes"]]
    if names != record["dataset"]["class_names"]:
        wrong.append("The classes are called otherwise than those of the dataset")
    elif [each["images"] for each in record["classes"]] != due.sum(axis=1).tolist():
        wrong.append("The classes have other numbers of images")
    else:
        found = zip(record["classes"], read.class_accuracy, strict=True)
        if not sum(_off(each["accuracy"], share, each["images"]) for each, share in found) <= unsure(read):
            wrong.append("The accuracies of the classes are others")
    yield judged("confusion", wrong, "Confusion matrix and classes are what an evaluation gives.")


def _off(said: float | None, due: float | None, count: int) -> float:
    """Of how many of ``count`` images two accuracies differ; by infinity where one is of no number of images."""
    if said is None or due is None:
        return 0.0 if said is due else math.inf
    right = round(said * count)
    return abs(right - round(due * count)) if math.isclose(said * count, right, rel_tol=1e-6) else math.inf
