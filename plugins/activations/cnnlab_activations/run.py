"""The output of each layer, how much of it is zero, and how much of the image can be seen in it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cnnlab.analysis import Context, Inputs, Result
from cnnlab.classifier import Classifier, Layer
from cnnlab.errors import UsageError
from cnnlab_activations import ActivationsParams, sheets

MOST_LISTED = 6
"""Layers of which the rows of a result tell each image's correlation; the arrays tell of all."""

MEMORY = 4 << 30
"""Bytes of activations that a result may hold."""


def run(classifier: Classifier, inputs: Inputs, params: ActivationsParams, context: Context) -> Result:
    """Pass the images through the model, one batch at a time, and gather what each layer makes of them."""
    layers = [classifier.layer(name) for name in dict.fromkeys(params.layer)] or list(classifier.layers)
    kept = min(params.keep or len(inputs), len(inputs))
    _check_memory(layers, inputs, kept)
    tallies = {layer.name: Tally(kept) for layer in layers}
    with context.progress("images", len(inputs)) as advance:
        for images, _ in inputs.batches(classifier.batch_size):
            found = classifier.activations(images, list(tallies))
            for name, values in found.items():
                tallies[name].add(images, values)
            advance(len(images))
    arrays: dict[str, np.ndarray] = {}
    metrics: dict[str, float] = {}
    for name, tally in tallies.items():
        tally.report(name, arrays, metrics)
    _tell_dead(layers, metrics, len(inputs), context)
    drawn = inputs.select(np.arange(min(kept, sheets.IMAGES)))
    subjects = [sheets.Subject(name, arrays[f"activation/{name}"], params.scale, params.most) for name in tallies]
    return Result(
        arrays=arrays,
        metrics=metrics,
        figures={
            subject.name.replace("/", "."): functools.partial(
                sheets.layer, subject, drawn, len(inputs), classifier.bounds
            )
            for subject in subjects
        },
        rows=list(_rows(inputs, layers, arrays)),
        pictures=list(sheets.pictures(subjects, drawn, classifier.bounds)),
    )


class Tally:
    """What is gathered of one layer while the images pass.

    Attributes:
        maps: How many maps or units it has.
    """

    def __init__(self, kept: int) -> None:
        self._kept, self._seen, self.maps = kept, 0, 0
        self._values: list[np.ndarray] = []
        self._correlations: list[np.ndarray] = []
        self._zeros: np.ndarray = np.zeros(0, np.int64)
        self._places = 0

    def add(self, images: np.ndarray, values: np.ndarray) -> None:
        """Take in a batch: images [n, H, W, C] and the layer's output [n, ..., c]."""
        if self._kept > self._seen:
            self._values.append(values[: self._kept - self._seen])
        flat = values.reshape(-1, values.shape[-1])
        if not self._seen:
            self.maps, self._zeros = flat.shape[1], np.zeros(flat.shape[1], np.int64)
        self._seen += len(images)
        self._zeros += (flat == 0).sum(axis=0)
        self._places += len(flat)
        if values.ndim == 4:
            self._correlations.append(correlations(images, values))

    def report(self, name: str, arrays: dict[str, np.ndarray], metrics: dict[str, float]) -> None:
        """Write what was gathered into the arrays and metrics of the result."""
        share = self._zeros / self._places
        arrays[f"activation/{name}"] = np.concatenate(self._values)
        arrays[f"zeros/{name}"] = share.astype(np.float32)
        metrics[f"zeros/{name}"] = float(share.mean())
        metrics[f"dead/{name}"] = int((self._zeros == self._places).sum())
        if self._correlations:
            found = np.concatenate(self._correlations)
            arrays[f"correlation/{name}"] = found.astype(np.float32)
            metrics[f"correlation/{name}"] = _mean(strongest(found))
            metrics[f"typical_correlation/{name}"] = _mean(np.abs(found))


def correlations(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Correlate each map with its image, which is brought to the map's size by averaging over areas.

    Args:
        images: [N, H, W, C]; the mean over the channels is taken.
        maps: [N, h, w, c].

    Returns:
        Pearson's correlation float64 [N, c]; NaN where the map or the image, so resized, is constant.
    """
    grey = area_average(images.mean(axis=-1, dtype=np.float64), maps.shape[1:3])
    seen = _standardised(grey.reshape(len(images), -1, 1))
    made = _standardised(maps.reshape(len(maps), -1, maps.shape[-1]).astype(np.float64))
    return np.clip(np.einsum("npi,npc->nc", seen, made), -1.0, 1.0)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Take the mean over the second axis off [N, P, c], and divide by the length of what is left; NaN if it is none."""
    largest = np.abs(values).max(axis=1, keepdims=True)
    centred = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    # Equal values differ from their mean by rounding: that is no pattern.
    constant = length <= 1e-12 * largest * math.sqrt(values.shape[1])
    return np.where(constant, np.nan, centred / np.where(constant, 1.0, length))


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


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _check_memory(layers: Sequence[Layer], inputs: Inputs, kept: int) -> None:
    # An open side is taken for the image's own: an upper bound where no layer enlarges.
    height, width = next(inputs.batches(1))[0].shape[1:3]
    size = 0
    for layer in layers:
        sides = [side or max(height, width) for side in layer.output_shape]
        size += 4 * kept * math.prod(sides)
    if size > MEMORY:
        most = max(1, kept * MEMORY // size)
        raise UsageError(
            f"the activations of {kept:,} images would take {size / 2**30:.1f} GiB; expected at most "
            f"{MEMORY / 2**30:g}. Keep fewer with --keep {most}, or choose layers with --layer."
        )


def _tell_dead(layers: Sequence[Layer], metrics: dict[str, float], images: int, context: Context) -> None:
    """Name the convolutions with dead filters: that a unit is zero for a few images says little; a whole map more."""
    for layer in layers:
        dead = metrics[f"dead/{layer.name}"]
        if dead and layer.kernel is not None and layer.kernel.ndim == 4:
            context.warn(
                f"{layer.name}: {dead:,} of {layer.output_shape[-1]:,} filters give zero everywhere in "
                f"{'the image' if images == 1 else f'all {images:,} images'} given."
            )


def _rows(inputs: Inputs, layers: Sequence[Layer], arrays: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """For each image, the largest |correlation| of each layer of maps."""
    with_maps = [layer.name for layer in layers if f"correlation/{layer.name}" in arrays][:MOST_LISTED]
    found = {name: strongest(arrays[f"correlation/{name}"]) for name in with_maps}
    if found:
        for index, source in enumerate(inputs.sources):
            yield {"image": source} | {f"{name}_correlation": float(values[index]) for name, values in found.items()}
