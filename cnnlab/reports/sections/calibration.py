"""The section on calibration: whether the model is as often right as it is sure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cnnlab.numerics import larger_interval, wilson_interval
from cnnlab.reports.chapter import Chapter, Conclusion, Metric
from cnnlab.reports.subject import Subject
from cnnlab.words import percent

TOLERABLE = 0.02
"""A calibration error that one can live with: about what temperature scaling leaves on ImageNet (Guo et al., 2017)."""

TELLS_APART = 0.7
"""From this area under the ROC curve on, confidence tells right from wrong acceptably (Hosmer and Lemeshow, 2000)."""


def write(subject: Subject) -> Chapter:
    """Hold the model's confidences against what became of them."""
    answer = subject.evaluation
    arrays, found = answer.result.arrays, answer.result.metrics
    confidence, right = arrays["confidence"].astype(np.float64), arrays["predicted"] == arrays["label"]
    area = roc_area(confidence, right)
    return Chapter(
        says=[
            "A model is calibrated when of the images that it reads with a probability of 80%, 80% are read correctly. "
            "The images are put into 15 bins by the probability of the predicted class; the line shows the accuracy in "
            "each bin, which should lie on the diagonal: below it, the model is overconfident. The expected "
            "calibration error is the distance from it, in the mean over the images (Guo et al., On Calibration of "
            "Modern Neural "
            "Networks, 2017). It is never 0: a perfectly calibrated model shows the error by chance on so many images.",
            "Calibration is not accuracy: a model that guesses and says so is calibrated. Whether confidence is of use "
            "is told by the area under the ROC curve, the probability that an image read correctly has a higher "
            "confidence than one that is misread: 50% where confidence says nothing.",
        ],
        figures=[
            answer.figure("calibration", "Accuracy against confidence; the numbers are how many images a bin holds.")
        ],
        metrics=list(metrics(found, confidence, right, area)),
        conclusions=list(conclusions(found, float(confidence.mean()), int(right.sum()), len(right), area)),
    )


def roc_area(confidence: np.ndarray, right: np.ndarray) -> tuple[float, float, float] | None:
    """Return the area under the ROC curve of confidence for right against wrong, and its 95% interval.

    Args:
        confidence: [N].
        right: bool [N].

    Returns:
        The area and both ends; None where all images are right or all are wrong.
    """
    return larger_interval(confidence[~right], confidence[right])


def metrics(
    found: Mapping[str, float], confidence: np.ndarray, right: np.ndarray, area: tuple[float, float, float] | None
) -> Iterator[Metric]:
    """Return the numbers, with what they are worth at this number of images."""
    count = len(confidence)
    error, low, high = _error(found)
    yield Metric(
        name="expected calibration error",
        value=error,
        meaning="share by which accuracy and confidence differ, mean over 15 bins of confidence by their images",
        of=count,
        interval=(low, high),
    )
    yield Metric(
        name="the same by chance",
        value=found["calibration_error_by_chance"],
        meaning=f"share that a perfectly calibrated model shows in the mean; up to "
        f"{percent(found['calibration_error_by_chance_high'], 2)} in 95% of such samples",
        of=count,
    )
    yield Metric.mean("mean confidence", confidence, "probability of the predicted class, mean over the images")
    yield Metric.share("accuracy", int(right.sum()), count, "share of the images that are read correctly")
    yield Metric(
        name="area under the ROC curve",
        value=area[0] if area else None,
        meaning="probability that an image read correctly has a higher confidence than one that is misread",
        of=count,
        interval=area[1:] if area else None,
    )


def _error(found: Mapping[str, float]) -> tuple[float, float, float]:
    error, half = found["expected_calibration_error"], 1.959964 * found["calibration_standard_error"]
    return error, max(0.0, error - half), min(1.0, error + half)


def conclusions(
    found: Mapping[str, float], confidence: float, right: int, images: int, area: tuple[float, float, float] | None
) -> Iterator[Conclusion]:
    """Say whether confidences can be taken at their word, which way they err, and whether they are of use.

    Args:
        found: The metrics of an evaluation.
        confidence: The mean confidence.
        right: How many images are read correctly.
        images: Of how many.
        area: The area under the ROC curve, with its interval; None where there is none.
    """
    low, high = (float(end) for end in wilson_interval(right / images, images))
    gap = (confidence - right / images, confidence - high, confidence - low)
    yield _calibrated(found, gap)
    yield _confident(*gap)
    yield _tells_apart(area)


def _calibrated(found: Mapping[str, float], gap: tuple[float, float, float]) -> Conclusion:
    error, low, high = _error(found)
    chance = found["calibration_error_by_chance_high"]
    off = error > chance
    words = "more than" if off else "no more than"
    # The error is at least the difference of mean confidence and accuracy, whose interval holds for few images too.
    known = max(high, *map(abs, gap)) < TOLERABLE
    return Conclusion(
        says=f"The expected calibration error is {percent(error, 2)} ({percent(low, 2)} to {percent(high, 2)}), "
        f"{words} a perfectly calibrated model shows on as many images ({percent(chance, 2)} at most in 95% of "
        "samples).",
        holds=True if known else False if off and low > TOLERABLE else None,
        rule="Confidences can be taken at their word where the 95% intervals of the error, and of the difference of "
        "mean "
        f"confidence and accuracy, end below {percent(TOLERABLE, 0)}, about what calibrated networks reach; not where "
        "that of the error begins above, and chance does not explain it.",
    )


def _confident(gap: float, low: float, high: float) -> Conclusion:
    side = "overconfident" if gap > 0 else "underconfident"
    much = "" if abs(gap) > TOLERABLE else " by little"
    known = low > 0 or high < 0
    says = f"{side}{much}" if known else "neither overconfident nor underconfident, as far as these images tell"
    beyond = low > TOLERABLE or high < -TOLERABLE
    return Conclusion(
        says=f"It is {says}: mean confidence is {100 * gap:+.2f} points from accuracy ({100 * low:+.2f} to "
        f"{100 * high:+.2f}).",
        holds=True if low > -TOLERABLE and high < TOLERABLE else False if beyond else None,
        rule=f"It is as sure as it may be where the 95% interval of the difference lies within {100 * TOLERABLE:g} "
        "points on either side of 0, and not where it lies outside. The interval is Wilson's of the accuracy.",
    )


def _tells_apart(area: tuple[float, float, float] | None) -> Conclusion:
    rule = (
        f"Confidence tells right from wrong where the 95% interval of the area under the ROC curve lies above "
        f"{percent(TELLS_APART, 0)}, which is held to be acceptable (Hosmer and Lemeshow, 2000), and not where it lies "
        "below."
    )
    if area is None:
        says = "Whether confidence tells right from wrong is not known: all images are read alike, right or wrong."
        return Conclusion(says=says, holds=None, rule=rule)
    value, low, high = area
    return Conclusion(
        says=f"An image that is read correctly has a higher confidence than one that is misread with a probability of "
        f"{percent(value)} ({percent(low)} to {percent(high)}).",
        holds=True if low > TELLS_APART else False if high < TELLS_APART else None,
        rule=rule,
    )
