"""Drawings made visible: as matplotlib figures for files, as coloured blocks for the terminal, as HTML for pages.

:func:`figure` makes a figure, :func:`save` writes one, ``cnnlab.render.terminal`` prints drawings and
``cnnlab.render.html`` writes them for a browser. Importing this package imports no matplotlib.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.render.figures import figure
    from cnnlab.render.saving import save, save_png, size

_LAZY = {"figure": "figures", "save": "saving", "save_png": "saving", "size": "saving"}

__all__ = ["figure", "save", "save_png", "size"]

# Where a home cannot be written to, matplotlib takes a temporary folder, and says so in two lines that help nobody.
logging.getLogger("matplotlib").addFilter(lambda record: record.funcName != "_get_config_or_cache_dir")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
