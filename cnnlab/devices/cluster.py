"""The processes that work together, as the environment describes them: each is told of all, and which of them it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnlab.errors import UsageError

PORT = 23456
"""The first port that the workers of a node listen at where SLURM describes them, which gives out none."""


@dataclass(frozen=True)
class Cluster:
    """Processes that work together, all by the same command.

    Attributes:
        workers: Where each is reached, ``host:port``; the first is the chief, which alone writes.
        index: Which of them this process is.
    """

    workers: tuple[str, ...]
    index: int

    def tf_config(self) -> str:
        """Return what ``TF_CONFIG`` says of this process."""
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": list(self.workers)}, "task": task})


def from_environment(environment: Mapping[str, str]) -> Cluster | None:
    """Read ``TF_CONFIG``, or what SLURM tells the tasks of a job step; None where this process works alone.

    Args:
        environment: The variables, such as ``os.environ``.

    Raises:
        UsageError: ``TF_CONFIG`` or SLURM's variables are there and describe no cluster of workers.

    Example:
        >>> from_environment({"TF_CONFIG": Cluster(("one:1", "two:2"), 1).tf_config()})
        Cluster(workers=('one:1', 'two:2'), index=1)
    """
    if environment.get("TF_CONFIG"):
        return _of_tf_config(environment["TF_CONFIG"])
    if environment.get("SLURM_STEP_NUM_TASKS", "1") == "1" or "SLURM_PROCID" not in environment:
        return None
    try:
        return _of_slurm(environment)
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"SLURM's variables describe no job step ({type(error).__name__}: {error}); expected what `srun` sets, "
            "among them SLURM_STEP_NODELIST and SLURM_STEP_TASKS_PER_NODE. Start the processes with `srun`."
        ) from error


def _of_tf_config(text: str) -> Cluster | None:
    expected = 'expected {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        said = json.loads(text)
        jobs = said.get("cluster") or {}
        if not jobs:
            return None
        task, index = said["task"]["type"], int(said["task"]["index"])
        # A chief, where there is one apart from the workers, is the first of them.
        workers = [*_addresses(jobs.get("chief", [])), *_addresses(jobs.get("worker", []))]
        index += len(jobs.get("chief", [])) if task == "worker" else 0
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"TF_CONFIG describes no cluster ({type(error).__name__}: {error}); {expected}.") from error
    others = sorted({*jobs, task} - {"chief", "worker"})
    if others:
        raise UsageError(
            f"TF_CONFIG has the job {others[0]!r}; cnnlab trains with a chief and workers alone, all of which compute."
        )
    if not 0 <= index < len(workers):
        raise UsageError(f"TF_CONFIG says that this is {task} {said['task']['index']} of {len(workers)}; {expected}.")
    return Cluster(tuple(workers), index) if len(workers) > 1 else None


def _addresses(given: Any) -> Sequence[str]:
    if not isinstance(given, list) or not all(isinstance(each, str) and ":" in each for each in given):
        raise ValueError(f"workers are a list of host:port, received {given!r}")
    return given


def _of_slurm(environment: Mapping[str, str]) -> Cluster:
    from tensorflow.python.distribute.cluster_resolver.slurm_cluster_resolver import (
        expand_hostlist,
        expand_tasks_per_node,
    )

    # Tasks are numbered node by node, as `srun` does by default (--distribution=block).
    nodes = expand_hostlist(environment["SLURM_STEP_NODELIST"])
    counts = expand_tasks_per_node(environment["SLURM_STEP_TASKS_PER_NODE"])
    workers = [f"{node}:{PORT + task}" for node, count in zip(nodes, counts, strict=True) for task in range(count)]
    return Cluster(tuple(workers), int(environment["SLURM_PROCID"]))
