"""Choosing what TensorFlow computes on."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from cnnlab.devices import cluster
from cnnlab.devices.cluster import Cluster
from cnnlab.devices.replicas import Replicas
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.progress import Progress, Silent

MOST = 64
"""Logical CPU devices, at most."""


def current_device() -> str:
    """Return what TensorFlow computes on, ``cpu`` or ``gpu:0``."""
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    return gpus[0].name.removeprefix("/physical_device:").lower() if gpus else "cpu"


@contextlib.contextmanager
def use_device(name: str = "auto", progress: Progress | None = None) -> Iterator[str]:
    """Place what TensorFlow does inside the ``with`` block on a device.

    Args:
        name: ``auto`` (the first GPU where there is one, else the CPU), ``cpu``, or ``gpu:0``, ``gpu:1`` and so on.
        progress: Where to show that TensorFlow loads; nowhere by default.

    Yields:
        The device's name, ``cpu`` or ``gpu:0``.

    Raises:
        UsageError: The name is none of these.
        CnnlabError: There is no such GPU.
    """
    wanted = name.strip().lower()
    if not re.fullmatch(r"auto|cpu|gpu(:\d+)?", wanted):
        raise UsageError(f"device must be auto, cpu or gpu:0 (gpu:1, ...); received {name}.")

    with (progress or Silent()).stage("Loading TensorFlow"):
        import tensorflow as tf

        gpus = [device.name.partition("device:")[2].lower() for device in tf.config.list_logical_devices("GPU")]
    if wanted == "auto":
        wanted = gpus[0] if gpus else "cpu"
    if wanted == "gpu":
        wanted = "gpu:0"
    if wanted != "cpu" and wanted not in gpus:
        there = f"it sees {', '.join(gpus)}" if gpus else "it sees no GPU"
        raise CnnlabError(
            f"there is no device {wanted}: {there}. Use `device=cpu`, or install `cnnlab[gpu]` with a CUDA driver."
        )
    with tf.device(f"/{'CPU:0' if wanted == 'cpu' else wanted.upper()}"):
        yield wanted


@contextlib.contextmanager
def use_devices(name: str = "auto") -> Iterator[Replicas]:
    """Compute on one device or several inside the ``with`` block, with the processes that the environment tells of.

    Args:
        name: What :func:`use_device` knows; ``all`` for every GPU, or the CPU where there is none; ``cpu:N`` for the
            CPU as N devices, which compute the same as N GPUs would. In a cluster each process uses its own.

    Raises:
        UsageError: The name is none of these, or ``TF_CONFIG`` describes no cluster.
        CnnlabError: There is no such device, TensorFlow has begun already, or the other processes cannot be reached.
    """
    wanted = name.strip().lower()
    number = re.fullmatch(r"cpu:(\d+)", wanted)
    if number and not 1 <= int(number[1]) <= MOST:
        raise UsageError(f"device must be cpu:1 to cpu:{MOST} for so many CPU devices; received {name}.")
    if cluster.from_environment(os.environ):
        if number and int(number[1]) > 1:
            raise UsageError(
                f"device must be auto, cpu or gpu:0 where several processes work together; received {name}."
            )
        with use_own_device("cpu" if number else wanted) as replicas:
            yield replicas
    elif number and int(number[1]) > 1:
        yield Replicas(wanted, _mirrored(_split(int(number[1]))))
    elif wanted == "all" and _gpus() > 1:
        devices = [f"GPU:{index}" for index in range(_gpus())]
        yield Replicas("+".join(devices).lower(), _mirrored(devices))
    else:
        with use_device("auto" if wanted == "all" else "cpu" if number else name) as used:
            yield Replicas(used)


@contextlib.contextmanager
def use_own_device(name: str = "auto", progress: Progress | None = None) -> Iterator[Replicas]:
    """Compute on one device inside the ``with`` block, and join the processes that the environment tells of.

    Args:
        name: What :func:`use_device` knows; in a cluster ``all`` too, for every GPU of this process.
        progress: Where to show that TensorFlow loads; nowhere by default.

    Raises:
        UsageError: The name is none of these, or ``TF_CONFIG`` describes no cluster.
        CnnlabError: There is no such device, or another process is gone.
    """
    together = cluster.from_environment(os.environ)
    if together is None:
        with use_device(name, progress) as used:
            yield Replicas(used)
        return
    with _only_python_speaks():
        replicas = _joined(together, name.strip().lower())
        with replicas.heeding():
            yield replicas


def _gpus() -> int:
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


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


def _mirrored(devices: list[str]) -> Any:
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
    with open(os.dup(2), "w", buffering=1, errors=before.errors) as python, open(os.devnull, "w") as nowhere:
        try:
            sys.stderr = python
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            sys.stderr = before
            os.dup2(kept, 2)
            os.close(kept)


@cache
def _joined(together: Cluster, wanted: str) -> Replicas:
    """Join the processes of a cluster, each with the devices that it is to use; a process can do so once."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if wanted == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif re.fullmatch(r"gpu(:\d+)?", wanted):
        index = int(wanted.partition(":")[2] or 0)
        if index >= len(gpus):
            raise CnnlabError(f"there is no device {wanted}: TensorFlow sees {len(gpus)} GPUs. Use `device=cpu`.")
        tf.config.set_visible_devices(gpus[index], "GPU")
    elif wanted not in ("auto", "all"):
        raise UsageError(f"device must be auto, all, cpu or gpu:0 (gpu:1, ...); received {wanted}.")
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": together.workers}), task_type="worker", task_id=together.index, rpc_layer="grpc"
    )
    strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    return Replicas(current_device(), strategy, together)
