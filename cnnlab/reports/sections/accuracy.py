"""The section on accuracy: how often each class is read correctly, and what it is taken for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cnnlab.drawings.tables import Table
from cnnlab.numerics import paired_share_interval, wilson_interval
from cnnlab.reports.chapter import Chapter, Conclusion, Metric
from cnnlab.reports.subject import Subject
from cnnlab.words import percent

USEFUL = 0.01
"""How far accuracy must exceed that of always saying one class, for a model to be of use: by one image in 100."""

FAR = 0.05
"""By how much the accuracy of a class that is far behind lies below that of the others: by one image in 20."""

SIGNIFICANT = 0.05
"""The chance of finding some class behind where none is: Fisher's test, times the number of classes (Bonferroni)."""

MOST_PAIRS = 5
"""Pairs of classes in the table of those that are confused most."""


def write(subject: Subject) -> Chapter:
    """Tell how well the model reads the dataset's images."""
    answer, names = subject.evaluation, subject.class_names
    confusion = answer.result.arrays["confusion"]
    figures = [("classes", "The error rate of each class (1 - accuracy), with 95% intervals: shorter is better.")]
    if "confusion" in answer.result.drawings:
        words = "How many images of each class (row) are taken for each class (column); mistakes are shaded."
        figures.insert(0, ("confusion", words))
    pairs = confused(confusion, names)
    return Chapter(
        says=f"Each of {int(confusion.sum()):,} images is put through the model and is taken for the class with the "
        "largest logit. Accuracy is the share of images of which that is the true class. It is to be held against what "
        "a model reaches that always says the most frequent class; and a mean over the classes may hide one that is "
        "read badly.",
        figures=[answer.figure(name, caption) for name, caption in figures],
        metrics=list(metrics(confusion, names, answer.result.arrays["probability_of_label"])),
        tables=[pairs] if pairs.rows else [],
        conclusions=[beats_one_class(confusion, names), *no_class_behind(confusion, names)],
    )


def confused(confusion: np.ndarray, names: Sequence[str]) -> Table:
    """Return the pairs of classes that are confused most: a row for a true class and what it is taken for.

    Args:
        confusion: How many images of each true class (row) were taken for each class (column), int [K, K].
        names: K names.
    """
    mistakes = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [(int(place) // len(names), int(place) % len(names)) for place in order]
    rows = [
        (names[true], names[said], int(mistakes[true, said]), float(mistakes[true, said] / confusion[true].sum()))
        for true, said in pairs
        if mistakes[true, said]
    ]
    heads = ("true class", "taken for", "images", "share of the true class")
    return Table(heads, rows, shares={heads[-1]}, title="Confused most")


def metrics(confusion: np.ndarray, names: Sequence[str], of_label: np.ndarray) -> Iterator[Metric]:
    """Return the numbers, and what they are to be held against; the probability of each image's label, [N]."""
    images, right, total = confusion.sum(axis=1), np.diag(confusion), int(confusion.sum())
    frequent, worst = int(images.argmax()), _worst(confusion)
    yield Metric.share("accuracy", int(right.sum()), total, "share of the images that are read correctly")
    yield Metric.share(
        "most frequent class",
        int(images[frequent]),
        total,
        f"share of the images that are of the class {names[frequent]}: the accuracy of always saying so",
    )
    yield Metric(name="chance", value=1 / len(names), meaning="share that guessing reads correctly, 1 / classes")
    yield Metric.share(
        f"accuracy of {names[worst]}",
        int(right[worst]),
        int(images[worst]),
        "share of its images that are read correctly; the class with the lowest accuracy",
    )
    losses = -np.log(np.maximum(of_label.astype(np.float64), np.finfo(np.float32).tiny))
    yield Metric.mean("loss", losses, "cross-entropy of the logits, in nats, mean over the images")


def _worst(confusion: np.ndarray) -> int:
    images = confusion.sum(axis=1)
    accuracy = np.divide(np.diag(confusion), images, out=np.full(len(images), np.inf), where=images > 0)
    return int(accuracy.argmin())


def beats_one_class(confusion: np.ndarray, names: Sequence[str]) -> Conclusion:
    """Say whether the model reads more images than one that always says the most frequent class.

    Args:
        confusion: int [K, K], rows the true classes.
        names: K names.
    """
    images, right, total = confusion.sum(axis=1), np.diag(confusion), int(confusion.sum())
    frequent = int(images.argmax())
    # Both answers to the same images, which are a sample of pairs.
    by_model = np.repeat([True, False, True, False], _quarters(confusion, frequent))
    by_class = np.repeat([True, True, False, False], _quarters(confusion, frequent))
    low, high = paired_share_interval(by_class, by_model)
    accuracy, share = right.sum() / total, images[frequent] / total
    better = low > 0 and high >= USEFUL
    words = "more than" if better else "no more than" if high < USEFUL else "perhaps no more than"
    return Conclusion(
        says=f"It reads {percent(accuracy, 2)} of the images correctly, {words} always saying "
        f"{names[frequent]} would ({percent(share, 2)}): the difference is {_points(low, high)}. Guessing "
        f"reads {percent(1 / len(names))}.",
        holds=True if better else False if high < USEFUL else None,
        rule="It beats the most frequent class where the 95% interval of the difference (paired by image) lies above "
        f"0, and does not where that ends below {100 * USEFUL:g} point: too little to be of use.",
    )


def _quarters(confusion: np.ndarray, frequent: int) -> list[int]:
    """How many images both read, only the constant answer does, only the model does, neither does."""
    both = int(confusion[frequent, frequent])
    only_class, only_model = int(confusion[frequent].sum()) - both, int(np.trace(confusion)) - both
    return [both, only_class, only_model, int(confusion.sum()) - both - only_class - only_model]


def _points(low: float, high: float) -> str:
    return f"{100 * low:+.2f} to {100 * high:+.2f} points"


def no_class_behind(confusion: np.ndarray, names: Sequence[str]) -> Iterator[Conclusion]:
    """Say whether some class is read far worse than the others; of a single class, nothing.

    Args:
        confusion: int [K, K], rows the true classes; those without images have no part in it.
        names: K names.
    """
    images, right = confusion.sum(axis=1), np.diag(confusion)
    known = np.flatnonzero(images)
    if len(known) < 2:
        return
    images, right = images[known], right[known]
    others = (right.sum() - right) / (images.sum() - images)
    gap, chance = others - right / images, np.minimum(1.0, _by_chance(right, images) * len(known))
    lowest = wilson_interval(right / images, images)[0]
    behind = (chance < SIGNIFICANT) & (gap > FAR)
    near = bool(((others - lowest < FAR) & (others > FAR)).all())
    shown = int(np.where(behind, gap, gap - 2).argmax())
    name = names[known[shown]]
    far = (
        f"{int(behind.sum())} of {len(known)} classes are far behind, most of all"
        if behind.any()
        else "Furthest behind is"
    )
    so = "significantly" if chance[shown] < SIGNIFICANT else "not significantly"
    yield Conclusion(
        says=f"{far} {name}: {percent(right[shown] / images[shown], 2)} of its {images[shown]:,} images are read "
        f"correctly, and {percent(others[shown], 2)} of the others, which is {so} more (p = {chance[shown]:.2g}).",
        holds=False if behind.any() else True if near else None,
        rule=f"Far behind is a class whose accuracy lies more than {100 * FAR:g} points below that of the other "
        f"images, by Fisher's exact test with p below {SIGNIFICANT:g} (times {len(known)} classes). None is where the "
        "95% "
        f"interval of every class begins less than {100 * FAR:g} points below the others. Else there are too few "
        "images to tell.",
    )


def _by_chance(right: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The one-sided p of Fisher's exact test that each class is read worse than the others, [K]."""
    from scipy.stats import hypergeom

    return np.asarray(hypergeom.cdf(right, images.sum(), right.sum(), images))
