"""The compiled training loop: many steps in one ``tf.function`` call, on one device or on several.

Every process has the whole of each batch, but for what others compute of images that are streamed, and each replica
takes its own part of it (:meth:`TrainingLoop.step`): so the order of the images, and what is resumed, depend on neither
devices nor processes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnlab.training.data import Batches, MemoryBatches
from cnnlab.training.fusion import fuse

# Nothing here branches on a tensor, nor may Keras' layers: to rewrite the source takes longer than to trace it.
compiled = functools.partial(tf.function, autograph=False)


class TrainingLoop:
    """A model, its optimizer, and the loss and accuracy over the epoch so far.

    The loss is the cross-entropy of the logits, in nats. What it shows of an epoch is the mean over the epoch's images,
    each taken before the step that the image led to, as Keras' ``fit`` does.

    Args:
        model: From images [N, H, W, C] to logits [N, classes]; its weights are trained in place.
        optimizer: A Keras optimizer.
        scale: What stored images are divided by.
        label_smoothing: The probability that is taken from the label and spread evenly over all classes.
        lowest: What comes in at the border of an image that is moved.
        synchronized: Whether batch normalisations take mean and variance of the images of all replicas.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: Any,
        scale: float,
        *,
        label_smoothing: float = 0.0,
        lowest: float = 0.0,
        synchronized: bool = False,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self._fused = fuse(model, synchronized=synchronized)
        self.optimizer.build(model.trainable_variables)
        self._scale = tf.constant(scale)
        self._smoothing = label_smoothing
        self._lowest = lowest
        self._sums = keras.Variable(np.zeros(3), dtype="float64", trainable=False, aggregation="sum", name="sums")

    @property
    def variables(self) -> list[Any]:
        """Everything that a step changes: a checkpoint of these goes on as if nothing had happened."""
        return [*self.model.variables, *self.optimizer.variables, self._sums]

    @property
    def loss(self) -> float:
        """The mean training loss of the epoch so far."""
        return self._mean(0)

    @property
    def accuracy(self) -> float:
        """The training accuracy of the epoch so far."""
        return self._mean(1)

    @property
    def sums(self) -> np.ndarray:
        """Of the epoch so far: the losses, the images classified rightly, and the images; float64 [3]."""
        return self._sums.numpy()

    def _mean(self, which: int) -> float:
        sums = self.sums
        return float(sums[which] / max(sums[2], 1.0))

    def begin_epoch(self) -> None:
        """Forget the loss and the accuracy of the epoch before."""
        self._sums.assign(np.zeros(3))

    def run(self, batches: Batches, count: int) -> None:
        """Train on the next ``count`` batches."""
        if isinstance(batches, MemoryBatches):
            # Tensors whose shapes are the same in every call: another one would compile the loop anew. What counts is
            # int32, which lies in the memory of the host beside a GPU, where loops and slices look for it.
            bounds = tf.constant([*batches.take(count), batches.batch_size], tf.int32)
            feed = batches.feed
            self._run_gathered(self._scale, feed.images, feed.labels, batches.order, batches.moves, bounds)
        else:
            with batches.reading():
                self._run_streamed(self._scale, batches.iterator, tf.constant(count, tf.int32))

    def step(self, images: tf.Tensor, labels: tf.Tensor) -> None:
        """Take one step, of which this replica computes its part: the gradients of all are summed.

        Args:
            images: The whole batch [N, H, W, C], float32.
            labels: int64 [N].
        """
        replicas, total, copies = tf.distribute.get_replica_context().num_replicas_in_sync, tf.shape(labels)[0], 1
        if replicas > 1:
            part, copies = _own_part(total)
            images, labels, total = images[part], labels[part], total * copies
        with tf.GradientTape() as tape:
            logits = tf.cast(self._fused(images, training=True), tf.float32)
            losses = cross_entropy(logits, labels, self._smoothing)
            loss = tf.reduce_sum(losses) / tf.cast(total, tf.float32)
            if self._fused.losses:
                loss += tf.add_n(self._fused.losses) / replicas
            scaled = self.optimizer.scale_loss(loss)
        weights = self.model.trainable_variables
        gradients = tape.gradient(scaled, weights)
        # A bias before a batch normalisation has no part in the loss.
        filled = [tf.zeros(w.shape, w.dtype) if g is None else g for g, w in zip(gradients, weights, strict=True)]
        self.optimizer.apply(filled, weights)
        if replicas > 1:
            self._share_statistics(tf.shape(labels)[0] / total)
        right = tf.equal(tf.argmax(logits, axis=1), labels)
        sums = [tf.reduce_sum(losses), tf.math.count_nonzero(right), tf.size(labels)]
        # TensorFlow's own: under a strategy Keras' would add what is there already once for each replica.
        self._sums.value.assign_add(
            tf.stack([tf.cast(each, tf.float64) for each in sums]) / tf.cast(copies, tf.float64)
        )

    def _share_statistics(self, part: tf.Tensor) -> None:
        """Make what is no weight, as running means, the mean over all replicas, each by its part of the batch."""
        context = tf.distribute.get_replica_context()
        for variable in self.model.non_trainable_variables:
            if variable.dtype in ("float32", "float64"):
                own = variable.value * tf.cast(part, variable.dtype)
                variable.assign(context.all_reduce(tf.distribute.ReduceOp.SUM, own))

    @compiled
    def _run_gathered(
        self,
        scale: tf.Tensor,
        images: tf.Tensor,
        labels: tf.Tensor,
        order: tf.Tensor,
        moves: tf.Tensor | None,
        bounds: tf.Tensor,
    ) -> None:
        first, last, batch_size = tf.unstack(bounds)

        def step(batch: tf.Tensor) -> None:
            start = first + batch * batch_size
            stop = tf.minimum(start + batch_size, last)
            chosen = order[start:stop]
            part = None if moves is None else moves[start:stop]
            self._distribute(scale, take(images, chosen), tf.gather(labels, chosen), part)

        _repeat(step, (last - first + batch_size - 1) // batch_size)

    @compiled
    def _run_streamed(self, scale: tf.Tensor, iterator: Any, count: tf.Tensor) -> None:
        _repeat(lambda _: self._distribute(scale, *next(iterator)), count)

    def _distribute(
        self, scale: tf.Tensor, images: tf.Tensor, labels: tf.Tensor, moves: tf.Tensor | None = None
    ) -> None:
        """Take a step on stored images, moved where ``moves`` says by how much."""
        images = to_float(images, scale)
        if moves is not None:
            images = move(images, moves, self._lowest)
        tf.distribute.get_strategy().run(self.step, args=(images, labels))


def _repeat(step: Callable[[tf.Tensor], None], count: tf.Tensor) -> None:
    """Call ``step`` with 0, 1, ... in one loop of the graph."""

    def once(done: tf.Tensor) -> tf.Tensor:
        step(done)
        return done + 1

    tf.while_loop(lambda done: done < count, once, [0])


def _own_part(total: tf.Tensor) -> tuple[slice, tf.Tensor]:
    """Return which images of a batch this replica computes, and how many replicas compute each of them.

    All have as many, or one more; of fewer images than there are replicas each computes all, for TensorFlow's kernels
    want one image at least.
    """
    context = tf.distribute.get_replica_context()
    index, replicas = context.replica_id_in_sync_group, context.num_replicas_in_sync
    few = total < replicas
    start, stop = (tf.where(few, end, total * of // replicas) for end, of in ((0, index), (total, index + 1)))
    return slice(start, stop), tf.where(few, replicas, 1)


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Return the cross-entropy of logits [N, K] with labels int64 [N], in nats [N].

    With ``smoothing`` s it is that with the probabilities of Szegedy et al. (2016): 1 - s for the label, and s / K more
    for every class.
    """
    if not smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    classes = logits.shape[-1]
    wanted = tf.one_hot(labels, classes, on_value=1.0 - smoothing + smoothing / classes, off_value=smoothing / classes)
    return tf.nn.softmax_cross_entropy_with_logits(wanted, logits)


def take(images: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Return the images at some positions, in their order.

    Bytes are taken as wider numbers where as many fit into an image: so GPUs can take them too, and CPUs do it faster.

    Args:
        images: [N, H, W, C], whose shape is known but for N.
        positions: int64 [B].
    """
    size = math.prod(images.shape[1:])
    wide = next((kind for kind in (tf.int64, tf.int32, tf.float16) if size % kind.size == 0), None)
    if images.dtype != tf.uint8 or wide is None:
        return tf.gather(images, positions)
    numbers = tf.bitcast(tf.reshape(images, [-1, size // wide.size, wide.size]), wide)
    return tf.reshape(tf.bitcast(tf.gather(numbers, positions), tf.uint8), [-1, *images.shape[1:]])


def move(images: tf.Tensor, moves: tf.Tensor, lowest: float) -> tf.Tensor:
    """Move images by whole pixels.

    Args:
        images: [N, H, W, C], float32.
        moves: By how many pixels down and to the right, int32 [N, 2].
        lowest: What comes in at the border.
    """
    down, right = tf.unstack(-tf.cast(moves, tf.float32), axis=1)
    one, none = tf.ones_like(down), tf.zeros_like(down)
    with tf.device("/CPU:0"):  # the kernel of GPUs, too, looks for it in the memory of the host
        fill = tf.constant(lowest, tf.float32)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([one, none, right, none, one, down, none, none], axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=fill,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )


def to_float(images: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Turn stored images into float32.

    ``scale`` is a tensor, not a number: division by a constant would be compiled to a multiplication by its reciprocal,
    which rounds differently, and a model would see other images here than :class:`cnnlab.datasets.Split` gives.
    """
    return tf.cast(images, tf.float32) / scale
