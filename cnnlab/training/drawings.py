"""What a training run shows: its predictions at the end, its first kernels meanwhile.

Its curves are in ``cnnlab.runs.comparison``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnlab.drawings import Picture, Sheet, Tiles
from cnnlab.words import percent, shortened

COLUMNS = 8
FIRST, MISTAKES = 24, 16
"""How many of the first images, and of the mistakes, the predictions show."""

MOST_FILTERS, MOST_CHANNELS = 64, 8
"""How many filters, and input channels of each, are drawn."""


def choose_predictions(
    labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Choose which images :func:`predictions` shows.

    Args:
        labels: The true classes, int64 [N].
        predicted: The predicted ones, int64 [N].
        confidence: Their probabilities, float32 [N].

    Returns:
        The indices of the first images, and of the mistakes, the most confident first.
    """
    wrong = np.flatnonzero(predicted != labels)
    by_confidence = wrong[np.argsort(-confidence[wrong], kind="stable")]
    return np.arange(min(FIRST, len(labels))), by_confidence[:MISTAKES]


def predictions(
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    class_names: Sequence[str],
    *,
    first: int,
    wrong: int,
    total: int,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Tiles:
    """Draw images with their predicted class and its probability; mistakes in red, with the true class.

    Args:
        images: [N, H, W, C]: the first images, then the most confident mistakes.
        labels: Their true classes [N].
        predicted: Their predicted classes [N].
        confidence: The probabilities of these [N].
        class_names: The classes' names.
        first: How many of them are the first images; the rest are mistakes.
        wrong: How many mistakes there are in all.
        total: Of how many images.
        limits: The values that are drawn black and white.
    """
    names = [shortened(name) for name in class_names]

    def picture(index: int) -> Picture:
        title = f"{names[predicted[index]]}  {percent(float(confidence[index]))}"
        mistaken = bool(predicted[index] != labels[index])
        words = f"{title}\nis {names[labels[index]]}" if mistaken else title
        return Picture.of_image(images[index], limits, words, mark=mistaken)

    mistakes = len(images) - first
    groups = [(f"The first {first} images", range(first))]
    if mistakes:
        heading = f"The {mistakes} most confident of {wrong:,} mistakes in {total:,} images"
        groups.append((heading, range(first, len(images))))
    return Tiles(
        tiles=tuple(
            Tiles(tiles=tuple(map(picture, group)), columns=COLUMNS, title=heading, size=1.17)
            for heading, group in groups
        ),
        columns=1,
    )


def kernels(layer: str, kernel: np.ndarray, when: str) -> Sheet:
    """Draw the kernels of a convolution on one scale about zero.

    Args:
        layer: What it is called.
        kernel: [h, w, in, out]; of three input channels, each filter is drawn in colour.
        when: What they are the kernels after, for the heading.
    """
    height, width, inputs, outputs = kernel.shape
    shown = kernel[..., :MOST_CHANNELS, :MOST_FILTERS].transpose(3, 2, 0, 1)  # [out, in, h, w]
    first = f"the first {len(shown)} of {outputs}" if len(shown) < outputs else f"{outputs}"
    title = f"{layer}: {first} filters, {height}×{width}, {when}"
    numbers = tuple(map(str, range(len(shown))))
    end = float(np.abs(shown).max(initial=0.0)) or 1.0
    if inputs in (1, 3):
        tiles = shown[:, 0] if inputs == 1 else np.moveaxis(shown, 1, -1)
        return Sheet(
            values=tiles, title=title, scale="diverging", limits=(-end, end), unit="weight", names=numbers, layer=layer
        )
    return Sheet(
        values=shown.reshape(-1, height, width),
        title=title,
        scale="diverging",
        limits=(-end, end),
        unit="weight",
        columns=shown.shape[1],
        rows=numbers,
        heads=tuple(map(str, range(shown.shape[1]))),
        row_label="filter",
        head_label="input channel",
        layer=layer,
    )
