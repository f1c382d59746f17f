"""Norms, balls and the 8-bit grid, in NumPy and exactly: what the engine keeps to and what the host verifies with.

Images are NHWC in the model's value range, bounds (low, high). A perturbation is measured in those units, in float64,
from the float32 arrays as they are saved.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

Norm = Literal["linf", "l2"]
"""In which norm a perturbation is measured: the largest change of a pixel value, or the Euclidean length.

Example:
    >>> def unit(norm: Norm) -> str:
    ...     return {"linf": "per pixel", "l2": "per image"}[norm]
    >>> unit("l2")
    'per image'
"""

ULP = 2.0**-23
"""The spacing of float32 numbers at 1, relative to them."""

LEVELS = 255

PIECE = 1 << 16
"""Pixels that are rounded or measured at a time: so many stay in the processor's cache meanwhile."""


def norms(difference: np.ndarray, norm: Norm) -> np.ndarray:
    """Measure perturbations in float64: the largest absolute entry, or the Euclidean length.

    Args:
        difference: [..., H, W, C].
        norm: ``"linf"`` or ``"l2"``.

    Returns:
        float64 [...].

    Example:
        >>> import numpy as np
        >>> noise = np.full((1, 2, 2, 1), -0.25, np.float32)
        >>> norms(noise, "linf").tolist(), norms(noise, "l2").tolist()
        ([0.25], [0.5])
    """
    leading, size = difference.shape[:-3], int(np.prod(difference.shape[-3:]))
    flat = np.asarray(difference, np.float64).reshape(*leading, size)
    if norm == "linf":
        return np.maximum(flat.max(axis=-1, initial=0.0), -flat.min(axis=-1, initial=0.0))
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", flat, flat)))


def distances(original: np.ndarray, adversarial: np.ndarray, norm: Norm) -> np.ndarray:
    """Measure how far images lie from their originals.

    Differences are taken in float64, a strength at a time: float32 rounding hides nothing.

    Args:
        original: [N, H, W, C].
        adversarial: [N, H, W, C] or [E, N, H, W, C].
        norm: ``"linf"`` or ``"l2"``.

    Returns:
        float64 [N] or [E, N].

    Example:
        >>> import numpy as np
        >>> original = np.zeros((1, 2, 2, 1), np.float32)
        >>> distances(original, np.stack([original + 0.25, original + 0.5]), "l2").tolist()
        [[0.5], [1.0]]
    """
    if adversarial.ndim == original.ndim:
        size = max(1, PIECE // max(1, int(np.prod(original.shape[1:]))))
        pieces = [slice(first, first + size) for first in range(0, len(original), size)] or [slice(0)]
        subtract = functools.partial(np.subtract, dtype=np.float64)
        return np.concatenate([norms(subtract(adversarial[piece], original[piece]), norm) for piece in pieces])
    return np.stack([distances(original, one, norm) for one in adversarial])


def tolerance(norm: Norm, shape: tuple[int, ...], bounds: tuple[float, float]) -> float:
    """How far a perturbation may exceed its bound only because pixels are float32 numbers: their last bit, each.

    An 8-bit step such as 8/255 is no float32 number, and neither are the pixels it leads from and to.

    Args:
        norm: ``"linf"`` or ``"l2"``.
        shape: [..., H, W, C].
        bounds: The model's value range.

    Returns:
        In the units of the value range; 1.2e-7 for L-infinity on [0, 1].

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import distances
        >>> original = np.full((1, 1, 1, 1), 0.7, np.float32)
        >>> far = distances(original, original + np.float32(0.1), "linf")[0]
        >>> bool(far > 0.1), bool(far <= 0.1 + tolerance("linf", original.shape, (0.0, 1.0)))
        (True, True)
    """
    pixel = ULP * max(map(abs, bounds))
    return pixel if norm == "linf" else pixel * float(np.sqrt(np.prod(shape[-3:])))


def shrunk(epsilon: np.ndarray | float, norm: Norm, shape: tuple[int, ...], bounds: tuple[float, float]) -> np.ndarray:
    """Return the float32 radius to search within, so that the float32 images found lie in the ball exactly.

    Adding a perturbation to a pixel rounds by half a unit in its last place, and a float32 L2 norm by a few: the
    radius is smaller than ``epsilon`` by that much (1.2e-7 for L-infinity on [0, 1]).
    """
    epsilon = np.asarray(epsilon, np.float64)
    slack = tolerance(norm, shape, bounds) + (4 * ULP * epsilon if norm == "l2" else 0.0)
    return np.maximum(epsilon - slack, 0.0).astype(np.float32)


def largest_epsilon(bounds: tuple[float, float], shape: tuple[int, ...], norm: Norm) -> float:
    """Return the radius of the ball that holds the whole box: the value range, for L2 times the root of H W C.

    Args:
        bounds: The model's value range.
        shape: (H, W, C).
        norm: ``"linf"`` or ``"l2"``.

    Example:
        >>> largest_epsilon((0.0, 1.0), (28, 28, 1), "l2")
        28.0
    """
    low, high = bounds
    return float((high - low) * (1.0 if norm == "linf" else np.sqrt(np.prod(shape))))


def grid(bounds: tuple[float, float], levels: int = LEVELS) -> np.ndarray:
    """Return the 256 float32 pixel values that an 8-bit image can hold in ``bounds``; of other ``levels``, theirs."""
    return _at_levels(np.arange(levels + 1, dtype=np.float64), bounds, levels).astype(np.float32)


def whole_noise(noise: np.ndarray, epsilon: float | None, norm: Norm | None) -> np.ndarray:
    """Bring a noise to whole numbers, for a model that takes no others, and keep it within its ball.

    Args:
        noise: float32 [..., H, W, C].
        epsilon: The radius of the ball; None without one.
        norm: Its norm. In L-infinity a noise is rounded, in L2 toward zero, so that it does not grow.

    Example:
        >>> import numpy as np
        >>> whole_noise(np.array([-2.4, 0.6, 1.9]), 1.5, "linf").tolist()
        [-1.0, 1.0, 1.0]
    """
    if norm == "l2":
        return np.trunc(noise)
    most = np.inf if epsilon is None else np.floor(epsilon * (1 + 4 * ULP))
    return np.clip(np.rint(noise), -most, most)


def to_8bit(images: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Round images in ``bounds`` to uint8, as an 8-bit PNG holds them.

    Args:
        images: [...], in the model's value range; what lies outside takes the colour of the nearer end.
        bounds: The value range: its lower end becomes 0, its upper end 255.

    Example:
        >>> import numpy as np
        >>> to_8bit(np.array([-1.0, 0.0, 1.0]), (-1.0, 1.0)).tolist()
        [0, 128, 255]
    """
    return _by_pieces(images, np.uint8, lambda piece: _levels(piece, bounds))


def from_8bit(pixels: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Return what an 8-bit image [..., H, W, C] uint8 is in the model's value range, float32.

    Args:
        pixels: uint8 [...].
        bounds: The value range: 0 becomes its lower end, 255 its upper end.

    Example:
        >>> import numpy as np
        >>> from_8bit(np.array([0, 255], np.uint8), (-1.0, 1.0)).tolist()
        [-1.0, 1.0]
    """
    return np.take(grid(bounds), pixels)


def round_8bit(images: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Round images to the nearest 8-bit ones and return them in the model's value range, float32.

    Args:
        images: [...], in the model's value range.
        bounds: The value range.

    Example:
        >>> import numpy as np
        >>> noise = np.array([0.001, 0.499, 0.999], np.float32)
        >>> (round_8bit(noise, (0.0, 1.0)) * 255).round().tolist()
        [0.0, 127.0, 255.0]
    """
    return _by_pieces(images, np.float32, lambda piece: _at_levels(_levels(piece, bounds), bounds))


def _by_pieces(images: np.ndarray, kind: Any, work: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Do what is done to each pixel by itself, :data:`PIECE` pixels at a time."""
    images = np.asarray(images)
    flat, found = images.reshape(-1), np.empty(images.size, kind)
    for first in range(0, flat.size, PIECE):
        found[first : first + PIECE] = work(flat[first : first + PIECE])
    return found.reshape(images.shape)


def _levels(images: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """The nearest 8-bit levels, 0 to 255, in float64."""
    low, high = bounds
    levels = np.subtract(images, low, dtype=np.float64)
    levels *= LEVELS / (high - low)
    return np.rint(levels, out=levels).clip(0, LEVELS, out=levels)


def _at_levels(levels: np.ndarray, bounds: tuple[float, float], last: int = LEVELS) -> np.ndarray:
    """The pixel values of levels, in float64; ``last`` is the level of the upper end."""
    low, high = bounds
    return np.asarray(low + (high - low) * levels / last)


def outside(images: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Say which images [N] hold pixels outside of ``bounds``."""
    low, high = (np.float32(bound) for bound in bounds)
    return np.asarray(((images < low) | (images > high)).any(axis=(-3, -2, -1)))


def add_noise(
    images: np.ndarray,
    noise: np.ndarray,
    bounds: tuple[float, float],
    *,
    epsilon: float | None = None,
    norm: Norm | None = None,
) -> np.ndarray:
    """Return clip(images + noise), rounded so that no image moves further than ``epsilon``.

    Args:
        images: [N, H, W, C].
        noise: [H, W, C], or one for each image.
        bounds: The model's value range.
        epsilon: The bound that the noise keeps, if any: noise that is larger is clipped (L-infinity) or scaled (L2).
        norm: In which norm; a bound needs both.

    Returns:
        float32 [N, H, W, C], in the value range; a pixel of an image that was outside stays where it was.

    Example:
        >>> import numpy as np
        >>> images = np.full((1, 2, 2, 1), 0.75, np.float32)
        >>> add_noise(images, np.full((2, 2, 1), 0.5, np.float32), (0.0, 1.0)).ravel().tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    low, high = (np.float32(bound) for bound in bounds)
    if epsilon is not None and norm is not None:
        radius = shrunk(epsilon, norm, images.shape, bounds)
        if norm == "linf":
            noise = np.clip(noise, -radius, radius)
        else:
            length = np.asarray(norms(noise, "l2"))[..., None, None, None]
            noise = noise * np.minimum(1.0, radius / np.maximum(length, np.finfo(np.float64).tiny))
    moved = images + np.asarray(noise, np.float32)
    # An image that reaches beyond the range by a hair stays where it is instead of being moved by the clipping.
    return np.clip(moved, np.minimum(low, images), np.maximum(high, images))
