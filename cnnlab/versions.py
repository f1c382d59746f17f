"""The versions that a run or a result depends on."""

from __future__ import annotations

import functools
import importlib.metadata
import platform

# Reading one takes ten milliseconds, and every result is recorded with all of them.
_version = functools.cache(importlib.metadata.version)


def versions() -> dict[str, str]:
    """Return the versions of Python, cnnlab, TensorFlow, Keras, NumPy and Matplotlib, by name."""
    names = ("cnnlab", "tensorflow", "keras", "numpy", "matplotlib")
    return {"python": platform.python_version()} | {name: _version(name) for name in names}
