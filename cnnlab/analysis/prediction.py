"""What a model says of images: the likeliest classes of each, with their probabilities."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.analysis.context import Context
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.errors import UsageError
from cnnlab.numerics import UNKNOWN
from cnnlab.progress import Progress, shown
from cnnlab.versions import versions

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What a model of K classes says of N images.

    Attributes:
        classifier: The model.
        sources: Where each image came from, N texts.
        labels: The true classes, int64 [N]; -1 where unknown.
        probabilities: How probable each class is, float32 [N, K]: they add up to 1 where classes are exclusive.
        notes: What somebody who reads the numbers should know.
    """

    classifier: Classifier
    sources: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each image, int64 [N]; of equal ones the first."""
        return self.ranked[:, 0]

    @property
    def ranked(self) -> np.ndarray:
        """The classes of each image, the likeliest first, int64 [N, K]."""
        return np.argsort(-self.probabilities, axis=1, kind="stable")

    @property
    def known(self) -> np.ndarray:
        """Which images have a label, bool [N]."""
        known: np.ndarray = self.labels != UNKNOWN
        return known

    @property
    def right(self) -> int:
        """How many images are read as their label."""
        return int((self.predicted == self.labels).sum())

    def rows(self, top: int = 3) -> list[dict[str, Any]]:
        """Return a record for each image: its source, its label (None where unknown), and its likeliest classes."""
        names = self.classifier.class_names
        labels = (names[label] if known else None for label, known in zip(self.labels, self.known, strict=True))
        return [
            {
                "image": source,
                "label": label,
                "top": [{"class": names[place], "probability": float(row[place])} for place in order[:top]],
            }
            for source, label, row, order in zip(self.sources, labels, self.probabilities, self.ranked, strict=True)
        ]

    def to_json(self, top: int = 3) -> dict[str, Any]:
        """Return what ``cnnlab predict --json`` prints."""
        return {
            "schema": SCHEMA,
            "model": self.classifier.record(),
            "images": self.rows(top),
            "notes": list(self.notes),
            "versions": versions(),
        }

    def to_csv(self) -> str:
        """Return a table of all probabilities as CSV: image, label, predicted, and a column for each class."""
        names = self.classifier.class_names
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["image", "label", "predicted", *(f"probability of {name}" for name in names)])
        for row, predicted, numbers in zip(self.rows(1), self.predicted, self.probabilities, strict=True):
            table.writerow([row["image"], row["label"], names[predicted], *map(str, numbers)])
        return text.getvalue()


def predict(
    model: Any, images: Any = None, labels: Any = None, *, progress: Progress | bool | None = None
) -> Predictions:
    """Tell what a model says of images.

    Args:
        model: As for :func:`cnnlab.load`.
        images: Arrays [N, H, W, C] (or [N, H, W], [H, W, C], [H, W]) in the model's value range, an image file or a
            list of them, or a :class:`~cnnlab.datasets.Split`, whose labels come along.
        labels: The true labels, int [N]; None where unknown.
        progress: Whether to show a bar, or what to show it with; by default there is one on a terminal and in a
            notebook.

    Raises:
        UsageError: There are no images, or they do not fit the model.
        CnnlabError: The model or an image cannot be read, or the model gives logits that are not finite.
    """
    from cnnlab.classifier import load

    return predict_chosen(load(model), ImageChoice(images=images, labels=labels), shown(progress))


def check(choice: ImageChoice) -> None:
    """Refuse images that cannot be predicted by the words alone, before anything is opened.

    Raises:
        UsageError: There are none, or the words make no sense together.
    """
    choice.check()
    if not choice.some:
        raise UsageError("there are no images to predict: name files, or a dataset with `dataset=`.")


def predict_chosen(classifier: Classifier, choice: ImageChoice, progress: Progress) -> Predictions:
    """The same of an opened model, and of images as a command or a page names them."""
    check(choice)
    inputs = choice.read(classifier, progress=progress)
    classifier.check_weights()
    found = Context(progress=progress, batch_size=classifier.batch_size).gather(
        inputs, lambda images, labels: {"probabilities": classifier.probabilities(images)}, "Predicting"
    )
    return Predictions(
        classifier=classifier,
        sources=inputs.sources,
        labels=inputs.labels,
        probabilities=found["probabilities"],
        notes=(*classifier.notes, *inputs.notes),
    )
