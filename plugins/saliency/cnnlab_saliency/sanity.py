"""Is a map to be believed? Shuffled weights (Adebayo et al., 2018), deletion and insertion (Petsiuk et al., 2018)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from cnnlab.classifier import Classifier

MOST_STAGES = 16
"""Stages of the cascade; where a model has more layers with weights, some are shuffled together."""


def stages(classifier: Classifier, most: int = MOST_STAGES) -> list[tuple[str, list[str]]]:
    """List the stages of the cascade: the name of each, and all layers that are shuffled in it, from the top down.

    A stage is named after the lowest of its layers; the last one holds every layer with weights.
    """
    weighted = [layer.name for layer in reversed(classifier.layers) if layer.constants]
    count = min(most, len(weighted))
    ends = [-(-len(weighted) * (stage + 1) // count) for stage in range(count)]
    return [(weighted[end - 1], weighted[:end]) for end in ends]


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each map with its counterpart, float64 [N] in [-1, 1].

    Equal values share their mean rank. A flat second map ranks no pixel before another: 0. A flat first one leaves
    nothing to compare with: NaN.

    Args:
        first: [N, H, W].
        second: [N, H, W].
    """
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    one, other = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    product = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    found = np.divide((one * other).sum(axis=1), product, out=np.zeros(len(first)), where=product > 0)
    return np.where(np.ptp(first, axis=(1, 2)) > 0, found, np.nan)


def ranks(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the place of each pixel in its map's order, the most important at 0, equal ones in random order.

    Args:
        maps: [N, H, W].
        rng: Breaks ties.

    Returns:
        int64 [N, H, W], each of 0 to H * W - 1 once for each map.
    """
    flat = maps.reshape(len(maps), -1)
    order = np.lexsort((rng.random(flat.shape), -flat))
    return order.argsort(axis=1).reshape(maps.shape)


def counts(pixels: int, steps: int) -> np.ndarray:
    """Return how many pixels are exchanged at each step, int64 [steps + 1]: from none to all, evenly."""
    return np.round(np.linspace(0, pixels, steps + 1)).astype(np.int64)


Score = Callable[[np.ndarray], np.ndarray]


def exchange(start: np.ndarray, end: np.ndarray, places: np.ndarray, amounts: np.ndarray, score: Score) -> np.ndarray:
    """Score images while their pixels are exchanged for others', in an order: float32 [N, S].

    Args:
        start: What the pixels are at first, [N, H, W, C].
        end: What they become, [N, H, W, C] or broadcasting to it.
        places: The place of each pixel in the order, [N, H, W].
        amounts: How many pixels are exchanged at each of S steps.
        score: Of images [N, H, W, C], [N].
    """
    scores = [score(np.where(places[..., None] < amount, end, start).astype(np.float32)) for amount in amounts]
    return np.stack(scores, axis=1).astype(np.float32)


def fill_values(images: np.ndarray, fill: str, bounds: tuple[float, float]) -> np.ndarray:
    """Return what deleted pixels become, float32 [N, 1, 1, C]: the range's end, or each channel's mean."""
    if fill == "mean":
        return images.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
    shape = (len(images), 1, 1, images.shape[-1])
    return np.full(shape, bounds[0] if fill == "min" else bounds[1], np.float32)


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """Return images [N, H, W, C] blurred by a Gaussian of that standard deviation in pixels; edges are continued."""
    return gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")


def area(curves: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Return the area under each curve [N, S] over the fractions [S], by the trapezoidal rule: float64 [N]."""
    return np.trapezoid(curves.astype(np.float64), fraction, axis=1)
