"""What an attack climbs: objectives on the logits, and penalties on the image that are taken off them.

An objective is called with logits [B, K] and classes [B] and gives one value an image, to be made large. The class is
the label to get away from, or with ``targeted=True`` the class to be reached. All of them work on logits: the
probabilities of a network that is sure of itself are 0 and 1 in float32, and have no gradient.

The dataclasses are frozen so that an attack with equal parts finds its compiled loop again. Anybody's own callable
works too, as long as it can be hashed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import tensorflow as tf


class Objective(Protocol):
    """Gives one value an image, to be made large: ``(logits [B, K], classes [B]) -> [B]``."""

    def __call__(self, logits: Any, classes: Any) -> Any:
        """Return the values [B] as a TensorFlow tensor."""


class Penalty(Protocol):
    """Gives one value an image, to be kept small: ``(images, references [B, H, W, C], beta [B]) -> [B]``."""

    def __call__(self, images: Any, references: Any, beta: Any) -> Any:
        """Return the values [B] as a TensorFlow tensor."""


def of_class(logits: Any, classes: Any) -> Any:
    """Pick the logit [B] of each image's class.

    Without an index: on a GPU the gradient of one waits for shapes that it computes there.
    """
    return _summed(tf.where(_own(logits, classes), logits, tf.zeros_like(logits)))


def others(logits: Any, classes: Any) -> Any:
    """Put the lowest float in each image's class, so that maxima and log-sum-exps run over the other classes."""
    return tf.where(_own(logits, classes), logits.dtype.min, logits)


def largest(values: Any) -> Any:
    """Return the largest [B] of values [B, K]; dimensions are kept for the same reason."""
    return tf.squeeze(tf.reduce_max(values, axis=1, keepdims=True), 1)


def _summed(values: Any) -> Any:
    return tf.squeeze(tf.reduce_sum(values, axis=1, keepdims=True), 1)


def _over_image(values: Any) -> Any:
    return tf.squeeze(tf.reduce_sum(values, axis=[1, 2, 3], keepdims=True), [1, 2, 3])


def _own(logits: Any, classes: Any) -> Any:
    return tf.one_hot(classes, tf.shape(logits)[1], on_value=True, off_value=False, dtype=tf.bool)


@dataclass(frozen=True)
class CrossEntropy:
    """The cross-entropy of the softmax with the class (its negative for a target).

    In float32 it and its gradient are exactly zero once the class leads by a logit margin of about 104; see
    :class:`LogOdds`, which does not end there.

    Attributes:
        targeted: Whether the class is to be reached, instead of got away from.

    Example:
        >>> import tensorflow as tf
        >>> values = CrossEntropy()(tf.constant([[0.0, 0.0], [200.0, 0.0]]), tf.constant([0, 0]))
        >>> [f"{value:.3f}" for value in values.numpy()]
        ['0.693', '0.000']
    """

    targeted: bool = False

    def __call__(self, logits: Any, classes: Any) -> Any:
        """Return the values [B]."""
        value = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
        return -value if self.targeted else value


@dataclass(frozen=True)
class LogOdds:
    r"""The log-odds against the class, log((1 - p) / p): cross-entropy's direction without its saturation.

    With m = logsumexp of the other logits less the class's logit, p = 1 / (1 + exp(m)) and the cross-entropy is
    log(1 + exp(m)). Its gradient is sigmoid(m) times the gradient of m: the same direction, times a factor that
    vanishes when the network is sure. Step rules that look at the direction only (sign, normalised gradient) do the
    same with m as they would with an exact cross-entropy, on networks however sure.

    Attributes:
        targeted: Whether the class is to be reached, instead of got away from.

    Example:
        >>> import tensorflow as tf
        >>> LogOdds()(tf.constant([[2.0, 0.5]]), tf.constant([0])).numpy().tolist()
        [-1.5]
    """

    targeted: bool = False

    def __call__(self, logits: Any, classes: Any) -> Any:
        """Return the values [B]."""
        value = tf.squeeze(tf.reduce_logsumexp(others(logits, classes), axis=1, keepdims=True), 1) - of_class(
            logits, classes
        )
        return -value if self.targeted else value


@dataclass(frozen=True)
class ClassLogit:
    """The logit of the class alone (its negative where one wants away from it).

    Attributes:
        targeted: Whether the class is to be reached, instead of got away from.

    Example:
        >>> import tensorflow as tf
        >>> ClassLogit()(tf.constant([[2.0, 0.5]]), tf.constant([0])).numpy().tolist()
        [2.0]
    """

    targeted: bool = True

    def __call__(self, logits: Any, classes: Any) -> Any:
        """Return the values [B]."""
        value = of_class(logits, classes)
        return value if self.targeted else -value


@dataclass(frozen=True)
class Margin:
    """The highest other logit less the class's (its negative for a target): above zero, the image is read otherwise.

    Carlini and Wagner, "Towards Evaluating the Robustness of Neural Networks" (2017), without its clipping.

    Attributes:
        targeted: Whether the class is to be reached, instead of got away from.

    Example:
        >>> import tensorflow as tf
        >>> Margin()(tf.constant([[2.0, 0.5, -1.0]]), tf.constant([0])).numpy().tolist()
        [-1.5]
    """

    targeted: bool = False

    def __call__(self, logits: Any, classes: Any) -> Any:
        """Return the values [B]."""
        value = largest(others(logits, classes)) - of_class(logits, classes)
        return -value if self.targeted else value


@dataclass(frozen=True)
class SquaredDistance:
    """``weight * beta`` times the sum of squared differences to the reference image.

    ``beta`` (per row) and the reference (by default the original) are given to :meth:`Attack.run`.

    Attributes:
        weight: A factor for all rows.

    Example:
        >>> import tensorflow as tf
        >>> images, references = tf.ones((1, 2, 2, 1)), tf.zeros((1, 2, 2, 1))
        >>> SquaredDistance()(images, references, tf.constant([0.5])).numpy().tolist()
        [2.0]
    """

    weight: float = 1.0

    def __call__(self, images: Any, references: Any, beta: Any) -> Any:
        """Return the values [B]."""
        return self.weight * beta * _over_image(tf.square(images - references))


@dataclass(frozen=True)
class TotalVariation:
    """``weight`` times the sum of absolute differences between neighbouring pixels: keeps an image smooth.

    Neighbours are one beside and one below another (anisotropic total variation, after Rudin, Osher and Fatemi, 1992).

    Attributes:
        weight: A factor for all rows.

    Example:
        >>> import tensorflow as tf
        >>> step = tf.constant([0.0, 1.0, 0.0, 1.0], shape=(1, 2, 2, 1))
        >>> TotalVariation(0.5)(step, references=None, beta=None).numpy().tolist()
        [1.0]
    """

    weight: float

    def __call__(self, images: Any, references: Any, beta: Any) -> Any:
        """Return the values [B]."""
        down, across = images[:, 1:] - images[:, :-1], images[:, :, 1:] - images[:, :, :-1]
        return self.weight * (_over_image(tf.abs(down)) + _over_image(tf.abs(across)))


@dataclass(frozen=True)
class Energy:
    """``weight`` times the sum of squared pixel values: keeps an image dark where nothing calls for light.

    Attributes:
        weight: A factor for all rows.

    Example:
        >>> import tensorflow as tf
        >>> Energy(0.5)(tf.ones((1, 2, 2, 1)), references=None, beta=None).numpy().tolist()
        [2.0]
    """

    weight: float

    def __call__(self, images: Any, references: Any, beta: Any) -> Any:
        """Return the values [B]."""
        return self.weight * _over_image(tf.square(images))
