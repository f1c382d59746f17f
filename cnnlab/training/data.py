"""Feeding images to the compiled loop: from tensors when they fit in memory, streamed with tf.data when not.

Both give the same batches, bit by bit, in an order that is a function of the seed and the epoch alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from cnnlab.datasets import Split

IN_MEMORY_BYTES = 2 << 30
"""Images that take more than this are streamed. Images of 8-bit origin count a byte a value, others four."""

_BLOCK = 4096
"""Images read at once while they are copied into memory."""

_SHUFFLE, _HOLD_OUT, _MOVE = 0, 1, 2
"""What a stream of random numbers is for, beside the seed: one is never used for two things."""


class MemoryFeed:
    """Images held as one tensor, uint8 where that loses nothing.

    Attributes:
        scale: What stored values are divided by to give the dataset's values.
        images: [N, H, W, C], uint8 or float32.
        labels: int64 [N].
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.scale = 255.0 if images.dtype == np.uint8 else 1.0
        self.images = tf.constant(images)
        self.labels = tf.constant(labels, tf.int64)
        self._length = len(labels)

    def __len__(self) -> int:
        return self._length

    def batches(
        self, order: np.ndarray, batch_size: int, first: int = 0, moves: np.ndarray | None = None
    ) -> MemoryBatches:
        """Return the images at the positions in ``order``, batch by batch, from batch ``first`` on.

        ``moves`` says by how many pixels each of them is to be moved, as :func:`moved` gives them.
        """
        return MemoryBatches(self, order, batch_size, first, moves)


class MemoryBatches:
    """Consecutive batches of a :class:`MemoryFeed`, the last one perhaps smaller, gathered where they are used.

    Attributes:
        feed: Where the images are.
        order: The positions of all images in their order, int64.
        batch_size: Images in a batch.
        moves: By how many pixels each image is to be moved, int32 [N, 2]; None for not at all.
    """

    def __init__(
        self, feed: MemoryFeed, order: np.ndarray, batch_size: int, first: int, moves: np.ndarray | None
    ) -> None:
        self.feed, self.batch_size = feed, batch_size
        self.order = tf.constant(order, tf.int64)
        self.moves = None if moves is None else tf.constant(moves, tf.int32)
        self._next = first

    def take(self, count: int) -> tuple[int, int]:
        """Return where in the order the next ``count`` batches begin and end, and move past them."""
        start = self._next * self.batch_size
        self._next += count
        return start, min(self._next * self.batch_size, len(self.order))

    def __next__(self) -> tuple[tf.Tensor, tf.Tensor]:
        start, stop = self.take(1)
        positions = self.order[start:stop]
        return tf.gather(self.feed.images, positions), tf.gather(self.feed.labels, positions)


class StreamFeed:
    """Images read when they are wanted, a few batches ahead of the loop.

    Attributes:
        scale: 1, for what is read has the dataset's values already.
    """

    scale = 1.0

    def __init__(self, split: Split, indices: np.ndarray) -> None:
        self._split, self._indices = split, indices
        self._labels = np.asarray(split.labels)[indices]

    def __len__(self) -> int:
        return len(self._indices)

    def batches(
        self, order: np.ndarray, batch_size: int, first: int = 0, moves: np.ndarray | None = None
    ) -> StreamBatches:
        """Return the images at the positions in ``order``, batch by batch, as :meth:`MemoryFeed.batches` does."""
        more = () if moves is None else (moves,)

        def read() -> Iterator[tuple[np.ndarray, ...]]:
            for start in range(first * batch_size, len(order), batch_size):
                part = slice(start, start + batch_size)
                chosen = order[part]
                images = self._split.batch(self._indices[chosen])
                yield images, self._labels[chosen], *(each[part] for each in more)

        signature = (
            tf.TensorSpec((None, *self._split.shape), tf.float32),
            tf.TensorSpec((None,), tf.int64),
            *(tf.TensorSpec((None, 2), tf.int32) for _ in more),
        )
        dataset = tf.data.Dataset.from_generator(read, output_signature=signature)
        return StreamBatches(iter(dataset.prefetch(4)))


class StreamBatches:
    """Consecutive batches of a :class:`StreamFeed`, the last one perhaps smaller.

    Attributes:
        iterator: The tf.data iterator that they come from: images, labels and, where they are to be moved, by how much.
    """

    def __init__(self, iterator: Any) -> None:
        self.iterator = iterator

    def __next__(self) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, *_ = next(self.iterator)
        return images, labels


Feed = MemoryFeed | StreamFeed
Batches = MemoryBatches | StreamBatches


def make_feed(split: Split, indices: np.ndarray) -> Feed:
    """Take the images at ``indices`` of a split: into memory when they fit in :data:`IN_MEMORY_BYTES`."""
    values = len(indices) * int(np.prod(split.shape))
    if values <= IN_MEMORY_BYTES:
        compact = _as_bytes(split, indices)
        if compact is not None:
            return MemoryFeed(compact, np.asarray(split.labels)[indices])
    if 4 * values <= IN_MEMORY_BYTES:
        return MemoryFeed(split.batch(indices), np.asarray(split.labels)[indices])
    return StreamFeed(split, indices)


def _as_bytes(split: Split, indices: np.ndarray) -> np.ndarray | None:
    """Return the images as uint8, where 255ths give back every float32 exactly; else None."""
    images = np.empty((len(indices), *split.shape), np.uint8)
    for start in range(0, len(indices), _BLOCK):
        block = split.batch(indices[start : start + _BLOCK])
        rounded = np.rint(block * 255).clip(0, 255).astype(np.uint8)
        if not np.array_equal(rounded.astype(np.float32) / np.float32(255), block):
            return None
        images[start : start + _BLOCK] = rounded
    return images


def shuffled(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of ``count`` images in one epoch (counted from 1), int64."""
    return np.random.default_rng([_SHUFFLE, seed, epoch]).permutation(count)


def moved(count: int, most: int, seed: int, epoch: int) -> np.ndarray | None:
    """Draw by how many pixels, down and to the right, each of ``count`` images is moved in one epoch.

    Returns:
        int32 [count, 2] from -``most`` to ``most``, for the images in the order of the epoch; None where ``most`` is 0.
    """
    if not most:
        return None
    return np.random.default_rng([_MOVE, seed, epoch]).integers(-most, most + 1, (count, 2), dtype=np.int32)


def held_out(count: int, validation: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``validation`` of ``count`` images to hold out.

    Returns:
        The indices to train on and the indices held out, each in ascending order.
    """
    drawn = np.random.default_rng([_HOLD_OUT, seed]).permutation(count)
    return np.sort(drawn[validation:]), np.sort(drawn[:validation])
