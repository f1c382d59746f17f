"""Kernels as they are, split into constant, first-order and higher-order energy, and compared with each other."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnlab.analysis import Context, Inputs, Result
from cnnlab.classifier import Classifier, Layer
from cnnlab.errors import UsageError, did_you_mean
from cnnlab_filters import FiltersParams, energy, sheets
from cnnlab_filters.maximize import climb


def run(classifier: Classifier, inputs: Inputs, params: FiltersParams, context: Context) -> Result:
    """Measure the kernels of each chosen layer and, where asked, climb to what excites each filter."""
    layers = chosen_layers(classifier, params.layer)
    channels = {layer.name: _channels(layer, params) for layer in layers}
    _check_channels(layers, channels, params, context)
    arrays: dict[str, np.ndarray] = {}
    metrics: dict[str, float] = {}
    for layer in layers:
        _measure(layer, arrays, metrics, context)
    if params.maximize:
        _maximize(classifier, layers, params, context, arrays, metrics)
    drawn = [layer for layer in layers if channels[layer.name]]
    figures: dict[str, Any] = {}
    for layer in drawn:
        subject = sheets.Subject(layer.name, by_filter(layer), channels[layer.name], params.most, bool(params.channel))
        figures[_file_name(layer)] = functools.partial(sheets.kernels, subject, _summary(layer, metrics))
        if params.maximize:
            figures[f"{_file_name(layer)}-maximized"] = functools.partial(
                sheets.maximized,
                subject,
                arrays[f"maximizing/{layer.name}"],
                arrays[f"excitation/{layer.name}"],
                classifier.bounds,
                params.objective,
            )
    return Result(
        arrays=arrays,
        metrics=metrics,
        figures=figures,
        rows=[row for layer in layers for row in _rows(layer, metrics)],
        pictures=[
            sheets.picture(layer.name, by_filter(layer), channels[layer.name], min(params.most, 16))
            for layer in drawn[:2]
        ],
    )


def convolutions(classifier: Classifier) -> list[Layer]:
    """List the layers that have kernels [h, w, in, out]."""
    return [layer for layer in classifier.layers if layer.kernel is not None and layer.kernel.ndim == 4]


def chosen_layers(classifier: Classifier, names: Sequence[str]) -> list[Layer]:
    """Return the convolutional layers of those names, all of them without names.

    Raises:
        UsageError: A layer is unknown (the nearest are named), or is not convolutional.
    """
    there = convolutions(classifier)
    if not names:
        return there
    known = [layer.name for layer in there]
    found = []
    for name in dict.fromkeys(names):
        layer = classifier.layer(name)
        if name not in known:
            raise UsageError(
                f"layer must be convolutional; {name} is {layer.kind} and has no kernels [h, w, in, out]. "
                f"{did_you_mean(name, known)}"
            )
        found.append(layer)
    return found


def by_filter(layer: Layer) -> np.ndarray:
    """Return the kernel with one filter per output channel on its last axis, [h, w, in, out].

    A depthwise layer's filters read one channel each: [h, w, in, multiplier] becomes [h, w, 1, in x multiplier].
    """
    assert layer.kernel is not None
    kernel = layer.kernel
    if layer.kind == "DepthwiseConv2D":
        return kernel.reshape(*kernel.shape[:2], 1, -1)
    return kernel


def _channels(layer: Layer, params: FiltersParams) -> list[int]:
    """Which input channels of a layer are drawn."""
    there = by_filter(layer).shape[2]
    if not params.channel:
        return list(range(min(there, params.most)))
    return [channel for channel in dict.fromkeys(params.channel) if channel < there]


def _check_channels(
    layers: Sequence[Layer], channels: Mapping[str, list[int]], params: FiltersParams, context: Context
) -> None:
    wanted = set(params.channel)
    sizes = ", ".join(f"{layer.name} has {by_filter(layer).shape[2]}" for layer in layers)
    missing = sorted(wanted.difference(*channels.values()))
    if missing:
        raise UsageError(f"there is no input channel {missing[0]}, counted from 0: {sizes}.")
    for layer in layers:
        lacking = sorted(wanted.difference(channels[layer.name]))
        if lacking:
            context.warn(
                f"{layer.name} has {by_filter(layer).shape[2]} input channels; channel "
                f"{', '.join(map(str, lacking))} is not drawn for it."
            )


def _measure(layer: Layer, arrays: dict[str, np.ndarray], metrics: dict[str, float], context: Context) -> None:
    name, kernel = layer.name, by_filter(layer)
    assert layer.kernel is not None
    shares = energy.shares(kernel)
    cosine = energy.cosines(kernel.reshape(-1, kernel.shape[-1]).T)
    arrays[f"kernel/{name}"] = np.asarray(layer.kernel)
    arrays[f"energy/{name}"] = shares.astype(np.float32)
    arrays[f"similarity/{name}"] = cosine.astype(np.float32)
    known = np.isfinite(shares[0])
    for part, share in zip(energy.PARTS, shares, strict=True):
        metrics[f"{part}/{name}"] = float(share[known].mean()) if known.any() else float("nan")
    metrics[f"similarity/{name}"] = energy.mean_alikeness(cosine)
    metrics[f"slice_similarity/{name}"] = energy.slice_alikeness(kernel)
    if not known.all():
        context.warn(
            f"{name}: {known.size - known.sum():,} of {known.size:,} kernel slices are zero and have no shares."
        )


def _maximize(
    classifier: Classifier,
    layers: Sequence[Layer],
    params: FiltersParams,
    context: Context,
    arrays: dict[str, np.ndarray],
    metrics: dict[str, float],
) -> None:
    for layer in context.track(layers, "layers climbed"):
        filters = np.arange(min(by_filter(layer).shape[-1], params.most))
        images, excitation = climb(
            classifier,
            layer.name,
            filters,
            objective=params.objective,
            steps=params.steps,
            smoothness=params.smoothness,
            # A stream of its own for each layer: choosing layers does not change what is found for the others.
            rng=np.random.default_rng([context.seed, *layer.name.encode()]),
        )
        arrays[f"maximizing/{layer.name}"] = images
        arrays[f"excitation/{layer.name}"] = excitation
        climbed = excitation[1] > excitation[0]
        metrics[f"excited/{layer.name}"] = float(climbed.mean())
        if not climbed.all():
            context.warn(
                f"{layer.name}: no input was found that excites filters "
                f"{', '.join(map(str, filters[~climbed][:10]))}{' ...' if (~climbed).sum() > 10 else ''} more than "
                "noise does: a filter whose ReLU is shut everywhere gives no gradient to climb."
            )


def _summary(layer: Layer, metrics: Mapping[str, float]) -> str:
    shares = [metrics[f"{part}/{layer.name}"] for part in energy.PARTS]
    chance = energy.chance_shares(*by_filter(layer).shape[:2])
    words = zip(("constant", "edge-like", "higher order"), shares, chance, strict=True)
    return "energy: " + ", ".join(f"{part} {share:.0%} (chance {by_chance:.0%})" for part, share, by_chance in words)


def _rows(layer: Layer, metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """The layer's numbers, and below them what independent normal weights would give on average."""
    height, width, inputs, outputs = by_filter(layer).shape
    chance = energy.chance_shares(height, width)
    head = {"layer": layer.name, "shape": "x".join(map(str, (height, width, inputs, outputs)))}
    own = {name: metrics[f"{name}/{layer.name}"] for name in (*energy.PARTS, "similarity", "slice_similarity")}
    random = dict(zip(energy.PARTS, chance, strict=True)) | {
        "similarity": energy.chance_alikeness(height * width * inputs),
        "slice_similarity": energy.chance_alikeness(height * width),
    }
    return [{**head, "weights": "its own", **own}, {**head, "weights": "random", **random}]


def _file_name(layer: Layer) -> str:
    return layer.name.replace("/", ".")
