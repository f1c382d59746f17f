"""What a classifier makes of labelled images: accuracy, loss, confusion."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnnlab.errors import CnnlabError, UsageError

if TYPE_CHECKING:
    from cnnlab.classifier.classifier import Classifier
    from cnnlab.datasets import Dataset

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """What a classifier makes of N labelled images of K classes.

    Attributes:
        loss: The mean cross-entropy of the logits, in nats.
        predicted: The class of each image with the largest logit, int64 [N].
        confidence: The probability that it is given, float32 [N].
        confusion: How many images of each true class (row) were taken for each class (column): int64 [K, K].
        seconds: What the model itself took for all images; reading them is not counted.
    """

    loss: float
    predicted: np.ndarray
    confidence: np.ndarray
    confusion: np.ndarray
    seconds: float = 0.0

    @property
    def accuracy(self) -> float:
        """The fraction of images whose class is predicted."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def class_accuracy(self) -> list[float | None]:
        """The same for the images of each class; None for a class without images."""
        images = self.confusion.sum(axis=1)
        return [
            float(right / count) if count else None
            for right, count in zip(np.diag(self.confusion), images, strict=True)
        ]

    @property
    def images_per_second(self) -> float | None:
        """How many images the model classified in a second; None where that was not timed."""
        return len(self.predicted) / self.seconds if self.seconds else None


def evaluate(classifier: Classifier, batches: Iterable[Batch]) -> Evaluation:
    """Evaluate a classifier on labelled images.

    Args:
        classifier: An opened model.
        batches: Images [n, H, W, C] in its value range and their labels, int [n]; one image at least. Only one batch
            is in memory at a time. The first is classified once before the clock starts, for TensorFlow compiles
            then.

    Raises:
        CnnlabError: There is no image, or the model gives logits that are not finite.
        UsageError: A label is none of the model's classes.
    """
    classes = classifier.num_classes
    confusion = np.zeros((classes, classes), np.int64)
    predicted: list[np.ndarray] = []
    confidence: list[np.ndarray] = []
    total, seconds = 0.0, 0.0
    for images, labels in batches:
        check_labels(labels, classes)
        if not predicted:
            classifier.logits(images)
        started = time.perf_counter()
        logits = classifier.logits(images).astype(np.float64)
        seconds += time.perf_counter() - started
        if not np.isfinite(logits).all():
            raise CnnlabError("the model gives logits that are not finite (NaN or infinity); its weights are broken.")
        guesses = logits.argmax(axis=1)
        logarithms = logits - _log_sum_exp(logits)
        rows = np.arange(len(labels))
        total -= float(logarithms[rows, labels].sum())
        np.add.at(confusion, (labels, guesses), 1)
        predicted.append(guesses)
        confidence.append(np.exp(logarithms[rows, guesses]).astype(np.float32))
    if not predicted:
        raise CnnlabError("there is no image to evaluate the model on.")
    guessed = np.concatenate(predicted)
    return Evaluation(total / len(guessed), guessed, np.concatenate(confidence), confusion, seconds)


def _log_sum_exp(logits: np.ndarray) -> np.ndarray:
    largest = logits.max(axis=1, keepdims=True)
    logarithms: np.ndarray = largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
    return logarithms


def check_labels(labels: np.ndarray, classes: int) -> None:
    """Refuse labels that are none of ``classes`` classes.

    Raises:
        UsageError: There is one.
    """
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise UsageError(
            f"the images have the label {int(outside[0])}, but the model has {classes} classes, 0 to {classes - 1}; "
            "evaluate it on a dataset with its own classes."
        )


def read_split(
    classifier: Classifier, dataset: Dataset, split: str = "test", limit: int | None = None, batch_size: int = 500
) -> Iterator[Batch]:
    """Read a dataset's images batch by batch, brought to a classifier's value range.

    Args:
        classifier: The model that they are for.
        dataset: The dataset.
        split: ``train`` or ``test``.
        limit: Only the first so many images.
        batch_size: At most so many images at a time.

    Returns:
        Images float32 [n, H, W, C] and labels int64 [n].

    Raises:
        UsageError: The images do not have the model's shape, a label is none of its classes, or there is no image.
    """
    images = dataset.split(split)
    count = min(len(images), len(images) if limit is None else limit)
    if not count:
        raise UsageError(f"the dataset {dataset.name} has no {split} images; choose the other split with --split.")
    _check_shape(classifier, dataset)
    labels = images.labels[:count]
    check_labels(labels, classifier.num_classes)
    rescale = dataset.value_range != classifier.bounds

    def read() -> Iterator[Batch]:
        for start in range(0, count, batch_size):
            indices = np.arange(start, min(start + batch_size, count))
            batch = images.batch(indices)
            yield _rescaled(batch, dataset.value_range, classifier.bounds) if rescale else batch, labels[indices]

    return read()


def _check_shape(classifier: Classifier, dataset: Dataset) -> None:
    wanted = classifier.input_shape
    if any(want is not None and want != have for want, have in zip(wanted, dataset.shape, strict=True)):
        expected = "x".join("any" if side is None else str(side) for side in wanted)
        raise UsageError(
            f"the dataset {dataset.name} has images of {'x'.join(map(str, dataset.shape))}, but the model takes "
            f"{expected}; name a dataset of the model's own size with --dataset."
        )


def _rescaled(images: np.ndarray, source: tuple[float, float], target: tuple[float, float]) -> np.ndarray:
    unit = (images - source[0]) / (source[1] - source[0])
    return (unit * (target[1] - target[0]) + target[0]).astype(np.float32)
