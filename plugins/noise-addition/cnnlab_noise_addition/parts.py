"""What is learned on and what was found, and the numbers taken from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Learning:
    """The images that a noise is learned on.

    Attributes:
        images: [N, H, W, C] in the model's value range.
        classes: Their labels, or what the model reads where nobody told, [N].
        before: What the model reads, [N].
    """

    images: np.ndarray
    classes: np.ndarray
    before: np.ndarray

    def means(self, count: int) -> np.ndarray:
        """Return the mean image of each of ``count`` classes, float32 [K, H, W, C]; NaN where there is none."""
        means = np.full((count, *self.images.shape[1:]), np.nan, np.float32)
        for label in np.unique(self.classes):
            means[label] = self.images[self.classes == label].mean(axis=0, dtype=np.float64)
        return means


@dataclass(frozen=True, kw_only=True)
class Found:
    """Noises, however they were come by.

    Attributes:
        targets: The class that they lead to, int64 []; [T] for several.
        epsilon: The bound that they keep.
        noise: One for all images, [H, W, C] or [T, H, W, C]; None where each image has its own.
        adversarial: The noisy images [(T,)N, H, W, C], where each has its own noise.
        trace: Arrays that tell how learning went.
        learned: Whether it was learned on the learning set.
    """

    targets: np.ndarray
    epsilon: float
    noise: np.ndarray | None = None
    adversarial: np.ndarray | None = None
    trace: Mapping[str, np.ndarray] = field(default_factory=dict)
    learned: bool = False


def share(values: np.ndarray, counted: np.ndarray, axis: int | None = None) -> Any:
    """Return the mean of ``values`` over the counted ones, float64; NaN where none is counted."""
    counted = np.broadcast_to(counted, values.shape)
    total = np.where(counted, values, 0).sum(axis=axis, dtype=np.float64)
    number = counted.sum(axis=axis)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def by_class(arrays: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """Return the success rate of each source class, float64 [(T,)K]; NaN where no image of it is counted.

    Args:
        arrays: ``label`` and ``label_before`` [N], ``counted`` and ``success`` [(T,)N]. An image without a label is
            of the class that it is read as.
        count: The number of classes, K.
    """
    source = np.where(arrays["label"] >= 0, arrays["label"], arrays["label_before"])
    rates = [share(arrays["success"], arrays["counted"] & (source == label), axis=-1) for label in range(count)]
    return np.stack(rates, axis=-1)


def correlations(noises: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of noises [..., H, W, C] with images [K, H, W, C], float64 [..., K].

    NaN where either is the same everywhere.
    """
    first, second = _centred(noises, noises.shape[:-3]), _centred(means, means.shape[:1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.einsum("...i,ki->...k", first, second)


def _centred(images: np.ndarray, leading: tuple[int, ...]) -> np.ndarray:
    """Without their mean, and of length one; NaN where nothing is left."""
    flat = images.reshape(*leading, -1).astype(np.float64)
    flat = flat - flat.mean(axis=-1, keepdims=True)
    length = np.sqrt(np.square(flat).sum(axis=-1, keepdims=True))
    # A flat image leaves the rounding of its mean.
    flat_ones = length <= 1e-9 * np.sqrt(flat.shape[-1])
    return np.where(flat_ones, np.nan, flat / np.where(flat_ones, 1.0, length))


def of_target(values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Pick from values [(T,)K] those of the targets, [(T)]."""
    return np.take_along_axis(values, targets[..., None], axis=-1)[..., 0]


def rank_of_target(values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return which place the target has among values [(T,)K], 1 for the largest, float64 [(T)]; NaN if it is NaN."""
    own = of_target(values, targets)
    return np.where(np.isnan(own), np.nan, 1.0 + (values > own[..., None]).sum(axis=-1))


def spectrum(noise: np.ndarray) -> np.ndarray:
    """Return the power of a noise [H, W, C] at each spatial frequency, mean over the channels, zero in the middle.

    Float64 [H, W]; the sum is H W times the mean over channels of the sum of squares (Parseval).
    """
    power = np.abs(np.fft.fft2(noise.astype(np.float64), axes=(0, 1))) ** 2
    return np.fft.fftshift(power.mean(axis=-1))
