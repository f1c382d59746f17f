"""The smallest epsilon that fools each image, by bisection; and what it says of all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cnnlab.plugin import Classifier, Curves, Line, Norm, Outcome, distances, pgd, smallest_epsilon, wilson_interval

STEPS = 20
"""Steps of each round of the bisection: half of the default, for a median that differs by less than 1%."""

PARTS = 300
"""The bisection ends when its bracket is this part of the largest epsilon: 0.001 for 0.3."""


def search(
    classifier: Classifier,
    images: np.ndarray,
    truth: np.ndarray,
    norm: Norm,
    most: float,
    found: Outcome,
    seed: int,
    advance: Callable[[int], None],
) -> np.ndarray:
    """Bisect the smallest epsilon that fools each image, as the distance of an image found that is misread.

    Args:
        classifier: The model.
        images: [N, H, W, C] in its value range.
        truth: The classes that they are to be read as, [N].
        norm: In which norm.
        most: The largest epsilon tried.
        found: What an attack found at ascending strengths up to ``most``, rows [E, N]; the search begins there.
        seed: Seeds the attacks.
        advance: Called with the number of steps just done, :data:`STEPS` for each image settled.

    Returns:
        In the model's units, float64 [N]; NaN where nothing up to ``most`` fooled.
    """
    first = found.reached.argmax(axis=0), np.arange(len(images))
    bisected = smallest_epsilon(
        pgd(steps=STEPS, norm=norm),
        classifier,
        images,
        truth,
        most=most,
        tolerance=(most or 1.0) / PARTS,
        found=(found.adversarial[first], found.reached[first]),
        seed=seed,
        advance=lambda settled: advance(settled * STEPS),
    )
    misread = classifier.predict(bisected.adversarial) != truth
    return np.where(bisected.reached & misread, distances(images, bisected.adversarial, norm), np.nan)


def median(values: np.ndarray) -> float:
    """Return the median of values [N] of which NaN ones are larger than any; NaN where that is one of these."""
    if not len(values):
        return float("nan")
    ordered = np.sort(np.nan_to_num(values, nan=np.inf))
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return float(middle) if np.isfinite(middle) else float("nan")


def curve(values: np.ndarray, middle: float, most: float, x_label: str) -> Curves:
    """Draw the share of images whose smallest epsilon is larger, at every epsilon up to ``most``.

    Args:
        values: The smallest epsilons [N], NaN where none was found.
        middle: Their median; NaN where there is none.
        most: The largest epsilon tried.
        x_label: What an epsilon is.
    """
    ordered = np.sort(np.nan_to_num(values, nan=np.inf))
    x = np.linspace(0, most, 301)
    larger = 1 - np.searchsorted(ordered, x, side="right") / len(ordered)
    low, high = wilson_interval(larger, len(ordered))
    return Curves(
        lines=(Line(name="smallest epsilon larger than this", x=x, y=larger, low=low, high=high),),
        x_label=x_label,
        y_label="images",
        title=f"Smallest epsilon that fools, {len(ordered):,} images, with 95% intervals",
        percent=True,
        marks=False,
        y_limits=(-0.02, 1.02),
        vertical={f"median smallest epsilon, {middle:.3g}": middle} if np.isfinite(middle) else {},
    )
