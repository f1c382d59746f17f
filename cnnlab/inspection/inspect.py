"""What can be told of an opened model before anybody asks it a question."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.classifier.finite import NotFiniteError
from cnnlab.classifier.noise_probe import probe_images
from cnnlab.datasets.loading import trained_on
from cnnlab.errors import CnnlabError
from cnnlab.inspection.gradients import Preflight, preflight
from cnnlab.inspection.origin import Origin, find_origin
from cnnlab.inspection.summary import Summary, summarize
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.requirements import check_requirements
from cnnlab.results.rows import plain

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

SAMPLES = 8
"""Images that gradients and margins are looked at on."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """How the model answers to sample images.

    Attributes:
        sample: What the images are.
        preflight: How many have no gradient; None where nothing differentiable leads to the logits, or these are not
            finite.
        margins: The smallest, the median and the largest lead of the best logit over the next; NaN where logits are
            not finite.
        softmax_error: The largest difference between the softmax of the logits (their sigmoids where classes are not
            exclusive) and what the model itself gives as probabilities; None where it gives none to compare.
    """

    sample: str
    preflight: Preflight | None
    margins: tuple[float, float, float]
    softmax_error: float | None


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A model, told.

    Attributes:
        origin: Who wrote it.
        classifier: The model.
        summary: Its layers in numbers.
        health: How it answers to sample images.
        analyses: Why each installed analysis cannot run on it; None for those that can.
    """

    origin: Origin
    classifier: Classifier
    summary: Summary
    health: Health
    analyses: dict[str, str | None]

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, numbers and texts."""
        model, health = self.classifier, self.health
        return {
            **model.record(),
            "origin": asdict(self.origin),
            "signatures": {name: dict(signature) for name, signature in model.signatures.items()},
            "input": {
                "shape": list(model.input_shape),
                "fixed_batch": model.fixed_batch,
                "dtype": model.input_dtype,
                "layout": "channels_first" if model.preparation.channels_first else "channels_last",
                "range": list(model.bounds),
                "range_reason": model.preparation.reason,
            },
            "classes": {"count": model.num_classes, "names": list(model.class_names)},
            "output": {
                "kind": model.output_kind,
                "logits": LOGITS[model.output_kind],
                "softmax_error": health.softmax_error,
            },
            "gradients": {
                "sample": health.sample,
                "preflight": None if health.preflight is None else health.preflight.to_json(),
                "margins": [plain(margin) for margin in health.margins],
            },
            "analyses": {name: {"runs": reason is None, "reason": reason} for name, reason in self.analyses.items()},
            "notes": list(model.notes),
            **self.summary.to_json(),
        }


LOGITS = {
    "probabilities": "recovered: the argument of the softmax",
    "logits": "the output itself",
    "sigmoid": "recovered: minus and plus half the argument of the sigmoid",
    "sigmoids": "recovered: the arguments of the sigmoids, each class by itself",
    "untraced probabilities": "not recovered: logarithms of the probabilities stand for them",
}
"""How logits come of each kind of output."""


def inspect(model: Any, images: np.ndarray | None = None, sample: str = "given images") -> Inspection:
    """Tell what can be told of a model.

    Args:
        model: As for :func:`cnnlab.load`.
        images: Sample images [N, H, W, C] in the model's value range; by default the first test images of the dataset
            that a run was trained on, and noise for other models.
        sample: What they are.

    Raises:
        CnnlabError: The model cannot be opened.

    Example:
        >>> import cnnlab
        >>> import keras
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
        >>> found = cnnlab.inspect(model)
        >>> found.origin.writer, found.summary.parameters
        ('a live Keras model', 130)
    """
    from cnnlab.classifier import load

    classifier = load(model)
    if images is None or not len(images):
        images, sample = _sample(classifier)
    health = health_of(classifier, images, sample)
    return Inspection(
        origin=find_origin(classifier.path, classifier.kind),
        classifier=classifier,
        summary=summarize(classifier),
        health=health,
        analyses={
            name: _obstacle(analysis, classifier, health.preflight)
            for name, analysis in sorted(registry.listed("analysis").items())
        },
    )


def _sample(classifier: Classifier) -> tuple[np.ndarray, str]:
    dataset = trained_on(classifier)
    if dataset is None or not len(dataset.test) or dataset.value_range != classifier.bounds:
        return probe_images(classifier, SAMPLES), "noise"
    return dataset.test.batch(range(min(SAMPLES, len(dataset.test)))), f"{dataset.name}/test"


def health_of(classifier: Classifier, images: np.ndarray, sample: str) -> Health:
    """Tell how a model answers to sample images.

    Args:
        classifier: The model.
        images: [N, H, W, C] in its value range; one at least.
        sample: What they are.
    """
    try:
        with classifier.recalling():
            found = _looked_at(classifier, images)
            logits = classifier.logits(images)
    except NotFiniteError:
        return Health(sample=sample, preflight=None, margins=(np.nan,) * 3, softmax_error=None)
    best = np.sort(logits, axis=1)
    margins = best[:, -1] - best[:, -2]
    own = classifier.own_probabilities(images)
    error = None if own is None else float(np.abs(own - classifier.probabilities_of(logits)).max())
    low, middle, high = (float(value) for value in np.quantile(margins, (0, 0.5, 1)))
    return Health(sample=sample, preflight=found, margins=(low, middle, high), softmax_error=error)


def _looked_at(classifier: Classifier, images: np.ndarray) -> Preflight | None:
    """Look at the gradients, which brings the logits; None where nothing differentiable leads to them."""
    try:
        return preflight(classifier, [(images, np.full(len(images), -1))])
    except NotFiniteError:
        raise
    except CnnlabError:
        return None


def _obstacle(analysis: Any, classifier: Classifier, found: Preflight | None) -> str | None:
    try:
        classifier.check_weights()
        check_requirements(analysis, classifier)
    except CnnlabError as error:
        return str(error)
    if "gradients" in analysis.requires and found is None:
        return "nothing differentiable leads from the image to the logits"
    if "gradients" in analysis.requires and found is not None and found.zero == found.images:
        return "the gradient of every sample image is exactly zero"
    return None
