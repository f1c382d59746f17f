"""Occlusion sensitivity (Zeiler and Fergus, 2014), overlaps averaged, the last patch clipped at the border."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnlab.plugin import At, Classifier, Context, Inputs, Picture, Result, fill_values, run_map_test
from cnnlab_occlusion import OcclusionParams

IMAGES = 32
"""Images whose positions are streamed together."""


def run(classifier: Classifier, inputs: Inputs, params: OcclusionParams, context: Context) -> Result:
    """Cover each image at every position, record the score of its class, and test the map where that is asked for."""
    rows, cols = positions(inputs.shape, params)
    with context.progress("positions", len(inputs) * (1 + len(rows) * len(cols))) as advance:

        def covered(images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
            target = classifier.own_class(images, labels, params.class_)
            return {"target": target, **cover(params, classifier, images, target, advance)}

        parts = [covered(*batch) for batch in inputs.batches(IMAGES)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    drops = found["baseline"][:, None, None] - found["score"]
    flipped = found["predicted"] != found.pop("read")[:, None, None]
    worst = drops.reshape(len(inputs), -1).argmax(axis=1)
    arrays = {**found, "rows": rows, "cols": cols, "heatmap": heatmap(drops, rows, cols, params.patch, inputs.shape)}
    ask = functools.partial(explain, params)
    test = run_map_test(ask, classifier, inputs, params, context, arrays, of="heatmap", name="occlusion", signed=True)
    return Result(
        arrays=arrays | test.arrays,
        metrics={
            "baseline": float(arrays["baseline"].mean()),
            "largest_drop": float(drops.max(axis=(1, 2)).mean()),
            "flipped": float(flipped.mean()),
            **test.metrics,
        },
        columns={
            "class": [classifier.class_names[label] for label in arrays["target"]],
            "baseline": arrays["baseline"],
            "largest_drop": drops.max(axis=(1, 2)),
            "at_row": rows[worst // len(cols)],
            "at_col": cols[worst % len(cols)],
            "flipped": flipped.mean(axis=(1, 2)),
            **test.columns,
        },
        show=functools.partial(show, classifier.class_names, inputs, params, arrays),
        title=f"Occlusion, patch {params.patch}, stride {params.stride}, fill {params.fill}",
        drawings=test.drawings,
    )


def show(
    names: Sequence[str], inputs: Inputs, params: OcclusionParams, arrays: dict[str, np.ndarray], index: int
) -> list[Picture]:
    """The image, how much it needs each pixel, and the score and the predicted class by patch position."""
    name, score = names[arrays["target"][index]], arrays["score"][index]
    # A map of a sure model is all but flat: on the scale from 0 to 1 nothing of it would be seen.
    limits = (0.0, 1.0) if params.score == "probability" and np.ptp(score) > 0.2 else None
    words = f"{params.score} of {name} by patch position ({arrays['baseline'][index]:.4g} without)"
    heat = At("heatmap", index)
    return [
        inputs.picture(index),
        Picture(
            values=heat,
            title=f"mean drop of the {params.score} of {name}",
            scale="diverging",
            under=inputs.unit_image(index),
        ),
        Picture(values=At("score", index), title=words, scale="sequential", limits=limits),
        Picture(
            values=At("predicted", index),
            title="predicted class by patch position",
            scale="classes",
            names=tuple(names),
        ),
    ]


def explain(
    params: OcclusionParams, classifier: Classifier, images: np.ndarray, targets: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Return the heat map of each image [n, H, W, C] for its class, float32 [n, H, W]; nothing in it is random."""
    found = cover(params, classifier, images, targets)
    drops = found["baseline"][:, None, None] - found["score"]
    return heatmap(drops, *positions(images.shape[1:], params), params.patch, images.shape[1:])


def cover(
    params: OcclusionParams,
    classifier: Classifier,
    images: np.ndarray,
    targets: np.ndarray,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, np.ndarray]:
    """Score a batch of images [n, H, W, C] for their classes, int64 [n], without a patch and with it everywhere.

    Returns:
        ``baseline`` float32 and ``read`` int64 [n], the score and the predicted class without a patch; ``score`` and
        ``predicted`` [n, rows, cols], the same with the patch at each position.
    """
    rows, cols = positions(images.shape[1:], params)
    # The first position lies outside the image: the baseline goes the same way through the graph as the scores, so
    # that a model that does not care about the image gives drops of exactly 0.
    edges = np.array([images.shape[1:3], *itertools.product(rows, cols)])
    compiled = classifier.compiled("occlusion", lambda: make_score(classifier))
    score = functools.partial(compiled, patch=tf.constant(params.patch, tf.int64), as_logit=params.score == "logit")
    fills = fill_values(images, params.fill, classifier.bounds)
    scores, predicted = stream(score, (images, targets, fills), edges, classifier.batch_size, advance)
    grid = (len(images), len(rows), len(cols))
    return {
        "baseline": scores[:, 0],
        "read": predicted[:, 0],
        "score": scores[:, 1:].reshape(grid),
        "predicted": predicted[:, 1:].reshape(grid),
    }


def positions(shape: Sequence[int], params: OcclusionParams) -> tuple[np.ndarray, np.ndarray]:
    """Return the upper and the left edges of the patches on an image of that shape [H, W, C], each int64."""
    return origins(shape[0], params.patch, params.stride), origins(shape[1], params.patch, params.stride)


def origins(side: int, patch: int, stride: int) -> np.ndarray:
    """Return the upper (or left) edges of the patches, int64: 0, stride, ... up to the first that meets the border."""
    return np.arange(math.ceil(max(side - patch, 0) / stride) + 1) * stride


def heatmap(drops: np.ndarray, rows: np.ndarray, cols: np.ndarray, patch: int, size: Sequence[int]) -> np.ndarray:
    """Average, at each pixel, the drops of the patches that cover it: float32 [N, H, W].

    Args:
        drops: Baseline minus score, [N, rows, cols].
        rows: Upper edges of the patches.
        cols: Left edges of the patches.
        patch: Their side.
        size: Height and width of the images, or their shape [H, W, C].
    """
    # A patch covers a pixel when it covers its row and its column, so the sum over patches falls into two products.
    down, across = (
        ((np.arange(side) >= edges[:, None]) & (np.arange(side) < edges[:, None] + patch)).astype(np.float64)
        for edges, side in zip((rows, cols), size[:2], strict=True)
    )
    covering = np.outer(down.sum(axis=0), across.sum(axis=0))
    return (np.einsum("rh,nrc,cw->nhw", down, drops.astype(np.float64), across) / covering).astype(np.float32)


def make_score(classifier: Classifier) -> Any:
    """Compile the score of a batch of occluded images, which are painted inside the graph.

    Returns:
        A function of images [n, H, W, C], target classes [n], fills [n, 1, 1, C], patch origins [n, 2], the patch's
        side, and whether logits are wanted, giving scores [n] and predicted classes [n].
    """

    @tf.function(reduce_retracing=True)
    def score(images: Any, targets: Any, fills: Any, edges: Any, patch: Any, as_logit: Any) -> tuple[Any, Any]:
        shape = tf.shape(images, tf.int64)
        down, across = tf.range(shape[1])[None, :, None, None], tf.range(shape[2])[None, None, :, None]
        top, left = edges[:, 0, None, None, None], edges[:, 1, None, None, None]
        covered = (down >= top) & (down < top + patch) & (across >= left) & (across < left + patch)
        logits = tf.cast(classifier.logits_function(tf.where(covered, fills, images)), tf.float32)
        values = logits if as_logit else tf.nn.softmax(logits)
        return tf.gather(values, targets, batch_dims=1), tf.argmax(logits, axis=1)

    return score


def stream(
    score: Any, of_image: tuple[np.ndarray, ...], edges: np.ndarray, size: int, advance: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Score every image with the patch at every one of ``edges`` [P, 2], ``size`` at a time.

    Args:
        score: From images, targets, fills and patch origins to scores and classes.
        of_image: Images, targets and fills, each [N, ...].
        edges: Where the patch lies.
        size: Occluded images in a batch.
        advance: Called with the number of positions just done.

    Returns:
        Scores float32 and predicted classes int64, [N, P].
    """
    shape = (len(of_image[0]), len(edges))
    scores, predicted = np.empty(shape, np.float32), np.empty(shape, np.int64)
    for start in range(0, scores.size, size):
        part = slice(start, min(start + size, scores.size))
        image, position = np.divmod(np.arange(part.start, part.stop), len(edges))
        given = [tf.constant(values) for values in (*(each[image] for each in of_image), edges[position])]
        scores.flat[part], predicted.flat[part] = (values.numpy() for values in score(*given))
        advance(part.stop - part.start)
    return scores, predicted
