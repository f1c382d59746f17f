"""What stands out from an image's ground, and what a patch on it does compared with one beside it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

OUTSTANDING = 0.25
"""Pixels stand out that differ from the ground by more than this part of the value range."""

SIZES = 0.02, 0.6
"""Between which parts of an image what stands out can be told from its ground."""

COVERED = 0.25
"""A patch lies on what stands out where at least this part of it does."""


def standing_out(images: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Find the pixels that differ from the ground, the median of the border, in any channel: bool [N, H, W].

    Args:
        images: [N, H, W, C].
        bounds: The model's value range.
    """
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    ground = np.median(border, axis=1)[:, None, None]
    return np.asarray((np.abs(images - ground) > OUTSTANDING * (bounds[1] - bounds[0])).any(axis=-1))


def coverage(found: np.ndarray, rows: np.ndarray, cols: np.ndarray, patch: int) -> np.ndarray:
    """Return which part of the patch lies on what stands out, at each position: float64 [N, rows, cols].

    Args:
        found: What stands out, bool [N, H, W].
        rows: Upper edges of the patch.
        cols: Left edges.
        patch: Its side; at the border it is cut.
    """
    down, across = (
        ((np.arange(side) >= edges[:, None]) & (np.arange(side) < edges[:, None] + patch)).astype(np.float64)
        for edges, side in zip((rows, cols), found.shape[1:], strict=True)
    )
    area = np.outer(down.sum(axis=1), across.sum(axis=1))
    return np.asarray(np.einsum("rh,nhw,cw->nrc", down, found, across) / area)


def compare(
    arrays: Mapping[str, np.ndarray], images: np.ndarray, bounds: tuple[float, float], patch: int
) -> dict[str, np.ndarray]:
    """Compare what a patch does on what stands out with what it does beside it.

    Args:
        arrays: What the analysis declares.
        images: [N, H, W, C].
        bounds: The model's value range.
        patch: The side of the patch.

    Returns:
        ``usable`` bool [N]: images of which something stands out and something does not. Of these, ``on`` and
        ``beside`` float64 [n], the fall of the margin, mean over such positions; ``moved_on`` and ``moved_beside``, the
        same of its change up or down; and ``right`` bool [n], whether the watched class is read wherever it is beside.
    """
    found = standing_out(images, bounds)
    covered = coverage(found, arrays["rows"], arrays["cols"], patch)
    on, beside = covered >= COVERED, covered == 0
    size = found.mean(axis=(1, 2))
    usable = (size >= SIZES[0]) & (size <= SIZES[1]) & on.any(axis=(1, 2)) & beside.any(axis=(1, 2))
    on, beside = on[usable], beside[usable]
    falls = (arrays["margin_baseline"][:, None, None] - arrays["margin"])[usable].astype(np.float64)
    read = (arrays["predicted"] == arrays["target"][:, None, None])[usable]
    return {
        "usable": usable,
        "on": mean_at(falls, on),
        "beside": mean_at(falls, beside),
        "moved_on": mean_at(np.abs(falls), on),
        "moved_beside": mean_at(np.abs(falls), beside),
        "right": (read | ~beside).all(axis=(1, 2)),
    }


def mean_at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the mean of values [n, rows, cols] at places, bool of the same shape: [n]."""
    return np.asarray(np.where(places, values, 0).sum(axis=(1, 2)) / places.sum(axis=(1, 2)))
