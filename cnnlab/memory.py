"""Memory that runs out: a smaller batch comes before an error."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from cnnlab.errors import CnnlabError

T = TypeVar("T")

ABREAST = 2
"""How many batches a processor computes at a time: while one waits for its last thread, the other goes on."""

ENOUGH = 32
"""Images that a batch holds at least where there are several at a time."""

SMALL = 64 * 64
"""Images of at most so many values go in batches of a multiple of :data:`LEAST`, filled up where there are fewer: then
what comes of an image is the same, bit for bit, in whatever batch it is."""

LEAST = 16


def least_batch(shape: Sequence[int]) -> int:
    """Return what the size of a batch of images (H, W, C) is to be a multiple of.

    >>> least_batch((28, 28, 1)), least_batch((224, 224, 3))
    (16, 1)
    """
    return LEAST if math.prod(shape) <= SMALL else 1


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in Python or in TensorFlow."""
    if isinstance(error, MemoryError):
        return True
    import tensorflow as tf

    return isinstance(error, tf.errors.ResourceExhaustedError)


def too_little(size: int) -> str:
    """What to tell where a batch went through in a part of the size that memory was thought to allow."""
    return f"memory ran out, and {'images went one by one' if size == 1 else f'batches were cut to {size} images'}."


NOT_EVEN_ONE = (
    "memory ran out with a single image at a time. Free some memory, or use a smaller model, smaller images or another "
    "machine."
)


def in_parts(
    count: int, size: int, work: Callable[[int, int], T], smaller: Callable[[int], None], *, abreast: bool = True
) -> Iterator[tuple[int, int, T]]:
    """Do work on ``count`` images, ``size`` at a time, and from where memory runs out on half as many.

    On a processor they are split into :data:`ABREAST` batches, each in a thread of its own, where these are of
    :data:`ENOUGH` images.

    Args:
        count: How many images there are.
        size: How many go at once, at first.
        work: From the first image of a part and the one after its last to what comes of it; called in several threads.
        smaller: Called with how many go at once from now on.
        abreast: Whether several may be computed at a time; work of a few operations waits longer for a thread than it
            takes.

    Yields:
        The first image of a part, the one after its last, and what came of it, in order.

    Raises:
        CnnlabError: Memory runs out with one image.
    """
    first = 0
    while first < count:
        try:
            for last, found in _from(first, count, size, work, abreast):
                yield first, last, found
                first = last
        except Exception as error:
            if not out_of_memory(error):
                raise
            size = min(size, count - first)
            if size == 1:
                raise CnnlabError(NOT_EVEN_ONE) from error
            size //= 2
            smaller(size)


def _from(first: int, count: int, size: int, work: Callable[[int, int], T], abreast: bool) -> Iterator[tuple[int, T]]:
    """Yield the ends of the parts from ``first`` on, and what came of them."""
    if not abreast or min(size, count - first) < ABREAST * ENOUGH or _busy():
        for start in range(first, count, size):
            last = min(start + size, count)
            yield last, work(start, last)
        return
    under_way: deque[tuple[int, Future[T]]] = deque()
    with ThreadPoolExecutor(ABREAST) as threads:
        for start, last in _split(first, count, size):
            if len(under_way) > ABREAST:  # one waits, so that no thread is idle while what is yielded is looked at
                end, done = under_way.popleft()
                yield end, done.result()
            under_way.append((last, threads.submit(work, start, last)))
        for end, done in under_way:
            yield end, done.result()


def _split(first: int, count: int, size: int) -> Iterator[tuple[int, int]]:
    """Go through parts of ``size``, each in equal batches where it is of enough images."""
    for start in range(first, count, size):
        here = min(size, count - start)
        each = -(-here // ABREAST) if here >= ABREAST * ENOUGH else here
        for begin in range(start, start + here, each):
            yield begin, min(begin + each, start + here)


def _busy() -> bool:
    """Whether no processor waits: a GPU computes, or several devices do already."""
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU")) or len(tf.config.list_logical_devices("CPU")) > 1
