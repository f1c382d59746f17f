"""What is gathered of a layer while images pass: its output, how much of it is zero, how alike image and maps are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnnlab.plugin import known_mean, standardised


class Tally:
    """What is gathered of one layer.

    Args:
        kept: Of how many images the output is kept.
    """

    def __init__(self, kept: int) -> None:
        self._kept, self._seen, self._places = kept, 0, 0
        self._zeros: np.ndarray = np.zeros(0, np.int64)
        self._values: list[np.ndarray] = []
        self._correlations: list[np.ndarray] = []

    def add(self, images: np.ndarray, values: np.ndarray) -> None:
        """Take in a batch: images [n, H, W, C] and the layer's output [n, ..., c]."""
        if self._seen < self._kept:
            self._values.append(values[: self._kept - self._seen])
        zeros = (values == 0).reshape(-1, values.shape[-1])
        self._zeros = zeros.sum(axis=0) + (self._zeros if self._seen else 0)
        self._places += len(zeros)
        self._seen += len(images)
        if values.ndim == 4:
            self._correlations.append(correlations(images, values))

    def result(self) -> dict[str, np.ndarray]:
        """Return what was gathered: ``activation``, ``zeros`` and, where there are maps, ``correlation``."""
        share = (self._zeros / self._places).astype(np.float32)
        # 1 is dead: what all but is, is not rounded to it.
        share = np.where(
            self._zeros == self._places, share, np.minimum(share, np.nextafter(np.float32(1), np.float32(0)))
        )
        arrays = {"activation": np.concatenate(self._values), "zeros": share}
        if self._correlations:
            arrays["correlation"] = np.concatenate(self._correlations).astype(np.float32)
        return arrays


def numbers_of(found: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the metrics of one layer, of what :meth:`Tally.result` gives."""
    metrics = {"zeros": float(found["zeros"].mean(dtype=np.float64)), "dead": int((found["zeros"] == 1).sum())}
    if "correlation" in found:
        alike = found["correlation"].astype(np.float64)
        metrics["correlation"] = known_mean(strongest(alike))
        metrics["typical_correlation"] = known_mean(np.abs(alike))
    return metrics


def correlations(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Correlate each map with its image, which is brought to the map's size by averaging over areas.

    Args:
        images: [N, H, W, C]; the mean over the channels is taken.
        maps: [N, h, w, c].

    Returns:
        Pearson's correlation float64 [N, c]; NaN where the map or the image, so resized, is constant.
    """
    grey = area_average(images.mean(axis=-1, dtype=np.float64), maps.shape[1:3])
    seen = standardised(grey.reshape(len(images), -1))
    made = standardised(np.moveaxis(maps, -1, 1).reshape(len(maps), maps.shape[-1], -1))
    return np.clip(np.einsum("np,ncp->nc", seen, made), -1.0, 1.0)


def area_average(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize images [N, H, W] to ``size`` = (h, w): each new pixel is the mean over the area that it covers."""
    down, across = (overlaps(old, new) for old, new in zip(images.shape[1:], size, strict=True))
    return np.einsum("hH,nHW,wW->nhw", down, images, across, optimize=True)


def overlaps(old: int, new: int) -> np.ndarray:
    """Return, float64 [new, old], which part of each of ``new`` equal intervals lies in each of ``old`` equal ones."""
    starts, ends = np.arange(new) * old / new, np.arange(1, new + 1) * old / new
    edges = np.arange(old)
    common = np.minimum(ends[:, None], edges + 1) - np.maximum(starts[:, None], edges)
    return np.clip(common, 0.0, None) * new / old


def strongest(found: np.ndarray) -> np.ndarray:
    """Return the largest |correlation| of each image, [N] of [N, c]; NaN where none is known."""
    sizes = np.where(np.isfinite(found), np.abs(found), -1.0).max(axis=1)
    return np.where(sizes < 0, np.nan, sizes)
