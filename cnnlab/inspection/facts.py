"""What an inspection found, in words: the same in the terminal and in a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cnnlab.inspection.inspect import LOGITS
from cnnlab.words import few, size

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.inspection.inspect import Health, Inspection

MOST_NAMES = 12
"""Classes up to which all are named."""


def headline(found: Inspection) -> str:
    """Say what the model takes and gives, and how many analyses it is ready for."""
    model, reasons = found.classifier, list(found.analyses.values())
    ready = f"{reasons.count(None)} of {len(reasons)} installed analyses"
    return f"Reads {size(model.input_shape)} images as {model.num_classes} classes; {ready} can run on it"


def facts_of(found: Inspection) -> Iterator[tuple[str, str]]:
    """Tell what a model is, takes and gives: a name and words for each fact."""
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
    yield "classes", f"{model.num_classes}: {_names(model)}"
    yield "output", model.output_kind
    checked = ""
    if health.softmax_error is not None:
        equals = "softmax equals" if model.exclusive else "sigmoids equal"
        checked = f"; their {equals} the output to within {health.softmax_error:.1g}"
    yield "logits", LOGITS[model.output_kind] + checked
    smallest, middle, largest = health.margins
    yield "logit margins", f"{smallest:.3g} to {largest:.3g}, median {middle:.3g} (on {health.sample})"
    yield "gradients", _gradients(health)


def _names(model: Classifier) -> str:
    names = model.class_names
    return few(names, MOST_NAMES) if len(names) <= MOST_NAMES else f"{few(names, MOST_NAMES - 2)} {names[-1]}"


def _gradients(health: Health) -> str:
    if not np.isfinite(health.margins).all():
        return "unknown: the logits are not finite"
    if health.preflight is None:
        return "none: nothing differentiable leads from the image to the logits"
    zero, images = health.preflight.zero, health.preflight.images
    why = "".join(f"; {reason}" for reason in health.preflight.reasons)
    count = f"{zero} of {images}" if zero else f"none of {images}"
    return f"exactly zero for {count} images of {health.sample}{why}"
