"""Named images and labels: installed datasets, files of the usual kinds, and single image files.

``dataset`` says what a dataset is, ``loading`` finds one by name or path, ``npz``, ``idx``, ``folder``, ``tfrecords``,
``keras_datasets`` and ``tfds_datasets`` read it, ``records`` reads the records of TFRecord files, ``images`` reads and
writes single image files. :class:`DatasetSource`, which plugins
declare, is cheap; the rest needs NumPy and is looked up when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cnnlab.pluginhost.declarations import DatasetSource

if TYPE_CHECKING:
    from cnnlab.datasets.dataset import Dataset, Split
    from cnnlab.datasets.loading import load

_LAZY = {"Dataset": "dataset", "Split": "dataset", "load": "loading"}

__all__ = ["Dataset", "DatasetSource", "Split", "load"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
