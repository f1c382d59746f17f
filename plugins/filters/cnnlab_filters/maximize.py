"""The input that excites each filter most (Erhan et al., 2009), climbed to by tf-keras-vis."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tf_keras_vis.activation_maximization import ActivationMaximization
from tf_keras_vis.activation_maximization.regularizers import TotalVariation2D

from cnnlab.plugin import Classifier, Context, few
from cnnlab_filters import FiltersParams

OPEN_SIDE = 64
"""Side in pixels of the image for a model that takes any size."""

RATE = 0.02
"""Adam's step, as a fraction of the value range."""

GRAINS = (1, 2, 4, 8)
"""Sides in pixels of the blocks that noise images are made of: a filter may answer to coarse noise alone."""

TRIED = 32
"""Noise images of each grain that are tried as starts."""


def layer(
    classifier: Classifier, name: str, count: int, params: FiltersParams, context: Context
) -> dict[str, np.ndarray]:
    """Climb for the first ``count`` filters of a layer, and name those that nothing was found for.

    Returns:
        The arrays ``maximizing`` and ``excitation`` as :func:`climb` gives them.
    """
    # A stream of its own for each layer: choosing layers does not change what is found for the others.
    images, excitation = climb(classifier, name, count, params, np.random.default_rng([context.seed, *name.encode()]))
    climbed = excitation[1] > excitation[0]
    if not climbed.all():
        context.warn(
            f"{name}: no input was found that excites filters {few(np.flatnonzero(~climbed), most=10)} more than noise "
            "does: a filter whose ReLU is shut everywhere gives no gradient to climb."
        )
    return {"maximizing": images, "excitation": excitation}


def climb(
    classifier: Classifier, name: str, count: int, params: FiltersParams, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Climb to the input that excites each of the first ``count`` filters of a layer most.

    A ReLU that is shut gives no gradient, so each filter starts from the noise image, of several grains, that excites
    it most.

    Returns:
        Images float32 [count, H, W, C] in the model's value range, and the objective at start and end, float32
        [2, count], in a fresh pass.
    """
    shape = tuple(side or OPEN_SIDE for side in classifier.input_shape)
    starts, before = _starts(classifier, name, count, params.objective, shape, rng)
    ends, after = np.empty_like(starts), np.empty_like(before)
    model = classifier.keras_model(name)
    size = classifier.batch_size
    for first in range(0, count, size):
        filters = np.arange(first, min(first + size, count))
        top = _ascend(model, classifier.bounds, filters, starts[filters], params)
        # What never moved has no part in it: it is shown in the middle of the range, if that takes nothing away.
        plain = np.where(top == starts[filters], np.float32(np.mean(classifier.bounds)), top)
        reached, reached_plain = (
            np.asarray(score(classifier.activations(images, [name])[name], filters, params.objective))
            for images in (top, plain)
        )
        as_good = (reached_plain >= reached) & (reached > before[filters])
        ends[filters] = np.where(as_good[:, None, None, None], plain, top)
        after[filters] = np.where(as_good, reached_plain, reached)
    return ends, np.stack([before, after])


def _starts(
    classifier: Classifier, name: str, count: int, objective: str, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Choose for each filter the noise image that excites it most: images [F, H, W, C] and objectives [F]."""
    filters, best = np.arange(count), np.full(count, -np.inf, np.float32)
    chosen = np.zeros((count, *shape), np.float32)
    for grain in GRAINS:
        images = noise(rng, TRIED, shape, grain, classifier.bounds)
        maps = classifier.activations(images, [name])[name][..., filters]
        height, width = maps.shape[1:3]
        values = maps.mean(axis=(1, 2)) if objective == "map" else maps[:, height // 2, width // 2]
        winners = values.argmax(axis=0)
        values = values[winners, filters]
        better = values > best
        best[better], chosen[better] = values[better], images[winners[better]]
    return chosen, best


def noise(
    rng: np.random.Generator, count: int, shape: tuple[int, ...], grain: int, bounds: tuple[float, float]
) -> np.ndarray:
    """Draw images float32 [count, H, W, C] of blocks of ``grain`` pixels, uniform over the value range ``bounds``."""
    height, width, channels = shape
    blocks = rng.uniform(*bounds, (count, -(-height // grain), -(-width // grain), channels)).astype(np.float32)
    return blocks.repeat(grain, axis=1).repeat(grain, axis=2)[:, :height, :width]


def _ascend(
    model: Any, bounds: tuple[float, float], filters: np.ndarray, starts: np.ndarray, params: FiltersParams
) -> np.ndarray:
    """Climb from ``starts`` [F, H, W, C], each image for its own filter."""
    low, high = map(float, bounds)
    found = ActivationMaximization(model)(
        lambda output: score(output, filters, params.objective),
        seed_input=starts,
        input_range=(low, high),
        # tf-keras-vis clips only what it returns: climbing far outside the range, it would come back with an image
        # that is no maximum of anything. Clipped before each step, this is projected gradient ascent.
        input_modifiers=[lambda images: tf.clip_by_value(images, low, high)],
        regularizers=[TotalVariation2D(weight=params.smoothness)] if params.smoothness else [],
        steps=params.steps,
        optimizer=keras.optimizers.Adam(RATE * (high - low)),
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return np.asarray(found)


def score(output: Any, filters: np.ndarray, objective: str) -> Any:
    """Return the objective of filter ``filters[i]`` in the map of image i: [F] of ``output`` [F, h, w, c]."""
    own = tf.gather(tf.transpose(output, (0, 3, 1, 2)), filters, batch_dims=1)
    if objective == "map":
        return tf.reduce_mean(own, axis=(1, 2))
    return own[:, own.shape[1] // 2, own.shape[2] // 2]
