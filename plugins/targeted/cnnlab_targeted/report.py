"""The section on targeted attacks: whether every image can be made every class, and what it then looks like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from cnnlab.plugin import Answer, Chapter, Conclusion, Inputs, Metric, Subject, correlation, known_label
from cnnlab_targeted.matrix import MOST_CLASSES

IMAGES = 10
"""Images that are attacked, of as many classes as there are."""

SHOWN = 3
"""Images whose change is drawn."""

COMPARED, VALUES = 1000, 20_000_000
"""Images of the dataset that the attacked ones are compared with, and their values, both at most."""


def write(subject: Subject) -> Chapter:
    """Send images to every other class; of many classes, to one."""
    names = subject.classifier.class_names
    indices = list(dict.fromkeys([*subject.one_per_class(IMAGES), *subject.first(IMAGES)]))[:IMAGES]
    labels = subject.inputs(indices).labels
    target = len(names) - 1 if (labels != len(names) - 1).any() else 0
    others = [index for index, label in zip(indices, labels, strict=True) if label != target]
    shown = subject.ask("targeted", others[:SHOWN], target=target)
    every = len(names) <= MOST_CLASSES
    sent: Literal["all"] | int = "all" if every else target
    answer = subject.ask("targeted", indices if every else others, target=sent)
    compared = sample(subject)
    found = by_image(answer.result.arrays, compared)
    figures = [
        shown.figure(
            caption=f"The image, the same made a {names[target]} to the model, what changed, and the probabilities."
        )
    ]
    if "matrix" in answer.result.drawings:
        figures.append(answer.figure("matrix", "How large a change takes an image of each class to each other class."))
    wanted = "every other class" if every else names[target]
    return Chapter(
        says=f"{len(found['turned'])} images are changed until the model reads them as {wanted} "
        "with a probability of 99%. The logit of the target is climbed, less a penalty on the change (Szegedy et al., "
        "2014), and of the images on the way that one is kept which is nearest to the original. In the difference, red "
        f"is lighter than before and blue darker. What comes out is compared with {len(compared):,} images of the "
        "dataset: an attack that draws the target over the image is no attack.",
        figures=figures,
        metrics=metrics(answer, found),
        conclusions=conclusions(found, wanted),
    )


def sample(subject: Subject) -> Inputs:
    """Return images of the dataset to compare with."""
    size = math.prod(subject.inputs(subject.first(1)).shape)
    return subject.inputs(subject.first(max(2, min(COMPARED, VALUES // size))))


def by_image(arrays: Mapping[str, np.ndarray], compared: Inputs) -> dict[str, np.ndarray]:
    """Say of each image what became of it: the attacks on one image depend on each other, images do not.

    Args:
        arrays: What the analysis declares, of a single strength.
        compared: Images of the dataset.

    Returns:
        ``turned`` bool, whether all attacks on an image reached their confidence. Of the images that some attack turned
        into a class that is among those compared with: ``itself`` bool, whether all of these are nearer to the original
        than to any image of their target; and ``towards``, by how much the change correlates more with the mean image
        of the target than with those of other classes, mean over them, NaN where there are none.
    """
    image, target, reached = arrays["image"], arrays["target"], arrays["reached"]
    own = known_label(arrays["label"], arrays["label_before"])
    nearest = nearest_of_class(arrays["adversarial"], target, compared)
    nearer, towards = arrays["l2"] < nearest, preference(arrays, own, compared)
    usable = reached & np.isfinite(nearest)
    images = np.unique(image)
    parts = [part for each in images if len(part := np.flatnonzero(usable & (image == each)))]
    return {
        "turned": np.array([reached[image == each].all() for each in images], bool),
        "itself": np.array([nearer[part].all() for part in parts], bool),
        "towards": np.array([towards[part].mean() for part in parts], float),
    }


def nearest_of_class(images: np.ndarray, classes: np.ndarray, compared: Inputs) -> np.ndarray:
    """Return how far the nearest image of a class is, L2, float64 [N]; infinite where there is none.

    Args:
        images: [N, H, W, C].
        classes: The class of each, [N].
        compared: Images with labels.
    """
    flat, others = (each.reshape(len(each), -1).astype(np.float64) for each in (images, compared.images))
    squared = np.square(flat).sum(axis=1)[:, None] - 2 * flat @ others.T + np.square(others).sum(axis=1)
    of_class = classes[:, None] == compared.labels
    return np.asarray(np.sqrt(np.where(of_class, np.maximum(squared, 0), np.inf).min(axis=1)))


def preference(arrays: Mapping[str, np.ndarray], own: np.ndarray, compared: Inputs) -> np.ndarray:
    """Return by how much each change correlates more with its target's mean image than with others', float64 [N].

    Whatever makes light places darker correlates with the own class and with what resembles it: with a change that goes
    nowhere, this is 0 on average over the targets of an image.
    """
    changes, labels = arrays["adversarial"] - arrays["original"], np.unique(compared.labels)
    means = [compared.images[compared.labels == label].mean(axis=0, dtype=np.float64) for label in labels]
    alike = np.stack([correlation(changes, np.broadcast_to(mean, changes.shape)) for mean in means], axis=1)
    is_target, is_other = labels == arrays["target"][:, None], labels != arrays["target"][:, None]
    return mean_over(alike, is_target) - mean_over(alike, is_other & (labels != own[:, None]))


def mean_over(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the mean of the chosen values of each row, [N] of [N, K]; NaN where none is chosen."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(chosen, values, 0).sum(axis=1) / chosen.sum(axis=1))


def metrics(answer: Answer, found: Mapping[str, np.ndarray]) -> list[Metric]:
    """Return what was measured, by image where several attacks on one depend on each other."""
    arrays = answer.result.arrays
    attacks = len(arrays["image"])
    return [
        Metric.share("turned", *count(found["turned"]), "share of the images that reached 99% for all their targets"),
        Metric(
            name="lowest probability of a target",
            value=answer.result.metrics["lowest_target_confidence"],
            meaning=f"probability of the target, in the least successful of {attacks:,} attacks",
        ),
        Metric.mean(
            "length of the change",
            np.array([arrays["l2"][arrays["image"] == each].mean() for each in np.unique(arrays["image"])]),
            f"Euclidean, mean over {attacks:,} attacks",
        ),
        Metric.share(
            "like the original", *count(found["itself"]), "share of those turned that stay nearest to their original"
        ),
        Metric.mean(
            "towards the target",
            found["towards"],
            "correlation of the change with the target's mean image, less that with other classes' mean images",
        ),
    ]


def count(holds: np.ndarray) -> tuple[int, int]:
    """Return for how many something holds, and of how many."""
    return int(holds.sum()), len(holds)


def conclusions(found: Mapping[str, np.ndarray], wanted: str) -> list[Conclusion]:
    """Say whether the course report's claims hold: very sure, like the original, and a change that makes sense.

    Args:
        found: Of :func:`by_image`.
        wanted: What the images were to be read as, in words.
    """
    towards = found["towards"][np.isfinite(found["towards"])]
    mean = f", by {towards.mean():.2f} on average" if len(towards) else ""
    return [
        Conclusion.on_most(
            found["turned"],
            f"made to be read as {wanted} with at least 99%",
            "The claim is the course report's: the probability of the target is very high.",
        ),
        Conclusion.on_most(
            found["itself"],
            "still nearer to their original than to any image of the target's class",
            "The claim is the course report's: what was made resembles the original a lot. Of images that reached a "
            "target, all that were made of one must be nearer to it (L2).",
        ),
        Conclusion.on_most(
            towards > 0,
            f"changed towards the look of the target more than towards that of other classes{mean}",
            "The course report sees a stroke disappear that the target does not have: the change makes sense to the "
            "eye. Then it correlates more with the mean image of its target than with those of other classes, which by "
            "chance it does for half of the images.",
        ),
    ]
