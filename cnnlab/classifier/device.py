"""Choosing the device that TensorFlow computes on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.progress import Progress, Silent


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
