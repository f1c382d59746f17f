"""What an evaluation shows: confusion, calibration, the most confident mistakes, the error rate of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnlab.drawings import At, Bars, Curves, Line, Matrix, Picture, Series, Tiles
from cnnlab.inspection.calibration import Calibration
from cnnlab.numerics import wilson_interval
from cnnlab.words import percent, shortened

MOST_CLASSES = 12
"""Of more classes than this, those with the highest error rates are drawn."""

ACROSS = 4
"""Mistakes in a row."""


def confusion(counts: np.ndarray, class_names: Sequence[str]) -> Matrix:
    """Draw a confusion matrix: how many images of each class (row) were taken for each (column).

    The mistakes are shaded; the diagonal, which would outshine them, is not.

    Args:
        counts: int [K, K].
        class_names: K names.
    """
    images = counts.sum(axis=1)
    right = np.diag(counts)
    return Matrix(
        values=counts,
        rows=tuple(
            f"{shortened(name)} ({percent(right[k] / images[k])})" if images[k] else f"{shortened(name)} (no images)"
            for k, name in enumerate(class_names)
        ),
        columns=tuple(class_names),
        row_label="true class (accuracy)",
        column_label="predicted class",
        unit="mistakes (images)",
        limits=(0.0, float(max(1, (counts - np.diag(right)).max()))),
        number="d",
        plain_diagonal=True,
    )


def reliability(found: Calibration) -> Curves:
    """Draw a reliability diagram: the accuracy of the images in each bin of confidence, which should be as large."""
    filled = found.images > 0
    low, high = wilson_interval(found.accuracy[filled], found.images[filled])
    return Curves(
        lines=(
            Line(
                name="accuracy of the images in a bin, with 95% intervals",
                x=found.confidence[filled],
                y=found.accuracy[filled],
                low=low,
                high=high,
                points=tuple(f"{count:,}" for count in found.images[filled]),
            ),
            Line(name="perfectly calibrated", x=(0.0, 1.0), y=(0.0, 1.0), dash="dashed"),
        ),
        x_label="confidence (mean in the bin)",
        y_label="accuracy",
        title=f"Expected calibration error {percent(found.error, 2)}; by chance {percent(found.chance, 2)}",
        percent=True,
        y_limits=(-0.02, 1.02),
    )


def mistakes(array: str, captions: Sequence[str], wrong: int, total: int, bounds: tuple[float, float]) -> Tiles:
    """Draw the most confident mistakes.

    Args:
        array: Under which name the result holds their images.
        captions: What stands above each.
        wrong: How many mistakes there are in all.
        total: Of how many images.
        bounds: The value range of the images.
    """
    those = "only mistake" if wrong == 1 else f"{len(captions)} most confident of {wrong:,} mistakes"
    return Tiles(
        tiles=tuple(Picture.of_image(At(array, place), bounds, words) for place, words in enumerate(captions)),
        columns=min(ACROSS, len(captions)),
        title=f"The {those} in {total:,} images",
        size=1.4,
    )


def classes(confusion: np.ndarray, class_names: Sequence[str]) -> Bars:
    """Draw the error rate of each class, with its interval: accuracies of 98% and 99% are bars of one length.

    Args:
        confusion: int [K, K].
        class_names: K names; classes without images are left out.
    """
    images, right = confusion.sum(axis=1), np.diag(confusion)
    known = np.flatnonzero(images)
    accuracy = right[known] / images[known]
    low, high = wilson_interval(accuracy, images[known])
    return Bars(
        names=tuple(class_names[label] for label in known.tolist()),
        series=(Series(name="error rate", values=1 - accuracy, low=1 - high, high=1 - low),),
        label="error rate (1 - accuracy)",
        title=f"Error rate of {'each class' if len(known) <= MOST_CLASSES else 'the worst classes'}, 95% intervals",
        percent=True,
        most=MOST_CLASSES,
    )
