"""The maps: gradients by tf-keras-vis, the CAM family from two pieces of the model's graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.scores import CategoricalScore

from cnnlab.classifier import Classifier
from cnnlab.errors import CnnlabError, UsageError
from cnnlab_saliency import OF_A_LAYER, SaliencyParams

IMAGES = 32
"""Images that are explained together."""

Explain = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""From images [n, H, W, C], target classes [n] and a seed to maps float32 [n, H, W]."""


def make_map(classifier: Classifier, params: SaliencyParams) -> Explain:
    """Prepare the method that the parameters name, for at most :func:`batch` images at a time.

    Raises:
        UsageError: There is no such layer, or its output is no feature map.
    """
    if params.method not in OF_A_LAYER:
        return _pixel_map(classifier, params)
    layer = feature_layer(classifier, params.layer)
    if params.method == "scorecam":
        weighed = _by_score(classifier, layer)
    else:
        weighed = _by_gradient(classifier, layer, cam_weights if params.method == "gradcam" else cam_plus_weights)

    def explain(images: np.ndarray, targets: np.ndarray, seed: int) -> np.ndarray:
        features, weights = weighed(images, targets)
        found = np.einsum("nhwc,nc->nhw", features.astype(np.float64), weights)
        return resized(found if params.signed else np.maximum(found, 0), images.shape[1:3])

    return explain


def batch(classifier: Classifier) -> int:
    """Say how many images are explained together: what the model takes, and no more than :data:`IMAGES`."""
    return classifier.fixed_batch or min(IMAGES, classifier.batch_size)


def gradients(classifier: Classifier, samples: int = 0, noise: float = 0.0) -> Explain:
    """Prepare the gradient of a class' logit in the pixels, after Simonyan et al. (2013), by tf-keras-vis.

    Args:
        classifier: The model.
        samples: Over how many noisy copies to average, after Smilkov et al. (2017); 0 takes the image itself.
        noise: Standard deviation of their noise, over the image's largest minus its smallest value.

    Returns:
        A function of images [n, H, W, C], classes [n] and the noise's seed, giving float32 [n, H, W, C].
    """
    saliency = Saliency(_thin_model(classifier))

    def gradient(images: np.ndarray, targets: np.ndarray, seed: int) -> np.ndarray:
        count = len(images)
        images, targets = _filled(classifier, images), _filled(classifier, targets)
        with _numpy_seeded(seed):
            found = saliency(
                CategoricalScore([int(target) for target in targets]),
                images,
                smooth_samples=samples,
                smooth_noise=noise,
                keepdims=True,
                normalize_map=False,
                gradient_modifier=_found,
            )
        return np.asarray(found, np.float32)[:count]

    return gradient


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


def resized(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return maps [N, h, w] at another size, bilinear between the centres of their pixels: float32 [N, H, W]."""
    return tf.image.resize(maps[..., None].astype(np.float32), size[:2]).numpy()[..., 0]


def feature_layer(classifier: Classifier, name: str | None) -> str:
    """Return the layer whose feature maps are weighed.

    Raises:
        UsageError: There is no such layer, its output is no map [h, w, channels], or none is.
    """
    spatial = [layer for layer in classifier.layers if len(layer.output_shape) == 3]
    if name is not None:
        if classifier.layer(name) in spatial:
            return name
        shape = list(classifier.layer(name).output_shape)
        raise UsageError(f"the layer {name} gives {shape} for an image, no map [h, w, channels]; {_choices(spatial)}.")
    convolutions = [layer for layer in spatial if layer.kernel is not None and layer.kernel.ndim == 4]
    if not spatial:
        raise UsageError(f"{_choices(spatial)}; the methods vanilla and smoothgrad need none.")
    return (convolutions or spatial)[-1].name


def _choices(spatial: list[Any]) -> str:
    names = ", ".join(layer.name for layer in spatial)
    return f"layers that do: {names}" if names else "no layer of this model gives a map [h, w, channels]"


def _pixel_map(classifier: Classifier, params: SaliencyParams) -> Explain:
    gradient = gradients(classifier, params.samples if params.method == "smoothgrad" else 0, params.noise)

    def explain(images: np.ndarray, targets: np.ndarray, seed: int) -> np.ndarray:
        found = gradient(images, targets, seed)
        strongest = np.abs(found).argmax(axis=-1)[..., None]
        plane = np.take_along_axis(found, strongest, axis=-1)[..., 0]
        return plane if params.signed else np.abs(plane)

    return explain


Weigh = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From images [n, H, W, C] and classes [n] to feature maps [n, h, w, c] and the weights of their channels [n, c]."""


def _by_gradient(classifier: Classifier, layer: str, weights: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Weigh:
    head = classifier.head_function(layer)

    def weighed(images: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = len(images)
        features = classifier.activations(images, [layer])[layer]
        with tf.GradientTape() as tape:
            output = tf.constant(_filled(classifier, features))
            tape.watch(output)
            logits = head(_filled(classifier, images), output)
            chosen = tf.gather(logits, _filled(classifier, targets), batch_dims=1)
        gradient = _found(tape.gradient(chosen, output)).numpy()[:count]
        return features, weights(features, gradient)

    return weighed


def _by_score(classifier: Classifier, layer: str) -> Weigh:
    def weighed(images: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = classifier.activations(images, [layer])[layer]
        each = [
            score_weights(classifier, image, int(target), own)
            for image, target, own in zip(images, targets, features, strict=True)
        ]
        return features, np.stack(each)

    return weighed


class _Logits(keras.layers.Layer):
    """The whole model as one Keras layer."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(name="logits", dtype="float32")
        self._classifier = classifier

    def call(self, images: Any) -> Any:
        return self._classifier.logits_function(images)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, int]:
        return (shape[0], self._classifier.num_classes)


def _thin_model(classifier: Classifier) -> Any:
    """Make the ``keras.Model`` that tf-keras-vis asks for."""
    image = keras.Input(classifier.input_shape, batch_size=classifier.fixed_batch, dtype="float32")
    # In a list, as tf-keras-vis hands its images over.
    return keras.Model([image], _Logits(classifier)(image))


def _filled(classifier: Classifier, values: np.ndarray) -> np.ndarray:
    """Fill a batch up with zeros where the model takes a fixed number of images."""
    missing = (classifier.fixed_batch or len(values)) - len(values)
    return np.pad(values, [(0, missing), *[(0, 0)] * (values.ndim - 1)])


def _found(gradient: Any) -> Any:
    if gradient is None:
        raise CnnlabError("nothing differentiable leads to the logits of this model; the method scorecam needs none.")
    return gradient


@contextlib.contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global stream, which tf-keras-vis draws from, and put it back as it was."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
