"""Datasets in one ``.npz`` file, in the layout that Keras uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnlab.datasets.dataset import Dataset, Split, numbered_classes
from cnnlab.errors import CnnlabError
from cnnlab.files import read_npz


def read(path: Path) -> Dataset:
    """Read x_train [N, H, W(, C)], y_train [N] or [N, 1], x_test, y_test, and class_names [K] where there are any.

    Images are uint8, uint16, or floats in [0, 1]. Without x_test and y_test there are no test images.

    Raises:
        CnnlabError: The file is damaged, holds pickled objects (which could run code, and are never opened), lacks
            an array, or has labels out of range.
    """
    names = ("x_train", "y_train", "x_test", "y_test", "class_names")
    arrays = read_npz(path, names, needed=names[:2], expected="x_train, y_train, x_test and y_test")
    x_test = arrays.get("x_test", arrays["x_train"][:0])
    y_test = arrays.get("y_test", arrays["y_train"][:0])
    try:
        train, test = _split(arrays["x_train"], arrays["y_train"]), _split(x_test, y_test)
        named = tuple(str(name) for name in arrays["class_names"]) if "class_names" in arrays else None
        classes = numbered_classes(train, test) if named is None else named
        return Dataset(name=path.stem, train=train, test=test, class_names=classes, provenance=str(path))
    except CnnlabError as error:
        raise CnnlabError(f"{path}: {error}") from error


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if images.dtype.kind == "f" and images.size:
        _check_floats(images)
    return Split(images, labels)


def _check_floats(images: np.ndarray) -> None:
    low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise CnnlabError("the images hold NaN or infinity; every pixel must be a finite number.")
    if low < 0 or high > 1:
        raise CnnlabError(
            f"images of floats must lie in [0, 1]; received {low:g} to {high:g}. Scale them, or store them as uint8."
        )
