"""Are the pixels that a map names the ones that count? They are deleted and inserted in its order.

Deletion and insertion are those of Petsiuk et al. (2018).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cnnlab.errors import UsageError

Score = Callable[[np.ndarray], np.ndarray]
"""From images [n, H, W, C] to a score of each, [n]."""


def ranks(maps: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Return the place of each pixel in its map's order, the most important at 0, equal ones by others.

    Args:
        maps: [N, H, W].
        ties: [N, H, W], by which equal ones are ordered.

    Returns:
        int64 [N, H, W], each of 0 to H * W - 1 once for each map.
    """
    flat = maps.reshape(len(maps), -1)
    order = np.lexsort((ties.reshape(flat.shape), -flat))
    return order.argsort(axis=1).reshape(maps.shape)


def counts(pixels: int, steps: int) -> np.ndarray:
    """Return how many pixels are exchanged at each step, int64 [steps + 1]: from none to all, evenly."""
    return np.round(np.linspace(0, pixels, steps + 1)).astype(np.int64)


def exchange(
    start: np.ndarray, end: np.ndarray, places: np.ndarray, amounts: np.ndarray, score: Score, most: int
) -> np.ndarray:
    """Score images while their pixels are exchanged for others', in an order: float32 [N, S].

    Args:
        start: What the pixels are at first, [N, H, W, C].
        end: What they become, [N, H, W, C] or broadcasting to it.
        places: The place of each pixel in the order, [N, H, W].
        amounts: How many pixels are exchanged at each of S steps.
        score: Of images [s * N, H, W, C], all N at one step after the other, [s * N].
        most: Images that are scored at once: those of several steps, where N is smaller.
    """
    count, steps = len(start), max(1, most // len(start))
    scores: list[np.ndarray] = []
    for first in range(0, len(amounts), steps):
        part = amounts[first : first + steps]
        exchanged = np.where(places[..., None] < part.reshape(-1, 1, 1, 1, 1), end, start).astype(np.float32)
        scores.append(score(exchanged.reshape(-1, *start.shape[1:])).reshape(-1, count))
    return np.concatenate(scores).T.astype(np.float32)


def fill_values(images: np.ndarray, fill: str | float, bounds: tuple[float, float]) -> np.ndarray:
    """Return what hidden pixels become, float32 [N, 1, 1, C].

    Args:
        images: [N, H, W, C].
        fill: ``min`` or ``max`` of the range, ``mean`` of each channel of the image, or a number.
        bounds: The model's value range.

    Raises:
        UsageError: The number is outside the range.

    Example:
        >>> import numpy as np
        >>> fill_values(np.ones((1, 2, 2, 3), np.float32), "min", (-1.0, 1.0)).ravel().tolist()
        [-1.0, -1.0, -1.0]
    """
    low, high = bounds
    if fill == "mean":
        return images.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
    value = {"min": low, "max": high}[fill] if isinstance(fill, str) else fill
    if not low <= value <= high:
        raise UsageError(f"fill must lie in the model's value range, {low:g} to {high:g}; received {fill:g}.")
    return np.full((len(images), 1, 1, images.shape[-1]), value, np.float32)


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """Return images [N, H, W, C] blurred by a Gaussian of that standard deviation in pixels; edges are continued."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")


def area(curves: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Return the area under each curve [N, S] over the fractions [S], by the trapezoidal rule: float64 [N]."""
    return np.trapezoid(curves.astype(np.float64), fraction, axis=1)
