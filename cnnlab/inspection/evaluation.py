"""How well a model does on a dataset: accuracy, loss, confusion, speed."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge

from cnnlab.classifier.finite import among
from cnnlab.devices.replicas import Replicas
from cnnlab.devices.sharing import chosen, gather
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.inputs import Inputs, of_split
from cnnlab.inspection.calibration import Calibration, calibration
from cnnlab.numerics import of_class, wilson_interval
from cnnlab.pluginhost.params import checked
from cnnlab.progress import Progress, Silent, shown
from cnnlab.results.keeping import Keep, kept_of
from cnnlab.versions import versions

if TYPE_CHECKING:
    from cnnlab.classifier.classifier import Classifier
    from cnnlab.datasets import Dataset, Split
    from cnnlab.results.result import Result

SCHEMA = 1
MOST_CONFUSED = 100
"""Classes up to which the record holds the whole confusion matrix."""

METRICS = {
    "accuracy": "share of the images whose class is predicted",
    "accuracy_low": "share from which on the accuracy on such images lies, with 95% (Wilson)",
    "accuracy_high": "share up to which it lies",
    "loss": "mean cross-entropy of the logits, in nats",
    "worst_class_accuracy": "share of the images of the class with the lowest accuracy that are read correctly",
    "mean_confidence": "probability of the predicted class, mean over the images",
    "expected_calibration_error": "share by which accuracy and confidence differ, mean over 15 bins of confidence by "
    "their images",
    "calibration_standard_error": "its standard error (delta method), as a fraction",
    "calibration_error_by_chance": "share that a perfectly calibrated model of these confidences shows on as many "
    "images, in the mean",
    "calibration_error_by_chance_high": "share that it exceeds in 5% of such samples",
    "brier_score": "squared distance of the probabilities from the truth, mean over the images, 0 to 2",
    "images_per_second": "images classified in a second; reading them is not counted",
    "class_accuracy/<class>": "share of the images of one class that are read correctly",
}
"""The metrics and what they mean; gates may name any of them."""


@dataclass(frozen=True)
class Evaluation:
    """What a classifier makes of N labelled images of K classes.

    Attributes:
        loss: The mean cross-entropy of the logits, in nats.
        predicted: The class of each image with the largest logit, int64 [N].
        confidence: The probability that it is given, float32 [N].
        confusion: How many images of each true class (row) were taken for each class (column): int64 [K, K].
        seconds: What the model itself took for all images; reading them is not counted.
        probability_of_label: The probability that its own class is given, float32 [N]; None where that was not kept.
        cross_entropy: The cross-entropy of the logits of each image, float64 [N]; None where that was not kept.
        squared_error: The squared distance of the probabilities from 1 for an image's own class and 0 for the others,
            float64 [N]; None where that was not kept.
        margin: By how much the largest logit exceeds the next, over one more than the largest magnitude of its logits,
            float64 [N]; None where that was not kept.
    """

    loss: float
    predicted: np.ndarray
    confidence: np.ndarray
    confusion: np.ndarray
    seconds: float = 0.0
    probability_of_label: np.ndarray | None = None
    cross_entropy: np.ndarray | None = None
    squared_error: np.ndarray | None = None
    margin: np.ndarray | None = None

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


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """A model, evaluated on a part of a dataset.

    Attributes:
        classifier: The model.
        dataset: The dataset.
        split: Which part of it: ``test``, or ``test[:100]`` where only these were given.
        limit: How many images it was limited to; None where it was not.
        device: What was computed on.
        inputs: The images, with their labels; read when they are asked for.
        counts: What the model made of them.

    Example:
        >>> import cnnlab
        >>> import numpy as np
        >>> from cnnlab.datasets import Dataset, Split
        >>> from cnnlab.testing import FakeClassifier
        >>> split = Split(np.array([0, 255, 255], np.uint8)[:, None, None], [0, 1, 0])
        >>> data = Dataset(name="spots", train=split[:0], test=split, class_names=("dark", "bright"))
        >>> found = cnnlab.evaluate(FakeClassifier.of_brightness((1, 1, 1)), data)
        >>> found.result().headline, found.result().arrays["predicted"].tolist()
        ('2 of 3 images read correctly', [0, 1, 1])
    """

    classifier: Classifier
    dataset: Dataset
    split: str
    limit: int | None
    device: str
    inputs: Inputs
    counts: Evaluation

    def result(self, keep: Keep = "arrays") -> Result:
        """Return it as a Result: what ``cnnlab evaluate --out DIR`` saves.

        Its arrays (``label``, ``predicted``, ``confidence``, ``confusion``, ...) are explained in its record.

        Args:
            keep: ``metrics`` leaves out all that is said of single images: arrays, and the table of predictions.

        Raises:
            UsageError: ``keep`` is another word.
        """
        from cnnlab.inspection.evaluation_result import result_of

        return kept_of(result_of(self), checked("keep", Keep, keep))

    @property
    def part(self) -> str:
        """The split that the images are of, ``train`` or ``test``."""
        return self.split.partition("[")[0]

    @cached_property
    def index(self) -> np.ndarray:
        """Where each image stands in that split, int64 [N]."""
        sources = self.inputs.sources
        return np.fromiter((int(source.rpartition(":")[2]) for source in sources), np.int64, len(sources))

    @cached_property
    def calibration(self) -> Calibration:
        """Its confidences against what became of them."""
        return calibration(self.counts.confidence, self.counts.predicted == self.inputs.labels)

    @property
    def right(self) -> int:
        """How many images are read correctly."""
        return int(np.trace(self.counts.confusion))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; see :func:`names_of`."""
        return names_of(self.classifier, self.dataset)

    @property
    def metrics(self) -> dict[str, float | None]:
        """The numbers that :data:`METRICS` explains; None for a class without images."""
        return metrics_of(self.counts, self.calibration, self.class_names)

    @property
    def notes(self) -> list[str]:
        """What somebody who reads the numbers should know."""
        return [*self._of_one_class(), *self._other_names()]

    def _of_one_class(self) -> list[str]:
        labels = self.inputs.labels
        if self.classifier.num_classes < 2 or (labels != labels[0]).any() or len(labels) < 2:
            return []
        return [
            f"all {len(labels):,} images are of one class, {self.class_names[labels[0]]}: the accuracy says nothing of "
            "the others, and a model that always says so has 100%."
        ]

    def _other_names(self) -> list[str]:
        names = self.dataset.class_names
        named = self.classifier.kind == "run" or self.classifier.about.class_names
        if not named or names in (self.classifier.class_names, tuple(map(str, range(len(names))))):
            return []
        return [f"the classes of {self.dataset.name} have other names than the model's; they were matched by number."]

    def to_json(self) -> dict[str, Any]:
        """Return what ``cnnlab evaluate --json`` prints."""
        few = self.classifier.num_classes <= MOST_CONFUSED
        return {
            "schema": SCHEMA,
            "model": self.classifier.record(),
            "dataset": {
                "name": self.dataset.name,
                "split": self.split,
                "images": len(self.counts.predicted),
                "digest": self.dataset.digest,
            },
            "metrics": self.metrics,
            "classes": list(self.class_names),
            **({"confusion": self.counts.confusion.tolist()} if few else {}),
            "device": self.device,
            "seconds": round(self.counts.seconds, 4),
            "versions": versions(),
        }


def metrics_of(counts: Evaluation, calibrated: Calibration, names: Sequence[str]) -> dict[str, float | None]:
    """Return the numbers that :data:`METRICS` explains.

    Args:
        counts: What a model made of the images, with all that may be kept.
        calibrated: Its confidences against what became of them.
        names: Of the classes.
    """
    assert counts.squared_error is not None
    by_class = zip(names, counts.class_accuracy, strict=True)
    low, high = wilson_interval(counts.accuracy, len(counts.predicted))
    return {
        "accuracy": counts.accuracy,
        "accuracy_low": float(low),
        "accuracy_high": float(high),
        "loss": counts.loss,
        "worst_class_accuracy": min(value for value in counts.class_accuracy if value is not None),
        "mean_confidence": float(counts.confidence.mean(dtype=np.float64)),
        "expected_calibration_error": calibrated.error,
        "calibration_standard_error": calibrated.standard_error,
        "calibration_error_by_chance": calibrated.chance,
        "calibration_error_by_chance_high": float(np.quantile(calibrated.by_chance, 0.95)),
        "brier_score": float(counts.squared_error.mean()),
        "images_per_second": counts.images_per_second,
        **{f"class_accuracy/{name}": value for name, value in by_class},
    }


def evaluate(
    model: Any,
    dataset: str | os.PathLike[str] | Dataset | Split | None = None,
    *,
    split: str = "test",
    limit: int | None = None,
    batch_size: int = 500,
    device: str = "auto",
    progress: Progress | bool | None = None,
) -> EvaluatedModel:
    """Tell how well a model does on a dataset.

    Args:
        model: As for :func:`cnnlab.load`.
        dataset: A dataset, or its name or path; by default the one that the run was trained on. Or a
            :class:`~cnnlab.datasets.Split`: these images, whatever `split` says.
        split: ``train`` or ``test``.
        limit: Only the first so many images.
        batch_size: At most so many images in memory at a time.
        device: ``auto``, ``cpu`` or ``gpu:0``; or several that share the images: ``all`` GPUs, or ``cpu:N``. Inside
            :func:`cnnlab.devices.choice.use_all_devices` the processes of a cluster share them: each calls this alike,
            and gets what one process would.
        progress: Whether to show a bar, or what to show it with; by default there is one on a terminal and in a
            notebook.

    Raises:
        UsageError: The images or labels do not fit the model, there is none, or the model does not say what it was
            trained on.
        CnnlabError: The model or the dataset cannot be read, or the model gives logits that are not finite.

    Example:
        >>> import cnnlab
        >>> import numpy as np
        >>> from cnnlab.datasets import Dataset, Split
        >>> from cnnlab.testing import FakeClassifier
        >>> split = Split(np.array([0, 255, 255, 255], np.uint8)[:, None, None], [0, 1, 1, 0])
        >>> data = Dataset(name="spots", train=split[:0], test=split, class_names=("dark", "bright"))
        >>> cnnlab.evaluate(FakeClassifier.of_brightness((1, 1, 1)), data).metrics["accuracy"]
        0.75
    """
    from cnnlab.classifier import load
    from cnnlab.devices.choice import use_devices

    with use_devices(device) as used:
        classifier = load(model)
        data, name, images = part_of(classifier, dataset, split)
        limit = checked("limit", Annotated[int, Ge(1)] | None, limit)
        inputs = of_split(classifier, images[:limit])
        batch_size = checked("batch_size", Annotated[int, Ge(1)], batch_size)
        counts = tally(classifier, inputs, batch_size, shown(progress))
    return EvaluatedModel(
        classifier=classifier, dataset=data, split=name, limit=limit, device=used.name, inputs=inputs, counts=counts
    )


def names_of(classifier: Classifier, dataset: Dataset) -> tuple[str, ...]:
    """Return the class names that were said of a model; else the dataset's, or its own where these are not as many."""
    if classifier.about.class_names:
        return classifier.about.class_names
    return dataset.class_names if len(dataset.class_names) == classifier.num_classes else classifier.class_names


def part_of(classifier: Classifier, source: Any, split: str) -> tuple[Dataset, str, Split]:
    """Find a dataset, what a part of it is called, and its images.

    Args:
        classifier: The model, whose own dataset is meant where none is named.
        source: A dataset, its name or path, some images of one, or None.
        split: ``train`` or ``test``; of some images, the split is their own.

    Raises:
        UsageError: It has no such images, or the model does not say what it was trained on.
        CnnlabError: It cannot be read.
    """
    from cnnlab.datasets import Dataset, Split, load

    source = classifier.dataset_name if source is None else source
    if source is None:
        raise UsageError("the model does not say what it was trained on; name a dataset with `dataset=`.")
    if not isinstance(source, Split):
        data = load(source) if isinstance(source, str | os.PathLike) else source
        if not len(data.split(split)):
            raise UsageError(f"the dataset {data.name} has no {split} images; choose the other split with `split=`.")
        return data, split, data.split(split)
    if source.dataset is None:
        names, bounds = classifier.class_names, source.value_range or classifier.bounds
        source = Dataset(name="images", train=source[:0], test=source, class_names=names, value_range=bounds).test
    assert source.dataset is not None
    return source.dataset, source.name.removeprefix(f"{source.dataset.name}/"), source


def tally(classifier: Classifier, inputs: Inputs, batch_size: int, progress: Progress | None = None) -> Evaluation:
    """Classify labelled images, shared out among what computes together, and count.

    Args:
        classifier: An opened model.
        inputs: The images, with their labels. On each device only a batch is in memory at a time, and the first is
            classified once before the clock starts, for TensorFlow compiles then.
        batch_size: Images in a batch, at most.
        progress: Where to show how far one is; nowhere by default.

    Raises:
        CnnlabError: There is no image, the model gives logits that are not finite, or its classes are not exclusive.
        UsageError: A label is none of the model's classes.
    """
    classifier.check_exclusive("an evaluation")
    classifier.check_weights()
    if not len(inputs):
        raise CnnlabError("there is no image to evaluate the model on.")
    check_labels(inputs.labels, classifier.num_classes)
    devices = chosen() or Replicas("cpu")
    clocks: defaultdict[int, _Clock] = defaultdict(lambda: _Clock(classifier))
    with (progress or Silent()).task("Evaluating", len(inputs)) as advance:

        def of_batch(start: int, stop: int) -> dict[str, np.ndarray]:
            images, labels = inputs.span(start, stop)
            with among(start, inputs.sources):
                logits = clocks[threading.get_ident()].logits(images)
            advance((stop - start) * devices.workers)
            return _of_each(logits.astype(np.float64), labels)

        arrays = gather(len(inputs), batch_size, of_batch)
    confusion = np.zeros((classifier.num_classes, classifier.num_classes), np.int64)
    np.add.at(confusion, (inputs.labels, arrays["predicted"]), 1)
    seconds = devices.largest(max((clock.seconds for clock in clocks.values()), default=0.0))
    return Evaluation(loss=float(arrays["cross_entropy"].mean()), confusion=confusion, seconds=seconds, **arrays)


class _Clock:
    """How long a model takes on one device."""

    def __init__(self, classifier: Classifier) -> None:
        self.seconds: float = 0.0
        self._classifier, self._warm = classifier, False

    def logits(self, images: np.ndarray) -> np.ndarray:
        if not self._warm:
            self._classifier.logits(images)
            self._warm = True
        started = time.perf_counter()
        logits = self._classifier.logits(images)
        self.seconds += time.perf_counter() - started
        return logits


def _of_each(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """What :class:`Evaluation` holds of each image."""
    guesses = logits.argmax(axis=1)
    logarithms = logits - _log_sum_exp(logits)
    probabilities = np.exp(logarithms)
    two = np.sort(logits, axis=1)[:, -2:]
    return {
        "predicted": guesses,
        "confidence": of_class(probabilities, guesses).astype(np.float32),
        "probability_of_label": of_class(probabilities, labels).astype(np.float32),
        "cross_entropy": -of_class(logarithms, labels),
        "squared_error": np.sum((probabilities - np.eye(logits.shape[1])[labels]) ** 2, axis=1),
        "margin": (two[:, -1] - two[:, 0]) / (1 + np.abs(logits).max(axis=1)),
    }


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
