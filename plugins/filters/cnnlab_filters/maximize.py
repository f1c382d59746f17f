"""The input that excites each filter most (Erhan et al., 2009), climbed to by tf-keras-vis."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from cnnlab.classifier import Classifier

OPEN_SIDE = 64
"""Side in pixels of the image for a model that takes any size."""

RATE = 0.02
"""Adam's step, as a fraction of the value range."""

GRAINS = (1, 2, 4, 8)
"""Sides in pixels of the blocks that noise images are made of: a filter may answer to coarse noise alone."""

TRIED = 32
"""Noise images of each grain that are tried as starts."""


def climb(
    classifier: Classifier,
    layer: str,
    filters: np.ndarray,
    *,
    objective: Literal["map", "unit"],
    steps: int,
    smoothness: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Climb to the input that excites each filter most.

    A ReLU that is shut gives no gradient, so each filter starts from the noise image, of several grains, that excites
    it most.

    Args:
        classifier: The model.
        layer: The layer.
        filters: Which of its output channels, int [F].
        objective: The mean of the filter's map, or its unit in the middle.
        steps: Steps of Adam.
        smoothness: Weight of the total variation per pixel, which is taken off the objective.
        rng: Draws the noise.

    Returns:
        Images float32 [F, H, W, C] in the model's value range, and the objective at start and end, float32 [2, F].
    """
    shape = tuple(side or OPEN_SIDE for side in classifier.input_shape)
    starts, before = _starts(classifier, layer, filters, objective, shape, rng)
    ends, after = np.empty_like(starts), np.empty_like(before)
    model = layer_model(classifier, layer, shape)
    size = classifier.fixed_batch or min(classifier.batch_size, len(filters))
    for first in range(0, len(filters), size):
        chosen = np.arange(first, min(first + size, len(filters)))
        if classifier.fixed_batch:  # such a model takes no fewer: its last batch is filled up from the front
            chosen = np.arange(first, first + size) % len(filters)
        top = _climb(model, classifier.bounds, filters[chosen], starts[chosen], objective, steps, smoothness)

        def measure(images: np.ndarray, own: np.ndarray = filters[chosen]) -> np.ndarray:
            return np.asarray(score(classifier.activations(images, [layer])[layer], own, objective))

        # What never moved has no part in it: it is shown in the middle of the range, if that takes nothing away.
        plain = np.where(top == starts[chosen], np.float32(np.mean(classifier.bounds)), top)
        reached, reached_plain = measure(top), measure(plain)
        as_good = (reached_plain >= reached) & (reached > before[chosen])
        ends[chosen] = np.where(as_good[:, None, None, None], plain, top)
        after[chosen] = np.where(as_good, reached_plain, reached)
    return ends, np.stack([before, after])


def _starts(
    classifier: Classifier,
    layer: str,
    filters: np.ndarray,
    objective: str,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose for each filter the noise image that excites it most: images [F, H, W, C] and objectives [F]."""
    best = np.full(len(filters), -np.inf, np.float32)
    chosen = np.zeros((len(filters), *shape), np.float32)
    for grain in GRAINS:
        images = noise(rng, TRIED, shape, grain, classifier.bounds)
        maps = classifier.activations(images, [layer])[layer][..., filters]
        height, width = maps.shape[1:3]
        values = maps.mean(axis=(1, 2)) if objective == "map" else maps[:, height // 2, width // 2]
        winners = values.argmax(axis=0)
        values = values[winners, np.arange(len(filters))]
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


def _climb(
    model: Any,
    bounds: tuple[float, float],
    filters: np.ndarray,
    starts: np.ndarray,
    objective: str,
    steps: int,
    smoothness: float,
) -> np.ndarray:
    import keras
    import tensorflow as tf
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.activation_maximization.regularizers import TotalVariation2D

    low, high = map(float, bounds)

    # tf-keras-vis clips only what it returns: climbing far outside the range, it would come back with an image that
    # is no maximum of anything. Clipped before each step, this is projected gradient ascent.
    def clip(images: Any) -> Any:
        return tf.clip_by_value(images, low, high)

    found = ActivationMaximization(model)(
        lambda output: score(output, filters, objective),
        seed_input=starts,
        input_range=(low, high),
        input_modifiers=[clip],
        regularizers=[TotalVariation2D(weight=smoothness)] if smoothness else [],
        steps=steps,
        optimizer=keras.optimizers.Adam(RATE * (high - low)),
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return np.asarray(found)


def layer_model(classifier: Classifier, layer: str, shape: tuple[int, ...]) -> Any:
    """Wrap the graph's function from the image to a layer in a functional ``keras.Model``, which tf-keras-vis takes."""
    import keras

    function = classifier.graph_function(layer)

    class ToLayer(keras.layers.Layer):
        def call(self, images: Any) -> Any:
            return function(images)[0]

    image = keras.Input(shape)
    # tf-keras-vis hands its inputs over in a list.
    return keras.Model([image], ToLayer()(image))


def score(output: Any, filters: np.ndarray, objective: str) -> Any:
    """Return the objective of filter ``filters[i]`` in the map of image i: [F] of ``output`` [F, h, w, c]."""
    import tensorflow as tf

    own = tf.gather(tf.transpose(output, (0, 3, 1, 2)), filters, batch_dims=1)
    if objective == "map":
        return tf.reduce_mean(own, axis=(1, 2))
    return own[:, own.shape[1] // 2, own.shape[2] // 2]
