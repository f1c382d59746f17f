"""What an attack is after, judged on the logits of an image: when a row has reached it.

A goal asks for a hair more than it promises, so that it still holds when the image is read again in a batch of another
size or on another machine, where the last bits of the logits differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import tensorflow as tf

from cnnlab.attacks.objectives import of_class, others

LOGIT_SLACK = 1e-5
"""The lead, as a share of the largest logit, that makes a class the predicted one beyond doubt of rounding."""

CONFIDENCE_SLACK = 1e-3
"""The share of what is missing to certainty by which a wanted confidence is exceeded: 0.99 asks for 0.99001."""


class Goal(Protocol):
    """Says which images have reached the goal: ``(logits [B, K], classes [B]) -> bool [B]``."""

    def __call__(self, logits: Any, classes: Any) -> Any:
        """Return a boolean TensorFlow tensor [B]."""


@dataclass(frozen=True)
class Fooled:
    """The image is read as another class than its own; with ``targeted=True``, as the class given.

    The lead must exceed 1e-5 of the image's largest logit, so that it outlasts rounding.

    Attributes:
        targeted: Whether the class is wanted or to be got away from.

    Example:
        >>> import tensorflow as tf
        >>> Fooled()(tf.constant([[2.0, 0.5], [0.5, 2.0]]), tf.constant([0, 0])).numpy().tolist()
        [False, True]
    """

    targeted: bool = False

    def __call__(self, logits: Any, classes: Any) -> Any:
        """Return which images are fooled, bool [B]."""
        lead = tf.reduce_max(others(logits, classes), axis=1) - of_class(logits, classes)
        slack = LOGIT_SLACK * tf.reduce_max(tf.abs(logits), axis=1)
        return -lead > slack if self.targeted else lead > slack


@dataclass(frozen=True)
class Confident:
    """The softmax gives the class at least this probability; with ``targeted=False``, some other class than it.

    Attributes:
        confidence: A probability, above 0 and below 1.
        targeted: Whether the class is wanted or to be got away from.

    Example:
        >>> import tensorflow as tf
        >>> Confident(0.9)(tf.constant([[4.0, 0.0], [1.0, 0.0]]), tf.constant([0, 0])).numpy().tolist()
        [True, False]
    """

    confidence: float = 0.99
    targeted: bool = True

    def __call__(self, logits: Any, classes: Any) -> Any:
        """Return which images are read with that confidence, bool [B]."""
        probabilities = tf.nn.softmax(logits)
        if self.targeted:
            reached = of_class(probabilities, classes)
        else:
            reached = tf.reduce_max(others(probabilities, classes), axis=1)
        return reached >= self.confidence + CONFIDENCE_SLACK * (1 - self.confidence)
