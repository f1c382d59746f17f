"""``keras:fashion_mnist``, ``keras:cifar10`` and the other image datasets that Keras fetches and keeps in ~/.keras."""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

import numpy as np

from cnnlab.datasets.dataset import Dataset, Split
from cnnlab.errors import CnnlabError, UsageError, did_you_mean

CLASSES: dict[str, tuple[str, ...]] = {
    "mnist": tuple(map(str, range(10))),
    "fashion_mnist": (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
    "cifar100": tuple(map(str, range(100))),
}  # fmt: skip
"""The image datasets of ``keras.datasets`` and their classes, as their authors name them."""


def load(name: str) -> Dataset:
    """Load a dataset through ``keras.datasets``, which fetches it the first time.

    Raises:
        UsageError: Keras has no image dataset of that name.
        CnnlabError: It cannot be fetched.
    """
    if name not in CLASSES:
        raise UsageError(f"keras.datasets has no image dataset {name!r}. {did_you_mean(name, CLASSES)}")
    module: Any = importlib.import_module(f"keras.datasets.{name}")
    try:
        # Keras draws its progress bar on stdout, where a script waits for nothing but JSON.
        with contextlib.redirect_stdout(sys.stderr):
            (x_train, y_train), (x_test, y_test) = module.load_data()
    except Exception as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise CnnlabError(
            f"keras:{name} could not be fetched: {reason}. Is there a network? Without one, fetch the files elsewhere "
            "and name them by their path, or use a dataset that `cnnlab datasets` lists."
        ) from error
    return Dataset(
        name=f"keras:{name}",
        train=Split(x_train, np.ravel(y_train).astype(np.int64)),
        test=Split(x_test, np.ravel(y_test).astype(np.int64)),
        class_names=CLASSES[name],
        provenance=f"keras.datasets.{name}",
    )
