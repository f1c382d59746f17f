"""What a model says of images: the likeliest classes of each, with their probabilities."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
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

BLOCK = 1024
"""Images whose classes are ordered at a time."""


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
        return self.probabilities.argmax(axis=1)

    @property
    def ranked(self) -> np.ndarray:
        """The classes of each image, the likeliest first, int64 [N, K]."""
        return _ranked(self.probabilities)

    @property
    def known(self) -> np.ndarray:
        """Which images have a label, bool [N]."""
        known: np.ndarray = self.labels != UNKNOWN
        return known

    @property
    def right(self) -> int:
        """How many images are read as their label."""
        return int((self.predicted == self.labels).sum())

    def rows(self, top: int = 3, limit: int | None = None) -> list[dict[str, Any]]:
        """Return a record for each image: its source, its label (None where unknown), and its likeliest classes.

        Args:
            top: How many classes.
            limit: Only of the first so many images.
        """
        return [
            {
                "image": source,
                "label": label,
                "top": [{"class": name, "probability": float(row[place])} for place, name in order[:top]],
            }
            for source, label, row, order in itertools.islice(self._each(), limit)
        ]

    def _each(self) -> Iterator[tuple[str, str | None, np.ndarray, list[tuple[int, str]]]]:
        """Source, label and probabilities of each image, and its classes, the likeliest first."""
        names = self.classifier.class_names
        for start in range(0, len(self.sources), BLOCK):
            probabilities = self.probabilities[start : start + BLOCK]
            labels = self.labels[start : start + BLOCK].tolist()
            for place, (label, row, order) in enumerate(
                zip(labels, probabilities, _ranked(probabilities), strict=True)
            ):
                named = None if label == UNKNOWN else names[label]
                yield self.sources[start + place], named, row, [(each, names[each]) for each in order.tolist()]

    def to_json(self, top: int = 3) -> dict[str, Any]:
        """Return what ``cnnlab predict --json`` prints, of each image the ``top`` likeliest classes."""
        return {
            "schema": SCHEMA,
            "model": self.classifier.record(),
            "images": self.rows(top),
            "notes": list(self.notes),
            "versions": versions(),
        }

    def to_csv(self) -> str:
        """Return a table of all probabilities as CSV: image, label, predicted, and a column for each class."""
        return "".join(self.csv_lines())

    def csv_lines(self) -> Iterator[str]:
        """Give the same line by line."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["image", "label", "predicted", *map("probability of {}".format, self.classifier.class_names)])
        for source, label, row, order in self._each():
            yield _taken(text)
            table.writerow([source, label, order[0][1], *map(str, row)])
        yield _taken(text)


def _ranked(probabilities: np.ndarray) -> np.ndarray:
    return np.argsort(-probabilities, axis=1, kind="stable")


def _taken(text: io.StringIO) -> str:
    """What was written since it was taken last."""
    line = text.getvalue()
    text.seek(0)
    text.truncate()
    return line


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

    Example:
        >>> import cnnlab
        >>> import numpy as np
        >>> from cnnlab.testing import FakeClassifier
        >>> images = np.array([0.2, 0.9], np.float32)[:, None, None, None]
        >>> cnnlab.predict(FakeClassifier.of_brightness((1, 1, 1)), images).predicted.tolist()
        [0, 1]
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
