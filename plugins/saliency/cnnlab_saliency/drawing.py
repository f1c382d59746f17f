"""The figures: maps over images, deletion and insertion, and what is left of a map when the model forgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnnlab.analysis import Inputs
from cnnlab.classifier import Classifier
from cnnlab.figures import Picture, curves, tiles
from cnnlab_saliency import OF_A_LAYER, SaliencyParams
from cnnlab_saliency.maps import feature_layer

MOST_DRAWN = 8
"""Images in the figure; arrays.npz holds all."""

WORDS = {
    "vanilla": "gradient",
    "smoothgrad": "SmoothGrad",
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "scorecam": "Score-CAM",
}

Arrays = Mapping[str, np.ndarray]


def figures(
    classifier: Classifier, inputs: Inputs, params: SaliencyParams, arrays: Arrays
) -> dict[str, Callable[[], Any]]:
    """Return the figures to be drawn, by name: the maps and, with ``--sanity``, three of the tests."""
    drawn: dict[str, Callable[[], Any]] = {"": lambda: _maps(classifier, inputs, params, arrays)}
    if "deletion" in arrays:
        drawn["deletion-insertion"] = lambda: _exchanged(params, arrays)
    if len(arrays.get("sanity_layers", ())):
        drawn["sanity"] = lambda: _similarity(params, arrays)
        drawn["sanity-maps"] = lambda: _shuffled(classifier, inputs, params, arrays)
    return drawn


def pictures(
    classifier: Classifier, inputs: Inputs, params: SaliencyParams, arrays: Arrays, index: int
) -> list[Picture]:
    """Return the image at an index, and its map over it."""
    image = inputs.select([index]).images[0]
    name = classifier.class_names[arrays["target"][index]]
    return [
        Picture.of_image(image, classifier.bounds, title=inputs.sources[index]),
        _over(classifier, image, params, arrays["map"][index], f"{WORDS[params.method]} for {name}"),
    ]


def _over(classifier: Classifier, image: np.ndarray, params: SaliencyParams, values: np.ndarray, title: str) -> Picture:
    low, high = classifier.bounds
    return Picture(
        values,
        title=title,
        scale="diverging" if params.signed else "sequential",
        under=(image - low) / (high - low),
    )


def _heading(classifier: Classifier, params: SaliencyParams) -> str:
    where = f" of {feature_layer(classifier, params.layer)}" if params.method in OF_A_LAYER else ""
    words = WORDS[params.method]
    return words[0].upper() + words[1:] + where


def _maps(classifier: Classifier, inputs: Inputs, params: SaliencyParams, arrays: Arrays) -> Any:
    drawn = range(min(len(inputs), MOST_DRAWN))
    title = _heading(classifier, params)
    if len(inputs) > MOST_DRAWN:
        title += f": the first {MOST_DRAWN} of {len(inputs):,} images"
    shown = [picture for index in drawn for picture in pictures(classifier, inputs, params, arrays, index)]
    return tiles(shown, title=title, columns=min(4, len(shown)))


def _exchanged(params: SaliencyParams, arrays: Arrays) -> Any:
    fraction = arrays["fraction"]
    lines = {
        f"{noun}{order} (area {np.trapezoid(mean, fraction):.3f})": (fraction, mean)
        for order, suffix in ((" by the map", ""), (" at random", "_random"))
        for noun in ("deletion", "insertion")
        for mean in [arrays[noun + suffix].mean(axis=0, dtype=np.float64)]
    }
    return curves(
        lines,
        xlabel="part of the pixels deleted or inserted",
        ylabel=f"{params.score} of the class",
        title=f"Deletion and insertion, {WORDS[params.method]}, mean of {_images(arrays)}",
        ylim=(0.0, 1.02) if params.score == "probability" else None,
        marks=False,
    )


def _similarity(params: SaliencyParams, arrays: Arrays) -> Any:
    likeness = arrays["sanity_similarity"]
    names = ["none", *map(str, arrays["sanity_layers"])]
    places = np.arange(len(names))
    known = likeness[:, np.isfinite(likeness).all(axis=0)]
    mean = np.array([1.0, *(known.mean(axis=1) if known.size else np.full(len(likeness), np.nan))])
    figure = curves(
        {"mean over the images": (places, mean)},
        xlabel="weights shuffled from the top down to this layer",
        ylabel="rank correlation with the own map",
        title=f"What is left of {WORDS[params.method]} when the model forgets, mean of {_images(arrays)}",
        horizontal={"unrelated": 0.0},
        ylim=(min(-0.1, float(np.nanmin(mean)) - 0.05), 1.05),
    )
    turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if len(names) > 8 else {}
    figure.axes[0].set_xticks(places, names, **turned)
    return figure


def _shuffled(classifier: Classifier, inputs: Inputs, params: SaliencyParams, arrays: Arrays) -> Any:
    image = inputs.select([0]).images[0]
    shown = [*pictures(classifier, inputs, params, arrays, 0)]
    for stage, name in enumerate(arrays["sanity_layers"]):
        title = f"shuffled to {name}: {arrays['sanity_similarity'][stage, 0]:.2f}"
        shown.append(_over(classifier, image, params, arrays[f"sanity_map/{name}"][0], title))
    heading = f"{_heading(classifier, params)} with weights shuffled from the top down, and its rank correlation"
    return tiles(shown, title=heading, columns=min(4, len(shown)))


def _images(arrays: Arrays) -> str:
    count = len(arrays["map"])
    return "1 image" if count == 1 else f"{count:,} images"
