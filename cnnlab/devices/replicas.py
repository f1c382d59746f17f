"""What computes together: one device, several of this machine, or those of several processes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cnnlab.devices.cluster import Cluster
from cnnlab.errors import CnnlabError


@dataclass(frozen=True, eq=False)
class Replicas:
    """Copies of a network, each on a device of its own, which all hold the same weights.

    Attributes:
        name: Of the devices of this process, such as ``cpu``, ``gpu:0`` or ``cpu:4``.
        strategy: The ``tf.distribute.Strategy``; None for one device of one process.
        cluster: The processes; None for this one alone.
    """

    name: str
    strategy: Any = None
    cluster: Cluster | None = None

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
