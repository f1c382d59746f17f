"""How an inspected model looks in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cnnlab.cli.views import summary
from cnnlab.cli.views.result import warn
from cnnlab.cli.views.summary import size
from cnnlab.inspection.inspect import LOGITS

if TYPE_CHECKING:
    from cnnlab.inspection.inspect import Inspection


def show(found: Inspection) -> None:
    """Print facts, layers, and what can be asked."""
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
    warn(found.classifier.notes)


def _facts(found: Inspection) -> Iterator[tuple[str, str]]:
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
