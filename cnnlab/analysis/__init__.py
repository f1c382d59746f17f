"""What plugin authors import.

The declarations (:class:`Analysis`, :class:`Params`, :class:`Doc`, :data:`hookimpl`) are cheap. :class:`Result`,
:class:`Inputs`, :class:`Context` and the host's functions are looked up when first used, because they need NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cnnlab.plugins.declarations import Analysis
from cnnlab.plugins.hookspecs import hookimpl
from cnnlab.plugins.params import Doc, Params

if TYPE_CHECKING:
    from cnnlab.analysis.context import Context
    from cnnlab.analysis.host import analyze
    from cnnlab.analysis.inputs import Inputs
    from cnnlab.analysis.result import Result

_LAZY = {"Context": "context", "Inputs": "inputs", "Result": "result", "analyze": "host"}

__all__ = ["Analysis", "Context", "Doc", "Inputs", "Params", "Result", "analyze", "hookimpl"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
