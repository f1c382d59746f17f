"""How an inspected model looks in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cnnlab.cli.views import summary
from cnnlab.cli.views.result import warn
from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.drawings.words import size
from cnnlab.inspection.inspect import LOGITS

if TYPE_CHECKING:
    from cnnlab.inspection.inspect import Inspection


RUNS = {"yes": "green", "no": "yellow"}


def show(found: Inspection) -> None:
    """Print facts, layers, and what can be asked."""
    console = Console()
    console.print(Text(headline(found), style="bold"))
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(found):
        facts.add_row(name, escape(value))
    console.print(facts)
    summary.show_tables(console, found.summary)
    names = list(found.analyses)
    columns = [
        Column("analysis", names),
        Column("runs", ["yes" if found.analyses[name] is None else "no" for name in names], styles=RUNS),
        Column("reason", [found.analyses[name] or "" for name in names], style="dim"),
    ]
    print_all(console, fitted(columns if any(found.analyses.values()) else columns[:2], console.width))
    warn(found.classifier.notes)


def headline(found: Inspection) -> str:
    """Say what the model takes and gives, and how many analyses it is ready for."""
    model, reasons = found.classifier, list(found.analyses.values())
    ready = f"{reasons.count(None)} of {len(reasons)} installed analyses"
    return f"Reads {size(model.input_shape)} images as {model.num_classes} classes; {ready} can run on it"


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
