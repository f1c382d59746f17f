"""The figures: before, after and between; the trade-off; every class by every other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cnnlab.analysis.adversarial import Claims
from cnnlab.classifier import Classifier
from cnnlab.figures import Picture, curves, matrix, tiles
from cnnlab.figures.charts import dress
from cnnlab.figures.style import styled
from cnnlab.figures.tiles import draw
from cnnlab_targeted import TargetedParams

MOST_ROWS = 6
"""Attacks in the first figure; arrays.npz holds all."""

MOST_BARS = 12
"""Classes in the bars: of more, those with the largest probabilities."""

MOST_CLASSES = 20
"""Classes up to which every one by every other makes a legible figure."""


@dataclass(frozen=True)
class Row:
    """One attack, to be drawn.

    Attributes:
        original: The image before.
        result: The image after.
        difference: What changed.
        before: Probabilities [K].
        after: Probabilities [K].
        target: The class it was to be read as.
        words: What is written beside it.
    """

    original: Picture
    result: Picture
    difference: Picture
    before: np.ndarray
    after: np.ndarray
    target: int
    words: str = ""

    @classmethod
    def of(
        cls, classifier: Classifier, arrays: dict[str, np.ndarray], index: int, strength: int, words: str = ""
    ) -> Row:
        """Take row ``index`` at a strength, which only counts where there are several."""

        def at(name: str, plain: int) -> np.ndarray:
            return arrays[name][strength] if arrays[name].ndim > plain else arrays[name]

        original, adversarial = arrays["original"][index], at("adversarial", 4)[index]
        names, target = classifier.class_names, int(arrays["target"][index])
        label = int(arrays["label"][index])
        before, after = int(arrays["label_before"][index]), int(at("label_after", 1)[index])
        first = f"read as {names[before]}: {100 * arrays['confidence_before'][index]:.1f}%"
        then = f"read as {names[after]}: {100 * at('confidence_after', 1)[index]:.1f}%"
        changed = adversarial - original
        return cls(
            Picture.of_image(original, classifier.bounds, title=first),
            Picture.of_image(adversarial, classifier.bounds, title=then),
            Picture(
                changed.mean(axis=-1),
                title=f"difference, L2 {at('l2', 1)[index]:.2f}",
                scale="diverging",
            ),
            arrays["probabilities_before"][index],
            at("probabilities_after", 2)[index],
            target,
            words or f"{names[label if label >= 0 else before]} → {names[target]}",
        )


def figures(
    classifier: Classifier, arrays: dict[str, np.ndarray], own: np.ndarray, params: TargetedParams, claims: Claims
) -> dict[str, Callable[[], Figure]]:
    """Say which figures there are, by name, each drawn when it is called."""
    several = arrays["adversarial"].ndim > 4
    drawn: dict[str, Callable[[], Figure]] = {"": lambda: compared(classifier, arrays, claims)}
    if several:
        drawn["trade-off"] = lambda: trade_off(arrays, params, claims)
    if params.target == "all" and classifier.num_classes <= MOST_CLASSES:
        drawn["matrix"] = lambda: by_class(classifier, arrays, params, claims)
        drawn["grid"] = lambda: grid(classifier, arrays, own)
    return drawn


def _choose(arrays: dict[str, np.ndarray], claims: Claims) -> list[tuple[int, int, str]]:
    """Which attacks are drawn: (row, strength, words). Of several strengths, all of the first images."""
    count = len(arrays["target"])
    if arrays["adversarial"].ndim == 4:
        return [(index, 0, "") for index in range(min(count, MOST_ROWS))]
    names = claims.along(len(arrays["adversarial"]))
    pairs = [
        (index, strength, f"{claims.axis} {name}") for index in range(count) for strength, name in enumerate(names)
    ]
    return pairs[: max(MOST_ROWS, min(len(names), 2 * MOST_ROWS))]


@styled
def compared(classifier: Classifier, arrays: dict[str, np.ndarray], claims: Claims) -> Figure:
    """Draw original, result, difference and the probabilities before and after, a row for each attack."""
    rows = [Row.of(classifier, arrays, *chosen) for chosen in _choose(arrays, claims)]
    figure = Figure(figsize=(9.6, 0.55 + 2.05 * len(rows)), layout="constrained")
    total = arrays["adversarial"].size // arrays["original"][0].size
    title = "Original, result, difference, and probabilities before and after"
    figure.suptitle(title + (f": the first {len(rows)} of {total:,}" if total > len(rows) else ""))
    grid = figure.subplots(len(rows), 4, squeeze=False, width_ratios=(1.05, 1.05, 1.17, 1.9))
    for axes, row in zip(grid, rows, strict=True):
        for one, picture in zip(axes, (row.original, row.result, row.difference), strict=False):
            draw(one, picture)
        _words(axes[0], row.words)
        _bars(axes[3], row, classifier.class_names)
    grid[0, 3].legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.1)
    return figure


def _words(axes: Any, words: str) -> None:
    axes.text(-0.08, 0.5, words, transform=axes.transAxes, rotation=90, ha="right", va="center", fontsize=10)


def _bars(axes: Any, row: Row, names: tuple[str, ...]) -> None:
    largest = np.maximum(row.before, row.after)
    shown = np.sort(np.argsort(-largest, kind="stable")[:MOST_BARS])
    places = np.arange(len(shown))
    axes.bar(places - 0.2, row.before[shown], 0.4, color="#999999", label="before")
    axes.bar(places + 0.2, row.after[shown], 0.4, color="#d55e00", label="after")
    short = [names[label] if len(names[label]) <= 8 else f"{names[label][:7]}…" for label in shown]
    turned = {"rotation": 45, "ha": "right"} if max(map(len, short)) > 2 else {}
    axes.set_xticks(places, short, **turned)
    for tick, label in zip(axes.get_xticklabels(), shown, strict=True):
        if label == row.target:
            tick.set(fontweight="bold", color="#d55e00")
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    dress(axes)
    axes.grid(visible=False, axis="x")


def trade_off(arrays: dict[str, np.ndarray], params: TargetedParams, claims: Claims) -> Figure:
    """Draw the target's probability against the mean squared difference, a point for each strength."""
    sure, change = arrays["target_confidence"], arrays["mean_squared_difference"]
    names = claims.along(len(sure))
    count = sure.shape[1]
    mean = change.mean(axis=1), sure.mean(axis=1)
    order = np.argsort(mean[0])
    lines = {f"mean of {count:,}" if count > 1 else "the image": (mean[0][order], mean[1][order])}
    if count > 1:
        lines["median"] = tuple(np.median(values, axis=1)[order] for values in (change, sure))
    spread = mean[0].min() > 0 and mean[0].max() > 20 * mean[0].min()
    figure = curves(
        lines,
        xlabel="squared difference to the original, mean over the pixels",
        ylabel="probability of the target",
        title=f"The trade-off: how sure, at what change ({claims.axis} beside each point)",
        percent=True,
        ylim=(0, 1.05),
        xscale="log" if spread else "linear",
        horizontal={f"wanted: {100 * params.confidence:g}%": params.confidence},
    )
    for index, name in enumerate(names):
        figure.axes[0].annotate(
            name, (mean[0][index], mean[1][index]), xytext=(5, -9), textcoords="offset points", fontsize=7.5
        )
    return figure


def by_class(classifier: Classifier, arrays: dict[str, np.ndarray], params: TargetedParams, claims: Claims) -> Figure:
    """Draw the change that was needed, by source and target class; the title tells how many reached."""
    values, share = arrays["matrix_l2"], arrays["matrix_reached"]
    title = "Change from each class to each other"
    if values.ndim > 2:
        title += f", {claims.axis} {claims.along(len(values))[0]}"
        values, share = values[0], share[0]
    reached = np.nanmin(share) if np.isfinite(share).any() else 0.0
    told = "all" if reached == 1 else f"{100 * np.nanmean(share):.1f}%"
    return matrix(
        values,
        rows=list(classifier.class_names),
        columns=list(classifier.class_names),
        row_label="own class",
        column_label="target",
        title=f"{title}: {told} reached {100 * params.confidence:g}%",
        unit="Euclidean length of the change, mean",
        show="{:.1f}".format,
    )


def grid(classifier: Classifier, arrays: dict[str, np.ndarray], own: np.ndarray) -> Figure:
    """Draw the first image of each class as each other class; the diagonal shows the originals."""
    names, target, original = classifier.class_names, arrays["target"], arrays["original"]
    adversarial = arrays["adversarial"][0] if arrays["adversarial"].ndim > 4 else arrays["adversarial"]
    sure = arrays["target_confidence"][0] if arrays["target_confidence"].ndim > 1 else arrays["target_confidence"]
    present = np.unique(own)
    pictures = []
    for source in present:
        first = arrays["image"][own == source][0]
        for wanted in range(len(names)):
            index = np.flatnonzero((arrays["image"] == first) & (target == wanted))
            if not len(index):
                image, words = original[arrays["image"] == first][0], "original"
            else:
                image, words = adversarial[index[0]], f"{names[wanted]}: {100 * sure[index[0]]:.1f}%"
            pictures.append(Picture.of_image(image, classifier.bounds, title=words))
    return tiles(
        pictures,
        title="One image of each class, as each other class (probability of the target)",
        columns=len(names),
        size=1.0,
        row_titles=[names[source] for source in present],
    )
