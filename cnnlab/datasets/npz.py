"""Datasets in one ``.npz`` file, in the layout that Keras uses."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from cnnlab.datasets.dataset import Dataset, Split, numbered_classes
from cnnlab.errors import CnnlabError

LAYOUT = "x_train, y_train, x_test and y_test"


def read(path: Path) -> Dataset:
    """Read x_train [N, H, W(, C)], y_train [N] or [N, 1], x_test, y_test, and class_names [K] where there are any.

    Images are uint8, uint16, or floats in [0, 1]. Without x_test and y_test there are no test images.

    Raises:
        CnnlabError: The file is damaged, holds pickled objects (which could run code, and are never opened), lacks
            an array, or has labels out of range.
    """
    arrays = _arrays(path)
    for needed in ("x_train", "y_train"):
        if needed not in arrays:
            found = ", ".join(sorted(arrays)) or "nothing"
            raise CnnlabError(f"{path} has no {needed}: expected {LAYOUT}, found {found}.")
    x_test = arrays.get("x_test", arrays["x_train"][:0])
    y_test = arrays.get("y_test", arrays["y_train"][:0])
    try:
        train, test = _split(arrays["x_train"], arrays["y_train"]), _split(x_test, y_test)
        named = tuple(str(name) for name in arrays["class_names"]) if "class_names" in arrays else None
        names = numbered_classes(train, test) if named is None else named
        return Dataset(name=path.stem, train=train, test=test, class_names=names, provenance=str(path))
    except CnnlabError as error:
        raise CnnlabError(f"{path}: {error}") from error


def _arrays(path: Path) -> dict[str, np.ndarray]:
    wanted = ("x_train", "y_train", "x_test", "y_test", "class_names")
    if not zipfile.is_zipfile(path):
        raise CnnlabError(f"{path} cannot be read as an .npz file: it is no zip archive, or it is damaged.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name in wanted} or dict.fromkeys(
                archive.files, np.zeros(0)
            )
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise CnnlabError(
                f"{path} holds pickled Python objects, which can run code when they are opened; cnnlab opens arrays of "
                "numbers only. Save it again with arrays of uint8 or float32."
            ) from None
        raise CnnlabError(f"{path} cannot be read as an .npz file: {error}.") from error
    except (OSError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise CnnlabError(f"{path} cannot be read as an .npz file: {error}.") from error


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
