"""The versions that a run or a result depends on."""

from __future__ import annotations

import importlib.metadata
import platform


def versions() -> dict[str, str]:
    """Return the versions of Python, cnnlab, TensorFlow, Keras, NumPy and Matplotlib, by name."""
    names = ("cnnlab", "tensorflow", "keras", "numpy", "matplotlib")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}
