"""Occlusion sensitivity (Zeiler and Fergus, 2014), overlaps averaged, the last patch clipped at the border."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from cnnlab.analysis import Context, Inputs, Result
from cnnlab.classifier import Classifier
from cnnlab.errors import UsageError
from cnnlab.figures import Picture, tiles
from cnnlab_occlusion import FILLS, OcclusionParams

IMAGES = 32
"""Images whose positions are streamed together."""

MOST_DRAWN = 8
"""Images in the figure; arrays.npz holds all."""


def run(classifier: Classifier, inputs: Inputs, params: OcclusionParams, context: Context) -> Result:
    """Cover each image at every position, and record the score of its class."""
    _check_class(classifier, params)
    height, width = _size(classifier, inputs)
    rows, cols = origins(height, params.patch, params.stride), origins(width, params.patch, params.stride)
    score = functools.partial(
        make_score(classifier),
        patch=tf.constant(params.patch, tf.int64),
        as_logit=tf.constant(params.score == "logit"),
    )
    baselines, targets, before, scores, predicted = [], [], [], [], []
    with context.progress("positions", len(inputs) * len(rows) * len(cols)) as advance:
        for images, labels in inputs.batches(IMAGES):
            logits = classifier.logits(images)
            target = _targets(logits, labels, params)
            fills = fill_values(images, params.fill, classifier.bounds)
            baseline, first = _stream(score, classifier, images, target, fills, _nowhere(images))
            found, classes = _stream(score, classifier, images, target, fills, _everywhere(rows, cols), advance)
            baselines.append(baseline[:, 0])
            before.append(first[:, 0])
            targets.append(target)
            scores.append(found.reshape(-1, len(rows), len(cols)))
            predicted.append(classes.reshape(-1, len(rows), len(cols)))
    arrays = {
        "score": np.concatenate(scores),
        "predicted": np.concatenate(predicted),
        "baseline": np.concatenate(baselines),
        "target": np.concatenate(targets),
        "rows": rows,
        "cols": cols,
    }
    drops = arrays["baseline"][:, None, None] - arrays["score"]
    arrays["heatmap"] = heatmap(drops, rows, cols, params.patch, (height, width))
    flipped = arrays["predicted"] != np.concatenate(before)[:, None, None]
    return Result(
        arrays=arrays,
        metrics={
            "baseline": float(arrays["baseline"].mean()),
            "largest_drop": float(drops.max(axis=(1, 2)).mean()),
            "flipped": float(flipped.mean()),
        },
        figures={"": lambda: _figure(classifier, inputs, params, arrays)},
        rows=list(_rows(classifier, inputs, arrays, drops, flipped)),
        pictures=_pictures(classifier, inputs, params, arrays, 0)[:2],
    )


def origins(side: int, patch: int, stride: int) -> np.ndarray:
    """Return the upper (or left) edges of the patches, int64: 0, stride, ... up to the first that meets the border."""
    return np.arange(math.ceil(max(side - patch, 0) / stride) + 1) * stride


def fill_values(images: np.ndarray, fill: str, bounds: tuple[float, float]) -> np.ndarray:
    """Return what to paint the patch with, float32 [N, 1, 1, C].

    Args:
        images: [N, H, W, C].
        fill: ``min``, ``max``, ``mean`` or a number.
        bounds: The model's value range.

    Raises:
        UsageError: The number is outside the range.
    """
    low, high = bounds
    if fill == "mean":
        return images.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
    value = {"min": low, "max": high}[fill] if fill in FILLS else float(fill)
    if not low <= value <= high:
        raise UsageError(f"fill must lie in the model's value range, {low:g} to {high:g}; received {fill}.")
    return np.full((len(images), 1, 1, images.shape[-1]), value, np.float32)


def heatmap(drops: np.ndarray, rows: np.ndarray, cols: np.ndarray, patch: int, size: tuple[int, int]) -> np.ndarray:
    """Average, at each pixel, the drops of the patches that cover it: float32 [N, H, W].

    Args:
        drops: Baseline minus score, [N, rows, cols].
        rows: Upper edges of the patches.
        cols: Left edges of the patches.
        patch: Their side.
        size: Height and width of the images.
    """
    # A patch covers a pixel when it covers its row and its column, so the sum over patches falls into two products.
    down, across = (
        ((np.arange(side) >= edges[:, None]) & (np.arange(side) < edges[:, None] + patch)).astype(np.float64)
        for edges, side in zip((rows, cols), size, strict=True)
    )
    covering = np.outer(down.sum(axis=0), across.sum(axis=0))
    return (np.einsum("rh,nrc,cw->nhw", down, drops.astype(np.float64), across) / covering).astype(np.float32)


@functools.lru_cache(maxsize=4)
def make_score(classifier: Classifier) -> Any:
    """Compile the score of a batch of occluded images, which are painted inside the graph; once for a model.

    Returns:
        A function of images [n, H, W, C], target classes [n], fills [n, 1, 1, C], patch origins [n, 2], the patch's
        side, and whether logits are wanted, giving scores [n] and predicted classes [n].
    """
    logits_of = classifier.logits_function

    @tf.function(reduce_retracing=True)
    def score(images: Any, targets: Any, fills: Any, edges: Any, patch: Any, as_logit: Any) -> tuple[Any, Any]:
        shape = tf.shape(images, tf.int64)
        down, across = tf.range(shape[1])[None, :, None, None], tf.range(shape[2])[None, None, :, None]
        top, left = edges[:, 0, None, None, None], edges[:, 1, None, None, None]
        covered = (down >= top) & (down < top + patch) & (across >= left) & (across < left + patch)
        logits = tf.cast(logits_of(tf.where(covered, fills, images)), tf.float32)
        values = tf.where(as_logit, logits, tf.nn.softmax(logits))
        return tf.gather(values, targets, batch_dims=1), tf.argmax(logits, axis=1)

    return score


def _stream(
    score: Any,
    classifier: Classifier,
    images: np.ndarray,
    targets: np.ndarray,
    fills: np.ndarray,
    edges: np.ndarray,
    advance: Any = lambda steps: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Score every image with the patch at every one of ``edges`` [P, 2]: scores and predicted classes [N, P]."""
    count = len(images) * len(edges)
    scores, predicted = np.empty(count, np.float32), np.empty(count, np.int64)
    size = classifier.batch_size
    for start in range(0, count, size):
        part = slice(start, min(start + size, count))
        image, position = np.divmod(np.arange(part.start, part.stop), len(edges))
        found = score(
            tf.constant(images[image]),
            tf.constant(targets[image]),
            tf.constant(fills[image]),
            tf.constant(edges[position]),
        )
        scores[part], predicted[part] = (values.numpy() for values in found)
        advance(part.stop - part.start)
    shape = (len(images), len(edges))
    return scores.reshape(shape), predicted.reshape(shape)


def _everywhere(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2)


def _nowhere(images: np.ndarray) -> np.ndarray:
    """A position outside the image: the baseline goes the same way through the graph as the scores."""
    return np.array([images.shape[1:3]], np.int64)


def _targets(logits: np.ndarray, labels: np.ndarray, params: OcclusionParams) -> np.ndarray:
    if params.class_ is not None:
        return np.full(len(labels), params.class_, np.int64)
    return np.where(labels >= 0, labels, logits.argmax(axis=1)).astype(np.int64)


def _check_class(classifier: Classifier, params: OcclusionParams) -> None:
    if params.class_ is not None and params.class_ >= classifier.num_classes:
        raise UsageError(
            f"class must be one of the model's {classifier.num_classes} classes, 0 to {classifier.num_classes - 1}; "
            f"received {params.class_}."
        )


def _size(classifier: Classifier, inputs: Inputs) -> tuple[int, int]:
    height, width, _ = classifier.input_shape
    if height is None or width is None:
        height, width = next(inputs.batches(1))[0].shape[1:3]
    return height, width


def _rows(
    classifier: Classifier, inputs: Inputs, arrays: dict[str, np.ndarray], drops: np.ndarray, flipped: np.ndarray
) -> Iterator[dict[str, Any]]:
    names = classifier.class_names
    for index, source in enumerate(inputs.sources):
        row, col = np.unravel_index(int(drops[index].argmax()), drops[index].shape)
        yield {
            "image": source,
            "class": names[arrays["target"][index]],
            "baseline": float(arrays["baseline"][index]),
            "largest_drop": float(drops[index].max()),
            "at_row": int(arrays["rows"][row]),
            "at_col": int(arrays["cols"][col]),
            "flipped": float(flipped[index].mean()),
        }


def _pictures(
    classifier: Classifier, inputs: Inputs, params: OcclusionParams, arrays: dict[str, np.ndarray], index: int
) -> list[Picture]:
    image = inputs.select([index]).images[0]
    low, high = classifier.bounds
    name = classifier.class_names[arrays["target"][index]]
    score = arrays["score"][index]
    # A map of a sure model is all but flat: on the scale from 0 to 1 nothing of it would be seen.
    whole = params.score == "probability" and np.ptp(score) > 0.2
    return [
        Picture.of_image(image, classifier.bounds, title=inputs.sources[index]),
        Picture(
            arrays["heatmap"][index],
            title=f"mean drop of the {params.score} of {name}",
            scale="diverging",
            under=(image - low) / (high - low),
        ),
        Picture(
            score,
            title=f"{params.score} of {name} by patch position ({arrays['baseline'][index]:.4g} without)",
            scale="sequential",
            limits=(0.0, 1.0) if whole else None,
        ),
        Picture(
            arrays["predicted"][index],
            title="predicted class by patch position",
            scale="classes",
            names=classifier.class_names,
        ),
    ]


def _figure(classifier: Classifier, inputs: Inputs, params: OcclusionParams, arrays: dict[str, np.ndarray]) -> Any:
    drawn = range(min(len(inputs), MOST_DRAWN))
    pictures = [picture for index in drawn for picture in _pictures(classifier, inputs, params, arrays, index)]
    title = f"Occlusion, patch {params.patch}, stride {params.stride}, fill {params.fill}"
    if len(inputs) > MOST_DRAWN:
        title += f": the first {MOST_DRAWN} of {len(inputs):,} images"
    return tiles(pictures, title=title, columns=4)
