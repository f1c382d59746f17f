"""cnnlab: train a small CNN, then open any saved model up.

The public names, looked up when first used: importing cnnlab imports no TensorFlow.

>>> import cnnlab
>>> "analyze" in dir(cnnlab)
True
"""

from __future__ import annotations

import os

from cnnlab.silence_tensorflow import quieten_tensorflow

TYPE_CHECKING = False  # typing takes long to import, and the command is not heard before this is done
if TYPE_CHECKING:
    from typing import Any

    from cnnlab import datasets
    from cnnlab.analysis.prediction import predict
    from cnnlab.analysis.request import analyze
    from cnnlab.classifier import Classifier, load
    from cnnlab.errors import CnnlabError
    from cnnlab.inspection.choosing import choose
    from cnnlab.inspection.comparison import compare
    from cnnlab.inspection.evaluation import evaluate
    from cnnlab.inspection.inspect import inspect
    from cnnlab.reports.report import report
    from cnnlab.results.result import Result
    from cnnlab.runs import Run
    from cnnlab.training import train
    from cnnlab.verification.verify import verify

__version__ = "0.1.0"

# TensorFlow turns its oneDNN kernels on by itself on newer processors only. On the others they train a quarter faster,
# and without them grouped convolutions have no gradient on a CPU. Who says otherwise is heard.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
quieten_tensorflow()

_HOMES = {
    "Classifier": "cnnlab.classifier",
    "CnnlabError": "cnnlab.errors",
    "Result": "cnnlab.results.result",
    "Run": "cnnlab.runs",
    "analyze": "cnnlab.analysis.request",
    "choose": "cnnlab.inspection.choosing",
    "compare": "cnnlab.inspection.comparison",
    "evaluate": "cnnlab.inspection.evaluation",
    "inspect": "cnnlab.inspection.inspect",
    "load": "cnnlab.classifier",
    "predict": "cnnlab.analysis.prediction",
    "report": "cnnlab.reports.report",
    "train": "cnnlab.training",
    "verify": "cnnlab.verification.verify",
}

__all__ = [
    "Classifier",
    "CnnlabError",
    "Result",
    "Run",
    "analyze",
    "choose",
    "compare",
    "datasets",
    "evaluate",
    "inspect",
    "load",
    "predict",
    "report",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "datasets":
        return importlib.import_module("cnnlab.datasets")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
