"""Evaluating a network on labelled images."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from cnnlab.inspection.evaluation import Evaluation
from cnnlab.training.data import Feed
from cnnlab.training.loop import to_float

__all__ = ["BATCH", "Evaluation", "Evaluator"]

BATCH = 500


class Evaluator:
    """Evaluates one model, compiled once."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
        images = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        signature = [images, tf.TensorSpec((None,), tf.int64)]
        self._compiled = tf.function(self._batch, input_signature=signature, autograph=False)

    def evaluate(
        self, feed: Feed, *, part: slice = slice(None), between: Callable[[], None] = lambda: None
    ) -> Evaluation:
        """Evaluate the model on the images of a feed, at most :data:`BATCH` in memory at a time.

        Args:
            feed: The images and labels.
            part: Which of them, one at least.
            between: Called between batches; what it raises ends the evaluation.
        """
        classes = self.model.output_shape[-1]
        confusion = np.zeros((classes, classes), np.int64)
        predicted, confidence, total = [], [], 0.0
        scale = tf.constant(feed.scale)
        chosen = np.arange(len(feed))[part]
        batches = feed.batches(chosen, BATCH)
        for _ in range(-(-len(chosen) // BATCH)):
            between()
            images, labels = next(batches)
            loss, guesses, sureness = self._compiled(to_float(images, scale), labels)
            total += float(loss)
            np.add.at(confusion, (labels.numpy(), guesses.numpy()), 1)
            predicted.append(guesses.numpy())
            confidence.append(sureness.numpy())
        return Evaluation(total / len(chosen), np.concatenate(predicted), np.concatenate(confidence), confusion)

    def _batch(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        logits = tf.cast(self.model(images, training=False), tf.float32)
        confidence = tf.reduce_max(tf.nn.softmax(logits), axis=1)
        return tf.reduce_sum(self._losses(labels, logits)), tf.argmax(logits, axis=1), confidence
