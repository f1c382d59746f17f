"""Any model, opened: the only room that knows TensorFlow's graph internals."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.classifier.classifier import Classifier
    from cnnlab.classifier.graph import Layer
    from cnnlab.classifier.opening import load

_HOMES = {"Classifier": "classifier", "Layer": "graph", "load": "opening"}

__all__ = ["Classifier", "Layer", "load"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
