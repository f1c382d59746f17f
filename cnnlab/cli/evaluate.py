"""``cnnlab evaluate``: how well a model does on a dataset."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from cnnlab.cli import gates as gating
from cnnlab.cli.completion import dataset_names
from cnnlab.cli.model import ModelChoice, model_options
from cnnlab.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from cnnlab.classifier import Classifier
    from cnnlab.classifier.evaluation import Batch, Evaluation
    from cnnlab.datasets import Dataset

SCHEMA = 1
MOST_ROWS = 20
"""Classes that the terminal shows, the worst where there are more; ``--json`` has them all."""

MOST_CONFUSED = 100
"""Classes up to which ``--json`` holds the whole confusion matrix."""

METRICS = {
    "accuracy": "Fraction of images whose class is predicted, 0 to 1.",
    "loss": "Mean cross-entropy of the logits, in nats.",
    "worst_class_accuracy": "The accuracy of the class with the lowest.",
    "images_per_second": "Images classified in a second; reading them is not counted.",
    "class_accuracy/<class>": "The accuracy of the images of one class.",
}
"""The metrics and what they mean; gates may name any of them."""


@click.command()
@model_options
@click.option(
    "--dataset",
    shell_complete=dataset_names,
    help="A dataset: a name, or a path. See `cnnlab datasets`. [default: the one the run was trained on]",
)
@click.option("--split", type=click.Choice(["train", "test"]), default="test", show_default=True, help="Its part.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many images.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="At most so many images in memory at a time.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, or gpu:0.")
@gating.option
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else there.")
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
    wanted = gating.parse(gates, METRICS, "evaluate")
    _ = choice.path

    from cnnlab.classifier import evaluation as evaluating
    from cnnlab.classifier.device import use_device
    from cnnlab.cli.progress import status

    with use_device(device) as used:
        with status("Opening the model"):
            classifier = choice.open()
            data = _dataset(classifier, dataset)
        batches = evaluating.read_split(classifier, data, split, limit, batch_size)
        count = min(len(data.split(split)), limit or len(data.split(split)))
        found = evaluating.evaluate(classifier, _shown(batches, count))
    metrics = _metrics(found, _class_names(classifier, data))
    if as_json:
        click.echo(json_module.dumps(_record(classifier, data, split, found, metrics, used), indent=2))
    else:
        _show(classifier, data, split, found, metrics)
    _warn(classifier, data)
    gating.judge(wanted, metrics)


def _dataset(classifier: Classifier, name: str | None) -> Dataset:
    from cnnlab import datasets, runs

    if name is None and classifier.kind == "run" and classifier.path is not None:
        name = runs.find(classifier.path).dataset_name
    if name is None:
        raise UsageError("the model does not say what it was trained on; name a dataset with --dataset.")
    return datasets.load(name)


def _shown(batches: Iterable[Batch], total: int) -> Iterator[Batch]:
    """Pass the batches on, and show on stderr how many of the images are done."""
    from cnnlab.cli.progress import RichProgress

    with RichProgress().task("Evaluating", total) as advance:
        for images, labels in batches:
            yield images, labels
            advance(len(labels))


def _class_names(classifier: Classifier, dataset: Dataset) -> tuple[str, ...]:
    """The dataset's names for the model's classes, or the model's own where there are not as many."""
    if len(dataset.class_names) == classifier.num_classes:
        return dataset.class_names
    return classifier.class_names


def _metrics(found: Evaluation, names: tuple[str, ...]) -> dict[str, float | None]:
    known = [value for value in found.class_accuracy if value is not None]
    return {
        "accuracy": found.accuracy,
        "loss": found.loss,
        "worst_class_accuracy": min(known),
        "images_per_second": found.images_per_second,
        **{f"class_accuracy/{name}": value for name, value in zip(names, found.class_accuracy, strict=True)},
    }


def _record(
    classifier: Classifier,
    dataset: Dataset,
    split: str,
    found: Evaluation,
    metrics: dict[str, float | None],
    device: str,
) -> dict[str, Any]:
    from cnnlab.versions import versions

    return {
        "schema": SCHEMA,
        "model": {
            "path": str(classifier.path) if classifier.path else None,
            "kind": classifier.kind,
            "digest": classifier.digest,
        },
        "dataset": {
            "name": dataset.name,
            "split": split,
            "images": len(found.predicted),
            "digest": dataset.digest,
        },
        "metrics": metrics,
        "classes": list(_class_names(classifier, dataset)),
        **({"confusion": found.confusion.tolist()} if classifier.num_classes <= MOST_CONFUSED else {}),
        "device": device,
        "seconds": round(found.seconds, 4),
        "versions": versions(),
    }


def _show(
    classifier: Classifier, dataset: Dataset, split: str, found: Evaluation, metrics: dict[str, float | None]
) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    where = f"{dataset.name}/{split}, {len(found.predicted):,} images"
    console.print(f"[bold]{escape(str(classifier.path))}[/] on {escape(where)}", highlight=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("metric")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning", style="dim")
    for name in METRICS:
        if name in metrics:
            table.add_row(name.replace("_", " "), _number(name, metrics[name]), METRICS[name])
    console.print(table)
    console.print(_classes(found, _class_names(classifier, dataset)))


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name == "images_per_second":
        return f"{value:,.0f}"
    return f"{value:.4f}" if name == "loss" else f"{value:.2%}"


def _classes(found: Evaluation, names: tuple[str, ...]) -> Table:
    """Make the table of classes: how many, how many right, and what the others were taken for most often."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("class", overflow="fold")
    for column in ("images", "right", "accuracy"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("most often mistaken for", overflow="fold")
    rows = list(zip(names, found.confusion, found.class_accuracy, strict=True))
    shown = list(range(len(rows)))
    if len(rows) > MOST_ROWS:
        # Classes without images have no accuracy, and come last.
        shown.sort(key=lambda index: 2.0 if rows[index][2] is None else float(rows[index][2] or 0))
        shown = shown[:MOST_ROWS]
        table.caption = f"the {MOST_ROWS} worst of {len(rows):,} classes; --json has them all"
    for index in shown:
        name, taken, accuracy = rows[index]
        right, wrong = int(taken[index]), taken.copy()
        wrong[index] = 0
        worst = int(wrong.argmax())
        mistaken = f"{names[worst]} ({wrong[worst]:,})" if wrong[worst] else ""
        table.add_row(escape(name), f"{taken.sum():,}", f"{right:,}", _number("accuracy", accuracy), escape(mistaken))
    return table


def _warn(classifier: Classifier, dataset: Dataset) -> None:
    """Say on stderr when the classes of model and dataset are not the same ones."""
    if classifier.kind != "run" or classifier.class_names == dataset.class_names:
        return
    from cnnlab.cli import show

    show.warn([f"the classes of {dataset.name} have other names than the model's; they were matched by number."])
