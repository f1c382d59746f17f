"""Whether a model is as often right as it says: the expected calibration error, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15
"""Bins of equal width over the confidences, as in Guo et al., On Calibration of Modern Neural Networks (2017)."""

SIMULATIONS, SEED = (100, 500), 0
"""How often a perfectly calibrated model is simulated, less often for many images, and what seeds it."""

DRAWS = 50_000_000
"""Images that are drawn in all these simulations, but for the least number of them."""


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy over N images, in B bins: bin b holds the confidences in (b/B, (b+1)/B].

    Attributes:
        images: How many images each bin holds, int64 [B].
        right: How many of these are read correctly, int64 [B].
        confidence: The mean confidence in each bin, float64 [B]; NaN in an empty one.
        error: The expected calibration error: the distance between accuracy and mean confidence of a bin, in the mean
            over the bins, each weighted by its images.
        standard_error: Its standard error by the delta method: that of the mean of s(b) * (right - confidence) over
            the images, where s(b) is the sign of that difference in the image's bin.
        by_chance: The errors of S simulated samples of a perfectly calibrated model with these confidences: each image
            is right with the probability that is its confidence. float64 [S].
    """

    images: np.ndarray
    right: np.ndarray
    confidence: np.ndarray
    error: float
    standard_error: float
    by_chance: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        """The share of each bin's images that is read correctly, float64 [B]; NaN in an empty one."""
        return _shares(self.right, self.images)

    @property
    def chance(self) -> float:
        """The error that a perfectly calibrated model shows in the mean."""
        return float(self.by_chance.mean())


def calibration(confidence: np.ndarray, right: np.ndarray) -> Calibration:
    """Hold confidences against what became of them.

    Args:
        confidence: The probability that each image's predicted class was given, in (0, 1], [N]; one image at least.
        right: Whether that class is the image's own, bool [N].

    Example:
        >>> found = calibration(np.array([0.9, 0.9, 0.9, 0.9]), np.array([True, True, True, False]))
        >>> round(found.error, 6), int(found.images.argmax())
        (0.15, 13)
    """
    bins = bins_of(confidence)
    images = np.bincount(bins, minlength=BINS)
    residuals = right - np.asarray(confidence, np.float64)
    gaps = np.bincount(bins, residuals, BINS)
    return Calibration(
        images=images,
        right=np.bincount(bins[right], minlength=BINS),
        confidence=_shares(np.bincount(bins, confidence, BINS), images),
        error=float(np.abs(gaps).sum() / len(bins)),
        standard_error=float(np.std(np.sign(gaps)[bins] * residuals) / np.sqrt(len(bins))),
        by_chance=_by_chance(bins, np.asarray(confidence, np.float64)),
    )


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """Return the bin of each confidence, int64 [N].

    >>> bins_of(np.array([0.01, 1 / 15, 0.07, 1.0])).tolist()
    [0, 0, 1, 14]
    """
    edges = np.linspace(0, 1, BINS + 1)
    return np.clip(np.searchsorted(edges, confidence) - 1, 0, BINS - 1)


def _by_chance(bins: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Draw anew which images are right, and measure the error of each draw."""
    drawn = np.random.default_rng(SEED)
    order = np.argsort(bins, kind="stable")
    starts, confidence = np.flatnonzero(np.diff(bins[order], prepend=-1)), confidence[order]
    del order  # as large as the confidences
    errors = np.empty(np.clip(DRAWS // len(bins), *SIMULATIONS))
    for number in range(len(errors)):  # one draw in memory at a time
        gaps = np.add.reduceat((drawn.random(len(bins)) < confidence) - confidence, starts)
        errors[number] = np.abs(gaps).sum() / len(bins)
    return errors


def _shares(counts: np.ndarray, images: np.ndarray) -> np.ndarray:
    return np.divide(counts, images, out=np.full(len(images), np.nan), where=images > 0)
