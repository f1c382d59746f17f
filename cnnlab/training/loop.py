"""The compiled training loop: many steps in one ``tf.function`` call.

:meth:`TrainingLoop.step` is what one replica does with its batch. It runs under the strategy that is in scope, so the
same loop trains on one device or, with a strategy that holds the model, on several machines.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from cnnlab.training.data import Batches, MemoryBatches


class TrainingLoop:
    """A model, its optimizer, and the loss and accuracy over the epoch so far.

    The loss is the cross-entropy of the logits, in nats. What it shows of an epoch is the mean over the epoch's images,
    each taken before the step that the image led to, as Keras' ``fit`` does.

    Args:
        model: From images [N, H, W, C] to logits [N, classes]; its weights are trained in place.
        optimizer: A Keras optimizer.
        scale: What stored images are divided by.
    """

    def __init__(self, model: keras.Model, optimizer: Any, scale: float) -> None:
        self.model = model
        self.optimizer = optimizer
        self.optimizer.build(model.trainable_variables)
        self._scale = tf.constant(scale)
        self._losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
        self._loss = keras.metrics.Mean(name="loss")
        self._accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    @property
    def variables(self) -> list[Any]:
        """Everything that a step changes: a checkpoint of these goes on as if nothing had happened."""
        return [
            *self.model.variables,
            *self.optimizer.variables,
            *self._loss.variables,
            *self._accuracy.variables,
        ]

    @property
    def loss(self) -> float:
        """The mean training loss of the epoch so far."""
        return float(self._loss.result())

    @property
    def accuracy(self) -> float:
        """The training accuracy of the epoch so far."""
        return float(self._accuracy.result())

    def begin_epoch(self) -> None:
        """Forget the loss and the accuracy of the epoch before."""
        self._loss.reset_state()
        self._accuracy.reset_state()

    def run(self, batches: Batches, count: int) -> None:
        """Train on the next ``count`` batches."""
        if isinstance(batches, MemoryBatches):
            # Tensors whose shapes are the same in every call: another one would compile the loop anew.
            bounds = tf.constant([*batches.take(count), batches.batch_size], tf.int64)
            self._run_gathered(self._scale, batches.feed.images, batches.feed.labels, batches.order, bounds)
        else:
            self._run_streamed(self._scale, batches.iterator, tf.constant(count, tf.int64))

    def step(self, images: tf.Tensor, labels: tf.Tensor, batch_size: tf.Tensor) -> None:
        """Take one step.

        Args:
            images: This replica's images [n, H, W, C], float32.
            labels: Their labels, int64 [n].
            batch_size: The images of all replicas together, float32: the gradients of the replicas are summed.
        """
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            logits = tf.cast(self.model(images, training=True), tf.float32)
            losses = self._losses(labels, logits)
            loss = tf.reduce_sum(losses) / batch_size
            if self.model.losses:
                loss += tf.add_n(self.model.losses) / replicas
            scaled = self.optimizer.scale_loss(loss)
        weights = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, weights), weights)
        self._loss.update_state(losses)
        self._accuracy.update_state(labels, logits)

    @tf.function
    def _run_gathered(
        self, scale: tf.Tensor, images: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, bounds: tf.Tensor
    ) -> None:
        first, last, batch_size = tf.unstack(bounds)
        for start in tf.range(first, last, batch_size):
            chosen = order[start : tf.minimum(start + batch_size, last)]
            self._distribute(to_float(tf.gather(images, chosen), scale), tf.gather(labels, chosen))

    @tf.function
    def _run_streamed(self, scale: tf.Tensor, iterator: Any, count: tf.Tensor) -> None:
        for _ in tf.range(count):
            images, labels = next(iterator)
            self._distribute(to_float(images, scale), labels)

    def _distribute(self, images: tf.Tensor, labels: tf.Tensor) -> None:
        batch_size = tf.cast(tf.shape(labels)[0], tf.float32)
        tf.distribute.get_strategy().run(self.step, args=(images, labels, batch_size))


def to_float(images: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Turn stored images into float32.

    ``scale`` is a tensor, not a number: division by a constant would be compiled to a multiplication by its reciprocal,
    which rounds differently, and a model would see other images here than :class:`cnnlab.datasets.Split` gives.
    """
    return tf.cast(images, tf.float32) / scale
