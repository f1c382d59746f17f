"""An evaluation as a Result like those of analyses: arrays, metrics, drawings, a table of predictions, and a record."""

from __future__ import annotations

import csv
import functools
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.drawings import Drawing
from cnnlab.inspection import drawings
from cnnlab.inspection.calibration import calibration
from cnnlab.inspection.evaluation import METRICS, Evaluation, metrics_of
from cnnlab.results.record import SCHEMA
from cnnlab.results.result import Result
from cnnlab.results.rows import BLOCK, plain
from cnnlab.results.tables import Tables
from cnnlab.versions import versions
from cnnlab.words import out_of, percent

if TYPE_CHECKING:
    from cnnlab.inspection.evaluation import EvaluatedModel

NAME = "evaluate"
"""What the record calls the analysis."""

MOST_MISTAKES = 12
"""The most confident mistakes that are shown, and whose images are kept."""

MOST_DRAWN = 30
"""Classes up to which the confusion matrix is drawn; the array holds it for any number."""

ARRAYS = {
    "index": ("where each image stands in its split", ("N",)),
    "label": ("true class", ("N",)),
    "predicted": ("predicted class", ("N",)),
    "confidence": ("probability of the predicted class", ("N",)),
    "probability_of_label": ("probability of the true class", ("N",)),
    "cross_entropy": ("cross-entropy of its logits, in nats", ("N",)),
    "squared_error": ("squared distance of its probabilities from the truth, 0 to 2", ("N",)),
    "confusion": ("how many images of each true class (row) were taken for each class (column)", ("K", "K")),
    "bin_images": ("how many images have a confidence in each bin of equal width, ends included above", ("bins",)),
    "bin_accuracy": ("share of the bin's images that is read correctly", ("bins",)),
    "bin_confidence": ("mean confidence of the bin's images", ("bins",)),
    "mistakes": ("the most confident mistakes", ("mistakes", "H", "W", "C")),
    "mistakes_index": ("where these stand in their split", ("mistakes",)),
}
"""What each array means, and its axes."""


def result_of(found: EvaluatedModel) -> Result:
    """Make a Result of an evaluation; only the images of the mistakes that are shown are read again."""
    counts, names = found.counts, found.class_names
    shown = _most_confident(found)
    assert counts.probability_of_label is not None
    assert counts.cross_entropy is not None
    assert counts.squared_error is not None
    arrays = {
        "index": found.index,
        "label": found.inputs.labels,
        "predicted": counts.predicted,
        "confidence": counts.confidence,
        "probability_of_label": counts.probability_of_label,
        "cross_entropy": counts.cross_entropy,
        "squared_error": counts.squared_error,
    }
    said = sum_up(arrays, names)
    arrays |= said.arrays
    drawn: dict[str, Drawing] = {
        "calibration": drawings.reliability(found.calibration),
        "classes": drawings.classes(counts.confusion, names),
    }
    if len(names) <= MOST_DRAWN:
        drawn = {"confusion": drawings.confusion(counts.confusion, names)} | drawn
    if len(shown):
        arrays |= {"mistakes": found.inputs.select(shown).images, "mistakes_index": found.index[shown]}
        drawn["mistakes"] = _mistakes(found, shown)
    timed = {"images_per_second": counts.images_per_second}
    metrics = {name: plain(value) for name, value in ({**said.metrics, **timed}).items()}
    return Result(
        headline=said.headline,
        arrays=arrays,
        metrics=metrics,
        drawings=drawn,
        tables=said.tables,
        record=_record(found, arrays, metrics, said.headline),
    )


def sum_up(arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> Result:
    """Return what follows from what a model made of each image: headline, metrics, counts, the table of predictions.

    Of the metrics, ``images_per_second`` is the only one that was measured by a clock, and follows from nothing.

    Args:
        arrays: What :data:`ARRAYS` explains.
        names: Of the classes.
    """
    label, predicted = arrays["label"], arrays["predicted"]
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (label, predicted), 1)
    counts = Evaluation(
        loss=float(arrays["cross_entropy"].mean()),
        predicted=predicted,
        confidence=arrays["confidence"],
        confusion=confusion,
        squared_error=arrays["squared_error"],
    )
    calibrated = calibration(counts.confidence, predicted == label)
    metrics = metrics_of(counts, calibrated, names)
    return Result(
        arrays={
            "confusion": confusion,
            "bin_images": calibrated.images,
            "bin_accuracy": calibrated.accuracy,
            "bin_confidence": calibrated.confidence,
        },
        headline=f"{out_of(int(np.trace(confusion)), len(label), digits=2)} read correctly",
        metrics={name: math.nan if value is None else value for name, value in metrics.items()},
        tables=Tables({"predictions": functools.partial(predictions, arrays, names)}),
    )


def _most_confident(found: EvaluatedModel) -> np.ndarray:
    wrong = np.flatnonzero(found.counts.predicted != found.inputs.labels)
    return wrong[np.argsort(-found.counts.confidence[wrong], kind="stable")][:MOST_MISTAKES]


def _mistakes(found: EvaluatedModel, shown: np.ndarray) -> Drawing:
    names, counts = found.class_names, found.counts
    captions = [
        f"{names[found.inputs.labels[place]]}, said {names[counts.predicted[place]]} "
        f"({percent(float(counts.confidence[place]))})"
        for place in shown
    ]
    total = len(counts.predicted)
    return drawings.mistakes("mistakes", captions, total - found.right, total, found.inputs.bounds)


def predictions(arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> Iterator[str]:
    """Give a row for each image as CSV, piece by piece: index, label and predicted (as names), confidence, correct."""
    yield "index,label,predicted,confidence,correct\n"
    columns = [arrays[name] for name in ("index", "label", "predicted", "confidence")]
    for start in range(0, len(columns[0]), BLOCK):
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        for index, label, predicted, confidence in zip(*(each[start : start + BLOCK] for each in columns), strict=True):
            right = str(bool(label == predicted)).lower()
            table.writerow([index, names[label], names[predicted], f"{confidence:.6g}", right])
        yield text.getvalue()


def _record(
    found: EvaluatedModel, arrays: dict[str, np.ndarray], metrics: dict[str, Any], headline: str
) -> dict[str, Any]:
    """Say everything that repeats it; of the images their dataset, for they are too many to be named one by one."""
    return {
        "schema": SCHEMA,
        "analysis": NAME,
        "plugin": {"distribution": "cnnlab", "version": versions()["cnnlab"]},
        "params": {"split": found.part, "limit": found.limit},
        "model": {**found.classifier.record(), "about": found.classifier.about.to_json()},
        "inputs": [],
        "dataset": {
            "name": found.dataset.name,
            "source": found.dataset.source or None,
            "split": found.part,
            "images": len(found.index),
            "digest": found.dataset.digest,
        },
        "classes": list(found.class_names),
        "seed": 0,
        "headline": headline,
        "metrics": metrics,
        "arrays": {
            name: {
                "shape": list(array.shape),
                "dtype": str(array.dtype),
                "meaning": ARRAYS[name][0],
                "axes": list(ARRAYS[name][1]),
            }
            for name, array in arrays.items()
        },
        "figures": [],
        "rows": [],
        "meanings": {"metrics": METRICS, "columns": {}},
        "versions": versions(),
        "device": found.device,
        "seconds": round(found.counts.seconds, 3),
        "warnings": [*found.classifier.notes, *found.inputs.notes, *found.notes],
        "claims": None,
        "images": [],
        "preflight": None,
    }
