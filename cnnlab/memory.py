"""Memory that runs out: a smaller batch comes before an error."""

from __future__ import annotations

from collections.abc import Callable

from cnnlab.errors import CnnlabError


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


def in_parts(count: int, size: int, work: Callable[[int, int], None], smaller: Callable[[int], None]) -> None:
    """Do work on ``count`` images, ``size`` at a time, and from where memory runs out on half as many.

    Args:
        count: How many images there are.
        size: How many go at once, at first.
        work: Called with the first image of a part and the one after its last.
        smaller: Called with the size of the parts from now on.

    Raises:
        CnnlabError: Memory runs out with one image.
    """
    first = 0
    while first < count:
        last = min(first + size, count)
        try:
            work(first, last)
        except Exception as error:
            if not out_of_memory(error):
                raise
            if last - first == 1:
                raise CnnlabError(NOT_EVEN_ONE) from error
            size = (last - first) // 2
            smaller(size)
        else:
            first = last
