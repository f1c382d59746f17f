"""The section on noise addition: one noise for a class, on its own and on images that it was not learned on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cnnlab.plugin import Answer, Chapter, Conclusion, Metric, Subject, Tiles, percent, wilson_interval

MOST_CLASSES = 20
"""Classes up to which a noise is learned for each."""

STEPS_EACH = 20
"""Steps for each of these: enough for what a noise looks like, if not for all that it can do."""

STEPS, MEASURED, LEARNED, SMALL = 150, 300, 1000, 28 * 28
"""Steps for the one, and images that it is measured and learned on, where they have so many pixels; else fewer."""

SHOWN = 4
"""Images that are drawn without and with the noise."""

SURE = 0.9
"""The probability from which a reading counts as very sure."""


def write(subject: Subject) -> Chapter:
    """Learn a noise for the report's class, and a short one for each."""
    images, learn_on = affordable(subject, MEASURED, 50), affordable(subject, LEARNED, 200)
    steps = affordable(subject, STEPS, 20)
    answer = each = subject.ask("noise-addition", subject.first(images), steps=steps, learn_on=learn_on)
    if subject.classifier.num_classes <= MOST_CLASSES:
        each = subject.ask(
            "noise-addition", subject.first(images // 10), target="all", steps=STEPS_EACH, learn_on=learn_on // 2
        )
    arrays = answer.result.arrays
    name = subject.classifier.class_names[int(arrays["noise_target"])]
    found = {**of_images(arrays), **of_noises(each)}
    return Chapter(
        says=[
            f"One noise, of at most {np.abs(arrays['noise']).max():.3g} in a pixel, is learned so that whatever it is "
            f"added to is read as {name} (Moosavi-Dezfooli et al., 2017). It is measured on {others(subject)}; images "
            f"that are {name}, or were read so without it, do not count. The same noise with its pixels in a random "
            "order tells what its size alone does.",
            f"Is a {name} in it? On its own, it is added to a flat grey and read; and it is correlated with the mean "
            "image of each class. One noise proves little, so that "
            f"{len(found['alone'])} noises are judged, {'one for each class' if len(found['alone']) > 1 else 'this'}.",
        ],
        figures=[
            answer.figure(
                drawing=first_pictures(answer), caption="Images without and with the noise; framed where it succeeds."
            ),
            answer.figure("noise", f"The noise, the mean image of {name}, and the noise's spectrum."),
        ],
        metrics=metrics(answer, found),
        conclusions=conclusions(found, name, answer.result.metrics["success_shuffled"]),
    )


def affordable(subject: Subject, most: int, least: int) -> int:
    """Return how many images or steps are asked for: fewer for larger images, in proportion to their pixels."""
    pixels = math.prod(subject.inputs(subject.first(1)).shape[:2])
    return max(least, min(most, most * SMALL // pixels))


def others(subject: Subject) -> str:
    """Say which images the noise is measured on."""
    learned = subject.dataset is not None and len(subject.dataset.train)
    return "images that it was not learned on" if learned else "the images that it was learned on, having no others"


def first_pictures(answer: Answer) -> Tiles:
    """Return the drawing of the first images, two of them in a row."""
    drawing = answer.result.drawing()
    assert isinstance(drawing, Tiles)
    return replace(drawing, tiles=drawing.tiles[: 2 * SHOWN], columns=4, title="")


def of_images(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Say of each counted image, bool [n], whether it is read as the target (``read``), and with how much certainty."""
    counted = arrays["counted"]
    read, sure = arrays["success"][counted], arrays["confidence_after"][counted] >= SURE
    return {"read": read, "sure": read & sure}


def of_noises(answer: Answer) -> dict[str, np.ndarray]:
    """Say of each of T noises what it is on its own, and what it looks like.

    Returns:
        ``alone`` [T], the probability of the target on flat grey; ``own`` and ``other``, the correlation with the
        target's mean image and the mean of those with other classes', of the noises of which these are known.
    """
    metrics, arrays = answer.result.metrics, answer.result.arrays
    targets = np.atleast_1d(arrays["noise_target"])
    alike = arrays["correlation"].reshape(len(targets), -1)
    is_own = targets[:, None] == np.arange(alike.shape[1])
    alone = [value for name, value in metrics.items() if name.partition("@")[0] == "noise_alone"]
    known = np.isfinite(alike[is_own]) & (np.isfinite(alike) & ~is_own).any(axis=1)
    return {
        "alone": np.array(alone, float),
        "own": alike[is_own][known],
        "other": np.nanmean(np.where(is_own, np.nan, alike)[known], axis=1) if known.any() else np.zeros(0),
    }


def metrics(answer: Answer, found: Mapping[str, np.ndarray]) -> list[Metric]:
    """Return what was measured, with its sample."""
    counted = len(found["read"])
    return [
        answer.metric("success", "read as the target", of=counted),
        Metric.share(
            "very sure of the target",
            int(found["sure"].sum()),
            counted,
            f"share of the counted images read as the target with {percent(SURE, 0)} or more",
        ),
        answer.metric("success_shuffled", "pixels in a random order", of=counted),
        answer.metric("noise_alone", "the noise on its own"),
        answer.metric("correlation", "correlation with the mean image"),
        answer.metric("correlation_rank", "place of that among the classes"),
    ]


def conclusions(found: Mapping[str, np.ndarray], name: str, shuffled: float) -> list[Conclusion]:
    """Say whether the course report's claims hold: very sure of the target, and the target faintly to be seen.

    Args:
        found: Of :func:`of_images` and :func:`of_noises`.
        name: The class of the one noise.
        shuffled: On which share of the images it succeeds with its pixels in a random order.
    """
    own = found["own"]
    mean = f" ({own.mean():.2f} on average, against {found['other'].mean():.2f})" if len(own) else ""
    return [
        Conclusion.on_most(
            found["sure"],
            f"read as {name} with at least {percent(SURE, 0)}",
            "The claim is the course report's: with the noise, images are predicted as the target with very high "
            "confidence.",
        ),
        by_pattern(found["read"], shuffled),
        Conclusion.on_most(
            found["alone"] > 0.5,  # no other class can then be as probable
            "read as their class on their own, with more than 50%",
            "What makes any image a class is to be that class for the model: added to a flat grey, too.",
            nouns="noises",
        ),
        Conclusion.on_most(
            own > found["other"],
            f"more like the mean image of their class than like those of the others{mean}",
            "The claim is the course report's: in the noise, the target is faintly to be seen. Then the noise "
            "correlates more with the mean image of its class than on average with the others', which by chance half "
            "of the noises do.",
            nouns="noises",
        ),
    ]


def by_pattern(read: np.ndarray, shuffled: float) -> Conclusion:
    """Say whether the noise's pattern does more than its size: than the same pixels in a random order.

    Args:
        read: Whether each counted image is read as the target with the noise.
        shuffled: The share of them with its pixels in a random order.
    """
    rule = (
        "Noise of that size may do harm by itself. The pattern does more where the 95% intervals of both shares do not "
        "meet, and the noise's is the higher; where they meet, it stays open."
    )
    if not len(read):
        return Conclusion(says="There is no image that counts.", holds=None, rule=rule)
    shares = np.array([read.mean(), shuffled])
    (low, random_low), (high, random_high) = wilson_interval(shares, len(read))
    told = f"{percent(shares[0])} of {len(read):,} images with the noise, {percent(shuffled)} with its pixels mixed"
    if low > random_high:
        return Conclusion(says=f"It is the pattern that counts, not its size: {told}.", holds=True, rule=rule)
    if high < random_low:
        return Conclusion(says=f"The pattern does less than its size: {told}.", holds=False, rule=rule)
    return Conclusion(
        says=f"The pattern does no more than its size, as far as can be seen: {told}.", holds=None, rule=rule
    )
