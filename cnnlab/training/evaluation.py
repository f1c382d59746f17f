"""Evaluating a network on labelled images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from cnnlab.training.data import Feed
from cnnlab.training.loop import to_float

BATCH = 500


@dataclass(frozen=True)
class Evaluation:
    """What a network makes of N labelled images of K classes.

    Attributes:
        loss: The mean cross-entropy of the logits, in nats.
        predicted: The class of each image with the largest logit, int64 [N].
        confidence: The probability that it is given, float32 [N].
        confusion: How many images of each true class (row) were taken for each class (column): int64 [K, K].
    """

    loss: float
    predicted: np.ndarray
    confidence: np.ndarray
    confusion: np.ndarray

    @property
    def accuracy(self) -> float:
        """The fraction of images whose class is predicted."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def class_accuracy(self) -> list[float | None]:
        """The same for the images of each class; None for a class without images."""
        images = self.confusion.sum(axis=1)
        return [
            float(right / count) if count else None
            for right, count in zip(np.diag(self.confusion), images, strict=True)
        ]


class Evaluator:
    """Evaluates one model, compiled once."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")

    def evaluate(self, feed: Feed, *, between: Callable[[], None] = lambda: None) -> Evaluation:
        """Evaluate the model on all images of a feed, at most :data:`BATCH` in memory at a time.

        Args:
            feed: The images and labels, one at least.
            between: Called between batches; what it raises ends the evaluation.
        """
        classes = self.model.output_shape[-1]
        confusion = np.zeros((classes, classes), np.int64)
        predicted, confidence, total = [], [], 0.0
        scale = tf.constant(feed.scale)
        batches = feed.batches(np.arange(len(feed)), BATCH)
        for _ in range(-(-len(feed) // BATCH)):
            between()
            images, labels = next(batches)
            loss, guesses, sureness = self._batch(to_float(images, scale), labels)
            total += float(loss)
            np.add.at(confusion, (labels.numpy(), guesses.numpy()), 1)
            predicted.append(guesses.numpy())
            confidence.append(sureness.numpy())
        return Evaluation(total / len(feed), np.concatenate(predicted), np.concatenate(confidence), confusion)

    @tf.function(reduce_retracing=True)
    def _batch(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        logits = tf.cast(self.model(images, training=False), tf.float32)
        confidence = tf.reduce_max(tf.nn.softmax(logits), axis=1)
        return tf.reduce_sum(self._losses(labels, logits)), tf.argmax(logits, axis=1), confidence
