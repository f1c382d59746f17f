"""Gradients of a class' logit in the pixels: those of the model, and their mean over noisy copies by tf-keras-vis."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.scores import CategoricalScore

from cnnlab.plugin import Classifier, CnnlabError

NO_GRADIENT = "nothing differentiable leads to the logits of this model; the method scorecam needs none."
"""What is said of a model that methods which follow gradients cannot explain."""


def gradient(classifier: Classifier, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the gradient of a class' logit in the pixels, after Simonyan et al. (2013): float32 [n, H, W, C].

    Args:
        classifier: The model.
        images: [n, H, W, C].
        targets: Each image's class, int64 [n].

    Raises:
        CnnlabError: Nothing differentiable leads to the logits.
    """
    try:
        return classifier.input_gradient(images, targets, of="logit")
    except CnnlabError as error:
        if type(error) is not CnnlabError:  # the logits are not finite
            raise
        raise CnnlabError(NO_GRADIENT) from error


def smoothgrad(
    classifier: Classifier, images: np.ndarray, targets: np.ndarray, seed: int, *, samples: int, noise: float
) -> np.ndarray:
    """Return the mean of :func:`gradient` over noisy copies, after Smilkov et al. (2017): float32 [n, H, W, C].

    Args:
        classifier: The model.
        images: [n, H, W, C].
        targets: Each image's class, int64 [n].
        seed: Of the noise.
        samples: How many copies, at least 1.
        noise: Standard deviation of their noise, over the image's largest minus its smallest value.

    Raises:
        CnnlabError: Nothing differentiable leads to the logits.
    """
    saliency = classifier.compiled("saliency", lambda: Saliency(classifier.keras_model()))
    with _numpy_seeded(seed):
        found = saliency(
            CategoricalScore([int(target) for target in targets]),
            images,
            smooth_samples=samples,
            smooth_noise=noise,
            keepdims=True,
            normalize_map=False,
            gradient_modifier=there_is,
        )
    return np.asarray(found, np.float32)


def strongest(values: np.ndarray) -> np.ndarray:
    """Return, of values [n, H, W, C], the one of largest magnitude at each pixel, with its sign: [n, H, W]."""
    channel = np.abs(values).argmax(axis=-1)[..., None]
    return np.take_along_axis(values, channel, axis=-1)[..., 0]


def there_is(gradient: Any) -> Any:
    """Return a gradient.

    Raises:
        CnnlabError: There is none, which TensorFlow says with None.
    """
    if gradient is None:
        raise CnnlabError(NO_GRADIENT)
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
