"""The output of each layer, how much of it is zero, and how much of the image can be seen in it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from cnnlab.plugin import Classifier, Context, Inputs, Layer, Result, UsageError, percent
from cnnlab_activations import ActivationsParams, sheets
from cnnlab_activations.tally import Tally, numbers_of, strongest

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
            for name, values in classifier.activations(images, list(tallies)).items():
                tallies[name].add(images, values)
            advance(len(images))
    # Held once: every layer's drawing refers to them.
    arrays = {"image": inputs.select(np.arange(min(kept, sheets.IMAGES))).images}
    for layer in layers:
        found = tallies[layer.name].result()
        _tell_dead(layer, numbers_of(found)["dead"], len(inputs), context)
        arrays |= {f"{array}/{layer.name}": values for array, values in found.items()}
    outputs = of_classes(classifier)
    return Result(
        arrays=arrays,
        drawings={
            name: sheets.layer(
                name, arrays[f"activation/{name}"], inputs, params, classifier.class_names if name in outputs else ()
            )
            for name in tallies
        },
    )


def sum_up(classifier: Classifier, result: Result, params: ActivationsParams) -> Result:
    """Say of each layer how much of it is zero, and how much of the images is seen in it."""
    metrics: dict[str, float] = {}
    columns: dict[str, np.ndarray] = {}
    for name in (key.removeprefix("zeros/") for key in result.arrays if key.startswith("zeros/")):
        found = {array: result.arrays.get(f"{array}/{name}") for array in ("zeros", "correlation")}
        own = {array: values for array, values in found.items() if values is not None}
        metrics |= {f"{metric}/{name}": value for metric, value in numbers_of(own).items()}
        if "correlation" in own and len(columns) < MOST_LISTED:
            columns[f"{name}_correlation"] = strongest(own["correlation"])
    return Result(headline=headline(metrics), metrics=metrics, columns=columns)


def of_classes(classifier: Classifier) -> list[str]:
    """Name the last layers, those whose units are the classes."""
    sizes = {layer.name: math.prod(length or 0 for length in layer.output_shape) for layer in classifier.layers}
    return list(itertools.takewhile(lambda name: sizes[name] == classifier.num_classes, reversed(sizes)))


def headline(metrics: Mapping[str, float]) -> str:
    """Name the layers whose maps look most and least like the image; without maps, the share of zeros."""

    def among(metric: str) -> list[tuple[float, str]]:
        return sorted(
            (value, name.removeprefix(f"{metric}/"))
            for name, value in metrics.items()
            if name.startswith(f"{metric}/") and math.isfinite(value)
        )

    alike = among("correlation")
    if not alike:
        share, layer = among("zeros")[-1]
        return f"{percent(share)} of the values of {layer} are zero"
    (low, last), (high, first) = alike[0], alike[-1]
    words = f"The image is best seen in a map of {first} (|correlation| {high:.2f})"
    return words if len(alike) == 1 else f"{words}, least in those of {last} ({low:.2f})"


def _check_memory(layers: Sequence[Layer], inputs: Inputs, kept: int) -> None:
    # An open side is taken for the image's own: an upper bound where no layer enlarges.
    side = max(inputs.shape[:2])
    size = 4 * kept * sum(math.prod(length or side for length in layer.output_shape) for layer in layers)
    if size > MEMORY:
        most = max(1, kept * MEMORY // size)
        raise UsageError(
            f"the activations of {kept:,} images would take {size / 2**30:.1f} GiB; expected at most "
            f"{MEMORY / 2**30:g}. Keep fewer with `keep={most}`, or choose layers with `layer=`."
        )


def _tell_dead(layer: Layer, dead: float, images: int, context: Context) -> None:
    """Name a convolution with dead filters: that a unit is zero for a few images says little; a whole map more."""
    if dead and layer.convolutional:
        context.warn(
            f"{layer.name}: {dead:,} of {layer.output_shape[-1]:,} filters give zero everywhere in "
            f"{'the image' if images == 1 else f'all {images:,} images'} given."
        )
