"""The optimizer: Keras' Adam, its update in one pass over the weights, and with a scaled loss for float16."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

FIRST_SCALE = 2.0**15
"""By what the loss in float16 is multiplied at first."""

STEPS_TO_GROW = 2000
"""Steps with finite gradients after which the loss is scaled twice as much."""


class FusedAdam(keras.optimizers.Adam):
    """Adam (Kingma and Ba, 2015) whose update of a variable is one TensorFlow kernel.

    Keras writes the same update as ten operations, each of which reads and writes a tensor as large as the variable; on
    a CPU that costs an eighth of a training step of mnist-cnn.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its two moments."""
        if not isinstance(gradient, tf.Tensor):
            super().update_step(gradient, variable, learning_rate)
            return
        self._update(tf.cast(gradient, variable.dtype), variable, learning_rate, self.beta_1, self.beta_2)

    def _update(self, gradient: Any, variable: Any, learning_rate: Any, beta_1: Any, beta_2: Any) -> None:
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.cast(self.beta_1, variable.dtype) ** step,
            beta2_power=tf.cast(self.beta_2, variable.dtype) ** step,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class ScaledAdam(FusedAdam):
    """The same for gradients in float16, whose smallest normal number is 6e-5.

    The loss is scaled up and the gradients back, by a factor that adapts itself (Micikevicius et al., 2018): it is
    halved where a gradient is not finite, and that step is not taken; it is doubled after :data:`STEPS_TO_GROW` steps.
    Keras' ``LossScaleOptimizer`` does the same on one device; of several each would decide by itself there. Here they
    sum what is not finite, and none branches: a step that is not taken is one that changes nothing.
    """

    def build(self, variables: Any) -> None:
        """Make the variables of the optimizer."""
        super().build(variables)
        first = keras.initializers.Constant(FIRST_SCALE)
        kept = {"shape": (), "aggregation": "only_first_replica"}
        self.scale = self.add_variable(initializer=first, dtype="float32", name="scale", **kept)
        self.steps_at_scale = self.add_variable(initializer="zeros", dtype="int64", name="steps_at_scale", **kept)

    def scale_loss(self, loss: Any) -> Any:
        """Scale up."""
        return loss * self.scale.value

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Take a step with the gradients of the scaled loss, unless one of them is not finite on any replica."""
        broken = tf.add_n([tf.cast(~tf.reduce_all(tf.math.is_finite(each)), tf.float32) for each in grads])
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            broken = context.all_reduce(tf.distribute.ReduceOp.SUM, broken)
        taken = tf.equal(broken, 0)
        # Of a step that is not taken every gradient is NaN, in the sum over all replicas too.
        factor = tf.where(taken, 1.0 / self.scale.value, math.nan)
        super().apply([each * factor for each in grads], trainable_variables)
        self.iterations.assign_sub(tf.cast(~taken, self.iterations.dtype))
        none = tf.zeros_like(self.steps_at_scale.value)
        steps = tf.where(taken, self.steps_at_scale.value + 1, none)
        grown = tf.equal(steps, STEPS_TO_GROW)
        self.scale.assign(self.scale.value * tf.where(taken, tf.where(grown, 2.0, 1.0), 0.5))
        self.steps_at_scale.assign(tf.where(grown, none, steps))

    def _update(self, gradient: Any, variable: Any, learning_rate: Any, beta_1: Any, beta_2: Any) -> None:
        taken = tf.math.is_finite(tf.reshape(gradient, [-1])[0])
        none = tf.zeros([], gradient.dtype)
        super()._update(
            tf.where(taken, gradient, none),
            variable,
            tf.where(taken, tf.cast(learning_rate, variable.dtype), none),
            tf.where(taken, tf.cast(beta_1, variable.dtype), 1.0),
            tf.where(taken, tf.cast(beta_2, variable.dtype), 1.0),
        )


def make_optimizer(learning_rate: Any, precision: str, *, beta_1: float = 0.9, beta_2: float = 0.999) -> Any:
    """Make the optimizer.

    Args:
        learning_rate: A number, or a Keras schedule.
        precision: What the gradients are computed in.
        beta_1: How much of the mean gradient is kept at each step.
        beta_2: How much of the mean squared gradient is kept at each step.
    """
    kind = ScaledAdam if precision == "float16" else FusedAdam
    return kind(learning_rate, beta_1=beta_1, beta_2=beta_2)
