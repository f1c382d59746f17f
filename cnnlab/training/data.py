"""Feeding images to the compiled loop: from tensors when they fit in memory, streamed with tf.data when not.

Both give the same batches, bit by bit, for the same order, which is a function of the seed and the epoch alone, and of
how images lie in files where they are streamed from some that hold several. No image is read to find it: so training
goes on at any batch at once, and all processes agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from cnnlab.devices.replicas import Replicas

if TYPE_CHECKING:
    from cnnlab.datasets import Split

IN_MEMORY_BYTES = 2 << 30
"""Images that take more than this are streamed. Images of 8-bit origin count a byte a value, others four."""

_BLOCK_BYTES = 1 << 28
"""Bytes of images as float32 that are read at once while they are copied into memory."""

_PIECES = 16
"""As many pieces of files, at least, are drawn from at a time where images are streamed."""

_AHEAD = 4
"""Batches that wait for the loop at most."""

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

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Return the positions of the images in the order of an epoch, counted from 1; int64."""
        return shuffled(len(self), seed, epoch)

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

    Batches are read one after the other, the images of each in threads where these pay
    (:func:`cnnlab.datasets.images.decode_all`): several batches at a time were slower.

    Args:
        split: The images.
        indices: Which of them.
        replicas: What each batch is parted among: a process reads the images of its own devices, and has zeros in the
            place of others.

    Attributes:
        scale: What stored values are divided by to give the dataset's values: images of 8 bits are read as they are.
    """

    def __init__(self, split: Split, indices: np.ndarray, replicas: Replicas | None = None) -> None:
        self._split, self._indices, self._replicas = split, indices, replicas or Replicas("cpu")
        self._labels = np.asarray(split.labels)[indices]
        self._as_stored = split.dtype == np.uint8
        self.scale = 255.0 if self._as_stored else 1.0

    def __len__(self) -> int:
        return len(self._indices)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Return the positions of the images in the order of an epoch, counted from 1; int64.

        Files that hold one image each are drawn at random from all. Of files that hold several, those are drawn at
        random, and the images through a buffer of as many as memory would hold (:func:`buffered`).
        """
        files = self._split.files
        if files is None:
            return shuffled(len(self), seed, epoch)
        size = int(np.prod(self._split.shape)) * (1 if self._as_stored else 4)
        return buffered(files[self._indices], max(1, IN_MEMORY_BYTES // size), seed, epoch)

    def batches(
        self, order: np.ndarray, batch_size: int, first: int = 0, moves: np.ndarray | None = None
    ) -> StreamBatches:
        """Return the images at the positions in ``order``, batch by batch, as :meth:`MemoryFeed.batches` does."""
        more = () if moves is None else (moves,)
        failures: list[Exception] = []

        def read(step: int) -> list[np.ndarray]:
            part = slice(step * batch_size, (step + 1) * batch_size)
            chosen = self._indices[order[part]]
            try:
                images = self._read(chosen)
            except Exception as error:
                failures.append(error)
                raise
            return [images, self._labels[order[part]], *(each[part] for each in more)]

        shapes = ((None, *self._split.shape), (None,), *((None, 2) for _ in more))
        types = (tf.uint8 if self._as_stored else tf.float32, tf.int64, *(tf.int32 for _ in more))

        def load(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
            loaded = tf.numpy_function(read, [step], types)
            return tuple(tf.ensure_shape(each, shape) for each, shape in zip(loaded, shapes, strict=True))

        steps = tf.data.Dataset.range(first, -(-len(order) // batch_size))
        return StreamBatches(iter(steps.map(load).prefetch(_AHEAD)), failures)

    def _read(self, chosen: np.ndarray) -> np.ndarray:
        """Read a batch, or of one that is parted what the devices of this process compute."""
        count, stored = len(chosen), self._split.stored if self._as_stored else self._split.batch
        if self._replicas.workers == 1 or count < self._replicas.count:
            return stored(chosen)
        own = self._replicas.share(count)
        images = np.zeros((count, *self._split.shape), np.uint8 if self._as_stored else np.float32)
        images[own] = stored(chosen[own])
        return images


class StreamBatches:
    """Consecutive batches of a :class:`StreamFeed`, the last one perhaps smaller.

    Args:
        iterator: The tf.data iterator that they come from.
        failures: What reading ran into, once it did.

    Attributes:
        iterator: Gives images, labels and, where they are to be moved, by how much.
    """

    def __init__(self, iterator: Any, failures: list[Exception]) -> None:
        self.iterator, self._failures = iterator, failures

    def __next__(self) -> tuple[tf.Tensor, tf.Tensor]:
        with self.reading():
            images, labels, *_ = next(self.iterator)
        return images, labels

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Say what went wrong in reading as it was said there, not as TensorFlow passes it on."""
        try:
            yield
        except tf.errors.OpError as error:
            raise self._failures[0] if self._failures else error from None


Feed = MemoryFeed | StreamFeed
Batches = MemoryBatches | StreamBatches


def make_feed(split: Split, indices: np.ndarray, replicas: Replicas | None = None) -> Feed:
    """Take the images at ``indices`` of a split: into memory when they fit in :data:`IN_MEMORY_BYTES`.

    Otherwise each of the processes among the ``replicas`` reads its part of a batch.
    """
    values = len(indices) * int(np.prod(split.shape))
    if values <= IN_MEMORY_BYTES:
        compact = _as_bytes(split, indices)
        if compact is not None:
            return MemoryFeed(compact, np.asarray(split.labels)[indices])
    if 4 * values <= IN_MEMORY_BYTES:
        return MemoryFeed(split.batch(indices), np.asarray(split.labels)[indices])
    return StreamFeed(split, indices, replicas)


def _as_bytes(split: Split, indices: np.ndarray) -> np.ndarray | None:
    """Return the images as uint8, where 255ths give back every float32 exactly; else None."""
    images = np.empty((len(indices), *split.shape), np.uint8)
    size = max(1, _BLOCK_BYTES // (4 * int(np.prod(split.shape))))
    for start in range(0, len(indices), size):
        part = slice(start, start + size)
        if split.dtype == np.uint8:
            images[part] = split.stored(indices[part])
            continue
        block = split.batch(indices[part])
        images[part] = np.rint(block * 255).clip(0, 255)
        if not np.array_equal(images[part].astype(np.float32) / np.float32(255), block):
            return None
    return images


def shuffled(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of ``count`` images in one epoch (counted from 1), int64."""
    return np.random.default_rng([_SHUFFLE, seed, epoch]).permutation(count)


def buffered(files: np.ndarray, buffer: int, seed: int, epoch: int) -> np.ndarray:
    """Return an order of images in one epoch (counted from 1) in which those near each other lie near in their files.

    Files, long ones cut into pieces, come in random order. Every image of this sequence waits for up to ``buffer``
    places, drawn at random: it ends up less than so many from where it was, and neighbours in it need not be read
    together. What is read at a time are the images of some :data:`_PIECES` pieces, wherever in the dataset these are.

    Args:
        files: The number of the file that each image is in, int [N]; images of a file follow each other.
        buffer: Images that are drawn from at a time.
        seed: The seed of the run.
        epoch: Which epoch.

    Returns:
        int64 [N].
    """
    count, generator = len(files), np.random.default_rng([_SHUFFLE, seed, epoch])
    places = np.arange(count)
    begins = np.flatnonzero(np.diff(files, prepend=-1))
    within = places - np.repeat(begins, np.diff(begins, append=count))
    starts = np.flatnonzero(within % max(1, buffer // _PIECES) == 0)
    lengths = np.diff(starts, append=count)
    drawn = generator.permutation(len(starts))
    starts, lengths = starts[drawn], lengths[drawn]
    sequence = places + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return sequence[np.argsort(places + buffer * generator.random(count), kind="stable")]


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
