"""What a report says of the smallest changes that fool a model, image by image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import binom, spearmanr

from cnnlab.plugin import Answer, Chapter, Conclusion, Metric, Subject, Table, out_of, percent
from cnnlab_robustness.report import LEVEL, MODERATE, SMALL, attacked, below, between

NONE = 0.05
"""The share of images below which hardly any falls to a single step of an 8-bit image."""

STRONG = 0.5
"""The rank correlation that is called large (Cohen, Statistical Power Analysis, 1988)."""

MOST_ROWS = 5
"""Images in the table of those that fall most easily."""


def write(subject: Subject) -> Chapter:
    """Show how near to each image one lies that is misread."""
    answer, images = attacked(subject)
    low, high = subject.classifier.bounds
    arrays = answer.result.arrays
    right = arrays["label_before"] == arrays["label"]
    smallest = arrays["smallest"][right] / (high - low)
    margins = margins_of(subject, [index for index, is_right in zip(images, right, strict=True) if is_right])
    return Chapter(
        says=f"For each of the {len(smallest):,} images that are read correctly, of {len(images):,}, the smallest "
        "epsilon is looked for at which an image within the ball is misread: by bisection, with PGD as the attack. It "
        "is an upper bound. The curve shows how many images take more than an epsilon; where it falls, images fall. "
        "Numbers below are parts of the value range, 1/255 being one step of an 8-bit image.",
        figures=[
            answer.figure(
                "smallest",
                "The share of images whose smallest epsilon that fools is larger than this; 0 for misread ones.",
            )
        ],
        metrics=list(metrics(smallest, margins)),
        tables=[easiest(answer, images, right)],
        conclusions=list(conclusions(smallest, margins)),
    )


def margins_of(subject: Subject, images: Sequence[int]) -> np.ndarray:
    """Return the lead of the largest logit over the next, of each image, [N]."""
    if not len(images):
        return np.zeros(0)
    logits = np.sort(subject.classifier.logits(subject.inputs(images).images), axis=1)
    return np.asarray(logits[:, -1] - logits[:, -2], np.float64)


def easiest(answer: Answer, images: Sequence[int], right: np.ndarray) -> Table:
    """Return a row for each of the images that fall to the smallest changes."""
    rows = [
        (index, row["label"], row["confidence_before"], row["smallest"])
        for index, row, is_right in zip(images, answer.result.rows, right, strict=True)
        if is_right and row["smallest"] is not None
    ]
    heads = ("image", "class", "confidence", "smallest epsilon")
    rows = sorted(rows, key=lambda row: float(row[3]))[:MOST_ROWS]
    return Table(
        heads, rows, shares={"confidence"}, title="Images that fall most easily (epsilon in the model's units)"
    )


def median_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the median and its 95% interval, by order statistics; infinite values are larger than any.

    Args:
        values: [N]; one at least.
    """
    ordered, count = np.sort(values), len(values)
    below = int(binom.ppf(0.025, count, 0.5))
    low, high = (ordered[below - 1], ordered[count - below]) if below else (-np.inf, np.inf)
    return float(np.median(ordered)), float(low), float(high)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float] | None:
    """Return Spearman's rank correlation and its 95% interval (Fieller et al., 1957).

    Args:
        one: [N].
        other: [N].

    Returns:
        The correlation and both ends; None where there are fewer than 10 numbers, or they are all alike.
    """
    if len(one) < 10 or np.ptp(one) == 0 or len(np.unique(other)) == 1:
        return None
    found = float(spearmanr(one, other).statistic)
    middle, half = np.arctanh(np.clip(found, -0.999999, 0.999999)), 1.959964 * np.sqrt(1.06 / (len(one) - 3))
    return found, float(np.tanh(middle - half)), float(np.tanh(middle + half))


def metrics(smallest: np.ndarray, margins: np.ndarray) -> Iterator[Metric]:
    """Return the median, and the shares of images that fall to some sizes.

    Args:
        smallest: Of each image that is read correctly, as a part of the value range; NaN where none was found: [N].
        margins: The lead of its logit, [N].
    """
    known, count = np.nan_to_num(smallest, nan=np.inf), len(smallest)
    middle, *ends = median_interval(known) if count else (np.inf, -np.inf, np.inf)
    yield Metric(
        name="median smallest epsilon",
        value=middle if np.isfinite(middle) else None,
        meaning="part of the value range that half of the images need less than",
        of=count,
        interval=(ends[0], ends[1]) if np.isfinite(ends).all() else None,
    )
    for share, words in ((LEVEL, "1/255"), (SMALL, "8/255"), (MODERATE, f"{MODERATE:g}")):
        meaning = "share of the images that are fooled within this part of the value range"
        yield Metric.share(f"fooled within {words}", int((known <= share).sum()), count, meaning)
    ranked = rank_correlation(margins, known)
    yield Metric(
        name="margin and smallest epsilon",
        value=ranked[0] if ranked else None,
        meaning="Spearman rank correlation of the logit's lead with the smallest epsilon",
        of=count,
        interval=ranked[1:] if ranked else None,
    )


def conclusions(smallest: np.ndarray, margins: np.ndarray) -> Iterator[Conclusion]:
    """Say whether images fall to what is no change, whether most take more, and whether the model knows which.

    Args:
        smallest: As for :func:`metrics`.
        margins: As there.
    """
    known = np.nan_to_num(smallest, nan=np.inf)
    yield _least(known)
    yield _median(known)
    yield _foretold(rank_correlation(margins, known))


def _least(known: np.ndarray) -> Conclusion:
    fallen, count = int((known <= LEVEL).sum()), len(known)
    return Conclusion(
        says=f"{out_of(fallen, count)} ({between(fallen, count)}) fall to a change of one step of an 8-bit image.",
        holds=below(fallen, count, NONE),
        rule=f"Hardly any does where the 95% interval of that share lies below {percent(NONE, 0)}; it is more than "
        "that "
        "where it lies above. Compression and rounding change images by as much.",
    )


def _median(known: np.ndarray) -> Conclusion:
    rule = (
        "Half of the images take more than what is hardly seen on a colour photograph where the 95% interval of the "
        "median lies above 8/255, and do not where it lies below."
    )
    if not len(known):
        return Conclusion(says="No image is read correctly, so that none can be fooled.", holds=None, rule=rule)
    middle, low, high = median_interval(known)
    words = f"{middle:.3f} of the value range" if np.isfinite(middle) else "more than half the value range"
    ends = f"{low:.3f} to {high:.3f}" if np.isfinite(high) else f"{low:.3f} or more"
    ends = ends if np.isfinite(low) else f"{len(known)} images are too few for an interval"
    return Conclusion(
        says=f"Half of the images need a change of {words} to be misread ({ends}); 8/255 is {SMALL:.3f}.",
        holds=True if low > SMALL else False if high < SMALL else None,
        rule=rule,
    )


def _foretold(ranked: tuple[float, float, float] | None) -> Conclusion:
    rule = (
        "The lead of the largest logit foretells which images fall easily where the 95% interval of the rank "
        f"correlation lies above {STRONG:g}, which is called large (Cohen, 1988), and does not where it lies below."
    )
    if ranked is None:
        says = "Whether the model knows which images fall easily is open: too few are read correctly, or all are alike."
        return Conclusion(says=says, holds=None, rule=rule)
    value, low, high = ranked
    return Conclusion(
        says="The rank correlation of the lead of the largest logit with the smallest epsilon is "
        f"{value:.2f} ({low:.2f} to {high:.2f}).",
        holds=True if low > STRONG else False if high < STRONG else None,
        rule=rule,
    )
