"""The kernels of each layer: shown as they are, measured, and, where asked, what excites each filter most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.plugin import Classifier, Context, Drawing, Inputs, Layer, Result, UsageError
from cnnlab_filters import CONVOLUTION, FiltersParams, energy
from cnnlab_filters.sheets import Drawn


def run(classifier: Classifier, inputs: Inputs, params: FiltersParams, context: Context) -> Result:
    """Measure the kernels of each chosen layer and, where asked, climb to what excites each filter."""
    layers = [classifier.layer(name) for name in dict.fromkeys(params.layer)] or CONVOLUTION.among(classifier)
    kernels = {layer.name: by_filter(layer) for layer in layers}
    channels = channels_drawn(kernels, params, context)
    arrays: dict[str, np.ndarray] = {f"kernel/{layer.name}": np.asarray(layer.kernel) for layer in layers}
    drawings: dict[str, Drawing] = {}
    for name, kernel in context.track(kernels.items(), "layers"):
        found = energy.measure(kernel)
        _tell_zeros(name, found["energy"], context)
        drawn = Drawn(name, kernel, channels[name], params)
        if channels[name]:
            drawings[name] = drawn.sheet(energy.in_words(energy.numbers(kernel), energy.chance(kernel.shape)))
        if params.maximize:
            from cnnlab_filters import maximize  # tf-keras-vis is slow to import

            reached = maximize.layer(classifier, name, drawn.filters, params, context)
            found |= reached
            if channels[name]:
                drawings[f"{name}-maximized"] = drawn.beside(reached["excitation"][1], classifier.bounds)
        arrays |= {f"{array}/{name}": values for array, values in found.items()}
    return Result(arrays=arrays, drawings=drawings)


def sum_up(classifier: Classifier, result: Result, params: FiltersParams) -> Result:
    """Say of each layer what its kernels are made of, and what random ones would be."""
    arrays = result.arrays
    metrics: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for name in (key.removeprefix("kernel/") for key in arrays if key.startswith("kernel/")):
        kernel = arrays[f"kernel/{name}"]
        kernel = kernel.reshape(*kernel.shape[:2], *arrays[f"energy/{name}"].shape[1:])  # by filter
        numbers, by_chance = energy.numbers(kernel), energy.chance(kernel.shape)
        if f"excitation/{name}" in arrays:
            before, after = arrays[f"excitation/{name}"]
            metrics[f"excited/{name}"] = float((after > before).mean())
        metrics |= {f"{metric}/{name}": value for metric, value in numbers.items()}
        head = {"layer": name, "shape": "x".join(map(str, kernel.shape))}
        rows += [{**head, "weights": "its own", **numbers}, {**head, "weights": "random", **by_chance}]
    return Result(
        headline=energy.headline(rows), metrics=metrics, columns={key: [row[key] for row in rows] for key in rows[0]}
    )


def by_filter(layer: Layer) -> np.ndarray:
    """Return the kernel with one filter per output channel on its last axis, [h, w, in, out].

    A depthwise layer's filters read one channel each: [h, w, in, multiplier] becomes [h, w, 1, in x multiplier].
    """
    kernel = np.asarray(layer.kernel)
    return kernel.reshape(*kernel.shape[:2], 1, -1) if layer.kind == "DepthwiseConv2D" else kernel


def channels_drawn(kernels: Mapping[str, np.ndarray], params: FiltersParams, context: Context) -> dict[str, list[int]]:
    """Say which input channels of each layer are drawn: those asked for that it has, else the first.

    Raises:
        UsageError: No layer has a channel that was asked for.
    """
    counts = {name: kernel.shape[2] for name, kernel in kernels.items()}
    if not params.channel:
        return {name: list(range(min(count, params.most))) for name, count in counts.items()}
    highest = max(counts.values())
    missing = sorted(channel for channel in params.channel if channel >= highest)
    if missing:
        there = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise UsageError(f"there is no input channel {missing[0]}, counted from 0: {there}.")
    for name, count in counts.items():
        lacking = sorted({channel for channel in params.channel if channel >= count})
        if lacking:
            context.warn(
                f"{name} has {count} input channels; channel {', '.join(map(str, lacking))} is not drawn for it."
            )
    return {
        name: [channel for channel in dict.fromkeys(params.channel) if channel < count]
        for name, count in counts.items()
    }


def _tell_zeros(name: str, shares: np.ndarray, context: Context) -> None:
    zero = int(np.isnan(shares[0]).sum())
    if zero:
        context.warn(f"{name}: {zero:,} of {shares[0].size:,} kernel slices are zero and have no shares.")
