"""Finding a dataset by what the user called it: an installed name, a path, ``keras:NAME`` or ``tfds:NAME``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cnnlab.datasets import folder, idx, keras_datasets, npz, tfds_datasets, tfrecords
from cnnlab.datasets.dataset import Dataset
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.blaming import answer_of
from cnnlab.pluginhost.declarations import resolve

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier


def check_named(source: str | os.PathLike[str]) -> str:
    """Refuse a dataset that is not there, before anything heavy is imported, and return its name.

    Args:
        source: As for :func:`load`.

    Raises:
        UsageError: There is no dataset of that name, and no such path, or it is empty.
        CnnlabError: There is nothing at that path.
    """
    word = os.fspath(source)
    if not word:
        raise UsageError("a dataset is a name or a path; received an empty one.")
    if word in registry.datasets() or word.startswith(("keras:", "tfds:")) or Path(word).exists():
        return word
    if registry.is_name(word) or registry.is_full(word):
        registry.find_dataset(word)  # raises where there is none, and names the nearest
        return word
    read_path(Path(word))  # raises: nothing is there
    return word


def load(source: str | os.PathLike[str]) -> Dataset:
    """Load a dataset.

    Args:
        source: A name that ``cnnlab datasets`` lists; the path of an ``.npz`` file in Keras' layout (x_train, y_train,
            x_test, y_test), of a folder of IDX files, of a folder of images with a subfolder per class, or of a
            TFRecord file or a folder of some; ``keras:NAME`` for one of ``keras.datasets``; or ``tfds:NAME`` for one of
            TensorFlow Datasets.

    Returns:
        The dataset, its images as float32 in its value range.

    Raises:
        UsageError: There is no dataset of that name, and no such path, or it is empty.
        CnnlabError: It cannot be read, or holds no images.

    Example:
        >>> import cnnlab
        >>> digits = cnnlab.datasets.load("mnist")
        >>> len(digits.train), digits.test[:2].images.shape, digits.test[:2].labels.tolist()
        (60000, (2, 28, 28, 1), [7, 2])
    """
    word = check_named(source)
    if word.startswith("keras:"):
        return replace(keras_datasets.load(word.removeprefix("keras:")), source=word)
    if word.startswith("tfds:"):
        return replace(tfds_datasets.load(word.removeprefix("tfds:")), source=word)
    if word in registry.datasets() or registry.is_full(word):
        found = registry.find_dataset(word)
        return replace(answer_of(found, lambda: resolve(found.load)(), Dataset, "cnnlab.plugin.Dataset"), source=word)
    return replace(read_path(Path(word)), source=str(Path(word).resolve()))


def trained_on(classifier: Classifier) -> Dataset | None:
    """Load the dataset that a run was trained on; None for other models, and where it is not to be had."""
    if classifier.dataset_name is None:
        return None
    try:
        return load(classifier.dataset_name)
    except CnnlabError:
        return None


def read_path(path: Path) -> Dataset:
    """Read a dataset from a file or a folder, whichever kind it is.

    Raises:
        CnnlabError: Nothing is there, or nothing that can be read.
    """
    if not path.exists():
        raise CnnlabError(f"there is no file or folder {path}, where a dataset was expected.")
    if path.is_dir() and idx.is_idx_folder(path):
        return idx.read(path)
    if tfrecords.found(path):
        return tfrecords.read(path)
    if path.is_dir():
        return folder.read(path)
    if path.suffix.lower() == ".npz":
        return npz.read(path)
    raise CnnlabError(
        f"{path} is no dataset: expected an .npz file with x_train, y_train, x_test and y_test, a folder of IDX files, "
        "a folder of images with a subfolder for each class, or TFRecord files (.tfrecord)."
    )
