"""What computes together: one device, several of this machine, or those of several processes."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cnnlab.devices.cluster import Cluster
from cnnlab.errors import CnnlabError

PIECE = 1 << 22
"""Numbers of eight bytes that are exchanged at a time."""

PATIENCE_AT_PARTING = 600_000
"""Milliseconds that a process waits for the others at its end."""

_PARTINGS = itertools.count()


@dataclass(frozen=True, eq=False)
class Replicas:
    """Copies of a network, each on a device of its own, which all hold the same weights.

    Attributes:
        name: Of the devices of this process, such as ``cpu``, ``gpu:0`` or ``cpu:4``.
        strategy: The ``tf.distribute.Strategy``; None for one device of one process.
        cluster: The processes; None for this one alone.
        devices: Those of this process among which images are shared, such as ``GPU:0``.
    """

    name: str
    strategy: Any = None
    cluster: Cluster | None = None
    devices: tuple[str, ...] = ("CPU:0",)

    @property
    def workers(self) -> int:
        """How many processes there are."""
        return len(self.cluster.workers) if self.cluster else 1

    @property
    def index(self) -> int:
        """Which of the processes this is."""
        return self.cluster.index if self.cluster else 0

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes: the first."""
        return self.index == 0

    @property
    def count(self) -> int:
        """How many copies there are, of all processes together."""
        return int(self.strategy.num_replicas_in_sync) if self.strategy else 1

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Let variables that are made inside the ``with`` block be copied to every device."""
        with self.strategy.scope() if self.strategy else contextlib.nullcontext():
            yield

    def share(self, count: int) -> slice:
        """Return this process' part of so many things: consecutive ones, as evenly as they divide.

        Example:
            >>> Replicas("cpu", cluster=Cluster(("one:1", "two:2", "three:3"), 1)).share(10)
            slice(3, 6, None)
        """
        return slice(count * self.index // self.workers, count * (self.index + 1) // self.workers)

    @contextlib.contextmanager
    def heeding(self, how_to_go_on: Callable[[], str] = str) -> Iterator[None]:
        """Say which process is gone, where one that the others waited for inside the ``with`` block is.

        Args:
            how_to_go_on: Words about how they are to be started.

        Raises:
            CnnlabError: One is.
        """
        try:
            yield
        except Exception as error:
            if self.cluster is None or not _lost(error):
                raise
            named = re.search(r"/task:(\d+)", str(error))
            which = f"process {named[1]} ({self.cluster.workers[int(named[1])]})" if named else "another process"
            raise CnnlabError(
                f"{which} of {self.workers} is gone: it ended, or cannot be reached any more, and the others cannot go "
                f"on without it. Start all of them again{how_to_go_on()}."
            ) from error

    def summed(self, values: Any) -> np.ndarray:
        """Return the sum over all processes of values that each hands in, float64 in the shape of its own.

        Every process must call it, and waits for the others.
        """
        own = np.asarray(values, np.float64)
        return own if self.workers == 1 else np.asarray(self._sum(own))

    def filled(self, values: np.ndarray) -> np.ndarray:
        """Return an array of which each process has filled in some entries, the same in all, the others being zeros.

        It is so to the bit, whatever the type. Every process must call it, with the same shape and type.
        """
        stored = np.zeros(-(-values.nbytes // 8), np.int64)
        stored.view(np.uint8)[: values.nbytes] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        whole = np.empty_like(stored)
        for start in range(0, len(stored), PIECE):
            whole[start : start + PIECE] = self._sum(stored[start : start + PIECE])
        return whole.view(np.uint8)[: values.nbytes].view(values.dtype).reshape(values.shape)

    def told(self, words: str) -> list[str]:
        """Return the words that each of the processes hands in; every process must call it."""
        own = words.encode()
        lengths = np.zeros(self.workers, np.int64)
        lengths[self.index] = len(own)
        ends = np.cumsum(self.filled(lengths))
        texts = np.zeros(ends[-1], np.uint8)
        texts[ends[self.index] - len(own) : ends[self.index]] = np.frombuffer(own, np.uint8)
        return [part.tobytes().decode() for part in np.split(self.filled(texts), ends[:-1])]

    def part(self) -> None:
        """Wait until no process needs another any more: one that ended before would be missed."""
        import tensorflow as tf
        from tensorflow.python.eager import context

        with contextlib.suppress(tf.errors.OpError):  # who is gone now is not needed any more
            context.context().wait_at_barrier(f"cnnlab/{next(_PARTINGS)}", PATIENCE_AT_PARTING)

    def of_chief(self, values: Any) -> np.ndarray:
        """Return the values that the chief hands in; every process must call it, with as many."""
        own = np.asarray(values, np.float64)
        return self.summed(own if self.is_chief else np.zeros_like(own))

    def largest(self, value: float) -> float:
        """Return the largest of the numbers that the processes hand in; every process must call it."""
        each = np.zeros(self.workers)
        each[self.index] = value
        return float(self.summed(each).max())

    @cached_property
    def _sum(self) -> Callable[[np.ndarray], Any]:
        import tensorflow as tf

        local = len(self.strategy.extended.worker_devices)

        def of_one(values: Any) -> Any:
            context = tf.distribute.get_replica_context()
            counted = context.replica_id_in_sync_group % local == 0  # once for each process
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(counted, values, tf.zeros_like(values)))

        @tf.function(reduce_retracing=True)
        def compiled(values: Any) -> Any:
            return self.strategy.experimental_local_results(self.strategy.run(of_one, (values,)))[0]

        return lambda values: compiled(tf.constant(values))


def _lost(error: Exception) -> bool:
    """Whether an operation failed because another process did not take part."""
    import tensorflow as tf

    kinds = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    )
    return isinstance(error, kinds) or (isinstance(error, tf.errors.OpError) and "ollective" in str(error))
