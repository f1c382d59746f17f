"""Pictures, drawn twice: as matplotlib figures for files, and as coloured blocks for the terminal.

A :class:`Picture` is values and how to colour them. :func:`tiles`, :func:`curves` and :func:`matrix` make figures,
:func:`save` writes them, ``cnnlab.figures.terminal`` prints pictures. Everything is looked up when first used, so that
importing this package imports no matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.figures.charts import curves, matrix
    from cnnlab.figures.picture import Picture, mosaic
    from cnnlab.figures.saving import save
    from cnnlab.figures.tiles import tiles

_LAZY = {
    "Picture": "picture",
    "curves": "charts",
    "matrix": "charts",
    "mosaic": "picture",
    "save": "saving",
    "tiles": "tiles",
}

__all__ = ["Picture", "curves", "matrix", "mosaic", "save", "tiles"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
        # A function may be called as its module is: importing that module has just put it in this place.
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
