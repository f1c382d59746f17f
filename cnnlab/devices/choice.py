"""Choosing what TensorFlow computes on."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from cnnlab.devices import cluster
from cnnlab.devices.cluster import Cluster
from cnnlab.devices.growth import grow_memory
from cnnlab.devices.replicas import Replicas
from cnnlab.devices.sharing import chosen, sharing
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.progress import Progress, Silent
from cnnlab.words import few

MOST = 64
"""Logical CPU devices, at most."""


@contextlib.contextmanager
def use_devices(name: str = "auto", progress: Progress | None = None) -> Iterator[Replicas]:
    """Compute on a device inside the ``with`` block, or share the images out among several.

    Where that was said around it already, ``auto`` changes nothing; in a cluster no name does.

    Args:
        name: ``auto`` (the first GPU where there is one, else the CPU), ``cpu``, or ``gpu:0``, ``gpu:1`` and so on;
            ``all`` for every GPU, or the CPU where there is none; ``cpu:N`` for the CPU as N devices.
        progress: Where to show that TensorFlow loads; nowhere by default.

    Raises:
        UsageError: The name is none of these.
        CnnlabError: There is no such device, or TensorFlow has begun already and cannot divide the CPU any more.
    """
    before = chosen()
    if before and (before.cluster or name.strip().lower() == "auto"):
        yield before
        return
    with _computing(_found(name, progress)) as used:
        yield used


@contextlib.contextmanager
def use_all_devices(name: str = "auto", progress: Progress | None = None) -> Iterator[Replicas]:
    """Do as :func:`use_devices`, together with the processes that the environment tells of, where it does.

    Args:
        name: What :func:`use_devices` knows, but for ``cpu:N`` in a cluster, where each process uses its own devices.
        progress: Where to show that TensorFlow loads; nowhere by default.

    Raises:
        UsageError: The name is none of these, or ``TF_CONFIG`` describes no cluster.
        CnnlabError: There is no such device, or another process is gone.
    """
    together = cluster.from_environment(os.environ)
    with _joined(together, name) if together else use_devices(name, progress) as replicas, sharing(replicas):
        yield replicas


@contextlib.contextmanager
def use_strategy(name: str = "auto") -> Iterator[Replicas]:
    """Train one network on one device or several inside the ``with`` block, with the processes of a cluster.

    Args:
        name: What :func:`use_all_devices` knows.

    Raises:
        UsageError: The name is none of these, or ``TF_CONFIG`` describes no cluster.
        CnnlabError: There is no such device, TensorFlow has begun already, or the other processes cannot be reached.
    """
    together = cluster.from_environment(os.environ)
    if together:
        with _joined(together, name) as replicas:
            yield replicas
        return
    used = _found(name)
    if len(used.devices) == 1:
        with _computing(used):
            yield used
    else:
        with sharing(Replicas(used.name)):  # what is asked meanwhile is asked of one device
            yield replace(used, strategy=_mirrored(used.devices))


@contextlib.contextmanager
def _computing(used: Replicas) -> Iterator[Replicas]:
    """Share the images out among these devices; what is not shared out is the first one's."""
    import tensorflow as tf

    with tf.device(f"/{used.devices[0]}"), sharing(used):
        yield used


def current_device() -> str:
    """Return what is computed on, ``cpu`` or ``gpu:0``; ``cpu:4`` or ``gpu:0+gpu:1`` where images are shared out."""
    return (chosen() or _found("auto")).name


def _found(name: str, progress: Progress | None = None) -> Replicas:
    """Find the devices of this process that a name means."""
    number = _cpus(name)
    with (progress or Silent()).stage("Loading TensorFlow"):
        grow_memory()
        names = _split(number) if number > 1 else _named(name)
    if names[0] == "CPU:0":
        return Replicas(f"cpu:{number}" if number > 1 else "cpu", devices=tuple(names))
    return Replicas("+".join(names).lower(), devices=tuple(names))


def _cpus(name: str) -> int:
    """Check a name, and return how many devices the CPU is to be; 1 where it says nothing of that."""
    wanted = name.strip().lower()
    if not re.fullmatch(r"auto|all|cpu(:\d+)?|gpu(:\d+)?", wanted):
        raise UsageError(f"device must be auto, all, cpu, cpu:2 or gpu:0 (gpu:1, ...); received {name}.")
    number = int(wanted.partition(":")[2] or 1) if wanted.startswith("cpu") else 1
    if not 1 <= number <= MOST:
        raise UsageError(f"device must be cpu:1 to cpu:{MOST} for so many CPU devices; received {name}.")
    return number


def _named(name: str) -> list[str]:
    """Return the devices that a name other than ``cpu:N`` means, such as ``GPU:0``."""
    import tensorflow as tf

    wanted = name.strip().upper()
    gpus = [device.name.partition("device:")[2] for device in tf.config.list_logical_devices("GPU")]
    if wanted == "ALL":
        return gpus or ["CPU:0"]
    if wanted == "AUTO":
        return gpus[:1] or ["CPU:0"]
    if wanted.startswith("CPU"):
        return ["CPU:0"]
    wanted = "GPU:0" if wanted == "GPU" else wanted
    if wanted not in gpus:
        there = f"it sees {', '.join(gpus).lower()}" if gpus else "it sees no GPU"
        raise CnnlabError(
            f"there is no device {wanted.lower()}: {there}. Use `device=cpu`, or install `cnnlab[gpu]` with a CUDA "
            "driver."
        )
    return [wanted]


def _split(count: int) -> list[str]:
    """Make so many logical devices of the CPU."""
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    with contextlib.suppress(RuntimeError):  # TensorFlow has begun: there are as many as there were
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    there = len(tf.config.list_logical_devices("CPU"))
    if there < count:
        raise CnnlabError(
            f"the CPU cannot become {count} devices any more: TensorFlow has begun in this process, with {there}. Ask "
            "for them before anything else, or use the command `cnnlab train` in a process of its own."
        )
    return [f"CPU:{each}" for each in range(count)]


def _mirrored(devices: Sequence[str]) -> Any:
    import tensorflow as tf

    if devices[0].startswith("CPU"):
        # The sums of replicas in their order, the same each time.
        return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())
    return tf.distribute.MirroredStrategy(devices)


@contextlib.contextmanager
def _only_python_speaks() -> Iterator[None]:
    """Keep what TensorFlow's libraries write to standard error out of it inside the ``with`` block.

    Several lines of theirs tell of each lost connection, whatever the switches say. Who asks for remarks gets all.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("0", "1") or sys.stderr is None:
        yield
        return
    before, kept = sys.stderr, os.dup(2)
    before.flush()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each process would warn of the same
    with open(os.dup(2), "w", buffering=1, errors=before.errors) as python, open(os.devnull, "w") as nowhere:
        try:
            sys.stderr = python
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            sys.stderr = before
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def _joined(together: Cluster, name: str) -> Iterator[Replicas]:
    """Compute with the processes of a cluster; they part when none needs another any more."""
    if _cpus(name) > 1:
        raise UsageError(
            f"device must be auto, all, cpu or gpu:0 where several processes work together; received {name}."
        )
    with _only_python_speaks():
        replicas = _joining(together, name.strip().lower())
        with replicas.heeding():
            yield replicas
        replicas.part()


@cache
def _joining(together: Cluster, wanted: str) -> Replicas:
    """Join the processes of a cluster, each with the devices that it is to use; a process can do so once."""
    import tensorflow as tf

    grow_memory()
    gpus = tf.config.list_physical_devices("GPU")
    if wanted.startswith("cpu"):
        tf.config.set_visible_devices([], "GPU")
    elif wanted.startswith("gpu"):
        index = int(wanted.partition(":")[2] or 0)
        if index >= len(gpus):
            raise CnnlabError(f"there is no device {wanted}: TensorFlow sees {len(gpus)} GPUs. Use `device=cpu`.")
        tf.config.set_visible_devices(gpus[index], "GPU")
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": together.workers}), task_type="worker", task_id=together.index, rpc_layer="grpc"
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise CnnlabError(
            f"not all of {len(together.workers)} processes came together; they are expected at "
            f"{few(together.workers)}. Start all at about the same time, with one command, where they reach each other."
        ) from error
    names = [device.partition("device:")[2] for device in strategy.extended.worker_devices]
    if names[0].startswith("CPU"):
        return Replicas("cpu", strategy, together)
    return Replicas("+".join(names).lower(), strategy, together, tuple(names))
