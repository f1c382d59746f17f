"""The images and labels: the four IDX files that MNIST is published as, recompressed without loss."""

from __future__ import annotations

import functools
import hashlib
import lzma
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.plugin import CnnlabError, Dataset, Split, parse_idx

FOLDER = Path(__file__).parent

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""Of the published files, uncompressed."""


def load() -> Dataset:
    """Load MNIST: uint8 images [60000, 28, 28, 1] and [10000, 28, 28, 1], as floats in [0, 1]; ink is 1.

    The labels are read at once. The images are unpacked when the first of them is wanted: many analyses look at none.

    Raises:
        CnnlabError: A file of the package is missing or is not what was published; also when the images are unpacked.
    """
    return Dataset(
        name="mnist",
        train=Split(_Images("train-images-idx3-ubyte", 60_000), _unpacked("train-labels-idx1-ubyte")),
        test=Split(_Images("t10k-images-idx3-ubyte", 10_000), _unpacked("t10k-labels-idx1-ubyte")),
        class_names=tuple("0123456789"),
        provenance="LeCun, Cortes and Burges, 1998",
        licence="CC BY-SA 3.0",
    )


def read(name: str) -> np.ndarray:
    """Unpack one of the files, check its digest, and return its array, uint8.

    Raises:
        CnnlabError: It is missing or damaged.
    """
    path = FOLDER / f"{name}.xz"
    try:
        content = lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise CnnlabError(f"{path} cannot be read: {error}. Install cnnlab again.") from error
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest != MD5[name]:
        raise CnnlabError(f"{path} is damaged: MD5 {digest}, expected {MD5[name]}. Install cnnlab again.")
    return parse_idx(content, path)


_unpacked = functools.cache(read)
"""Of every training on them and every analysis of a model that was, so that they are unpacked once: 55 MB in all."""


class _Images:
    """Images uint8 [N, 28, 28] that are unpacked when the first is asked for."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self.shape = (count, 28, 28)
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, indices: Any) -> np.ndarray:
        images: np.ndarray = _unpacked(self._name)[indices]
        return images
