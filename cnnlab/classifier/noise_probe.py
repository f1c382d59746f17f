"""What can only be known of a model by running it: on a few images of noise, right after it is opened."""

from __future__ import annotations

import numpy as np

from cnnlab.classifier.classifier import Classifier, broken_weights
from cnnlab.classifier.finite import NotFiniteError
from cnnlab.classifier.logits import are_probabilities
from cnnlab.errors import CnnlabError

SIDE = 64
"""The side of a probe where the model takes any."""

UNTRACED = (
    "this model gives probabilities that come of no softmax that could be found, so their logarithms stand for its "
    "logits; where it is very sure, gradients lose digits."
)


LIKE_SIGMOIDS = (
    "all that this model gave for images of noise lies between 0 and 1 and does not add up to 1, and was taken for "
    "logits; if it is probabilities of classes that do not exclude each other, export the model with its logits as an "
    "output."
)


def probe_images(classifier: Classifier, count: int = 4) -> np.ndarray:
    """Return images that no dataset has, the same every time: float32 [count, H, W, C] over the value range."""
    height, width, channels = classifier.input_shape
    low, high = classifier.bounds
    noise = np.random.default_rng(0).random((count, height or SIDE, width or SIDE, channels), np.float32)
    # From faint to full contrast: some models answer alike to everything that is strong.
    strength = np.linspace(0.1, 1.0, count, dtype=np.float32).reshape(-1, 1, 1, 1)
    return (low + (high - low) * noise * strength).astype(np.float32)


def settle_output(classifier: Classifier) -> Classifier:
    """Return a classifier that takes logarithms, where what looked like logits turns out to be probabilities.

    Numbers between 0 and 1 that do not add up to 1 may be either: then the classifier says so. A model that is broken
    says that.

    Raises:
        CnnlabError: They are so sure that their logarithms say nothing.
    """
    if classifier.broken_layers:
        return classifier.with_note(f"{broken_weights(classifier.broken_layers)}: its answers mean nothing.")
    if classifier.output_kind != "logits":
        return classifier
    try:
        found = classifier.logits(probe_images(classifier))
    except NotFiniteError:
        return classifier
    if not are_probabilities(found):
        between = ((found >= 0) & (found <= 1)).all() and (found != found[0]).any()
        return classifier.with_note(LIKE_SIGMOIDS) if between else classifier
    if (found == 1).any():
        raise CnnlabError(
            "this model gives probabilities that come of no softmax that could be found, and they are saturated: 1 to "
            "the last digit, so that no logit can be told from them. Export the model with its logits as an output."
        )
    return classifier.with_logarithms(UNTRACED)
