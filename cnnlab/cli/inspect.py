"""``cnnlab inspect``: what a model is, what it expects, and what can be asked of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnnlab.cli.completion import model_paths
from cnnlab.cli.model import ModelChoice, about_options_only

if TYPE_CHECKING:
    import numpy as np

    from cnnlab.analysis.inspection import Inspection
    from cnnlab.classifier import Classifier


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path), shell_complete=model_paths)
@about_options_only
@click.option(
    "--remember", is_flag=True, help="Keep what these options say in cnnlab.json beside the model, for every command."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, or gpu:0.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else there.")
def inspect(choice: ModelChoice, model: Path | None, remember: bool, device: str, as_json: bool) -> None:
    """Tell what a model is: who wrote it, what it expects and gives, its layers, and what can be asked of it.

    MODEL is a run folder, a SavedModel folder, or a .keras or .h5 file; the newest run without it.
    """
    choice = replace(choice, model=model)

    from cnnlab.analysis.inspection import inspect as look
    from cnnlab.classifier.device import use_device
    from cnnlab.cli.progress import status

    with use_device(device), status("Opening and inspecting the model"):
        classifier = choice.open()
        images, sample = _sample(classifier)
        found = look(classifier, images, sample)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        _show(found)
    if remember:
        from cnnlab.classifier import about

        click.echo(f"Remembered in {about.remember(choice.path, classifier.about)}", err=True)


def _sample(classifier: Classifier) -> tuple[np.ndarray | None, str]:
    """Test images of the dataset that a run was trained on, where it can be had."""
    from cnnlab.analysis import host
    from cnnlab.analysis.inspection import SAMPLES

    dataset = host.training_dataset(classifier)
    if dataset is None or not len(dataset.test) or dataset.value_range != classifier.bounds:
        return None, ""
    return dataset.test.batch(range(min(SAMPLES, len(dataset.test)))), f"{dataset.name}/test"


def _show(found: Inspection) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cnnlab.cli import show, summary

    console = Console()
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for name, value in _facts(found):
        facts.add_row(name, escape(value))
    console.print(facts)
    console.print()
    summary.show_tables(console, found.summary)
    console.print()
    analyses = Table(box=box.SIMPLE_HEAD)
    analyses.add_column("analysis", no_wrap=True)
    analyses.add_column("runs", no_wrap=True)
    analyses.add_column("reason", style="dim")
    for name, reason in found.analyses.items():
        analyses.add_row(name, "[green]yes[/]" if reason is None else "[yellow]no[/]", escape(reason or ""))
    console.print(analyses)
    show.warn(found.classifier.notes)


def _facts(found: Inspection) -> Iterator[tuple[str, str]]:
    from cnnlab.analysis.inspection import LOGITS
    from cnnlab.cli.summary import size

    model, health = found.classifier, found.health
    low, high = model.bounds
    yield "model", str(model.path)
    yield "written by", found.origin.writer + (f" ({found.origin.version})" if found.origin.version else "")
    for name, tensors in model.signatures.items():
        words = [
            f"{tensor} {kind}" if tensor.startswith("->") else f"{tensor[:-3]} {kind}"
            for tensor, kind in tensors.items()
        ]
        yield f"signature {name}", " ".join(words)
    layout = ", channels first" if model.preparation.channels_first else ""
    batch = f", {model.fixed_batch} at a time" if model.fixed_batch else ""
    yield "images", f"{size(model.input_shape)}, {model.input_dtype}{layout}{batch}"
    yield "value range", f"{low:g} to {high:g}: {model.preparation.reason}"
    names = model.class_names
    shown = ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:10])}, ... {names[-1]}"
    yield "classes", f"{model.num_classes}: {shown}"
    yield "output", model.output_kind
    checked = ""
    if health.softmax_error is not None:
        checked = f"; their softmax equals the output to within {health.softmax_error:.1g}"
    yield "logits", LOGITS[model.output_kind] + checked
    smallest, middle, largest = health.margins
    yield "logit margins", f"{smallest:.3g} to {largest:.3g}, median {middle:.3g} (on {health.sample})"
    if health.preflight is None:
        yield "gradients", "none: nothing differentiable leads from the image to the logits"
    else:
        zero, images = health.preflight.zero, health.preflight.images
        why = "".join(f"; {reason}" for reason in health.preflight.reasons)
        count = f"{zero} of {images}" if zero else f"none of {images}"
        yield "gradients", f"exactly zero for {count} images of {health.sample}{why}"
