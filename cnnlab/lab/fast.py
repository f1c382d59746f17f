"""What follows the pen: probabilities and the first layers' maps of one image, by one compiled function for a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.lab.images import data_url
from cnnlab.results.rows import plain

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

LAYERS = 2
"""Layers whose maps follow the pen: the first so many that give maps."""

CHANNELS = 64
"""Maps that are shown of a layer."""

GAP = 1
"""Pixels between two maps."""


def answer(name: str, classifier: Classifier, image: np.ndarray, maps: bool) -> dict[str, Any]:
    """Return what a model says of an image, as ``POST /api/predict`` does.

    Args:
        name: The model's id.
        classifier: The model.
        image: float32 [H, W, C] in its value range.
        maps: Whether the maps of its first layers are wanted.

    Raises:
        CnnlabError: The logits are not finite.
    """
    layers = first_maps(classifier) if maps else []
    logits, *values = _function(classifier, layers)(image[np.newaxis])
    if not np.isfinite(logits).all():
        classifier.logits(image[np.newaxis])  # which says from which layer on
    probabilities = classifier.probabilities_of(logits)[0]
    return {
        "model": name,
        "probabilities": [plain(value) for value in probabilities.tolist()],
        "logits": [plain(value) for value in logits[0].tolist()],
        "predicted": int(probabilities.argmax()),
        "maps": [_sheet(layer, value[0]) for layer, value in zip(layers, values, strict=True)],
    }


def first_maps(classifier: Classifier) -> list[str]:
    """Return the names of the first layers that give maps, convolutions before all others."""
    spatial = [layer for layer in classifier.layers if len(layer.output_shape) == 3]
    wanted = [layer for layer in spatial if layer.convolutional] or spatial
    return [layer.name for layer in wanted[:LAYERS]]


def _function(classifier: Classifier, layers: list[str]) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The compiled function of a model and layers, kept on the model: from one image [1, H, W, C] to arrays."""
    if not hasattr(classifier, "_frozen"):  # a stand-in, whose logits are a function of somebody's
        return lambda images: [classifier.logits(images)]

    def make() -> Callable[[Any], Any]:
        import tensorflow as tf

        function = classifier.graph_function("logits", *layers)
        return tf.function(function, autograph=False, reduce_retracing=True)

    compiled = classifier.compiled(("lab", *layers), make)
    return lambda images: [value.numpy() for value in compiled(_tensor(images))]


def _tensor(images: np.ndarray) -> Any:
    import tensorflow as tf

    return tf.constant(images)


def _sheet(layer: str, values: np.ndarray) -> dict[str, Any]:
    """One picture of a layer's maps [h, w, channels], side by side, the smallest value black and the largest white."""
    height, width, channels = values.shape
    shown = min(channels, CHANNELS)
    columns = math.ceil(math.sqrt(shown))
    rows = math.ceil(shown / columns)
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
    sheet = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 1))
    for number in range(shown):
        top, left = number // columns * (height + GAP), number % columns * (width + GAP)
        sheet[top : top + height, left : left + width, 0] = scaled[..., number]
    grid = {"rows": rows, "columns": columns, "gap": GAP, "limits": [plain(low), plain(high)]}
    return {"layer": layer, "shape": [height, width, channels], **grid, "png": data_url(sheet)}
