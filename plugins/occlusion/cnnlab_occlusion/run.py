"""Occlusion sensitivity (Zeiler and Fergus, 2014), overlaps averaged, the last patch clipped at the border."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnlab.plugin import (
    At,
    Classifier,
    Context,
    Inputs,
    MapTest,
    Picture,
    Result,
    fill_values,
    out_of,
    percent,
    run_map_test,
)
from cnnlab_occlusion import OcclusionParams

IMAGES = 32
"""Images that are covered together."""

NUMBERS = 1 << 22
"""Logits that lie in memory at a time."""


def run(classifier: Classifier, inputs: Inputs, params: OcclusionParams, context: Context) -> Result:
    """Cover each image at every position, record the score of its class, and test the map where that is asked for."""
    rows, cols = positions(inputs.shape, params)
    with context.progress("positions", len(inputs) * (1 + len(rows) * len(cols))) as advance:

        def covered(images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
            target = classifier.own_class(images, labels, params.target)
            found = cover(params, classifier, images, target, advance, context.warn)
            drops = found["baseline"][:, None, None] - found["score"]
            margin_drops = found["margin_baseline"][:, None, None] - found["margin"]
            mapped = functools.partial(heatmap, rows=rows, cols=cols, patch=params.patch, size=inputs.shape)
            return {"target": target, **found, "heatmap": mapped(drops), "margin_heatmap": mapped(margin_drops)}

        arrays = {"rows": rows, "cols": cols, **context.gather(inputs, covered, description=None, size=IMAGES)}
    if params.precision != "float32" and (said := rounding(params, classifier, next(inputs.batches(1))[0], arrays)):
        context.warn(said)
    ask = functools.partial(explain, params)
    test = run_map_test(ask, classifier, inputs, params, context, arrays, of="heatmap", name="occlusion", signed=True)
    return Result(
        arrays=arrays | dict(test.arrays),
        show=functools.partial(show, classifier.class_names, inputs, params, arrays),
        title=f"Occlusion, patch {params.patch}, stride {params.stride}, fill {params.fill}",
        drawings=test.drawings,
    )


def sum_up(classifier: Classifier, result: Result, params: OcclusionParams) -> Result:
    """Say by how much the score and the margin of each image fall, where most, and how often the class changes."""
    arrays, test = result.arrays, MapTest(arrays=result.arrays)
    drops = arrays["baseline"][:, None, None] - arrays["score"]
    margin_drops = arrays["margin_baseline"][:, None, None] - arrays["margin"]
    flipped = arrays["predicted"] != arrays["read"][:, None, None]
    rows, cols = np.unravel_index(drops.reshape(len(drops), -1).argmax(axis=1), drops.shape[1:])
    return Result(
        headline=headline(classifier.class_names, params, arrays, flipped, margin_drops),
        metrics={
            "baseline": float(arrays["baseline"].mean()),
            "largest_drop": float(drops.max(axis=(1, 2)).mean()),
            "largest_margin_drop": float(margin_drops.max(axis=(1, 2)).mean()),
            "flipped": float(flipped.mean()),
            **test.metrics,
        },
        columns={
            "class": [classifier.class_names[label] for label in arrays["target"]],
            "baseline": arrays["baseline"],
            "largest_drop": drops.max(axis=(1, 2)),
            "at_row": arrays["rows"][rows],
            "at_col": arrays["cols"][cols],
            "largest_margin_drop": margin_drops.max(axis=(1, 2)),
            "flipped": flipped.mean(axis=(1, 2)),
            **test.columns,
        },
    )


def headline(
    names: Sequence[str],
    params: OcclusionParams,
    arrays: Mapping[str, np.ndarray],
    flipped: np.ndarray,
    margin_drops: np.ndarray,
) -> str:
    """Say whether any patch changes the class, and of one image where it takes the most from the margin.

    Args:
        names: Of the classes.
        params: How large the patch is.
        arrays: What the analysis declares.
        flipped: Whether the predicted class is another with the patch there, [N, rows, cols].
        margin_drops: By how much the margin falls, [N, rows, cols].
    """
    steady = np.asarray(~flipped.any(axis=(1, 2)))
    if len(flipped) > 1:
        return f"{out_of(int(steady.sum()), len(steady))} read as the same class wherever the patch lies"
    words = f"{names[arrays['predicted'][0, 0, 0]]} at every position"
    if not steady[0]:
        words = f"Read as another class at {percent(float(flipped.mean()))} of the positions"
    if margin_drops.max() <= 0:
        return words
    row, col = np.unravel_index(margin_drops[0].argmax(), margin_drops[0].shape)
    middle = params.patch // 2
    return (
        f"{words}; the margin falls most with the patch's middle at row {arrays['rows'][row] + middle}, "
        f"column {arrays['cols'][col] + middle}"
    )


def show(
    names: Sequence[str], inputs: Inputs, params: OcclusionParams, arrays: dict[str, np.ndarray], index: int
) -> list[Picture]:
    """The image, where the margin needs it, and score and predicted class by where the middle of the patch lies."""
    name, predicted = names[arrays["target"][index]], arrays["predicted"][index]
    outline = inputs.unit_image(index)
    place = between_middles(arrays["rows"], params), between_middles(arrays["cols"], params)
    at_middles: dict[str, Any] = {
        "place": (place[0][0], place[1][0], place[0][1], place[1][1]),
        "window": (params.patch, params.patch),
        "outline": outline,
    }
    baseline = float(arrays["baseline"][index])
    probable = params.score == "probability"
    alone = len(np.unique(predicted)) == 1
    without = f"({percent(baseline) if probable else f'{baseline:.4g}'} without)"
    words = f"{params.score} of {name}\n{f'{names[predicted.flat[0]]} at every position' if alone else without}"
    score = Picture(
        values=At("score", index), title=words, scale="sequential", limits=(0, 1) if probable else None, **at_middles
    )
    needed = Picture(
        values=At("margin_heatmap", index),
        title=f"fall of the margin of {name}\n({arrays['margin_baseline'][index]:.4g} without)",
        scale="diverging",
        unit="logits",
        outline=outline,
    )
    classes = Picture(
        values=At("predicted", index), title="predicted class", scale="classes", names=tuple(names), **at_middles
    )
    return [inputs.picture(index), needed, score, *([] if alone else [classes])]


def between_middles(edges: np.ndarray, params: OcclusionParams) -> tuple[float, float]:
    """Return where on an axis of the image the positions lie, each as wide as a step about the patch's middle."""
    aside = (params.patch - params.stride) / 2
    return float(edges[0] + aside), float(edges[-1] + aside + params.stride)


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
    warn: Callable[[str], None] = lambda text: None,
) -> dict[str, np.ndarray]:
    """Score a batch of images [n, H, W, C] for their classes, int64 [n], without a patch and with it everywhere.

    Returns:
        ``baseline`` and ``margin_baseline`` float32 and ``read`` int64 [n], the score, the margin and the predicted
        class without a patch; ``score``, ``margin`` and ``predicted`` [n, rows, cols], the same with it everywhere.
    """
    rows, cols = positions(images.shape[1:], params)
    # The first position lies outside the image: what it gives is the baseline.
    corners = np.array([images.shape[1:3], *itertools.product(rows, cols)])
    fills = fill_values(images, params.fill, classifier.bounds)
    shape = (len(images), len(corners))
    found = [np.empty(shape, kind) for kind in (np.float32, np.float32, np.int64)]
    many = max(1, NUMBERS // classifier.num_classes)
    few = max(1, many // len(corners))
    for first, start in itertools.product(range(0, shape[0], few), range(0, shape[1], many)):
        part = slice(first, first + few), slice(start, start + many)
        logits = classifier.covered_logits(
            images[part[0]], fills[part[0]], corners[part[1]], params.patch, advance, warn, params.precision
        )
        for whole, values in zip(found, scored(params, classifier, logits, targets[part[0]]), strict=True):
            whole[part] = values
    without = dict(zip(("baseline", "margin_baseline", "read"), (values[:, 0] for values in found), strict=True))
    covered = (values[:, 1:].reshape(-1, len(rows), len(cols)) for values in found)
    return without | dict(zip(("score", "margin", "predicted"), covered, strict=True))


def scored(
    params: OcclusionParams, classifier: Classifier, logits: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the score and the margin of each image's class and the predicted class, each [n, P].

    Args:
        params: Which score it is.
        classifier: What gave the logits.
        logits: [n, P, K].
        targets: The classes, int64 [n].
    """
    values = logits if params.score == "logit" else classifier.probabilities_of(logits)
    own = targets[:, None, None]
    others = logits.copy()
    np.put_along_axis(others, own, -np.inf, axis=2)
    margins = np.take_along_axis(logits, own, axis=2)[..., 0] - others.max(axis=2)
    return np.take_along_axis(values, own, axis=2)[..., 0], margins, logits.argmax(axis=2)


def rounding(
    params: OcclusionParams, classifier: Classifier, image: np.ndarray, arrays: Mapping[str, np.ndarray]
) -> str:
    """Say by how much the first image's scores, [1, H, W, C], are off float32's; an empty text where they are these."""
    exact = cover(dataclasses.replace(params, precision="float32"), classifier, image, arrays["target"][:1])
    off = np.abs(exact["score"] - arrays["score"][:1]).max()
    said = f"computed in {params.precision}: a {params.score} of the first image is off by up to {off:.2g}."
    return said if off else ""


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
    of_rows = np.einsum("rh,nrc->nhc", down, drops.astype(np.float64))
    return (np.einsum("nhc,cw->nhw", of_rows, across) / covering).astype(np.float32)
