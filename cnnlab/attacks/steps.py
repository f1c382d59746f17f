"""How an attack moves: from a gradient to a direction. The step taken is the row's step size times it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import tensorflow as tf


class Step(Protocol):
    """A step rule.

    Attributes:
        slots: How many tensors shaped like the images it remembers between steps.
    """

    slots: ClassVar[int]

    def __call__(self, gradient: Any, slots: tuple[Any, ...], step: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return the direction to move in, and what to remember.

        Args:
            gradient: Of the objective less the penalties, [B, H, W, C].
            slots: What was remembered; zeros at first.
            step: How many steps were taken before this one, a float32 scalar.
        """


@dataclass(frozen=True)
class Sign:
    """The gradient's sign: the steepest direction for the L-infinity norm (Goodfellow et al., 2015).

    Example:
        >>> import tensorflow as tf
        >>> gradient = tf.constant([0.3, -0.4], shape=(1, 1, 2, 1))
        >>> direction, _ = Sign()(gradient, slots=(), step=0.0)
        >>> direction.numpy().ravel().tolist()
        [1.0, -1.0]
    """

    slots: ClassVar[int] = 0

    def __call__(self, gradient: Any, slots: tuple[Any, ...], step: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return the signs; zero stays zero."""
        return tf.sign(gradient), slots


@dataclass(frozen=True)
class NormalisedGradient:
    """The gradient, scaled to length one: the steepest direction for the L2 norm. A zero gradient stays zero.

    Example:
        >>> import tensorflow as tf
        >>> gradient = tf.constant([3.0, 0.0], shape=(1, 1, 2, 1))
        >>> direction, _ = NormalisedGradient()(gradient, slots=(), step=0.0)
        >>> direction.numpy().ravel().tolist()
        [1.0, 0.0]
    """

    slots: ClassVar[int] = 0

    def __call__(self, gradient: Any, slots: tuple[Any, ...], step: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return the unit vectors."""
        # Divided by the largest entry first: the squares of very small gradients would all be zero.
        scaled = tf.math.divide_no_nan(gradient, tf.reduce_max(tf.abs(gradient), axis=[1, 2, 3], keepdims=True))
        length = tf.sqrt(tf.reduce_sum(tf.square(scaled), axis=[1, 2, 3], keepdims=True))
        return tf.math.divide_no_nan(scaled, length), slots


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba, 2015), climbing: each pixel moves by about the step size at first.

    Attributes:
        beta1: How much of the mean gradient is kept from step to step, from 0 to below 1.
        beta2: How much of the mean squared gradient is kept, from 0 to below 1.
        epsilon: What is added to the root of the mean square, against division by zero; no radius.

    Example:
        >>> from cnnlab.plugin import Attack
        >>> attack = Attack(norm=None, step=Adam(beta1=0.8), step_size=0.01, steps=100, then="closest")
        >>> attack.step.slots
        2
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    slots: ClassVar[int] = 2

    def __call__(self, gradient: Any, slots: tuple[Any, ...], step: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return the bias-corrected mean over the root of the bias-corrected mean square."""
        mean = self.beta1 * slots[0] + (1 - self.beta1) * gradient
        square = self.beta2 * slots[1] + (1 - self.beta2) * tf.square(gradient)
        corrected = mean / (1 - tf.pow(self.beta1, step + 1))
        root = tf.sqrt(square / (1 - tf.pow(self.beta2, step + 1)))
        return corrected / (root + self.epsilon), (mean, square)
