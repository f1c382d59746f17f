"""What kernels are made of: constant, first-order and higher-order energy, and how alike they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnlab.plugin import known_mean, percent

PARTS = ("constant", "edge", "higher")


def measure(kernel: np.ndarray) -> dict[str, np.ndarray]:
    """Measure the kernels [h, w, in, out] of one layer: ``energy`` [3, in, out] and ``similarity`` [out, out]."""
    return {"energy": shares(kernel).astype(np.float32), "similarity": alikeness(kernel).astype(np.float32)}


def numbers(kernel: np.ndarray) -> dict[str, float]:
    """Return the means over what :func:`measure` gives, NaN where there is nothing to take a mean of.

    They are the three shares by their names, ``similarity`` and ``slice_similarity``.
    """
    means = {part: known_mean(share) for part, share in zip(PARTS, shares(kernel), strict=True)}
    return means | {"similarity": mean_alikeness(alikeness(kernel)), "slice_similarity": slice_alikeness(kernel)}


def alikeness(kernel: np.ndarray) -> np.ndarray:
    """Return the cosine of every pair of whole filters of a kernel [h, w, in, out], float64 [out, out]."""
    return cosines(kernel.reshape(-1, kernel.shape[-1]).T)


def chance(shape: tuple[int, ...]) -> dict[str, float]:
    """Return what :func:`numbers` gives on average for independent normal weights of a kernel's ``shape``.

    Each dimension has an equal part of the energy. The expected |cosine| of two vectors in d dimensions is
    Γ(d/2) / (√π Γ((d+1)/2)).
    """
    height, width, inputs, _ = shape
    constant, edge = (len(part) / (height * width) for part in basis(height, width))

    def by_chance(dimensions: int) -> float:
        return math.exp(math.lgamma(dimensions / 2) - math.lgamma((dimensions + 1) / 2)) / math.sqrt(math.pi)

    return {
        "constant": constant,
        "edge": edge,
        "higher": 1 - constant - edge,
        "similarity": by_chance(height * width * inputs),
        "slice_similarity": by_chance(height * width),
    }


def in_words(numbers: Mapping[str, float], by_chance: Mapping[str, float]) -> str:
    """Say which shares of a layer's energy are which, and which they would be by chance."""
    words = zip(("constant", "edge-like", "higher order"), PARTS, strict=True)
    told = (f"{word} {percent(numbers[part], 0)} (chance {percent(by_chance[part], 0)})" for word, part in words)
    return f"energy: {', '.join(told)}"


def headline(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say which layer's kernels are the most edge-like, beyond what chance gives.

    Args:
        rows: A layer's own numbers and then those of chance, one after the other.
    """
    pairs = [(own, chance) for own, chance in zip(rows[::2], rows[1::2], strict=True) if math.isfinite(own["edge"])]
    if not pairs:
        return ""
    own, chance = max(pairs, key=lambda pair: pair[0]["edge"] - pair[1]["edge"])
    most = "" if len(pairs) == 1 else ", the most of all layers beyond chance"
    return (
        f"{percent(own['edge'])} of the energy of {own['layer']}'s kernels is edge-like, where chance gives "
        f"{percent(chance['edge'])}{most}"
    )


def basis(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return orthonormal bases of the constant and of the first-order kernels on a grid.

    First-order are the two linear ramps, down and across. On a full grid they are orthogonal to the constant and to
    each other once their means are taken off; a grid of one row or one column has one ramp less.

    Returns:
        float64 [1, height * width] and [R, height * width], R the number of sides longer than 1.
    """
    rows, cols = np.mgrid[:height, :width].astype(np.float64).reshape(2, -1)
    ramps = [ramp - ramp.mean() for ramp in (rows, cols) if ramp.any()]
    constant = np.full((1, height * width), 1 / math.sqrt(height * width))
    first = np.array([ramp / np.linalg.norm(ramp) for ramp in ramps]).reshape(len(ramps), height * width)
    return constant, first


def shares(kernel: np.ndarray) -> np.ndarray:
    """Split the energy of each kernel slice: constant, first-order (edge-like), higher-order.

    The slice is projected onto the constant, then onto the two ramps; the bases are orthonormal, so that the squares
    of the coefficients and of the rest sum to its energy.

    Args:
        kernel: [h, w, in, out].

    Returns:
        float64 [3, in, out] in [0, 1], summing to 1 over the first axis; NaN for a slice of zeros.
    """
    height, width, *slices = kernel.shape
    flat = kernel.reshape(height * width, -1).astype(np.float64)
    # Scaled first, so that the squares of very small weights do not vanish.
    largest = np.abs(flat).max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        flat = flat / largest
        constant, first = (np.square(part @ flat).sum(axis=0) for part in basis(height, width))
        total = np.square(flat).sum(axis=0)
        found = np.stack([constant, first, np.maximum(total - constant - first, 0.0)]) / total
    return found.reshape(3, *slices)


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Return the cosine of every pair of rows of ``vectors`` [n, d]: float64 [n, n]; NaN where a row is zero."""
    vectors = vectors.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        vectors = vectors / np.abs(vectors).max(axis=1, keepdims=True)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.clip(unit @ unit.T, -1.0, 1.0)


def mean_alikeness(cosine: np.ndarray) -> float:
    """Return the mean |cosine| over the pairs [n, n] that are two different vectors; NaN without such a pair."""
    return known_mean(np.abs(cosine[~np.eye(len(cosine), dtype=bool)]))


def slice_alikeness(kernel: np.ndarray) -> float:
    """Return the mean |cosine| of the slices of two filters that read the same input channel.

    Args:
        kernel: [h, w, in, out].
    """
    if kernel.shape[0] * kernel.shape[1] == 1:  # numbers are all alike but for their sign
        return 1.0 if (np.count_nonzero(kernel[0, 0], axis=1) >= 2).any() else math.nan
    by_channel = kernel.transpose(2, 3, 0, 1).reshape(kernel.shape[2], kernel.shape[3], -1)
    return known_mean(np.array([mean_alikeness(cosines(slices)) for slices in by_channel]))
