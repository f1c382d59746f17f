"""The figures of a training run: curves, predictions, confusion; and the curves of several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator, PercentFormatter

TRAINING, VALIDATION, MISTAKE = "#2a6fbb", "#d9822b", "#c4302b"
# Told apart by eyes of every kind (Okabe and Ito's palette, black left out).
RUNS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

History = Sequence[Mapping[str, Any]]

COLUMNS = 8
FIRST, MISTAKES = 24, 16
"""How many of the first images, and of the mistakes, the predictions show."""

MOST_NAMED = 30
"""With more classes than this, a confusion matrix has no names and no numbers."""


def curves(history: History, *, validated_on: str) -> Figure:
    """Draw loss and accuracy against epoch, training and validation.

    Args:
        history: A row per epoch, as in history.csv.
        validated_on: What the validation images are, for the legend.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for axes, quantity in ((loss, "loss"), (accuracy, "accuracy")):
        _line(axes, history, quantity, color=TRAINING, label="training (mean over the epoch)")
        _line(axes, history, f"val_{quantity}", color=VALIDATION, label=f"validation ({validated_on})")
    _dress_loss(loss)
    _dress_accuracy(accuracy)
    figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def compare(histories: Mapping[str, History]) -> Figure:
    """Draw the curves of several runs in one figure.

    Args:
        histories: The rows of each run, by its name.
    """
    names = len(histories)
    figure = Figure(figsize=(9, 4.0 + 0.22 * names), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for number, (name, history) in enumerate(histories.items()):
        color = RUNS[number % len(RUNS)]
        for axes, quantity in ((loss, "loss"), (accuracy, "accuracy")):
            _line(axes, history, f"val_{quantity}", color=color, label=f"{name}, validation")
            _line(axes, history, quantity, color=color, label=f"{name}, training", linestyle=":", marker="")
    _dress_loss(loss)
    _dress_accuracy(accuracy)
    columns = 2 if max(map(len, histories)) < 40 else 1
    handles, words = loss.get_legend_handles_labels()
    if columns == 2:  # the legend is filled column by column: validation in one, training in the other
        handles, words = handles[::2] + handles[1::2], words[::2] + words[1::2]
    figure.legend(handles, words, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _line(axes: Axes, history: History, column: str, **style: Any) -> None:
    style = {"marker": "o", "markersize": 4, "linewidth": 1.6, **style}
    axes.plot([row["epoch"] for row in history], [row[column] for row in history], **style)


def _dress_loss(axes: Axes) -> None:
    axes.set_ylabel("cross-entropy (nats)")
    axes.set_title("Loss")
    _dress(axes)
    if axes.dataLim.y0 <= 0:  # a loss of exactly 0 has no place on a logarithmic axis
        return
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    # Powers of ten alone would leave an axis of less than two decades with one number or none.
    decades = np.log10(high / low)
    if decades < 0.5:  # a single epoch, or a few
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
        return
    subs = (1.0, 2.0, 3.0, 5.0) if decades < 1.5 else (1.0, 3.0) if decades < 3.5 else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _dress_accuracy(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_ylabel("accuracy")
    axes.set_title("Accuracy")
    _dress(axes)


def _dress(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


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
) -> Figure:
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
    mistakes = len(images) - first
    rows = [-(-first // COLUMNS), -(-mistakes // COLUMNS)]
    cell = 1.17 * min(images.shape[1] / images.shape[2], 3.0) + 0.45  # inches: an image and two lines above it
    figure = Figure(figsize=(1.25 * COLUMNS, cell * sum(rows) + 0.7 * (1 + bool(mistakes))), layout="constrained")
    parts = figure.subfigures(1 + bool(mistakes), 1, height_ratios=[cell * r + 0.65 for r in rows if r], squeeze=False)
    headings = [
        f"The first {first} images",
        f"The {mistakes} most confident of {wrong:,} mistakes in {total:,} images",
    ]
    groups = [range(first), range(first, len(images))]
    for part, heading, group, height in zip(parts[:, 0], headings, groups, rows, strict=False):
        part.suptitle(heading, fontsize=11, x=0.02, ha="left")
        part.subplots(height, COLUMNS)
        for cell in part.axes:
            cell.set_axis_off()
        for cell, index in zip(part.axes, group, strict=False):
            _prediction(cell, images[index], labels[index], predicted[index], confidence[index], class_names, limits)
    return figure


def _prediction(
    axes: Axes,
    image: np.ndarray,
    label: int,
    predicted: int,
    confidence: float,
    class_names: Sequence[str],
    limits: tuple[float, float],
) -> None:
    low, high = limits
    shown = image[..., 0] if image.shape[-1] != 3 else (image - low) / (high - low)
    axes.imshow(shown, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    title = f"{_short(class_names[predicted])}  {_percent(confidence)}"
    if predicted == label:
        axes.set_title(title, fontsize=8, pad=3)
        return
    axes.set_title(f"{title}\nis {_short(class_names[label])}", fontsize=8, pad=3, color=MISTAKE)
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=MISTAKE, linewidth=2)


def _percent(fraction: float) -> str:
    """Rounded down, so that only certainty shows as 100%."""
    return f"{np.floor(1000 * float(fraction)) / 10:.1f}%"


def _short(name: str, length: int = 12) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def confusion(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix: how many images of each class (row) were taken for each (column).

    The mistakes are shaded; the diagonal, which would outshine them, is not.

    Args:
        counts: int [K, K].
        class_names: K names.
    """
    classes = len(class_names)
    named = classes <= MOST_NAMED
    size = 2.2 + 0.46 * classes if named else 7.0
    figure = Figure(figsize=(max(size, 4.4) + 1.0, max(size, 4.0)), layout="constrained")
    axes = figure.subplots()
    mistakes = np.where(np.eye(classes, dtype=bool), np.nan, counts)
    most = max(1, int(np.nan_to_num(mistakes).max()))
    axes.set_facecolor("#eeeeee")
    shades = axes.imshow(mistakes, cmap="Oranges", vmin=0, vmax=most, interpolation="nearest")
    figure.colorbar(shades, ax=axes, label="mistakes (images)", shrink=0.8, ticks=MaxNLocator(integer=True))
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class (accuracy)")
    if not named:
        return figure
    images = counts.sum(axis=1)
    rows = [
        f"{_short(name)} ({counts[k, k] / images[k]:.1%})" if images[k] else f"{_short(name)} (no images)"
        for k, name in enumerate(class_names)
    ]
    columns = [_short(name) for name in class_names]
    upright = max(map(len, columns)) <= 3
    axes.set_xticks(range(classes), columns, rotation=0 if upright else 45, ha="center" if upright else "right")
    axes.set_yticks(range(classes), rows)
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = row != column and counts[row, column] > 0.6 * most
        color = "white" if dark else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=8, color=color)
    return figure
