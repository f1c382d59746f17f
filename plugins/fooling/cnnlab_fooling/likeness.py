"""How much images resemble those of a set: the nearest of them, and the mean of a class, in one pass over the set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cnnlab.analysis import Inputs

BLOCK = 2048
"""Images of the set that are read at a time."""

REAL = 100
"""Images of the set whose own likeness to the rest of it gives the scale."""


@dataclass(frozen=True)
class Likeness:
    """How much N images resemble those of a set.

    Attributes:
        nearest: int64 [N], index of the nearest image of the set; -1 where there is none.
        nearest_image: float32 [N, H, W, C].
        nearest_distance: float64 [N], L2.
        nearest_correlation: float64 [N], Pearson's, over the pixels.
        mean_distance: float64 [N], to the mean image of the class.
        mean_correlation: float64 [N], with the mean image of the class.
    """

    nearest: np.ndarray
    nearest_image: np.ndarray
    nearest_distance: np.ndarray
    nearest_correlation: np.ndarray
    mean_distance: np.ndarray
    mean_correlation: np.ndarray


def class_means(compared: Inputs, classes: int) -> np.ndarray:
    """Return the mean image of each class, float64 [K, H, W, C]; NaN where the set holds none of it."""
    sums: np.ndarray | None = None
    counts = np.zeros(classes)
    for images, labels in compared.batches(BLOCK):
        if sums is None:
            sums = np.zeros((classes, *images.shape[1:]))
        known = labels >= 0
        np.add.at(sums, labels[known], images[known])
        np.add.at(counts, labels[known], 1)
    assert sums is not None, "an empty set has no means"
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts[:, None, None, None])


def likeness(
    images: np.ndarray,
    classes: np.ndarray,
    compared: Inputs,
    means: np.ndarray,
    *,
    own: np.ndarray | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Likeness:
    """Measure how much images [N, H, W, C] of classes [N] resemble those of a set.

    Args:
        images: What is measured.
        classes: Their classes; -1 where unknown.
        compared: The set, read once and never as a whole.
        means: Its :func:`class_means`.
        own: [N], each image's own place in the set, which does not count; None where they are not of it.
        advance: Called with the number of images of the set just compared.
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    lengths = np.square(flat).sum(axis=1)
    nearest = np.full(len(images), -1, np.int64)
    nearest_image = np.full(images.shape, np.nan, np.float32)
    best = np.full(len(images), np.inf)
    first = 0
    for block, _ in compared.batches(BLOCK):
        others = block.reshape(len(block), -1).astype(np.float64)
        squared = lengths[:, None] - 2 * flat @ others.T + np.square(others).sum(axis=1)
        if own is not None:
            squared[own[:, None] == first + np.arange(len(block))] = np.inf
        here = squared.argmin(axis=1)
        least = squared[np.arange(len(images)), here]
        closer = least < best
        best[closer], nearest[closer] = least[closer], first + here[closer]
        nearest_image[closer] = block[here[closer]]
        first += len(block)
        advance(len(block))
    # The expanded square loses digits where images are all but equal: measure the distance that is told anew.
    mean = np.where((classes >= 0)[:, None, None, None], means[classes], np.nan)
    return Likeness(
        nearest,
        nearest_image,
        distance(images, nearest_image),
        correlation(images, nearest_image),
        distance(images, mean),
        correlation(images, mean),
    )


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the L2 distance of each image [N, H, W, C] to its counterpart, float64 [N]."""
    return np.asarray(np.sqrt(np.square(one.astype(np.float64) - other).sum(axis=(1, 2, 3))))


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of the pixels of each image [N, H, W, C] with its counterpart's, float64 [N].

    NaN where one of them is constant.
    """
    first, second = (images.reshape(len(images), -1).astype(np.float64) for images in (one, other))
    first, second = (flat - flat.mean(axis=1, keepdims=True) for flat in (first, second))
    lengths = np.sqrt(np.square(first).sum(axis=1) * np.square(second).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(lengths > 0, (first * second).sum(axis=1) / lengths, np.nan))


def spread(count: int, most: int = REAL) -> np.ndarray:
    """Return at most ``most`` indices spread evenly over ``count``, int64."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
