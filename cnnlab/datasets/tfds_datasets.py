"""``tfds:mnist``, ``tfds:NAME/CONFIG``, ``tfds:NAME:VERSION``: what the package tensorflow-datasets fetches and keeps.

The package finds a dataset, fetches it and writes it to TFRecord files, once; images are read from these.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path
from typing import Any

from cnnlab.datasets import tfrecords
from cnnlab.datasets.dataset import Dataset
from cnnlab.errors import CnnlabError
from cnnlab.words import few, shortened


def load(name: str) -> Dataset:
    """Load a dataset of TensorFlow Datasets, which fetches it the first time.

    Args:
        name: As ``tfds.builder`` takes it.

    Raises:
        CnnlabError: The package is not installed or knows no such dataset, the dataset cannot be fetched, or holds no
            labelled images.
    """
    try:
        tfds: Any = importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise CnnlabError(
            f"tfds:{name} needs the package tensorflow-datasets, which cannot be used here ({error}). Install it with "
            "`pip install 'cnnlab[tfds]'`."
        ) from error
    try:
        # Progress is drawn on stdout by some of its versions, where a script waits for nothing but JSON.
        with contextlib.redirect_stdout(sys.stderr):
            builder = tfds.builder(name)
            builder.download_and_prepare()
            info = builder.info
    except Exception as error:  # of the network, of the disk, and whatever the author of a dataset raises
        lines = str(error).strip().splitlines()
        reason = shortened(lines[0].rstrip("."), 300) if lines else type(error).__name__
        raise CnnlabError(
            f"tfds:{name} cannot be had: {reason}. Is the name right, and is there a network? Without one, put what "
            "tensorflow-datasets wrote elsewhere into its folder, or name that by its path."
        ) from error
    image, label = _keys(info, name)
    return tfrecords.assemble(
        f"tfds:{name}",
        {split: [Path(file) for file in each.filepaths] for split, each in info.splits.items()},
        f"tensorflow-datasets, {info.full_name}",
        class_names=info.features[label].names,
        keys=(image, label),
    )


def _keys(info: Any, name: str) -> tuple[str, str]:
    """What the images and the labels are called, where there are such."""
    keys: Any = info.supervised_keys
    if not keys or len(keys) != 2 or not hasattr(info.features[keys[1]], "names"):
        raise CnnlabError(
            f"tfds:{name} is no dataset of images with one class each; it has {few(sorted(info.features), 12)}."
        )
    kept = getattr(info.file_format, "value", "tfrecord")
    if kept != "tfrecord":
        raise CnnlabError(
            f"tfds:{name} was written as {kept}; expected TFRecord files. Delete its folder, and have it written again "
            "by naming it here."
        )
    return keys[0], keys[1]
