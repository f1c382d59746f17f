"""Datasets in one ``.npz`` file, in the layout that Keras uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnlab.datasets.dataset import Dataset, Split, check_stored, numbered_classes
from cnnlab.errors import CnnlabError
from cnnlab.files.reading import read_npz


def read(path: Path) -> Dataset:
    """Read x_train [N, H, W(, C)], y_train [N] or [N, 1], x_test, y_test, and class_names [K] where there are any.

    Images are uint8, uint16, or floats in [0, 1]. Without x_test and y_test there are no test images.

    Raises:
        CnnlabError: The file is damaged, would fill the memory, holds pickled objects (which could run code, and are
            never opened), lacks an array, or has labels out of range.
    """
    names = ("x_train", "y_train", "x_test", "y_test", "class_names")
    arrays = read_npz(path, names, needed=names[:2], expected="x_train, y_train, x_test and y_test")
    try:
        train = _split(arrays["x_train"], arrays["y_train"])
        x_test = arrays.get("x_test", arrays["x_train"][:0])
        test = _split(x_test, arrays.get("y_test", arrays["y_train"][:0]))
        classes = _names(arrays["class_names"]) if "class_names" in arrays else numbered_classes(train, test)
        return Dataset(name=path.stem, train=train, test=test, class_names=classes, provenance=str(path))
    except CnnlabError as error:
        raise CnnlabError(f"{path}: {error}") from error


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    check_stored(images)
    return Split(images, labels)


def _names(names: np.ndarray) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise CnnlabError(f"class_names must be texts [K]; received {names.dtype} {list(names.shape)}.")
    try:
        return tuple(name.decode("utf-8") if isinstance(name, bytes) else name for name in names.tolist())
    except UnicodeDecodeError as error:
        raise CnnlabError(f"class_names must be texts in UTF-8; received {error.object!r}.") from None
