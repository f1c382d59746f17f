"""What a report says of robustness: accuracy under attack, and under noise of the same size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from cnnlab.plugin import (
    Answer,
    Chapter,
    Conclusion,
    Curves,
    Figure,
    Line,
    Metric,
    Subject,
    out_of,
    percent,
    wilson_interval,
)

LEVEL = 1 / 255
"""One step of an 8-bit image, as a part of the value range: less than this is no change."""

SMALL, MODERATE, HALF = 8 * LEVEL, 0.1, 0.5
"""Parts of the value range: what is customary for colour photographs, what is seen, and what turns all grey."""

SHARES = (LEVEL, 2 * LEVEL, 4 * LEVEL, SMALL, 16 * LEVEL, MODERATE, 0.2, 0.3, HALF)
"""The strengths, as parts of the value range."""

STEPS = 20
"""Steps of projected gradient descent."""

MOST_IMAGES, FEWEST_IMAGES, WORK = 100, 16, 2e9
"""How many images are attacked, and the multiply-adds of one forward pass over them that bring this number down."""

SPREAD = 0.6
"""The share of the classes that the first images must be of to stand for all; images drawn at random are of as many."""

LOST = 0.1
"""The share of images that may be lost to a small change, or to noise: one in ten."""

AT_MOST_BY_CHANCE = 0.05
"""The accuracy that an attack of half the range may leave, where guessing reads fewer."""


def attacked(subject: Subject) -> tuple[Answer, list[int]]:
    """Attack images of the dataset: the answer that both sections rest on, and which images they are."""
    images = chosen(subject, subject.affordable(MOST_IMAGES, least=FEWEST_IMAGES, work=WORK))
    asked = {"epsilon": strengths(*subject.classifier.bounds), "steps": STEPS, "minimal": True}
    return subject.ask("robustness", images, **asked), images


def strengths(low: float, high: float) -> tuple[float, ...]:
    """Return :data:`SHARES` of a value range, with as many digits as a command is read with.

    >>> strengths(0.0, 1.0)[:3]
    (0.0039216, 0.0078431, 0.015686)
    """
    return tuple(float(f"{share * (high - low):.5g}") for share in SHARES)


def chosen(subject: Subject, count: int) -> list[int]:
    """Choose images: the first ones, or, where these are of few classes only, images at equal distances."""
    arrays = subject.evaluation.result.arrays
    index, label = arrays["index"], arrays["label"]
    classes = min(count, len(np.unique(label)))
    if len(np.unique(label[:count])) >= SPREAD * classes:
        return subject.first(count)
    places = np.unique(np.linspace(0, len(index) - 1, count).round().astype(int))
    return [int(place) for place in index[places]]


def write(subject: Subject) -> Chapter:
    """Show accuracy against the size of the change, made by an attack and made at random."""
    answer, images = attacked(subject)
    arrays = answer.result.arrays
    noise = under_noise(subject, images, arrays["epsilon"])
    right, standing = arrays["label_before"] == arrays["label"], arrays["standing"]
    count = len(images)
    return Chapter(
        says=f"{count:,} images are changed by an attack so that they are misread: no pixel by more than epsilon, in "
        "the model's units. FGSM takes one step along the sign of the gradient (Goodfellow et al., Explaining and "
        f"Harnessing Adversarial Examples, 2015), PGD {STEPS} steps within the ball (Madry et al., Towards Deep "
        "Learning Models Resistant to Adversarial Attacks, 2018). Robust accuracy is the share that is still read "
        "correctly, whichever attack is tried; it is an upper bound, for a better attack may find more. The dotted "
        "line shows what is left where each pixel is changed by as much, up or down at random.",
        figures=[figure(answer, noise)],
        metrics=list(metrics(arrays["epsilon"], right, standing, noise)),
        conclusions=list(conclusions(right, standing, noise, subject.classifier.num_classes, arrays["epsilon"])),
    )


def under_noise(subject: Subject, images: Sequence[int], epsilons: np.ndarray) -> np.ndarray:
    """Return which images are read correctly with epsilon added to or taken off each pixel at random, bool [E, N]."""
    inputs = subject.inputs(images)
    signs = np.random.default_rng(subject.seed).choice(np.array([-1, 1], np.float32), inputs.images.shape)
    read = [
        subject.classifier.predict(np.clip(inputs.images + np.float32(epsilon) * signs, *subject.classifier.bounds))
        for epsilon in epsilons
    ]
    return np.stack(read) == inputs.labels


def figure(answer: Answer, noise: np.ndarray) -> Figure:
    """Draw the attacks' curves, and that of noise."""
    drawn = cast(Curves, answer.result.drawing(""))
    epsilon, clean = answer.result.arrays["epsilon"], answer.result.metrics["accuracy_before"]
    share = np.array([clean, *noise.mean(axis=1)])
    low, high = wilson_interval(share, noise.shape[1])
    line = Line(name="random signs", x=np.array([0.0, *epsilon]), y=share, low=low, high=high, dash="dotted")
    words = "Accuracy against the largest change of a pixel, under attack and under noise of the same size."
    return answer.figure(caption=words, drawing=replace(drawn, lines=(*drawn.lines, line)))


def metrics(epsilon: np.ndarray, right: np.ndarray, standing: np.ndarray, noise: np.ndarray) -> Iterator[Metric]:
    """Return accuracy without attack, under attack at each strength, and under noise of a moderate one."""
    count, read = len(right), "share of the images that are read correctly"
    yield Metric.share("accuracy without attack", int(right.sum()), count, read)
    for place, share in enumerate(SHARES):
        name = f"robust accuracy at {named(share, epsilon[place])}"
        yield Metric.share(name, int(standing[place].sum()), count, f"{read} under every attack of this size")
    place = SHARES.index(MODERATE)
    name = f"accuracy under noise of {named(MODERATE, epsilon[place])}"
    yield Metric.share(name, int(noise[place].sum()), count, f"{read} with random signs of this size added")


def named(share: float, epsilon: float) -> str:
    """Write a strength, one that is a few steps of an 8-bit image also as such."""
    levels = round(share / LEVEL)
    return f"epsilon {epsilon:.3g} ({levels}/255)" if levels <= 16 else f"epsilon {epsilon:.3g}"


def conclusions(
    right: np.ndarray, standing: np.ndarray, noise: np.ndarray, classes: int, epsilon: np.ndarray
) -> Iterator[Conclusion]:
    """Say whether small changes and noise can be borne, and whether the attack is to be believed.

    Args:
        right: Which images are read correctly as they are, bool [N].
        standing: Which are under attack, at each of :data:`SHARES`, bool [E, N].
        noise: The same under noise.
        classes: How many classes there are.
        epsilon: The strengths in the model's units, [E].
    """
    yield _small(right, standing, epsilon)
    yield _noise(right, noise, epsilon)
    yield _believed(standing, classes)


def _small(right: np.ndarray, standing: np.ndarray, epsilon: np.ndarray) -> Conclusion:
    place = SHARES.index(SMALL)
    lost, of = int((right & ~standing[place]).sum()), int(right.sum())
    return Conclusion(
        says=f"{_lost(lost, of)} misread after a change of at most {named(SMALL, epsilon[place])}.",
        holds=below(lost, of, LOST),
        rule=f"It withstands small changes where the 95% interval of that share lies below {percent(LOST, 0)}, and "
        "does "
        "not where it lies above. 8/255 is customary for colour photographs: it is hardly seen there. Images that are "
        "misread as they are have no part in it.",
    )


def _noise(right: np.ndarray, noise: np.ndarray, epsilon: np.ndarray) -> Conclusion:
    place = SHARES.index(MODERATE)
    lost, of = int((right & ~noise[place]).sum()), int(right.sum())
    return Conclusion(
        says=f"{_lost(lost, of)} misread where noise of {named(MODERATE, epsilon[place])} is added to each pixel.",
        holds=below(lost, of, LOST),
        rule=f"It withstands noise where the 95% interval of that share lies below {percent(LOST, 0)}, and does "
        "not where it lies above. What an attack of this size does and noise does not is owed to its direction.",
    )


def _believed(standing: np.ndarray, classes: int) -> Conclusion:
    limit = max(1 / classes, AT_MOST_BY_CHANCE)
    left, count = int(standing[-1].sum()), standing.shape[1]
    holds = below(left, count, limit)
    words = {
        True: "The attack is not hampered",
        False: "The attack is hampered, and robust accuracies are too high",
        None: "Whether the attack is hampered is open",
    }
    return Conclusion(
        says=f"{words[holds]}: where pixels may move by half the value range, {out_of(left, count)} are still read "
        f"correctly ({between(left, count)}).",
        holds=holds,
        rule="Such a change can turn any image into an even grey, of which no class can be told. The attack is to be "
        f"believed where the 95% interval of what it leaves lies below {percent(limit, 0)} (guessing, or 5%), and not "
        "where it lies above: then gradients lead nowhere (Carlini et al., On Evaluating Adversarial Robustness, "
        "2019).",
    )


def _lost(lost: int, of: int) -> str:
    return f"{out_of(lost, of)} that are read correctly ({between(lost, of)}) are"


def between(count: int, of: int) -> str:
    """Write the 95% interval of a share."""
    if not of:
        return "no sample"
    low, high = wilson_interval(count / of, of)
    return f"{percent(float(low))} to {percent(float(high))}"


def below(count: int, of: int, limit: float) -> bool | None:
    """Say whether the 95% interval of a share lies below a limit (True), above it (False), or about it (None)."""
    if not of:
        return None
    low, high = wilson_interval(count / of, of)
    return True if high < limit else False if low > limit else None
