"""The memory of GPUs: taken as it is needed, so that several processes can share one."""

from __future__ import annotations

import contextlib
import os


def grow_memory() -> None:
    """Let TensorFlow take the memory of every GPU as it needs it, where it would take nearly all of it at once.

    Nothing changes where ``TF_FORCE_GPU_ALLOW_GROWTH`` says what is wanted, where the memory of a GPU was divided, or
    where the GPUs have begun already.
    """
    if "TF_FORCE_GPU_ALLOW_GROWTH" in os.environ:
        return
    import tensorflow as tf

    with contextlib.suppress(RuntimeError, ValueError):
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
