"""The CAM family: feature maps of a layer, weighed. Computed from two pieces of the model's graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from cnnlab.plugin import ALayer, Classifier, UsageError
from cnnlab_saliency.gradients import there_is


def cam(classifier: Classifier, images: np.ndarray, targets: np.ndarray, method: str, layer: str) -> np.ndarray:
    """Return the sum of a layer's feature maps, each with its weight, float64 [n, h, w].

    Args:
        classifier: The model.
        images: [n, H, W, C].
        targets: Each image's class, int64 [n].
        method: ``gradcam``, ``gradcam++`` or ``scorecam``: what gives the weights.
        layer: The name of a layer whose output is [h, w, channels].

    Raises:
        CnnlabError: The method follows gradients, and nothing differentiable leads from the layer to the logits.
    """
    features = classifier.activations(images, [layer])[layer]
    if method == "scorecam":
        each = zip(images, targets, features, strict=True)
        weights = np.stack([score_weights(classifier, image, int(target), own) for image, target, own in each])
    else:
        weigh = cam_weights if method == "gradcam" else cam_plus_weights
        weights = weigh(features, _feature_gradient(classifier, images, targets, layer, features))
    return np.einsum("nhwc,nc->nhw", features.astype(np.float64), weights)


def cam_weights(features: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return the weight of each channel in Grad-CAM (Selvaraju et al., 2017): the mean gradient, float64 [N, C].

    Args:
        features: [N, h, w, C].
        gradient: Of the class' logit in them, [N, h, w, C].
    """
    return gradient.mean(axis=(1, 2), dtype=np.float64)


def cam_plus_weights(features: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return the weight of each channel in Grad-CAM++ (Chattopadhay et al., 2018), float64 [N, C].

    The paper's score is Y = exp(S), S the logit, behind a piecewise linear network: then its second and third
    derivatives are Y g^2 and Y g^3, and alpha = g^2 / (2 g^2 + sum(A) g^3) = 1 / (2 + sum(A) g). The factor Y of the
    weights is left out: it is one number for each image, and overflows.

    Args:
        features: A, [N, h, w, C].
        gradient: g, of the class' logit in them, [N, h, w, C].
    """
    gradient = gradient.astype(np.float64)
    below = 2 + features.sum(axis=(1, 2), keepdims=True, dtype=np.float64) * gradient
    # Only positive gradients count; there the sum is positive behind a ReLU, and can vanish only before one.
    counts = (gradient > 0) & (below != 0)
    alpha = np.divide(1.0, below, out=np.zeros_like(gradient), where=counts)
    return (alpha * np.maximum(gradient, 0)).sum(axis=(1, 2))


def _feature_gradient(
    classifier: Classifier, images: np.ndarray, targets: np.ndarray, layer: str, features: np.ndarray
) -> np.ndarray:
    """The gradient of each image's class' logit in the layer's output, [n, h, w, channels] as that is."""
    head = classifier.compiled(("saliency", layer), lambda: classifier.head_function(layer))
    with tf.GradientTape() as tape:
        output = tf.constant(_filled(classifier, features))
        tape.watch(output)
        logits = head(_filled(classifier, images), output)
        chosen = tf.gather(logits, _filled(classifier, targets), batch_dims=1)
    found: np.ndarray = there_is(tape.gradient(chosen, output)).numpy()
    return found[: len(images)]


def _filled(classifier: Classifier, values: np.ndarray) -> np.ndarray:
    """Fill a batch [n, ...] up with zeros where the model takes a fixed number of images."""
    missing = (classifier.fixed_batch or len(values)) - len(values)
    return np.pad(values, [(0, missing), *[(0, 0)] * (values.ndim - 1)])


def score_weights(classifier: Classifier, image: np.ndarray, target: int, features: np.ndarray) -> np.ndarray:
    """Return the weight of each channel in Score-CAM (Wang et al., 2020), float64 [C].

    It is the class' probability when the image is shown through the channel's mask, minus its probability for the
    blank image: the paper's Channel-wise Increase of Confidence. What a mask hides has the least value of the range.

    Args:
        classifier: The model.
        image: [H, W, C].
        target: The class.
        features: The layer's output for that image, [h, w, channels].
    """
    low = classifier.bounds[0]
    blank = classifier.probabilities(np.full_like(image, low)[None])[0, target]
    found = []
    for start in range(0, features.shape[-1], classifier.batch_size):
        shown = masks(features[..., start : start + classifier.batch_size], image.shape[:2])
        found.append(classifier.probabilities(low + (image - low) * shown[..., None])[:, target])
    weights = np.concatenate(found).astype(np.float64) - blank
    # A channel that is the same everywhere points nowhere.
    return np.where(np.ptp(features, axis=(0, 1)) > 0, weights, 0.0)


def masks(features: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a mask in [0, 1] for each channel: its map at the image's size, stretched; zeros for a flat one.

    Args:
        features: Of one image, [h, w, C].
        size: Height and width of the image.

    Returns:
        float32 [C, H, W].
    """
    large = resized(features.transpose(2, 0, 1), size)
    low, high = (bound(large, axis=(1, 2), keepdims=True) for bound in (np.min, np.max))
    return np.divide(large - low, high - low, out=np.zeros_like(large), where=high > low)


def resized(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return maps [N, h, w] at another size, bilinear between the centres of their pixels: float32 [N, H, W]."""
    return tf.image.resize(maps[..., None].astype(np.float32), size[:2]).numpy()[..., 0]


def feature_layer(classifier: Classifier, name: str | None) -> str:
    """Return the layer whose feature maps are weighed: the one named, else the last convolution, else the last map.

    Raises:
        UsageError: No layer gives a map [h, w, channels].
    """
    if name is not None:
        return name
    spatial = ALayer(spatial=True).among(classifier)
    if not spatial:
        raise UsageError(
            "no layer of this model gives a map [h, w, channels]; the methods vanilla, smoothgrad and "
            "integrated need none."
        )
    return ([layer for layer in spatial if layer.convolutional] or spatial)[-1].name
