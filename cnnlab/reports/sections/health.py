"""The section on health: whether weights, logits and gradients are as they should be, and units are of use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from cnnlab.drawings import Bars, Series
from cnnlab.inspection.inspect import Health, health_of
from cnnlab.reports.chapter import Chapter, Conclusion, Figure, Metric
from cnnlab.reports.sections.sampling import NOISE, sample_of
from cnnlab.reports.subject import Subject
from cnnlab.words import few, out_of, percent

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

IMAGES = 100
"""Images that are looked at: of as many without a fault, a fault shows in fewer than 4% of all, with 95%."""

FEW = 0.05
"""The share of the images that may lack a gradient: what other sections say of some tens of images bears it."""

ROUNDING = 1e-2
"""How far the probabilities of the logits may lie from what the model gives: half precision rounds to 1e-3, and what is
no logit gives other probabilities altogether."""

MANY_SILENT = 0.1
"""The share of units from which on a good part of the network does nothing."""

ACTIVATIONS = ("ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "Sigmoid", "Tanh")
"""Kinds of layers whose units are looked at, beside those that have kernels."""

Silent = Mapping[str, tuple[int, int]]
"""Of each layer, how many of its units are silent, and how many it has."""


def write(subject: Subject) -> Chapter:
    """Look at the weights, and at how the model answers to images."""
    images, sample = sample_of(subject, IMAGES)
    model = subject.classifier
    health, broken, silent = health_of(model, images, sample), list(model.broken_layers), silent_units(model, images)
    return Chapter(
        says=f"A model can be unsound in ways that accuracy does not show. {len(images)} images ({sample}) are put "
        "through it: are logits and gradients there and finite, is what follows from the logits what the model gives "
        "itself, and which units are silent, answering alike to all of the images? A convolution's unit is one of its "
        "feature maps, at all places. A silent unit could be cut out, and nothing would change on these images.",
        figures=[Figure(drawing=draw(silent, len(images)), caption=caption(silent))] if silent else [],
        metrics=list(metrics(health, silent, len(images))),
        conclusions=list(conclusions(health, broken, silent, len(images))),
    )


def silent_units(classifier: Classifier, images: np.ndarray) -> Silent:
    """Count the units of each hidden layer that give one value for all images [N, H, W, C]."""
    names = [
        layer.name
        for layer in classifier.layers[:-1]
        if (layer.kernel is not None or layer.kind in ACTIVATIONS) and len(layer.output_shape) in (1, 3)
    ]
    low: dict[str, np.ndarray] = {}
    high: dict[str, np.ndarray] = {}
    for start in range(0, len(images) if names else 0, classifier.batch_size):
        for name, values in classifier.activations(images[start : start + classifier.batch_size], names).items():
            units = values.reshape(-1, values.shape[-1])
            low[name] = np.minimum(units.min(axis=0), low.get(name, np.inf))
            high[name] = np.maximum(units.max(axis=0), high.get(name, -np.inf))
    return {name: (int((low[name] == high[name]).sum()), len(low[name])) for name in low}


def draw(silent: Silent, images: int) -> Bars:
    """Draw the share of silent units of each layer."""
    shares = tuple(count / units for count, units in silent.values())
    return Bars(
        names=tuple(silent),
        series=(Series(name="silent", values=shares),),
        label="silent units",
        title=f"Units that answer alike to all of {images:,} images",
        percent=True,
        limits=(0.0, 1.0),
    )


def caption(silent: Silent) -> str:
    """Say how many units are silent in the layers that have any."""
    told = [f"{name} {count} of {units:,}" for name, (count, units) in silent.items() if count]
    return f"Silent units by layer: {few(told, 6)}." if told else "Silent units by layer: there are none."


def metrics(health: Health, silent: Silent, images: int) -> Iterator[Metric]:
    """Return the numbers; those of gradients where something differentiable leads to the logits."""
    low, middle, high = health.margins
    lead = "lead of the largest logit over the next, {} over the images"
    yield Metric(name="least margin", value=low, meaning=lead.format("least"), of=images)
    yield Metric(name="median margin", value=middle, meaning=lead.format("median"), of=images)
    yield Metric(name="largest margin", value=high, meaning=lead.format("largest"), of=images)
    if health.preflight is not None:
        zero, saturated = health.preflight.zero, health.preflight.saturated
        yield Metric.share(
            "without a gradient", zero, images, "share of the images whose input gradient is exactly zero"
        )
        meaning = "share of the images for which the softmax is so sure that the gradient of its loss is exactly zero"
        yield Metric.share("saturated softmax", saturated, images, meaning)
    yield Metric(
        name="softmax error",
        value=health.softmax_error,
        meaning="largest difference between the probabilities of the logits and those that the model gives itself",
        of=images,
    )
    count, units = map(sum, zip((0, 0), *silent.values(), strict=True))
    yield Metric(
        name="silent units",
        value=count / units if units else None,
        meaning=f"share of {units:,} hidden units that answer alike to all images",
        of=images,
    )


def conclusions(health: Health, broken: list[str], silent: Silent, images: int) -> Iterator[Conclusion]:
    """Say what is sound and what is not.

    Args:
        health: How the model answers to the images.
        broken: The layers with weights that are not finite.
        silent: Of each layer, how many of its units are silent, and how many it has.
        images: How many images were looked at.
    """
    yield _finite(health, broken)
    if health.softmax_error is not None:
        yield _recovered(health.softmax_error)
    yield _gradients(health, images)
    if silent:
        yield _units(silent, images, health.sample == NOISE)


def _finite(health: Health, broken: list[str]) -> Conclusion:
    finite = bool(np.isfinite(health.margins).all())
    says = "All weights and logits are finite numbers."
    if broken:
        says = f"Weights are not finite in {few(broken)}."
    elif not finite:
        says = "The weights that were read are finite numbers, and logits are not."
    return Conclusion(
        says=says,
        holds=finite and not broken,
        rule="A number that is infinite or none at all, as training leaves where it diverges, spoils what it enters.",
    )


def _recovered(error: float) -> Conclusion:
    alike = error <= ROUNDING
    return Conclusion(
        says=f"The probabilities of the logits {'are' if alike else 'are not'} those that the model itself gives: "
        f"they differ by {error:.1g} at most.",
        holds=alike,
        rule=f"They are the same where no probability differs by more than {ROUNDING:g}, which rounding can do. Else "
        "the wrong tensor was taken for the logits.",
    )


def _gradients(health: Health, images: int) -> Conclusion:
    rule = (
        f"Gradients are sound where the 95% interval of the share of images without one lies below {percent(FEW, 0)}, "
        "and not where it lies above: attacks and maps that follow gradients say nothing of such images."
    )
    if health.preflight is None:
        return Conclusion(
            says="There are no gradients: nothing differentiable leads from the image to the logits.",
            holds=False,
            rule=rule,
        )
    zero, reasons = health.preflight.zero, health.preflight.reasons
    low, high = Metric.share("", zero, images, "share").interval or (0.0, 1.0)
    why = f": {'; '.join(reasons)}" if reasons else ""
    return Conclusion(
        says=f"The input gradient is exactly zero for {out_of(zero, images)} ({percent(low)} to {percent(high)}){why}.",
        holds=True if high < FEW else False if low > FEW else None,
        rule=rule,
    )


def _units(silent: Silent, images: int, noise: bool) -> Conclusion:
    worst = max(silent, key=lambda name: silent[name][0] / silent[name][1])
    count, units = (sum(each[part] for each in silent.values()) for part in (0, 1))
    most = f", most in {worst}, {silent[worst][0]:,} of {silent[worst][1]:,}" if count else ""
    return Conclusion(
        says=f"{count:,} of {units:,} hidden units ({percent(count / units)}) answer alike to all of {images:,} "
        f"images{most}.",
        holds=None if noise and count else count < MANY_SILENT * units,
        rule=f"Up to {percent(MANY_SILENT, 0)} of silent units are few; with more, a smaller network would answer the "
        "same. On noise, which units of use may be silent on as well, silent ones decide nothing.",
    )
