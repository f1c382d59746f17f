"""Sharing out work on many images among the devices, and the processes, that compute together.

Every process runs the same program. Where it comes to :func:`gather` each computes its blocks of the images, on each of
its devices, and then all hold what one process alone would have found; everything else each does for itself.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import numpy as np

from cnnlab.devices.replicas import Replicas
from cnnlab.errors import CnnlabError
from cnnlab.memory import LEAST, out_of_memory

P = ParamSpec("P")
T = TypeVar("T")

_TRACING = threading.RLock()

Arrays = Mapping[str, np.ndarray]

_chosen: contextvars.ContextVar[Replicas | None] = contextvars.ContextVar("replicas", default=None)


def chosen() -> Replicas | None:
    """Return what work is shared out among; None where nobody said."""
    return _chosen.get()


@contextlib.contextmanager
def sharing(replicas: Replicas) -> Iterator[Replicas]:
    """Share out the work inside the ``with`` block."""
    before = _chosen.set(replicas)
    try:
        yield replicas
    finally:
        _chosen.reset(before)


def one_at_a_time(body: Callable[P, T]) -> Callable[P, T]:
    """Let one thread at a time trace the body of a ``tf.function``.

    TensorFlow builds the gradient of a graph inside that graph, and breaks it where two threads do so at once.
    """

    @functools.wraps(body)
    def alone(*args: P.args, **kwargs: P.kwargs) -> T:
        with _TRACING:
            return body(*args, **kwargs)

    return alone


Axis = int | Callable[[str, int], int | None]
"""The axis of the images: one for all arrays, or by an array's name and number of axes; None where it has none."""


def gather(
    count: int, size: int, compute: Callable[[int, int], Arrays], axis: Axis = 0, *, divisible: bool = True
) -> dict[str, np.ndarray]:
    """Compute arrays of many images, a block of them at a time, and join them.

    Args:
        count: How many images; of none ``compute`` is called once, for the shapes.
        size: Images in a block, at most.
        compute: Called with the numbers of a block's first image and of the one behind its last; gives its arrays by
            name. It is a function of these images alone: blocks are computed in any order, in several threads where
            there are several devices, and each in one of the processes.
        axis: Which axis of the arrays is that of the images. An array without one is taken from the first block.
        divisible: Whether blocks may be smaller, so that all devices have some. Otherwise they begin where they do with
            one device.

    Returns:
        The arrays of all images, in every process alike.

    Raises:
        CnnlabError: It could not be done in another process, which says why.
        MemoryError: Another process is out of memory.
    """
    replicas = chosen() or Replicas("cpu")
    blocks = _blocks(count, size, replicas, divisible)
    own = blocks[replicas.share(len(blocks))]
    whole = _Whole(count, axis)

    def one(block: range) -> None:
        whole.fill(block, compute(block.start, block.stop))

    try:
        _on_each(replicas.devices, own, one)
    except Exception as error:
        if replicas.workers > 1:
            _tell(replicas, whole, error)
        raise
    if replicas.workers > 1:
        _tell(replicas, whole)
        return {name: replicas.filled(whole.arrays[name]) for name in sorted(whole.arrays)}
    return whole.arrays


def _blocks(count: int, size: int, replicas: Replicas, divisible: bool) -> Sequence[range]:
    """Divide images into blocks; even ones, of :data:`LEAST` at least where it can be, wherever they are computed."""
    if not divisible:
        return [range(start, min(start + size, count)) for start in range(0, max(count, 1), size)]
    parts = replicas.workers * len(replicas.devices)
    number = max(1, -(-count // size), min(parts, count // LEAST))
    return [range(count * place // number, count * (place + 1) // number) for place in range(number)]


class _Whole:
    """Arrays of all images, filled block by block, not joined at the end: that would take everything twice."""

    def __init__(self, count: int, axis: Axis) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._count = count
        self._axis = axis if callable(axis) else lambda name, ndim: axis
        self._lock = threading.Lock()

    def fill(self, block: range, part: Arrays) -> None:
        if len(block) == self._count:
            self.arrays = {name: np.ascontiguousarray(values) for name, values in part.items()}
            return
        with self._lock:
            for name, values in part.items():
                whole, axis = self.prepare(name, values.shape, values.dtype), self._axis(name, values.ndim)
                if axis is not None:
                    np.moveaxis(whole, axis, 0)[block.start : block.stop] = np.moveaxis(values, axis, 0)
                elif not block.start:
                    whole[...] = values

    def prepare(self, name: str, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
        """Return the array of all images that one of such a shape and type is a part of."""
        full, axis = list(shape), self._axis(name, len(shape))
        if axis is not None:
            full[axis] = self._count
        whole = self.arrays.setdefault(name, np.zeros(full, dtype))
        common = np.result_type(whole, dtype)  # a text may be longer than those before it
        if common != whole.dtype:
            whole = self.arrays[name] = whole.astype(common)
        return whole


def _on_each(devices: Sequence[str], blocks: Sequence[range], work: Callable[[range], None]) -> None:
    """Do the work on each block, on each device in turn; of several errors that of the first block is raised."""
    if len(devices) == 1:
        with sharing(Replicas(devices[0].lower(), devices=tuple(devices))):
            for block in blocks:
                work(block)
        return

    import tensorflow as tf

    errors: dict[int, BaseException] = {}

    def on(device: str, mine: Sequence[range]) -> None:
        with sharing(Replicas(device.lower(), devices=(device,))), tf.device(f"/{device}"):
            for block in mine:
                if errors:
                    return
                try:
                    work(block)
                except BaseException as error:
                    errors[block.start] = error

    with ThreadPoolExecutor(len(devices)) as pool:
        threads = [
            pool.submit(contextvars.copy_context().run, on, device, blocks[place :: len(devices)])
            for place, device in enumerate(devices)
        ]
        try:
            for thread in threads:
                thread.result()
        except BaseException as error:  # Ctrl-C: no thread begins another block
            errors[-1] = error
    if errors:
        raise errors[min(errors)]


def _tell(replicas: Replicas, whole: _Whole, error: Exception | None = None) -> None:
    """Tell all processes what arrays there are, for some have no block, or what went wrong: they stay in step."""
    own = {name: (array.shape, array.dtype.str) for name, array in whole.arrays.items()}
    failed = None if error is None else (out_of_memory(error), str(error))
    for told in replicas.told(json.dumps([own, failed])):
        theirs, went_wrong = json.loads(told)
        if went_wrong and error is None:
            memory, words = went_wrong
            raise MemoryError(words) if memory else CnnlabError(words)
        for name, (shape, dtype) in theirs.items():
            whole.prepare(name, shape, np.dtype(dtype))


def all_of(words: Sequence[str]) -> list[str]:
    """Return the words that all processes hand in, the first one's first; every process must call it."""
    replicas = chosen()
    if replicas is None or replicas.workers == 1:
        return list(words)
    return [each for told in replicas.told(json.dumps(list(words))) for each in json.loads(told)]
