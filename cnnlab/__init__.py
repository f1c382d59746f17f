"""cnnlab: train a small CNN, then open any saved model up.

The public names, looked up when first used: importing cnnlab imports no TensorFlow.

>>> import cnnlab
>>> cnnlab.__version__
'0.1.0'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab import datasets
    from cnnlab.analysis import Result, analyze
    from cnnlab.classifier import Classifier, load
    from cnnlab.errors import CnnlabError
    from cnnlab.runs import Run
    from cnnlab.training import train

__version__ = "0.1.0"

__all__ = ["Classifier", "CnnlabError", "Result", "Run", "analyze", "datasets", "load", "train"]

_HOMES = {
    "Classifier": "cnnlab.classifier",
    "CnnlabError": "cnnlab.errors",
    "Result": "cnnlab.analysis",
    "Run": "cnnlab.runs",
    "analyze": "cnnlab.analysis",
    "load": "cnnlab.classifier",
    "train": "cnnlab.training",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "datasets":
        return importlib.import_module("cnnlab.datasets")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
