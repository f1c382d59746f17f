"""Every class as every other: means by own class and target, as a matrix of numbers and one of images."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from cnnlab.plugin import At, Claims, Classifier, Matrix, Picture, Scrub, Tiles, percent

MOST_CLASSES = 20
"""Classes up to which every one by every other makes a legible figure."""

MOST_STRENGTHS = 4
"""Strengths of each image that are shown; arrays.npz holds all."""

FEW = 2
"""Source classes up to which the changes are drawn as well."""


def matrices(arrays: dict[str, np.ndarray], own: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Average over the images of each source class by target class.

    Args:
        arrays: ``target`` [N], and ``reached``, ``target_confidence`` and ``l2`` [E, N].
        own: The source classes, [N].
        classes: K.

    Returns:
        ``matrix_images`` [K, K], and the means [E, K, K]; NaN where there is no image.
    """
    cells = (own, arrays["target"])
    count = np.zeros((classes, classes), np.int64)
    np.add.at(count, cells, 1)

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.zeros((len(values), classes, classes))
        for strength, each in zip(total, values, strict=True):
            np.add.at(strength, cells, each)
        with np.errstate(invalid="ignore"):
            return total / count

    return {
        "matrix_images": count,
        "matrix_reached": mean(arrays["reached"].astype(float)),
        "matrix_confidence": mean(arrays["target_confidence"].astype(float)),
        "matrix_l2": mean(arrays["l2"]),
    }


def drawings(
    classifier: Classifier, arrays: dict[str, np.ndarray], own: np.ndarray, claims: Claims, confidence: float
) -> dict[str, Matrix | Tiles]:
    """The change that was needed, and one image of each class as each other class, both at the first strength.

    Of several strengths, the first image is drawn at each as well, as each other class.

    Args:
        classifier: The model.
        arrays: Of the result, those of :func:`matrices` among them.
        own: The source classes, [N].
        claims: What names the strengths.
        confidence: The wanted one.
    """
    if classifier.num_classes > MOST_CLASSES:
        return {}
    names = classifier.class_names
    strengths = claims.names(len(arrays["adversarial"]))
    at = f", {claims.axis} {strengths[0]}" if strengths else ""
    share = percent(arrays["reached"][0].mean())
    return {
        "matrix": Matrix(
            values=At("matrix_l2", 0),
            rows=names,
            columns=names,
            row_label="own class",
            column_label="target",
            title=f"Change from each class to each other{at}: {share} reached {100 * confidence:g}%",
            unit="Euclidean length of the change, mean",
            number=".1f",
        ),
        "": grid(classifier, arrays, own, at),
        **({claims.axis: along(classifier, arrays, claims.axis, strengths[:MOST_STRENGTHS])} if strengths else {}),
    }


def along(classifier: Classifier, arrays: dict[str, np.ndarray], axis: str, stops: tuple[str, ...]) -> Tiles:
    """The first image as each other class at every strength: a row for each class on paper, with a slider on a page."""
    rows = np.flatnonzero(arrays["image"] == arrays["image"][0])

    def scrub(row: int) -> Scrub:
        sure = arrays["target_confidence"][:, row]
        shown = [
            Picture.of_image(At("adversarial", (strength, row)), classifier.bounds, percent(sure[strength]))
            for strength in range(len(stops))
        ]
        return Scrub(axis=axis, stops=stops, frames=tuple((picture,) for picture in shown))

    return Tiles(
        tiles=tuple(map(scrub, rows.tolist())),
        columns=1,
        rows=tuple(classifier.class_names[target] for target in arrays["target"][rows]),
        title=f"The first image, as each other class at each {axis} (probability of the target)",
        size=1.0,
    )


def grid(classifier: Classifier, arrays: dict[str, np.ndarray], own: np.ndarray, at: str) -> Tiles:
    """The first image of each class as each other class; the diagonal shows the originals; of few, what changed too."""
    names, image, target = classifier.class_names, arrays["image"], arrays["target"]
    sure, present = arrays["target_confidence"][0], np.unique(own)
    with_changes = len(present) <= FEW
    tiles: list[Picture | None] = []
    for source in present:
        mine = np.flatnonzero(image == image[own == source][0])
        row_of = dict(zip(target[mine].tolist(), mine, strict=True))
        rows = [row_of.get(wanted) for wanted in range(len(names))]
        for row in rows:
            shown = At("original", mine[0]) if row is None else At("adversarial", (0, row))
            title = "original" if row is None else percent(sure[row])
            tiles.append(Picture.of_image(shown, classifier.bounds, title))
        if with_changes:
            changes = arrays["adversarial"][0, mine] - arrays["original"][mine]
            largest = float(np.abs(changes).max())
            of_row: dict[Any, Picture] = {
                row: Picture(values=values, scale="diverging", limits=(-largest, largest))
                for row, values in zip(mine, changes, strict=True)
            }
            tiles += [of_row.get(row) for row in rows]
    named = [(names[source], "change") if with_changes else (names[source],) for source in present]
    one = "One image of each class" if len(present) > 1 else f"One {names[present[0]]}"
    return Tiles(
        tiles=tuple(tiles),
        columns=len(names),
        title=f"{one}, as each other class{at} (probability of the target)",
        rows=tuple(itertools.chain(*named)),
        heads=tuple(names),
        size=1.0,
    )
