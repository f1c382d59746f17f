"""The section on fooling images: whether noise can be made certain, and whether it then looks like anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cnnlab.plugin import Answer, Chapter, Conclusion, Metric, Subject, percent

CLASSES, IMAGES = 10, 20
"""Classes that images are made of, at most, and images of all of them, at least."""

STEPS, LEAST, SMALL = 500, 100, 28 * 28
"""Steps of each climb, for images of so many pixels; for larger ones fewer, but so many."""

COMPARED, VALUES = 1000, 20_000_000
"""Images of a dataset that the model does not name, to compare with, and their values, both at most."""

ALIKE = 0.5
"""What resembles real images correlates at least this part of what real images do."""

HOPE = "One hopes that it is not so: that the model is sure of an image only where this looks like what it has learned."
SURE = "The claim is the course report's: the network predicts digits with high probability, where there is but noise."
UNLIKE = "The claim is the course report's: the noise images do not resemble digits."


def write(subject: Subject) -> Chapter:
    """Make images of noise, and compare them with real ones."""
    count = subject.classifier.num_classes
    classes = {} if count <= CLASSES else {"classes": spread(count)}
    seeds = -(-IMAGES // min(count, CLASSES))
    answer = subject.ask("fooling", compared(subject), seeds=seeds, steps=steps(subject), **classes)
    metrics = answer.result.metrics
    confidence = answer.result.record["params"]["confidence"]
    wanted, reached = percent(confidence, 0), answer.result.arrays["class_confidence"] >= confidence
    alike = resembles(answer.result.arrays, metrics)
    figures = [answer.figure(caption="Images made of noise, with the class and the probability that the model gives.")]
    says = [
        f"Noise is changed step by step, climbing the logit of a class, until the model gives that class {wanted} "
        "(Nguyen, Yosinski and Clune, 2015). It shows whether the model's certainty means that an image is one of its "
        "classes: people see noise."
    ]
    if alike is not None:
        figures.append(answer.figure("likeness", "The same over the nearest real image and the mean of the class."))
        says.append(
            "What people see is told by correlations of the pixels: with the nearest real image, and with the mean "
            "image of the class. Real images, compared with the others, give the scale."
        )
    return Chapter(
        says=says,
        figures=figures,
        metrics=list(told(answer)),
        conclusions=conclusions(reached, alike, wanted, audit=subject.profile == "audit"),
    )


def spread(classes: int) -> tuple[int, ...]:
    """Return some of many classes, at equal distances."""
    return tuple(int(place) for place in np.linspace(0, classes - 1, CLASSES).round())


def steps(subject: Subject) -> int:
    """Return how many steps a climb may take: fewer for larger images, in proportion to their pixels."""
    height, width, _ = subject.classifier.input_shape
    return max(LEAST, min(STEPS, STEPS * SMALL // ((height or 1) * (width or 1))))


def compared(subject: Subject) -> Sequence[int]:
    """Return images to compare with: none where the model itself says what it was trained on."""
    if subject.dataset is None or subject.classifier.dataset_name is not None:
        return ()
    size = math.prod(subject.inputs(subject.first(1)).shape)
    return subject.first(max(2, min(COMPARED, VALUES // size)))


def resembles(arrays: Mapping[str, np.ndarray], metrics: Mapping[str, float]) -> np.ndarray | None:
    """Say of each image whether it resembles real ones, bool [N]; None where there were none to compare with.

    It does where its correlation with the nearest real image, or with the mean image of its class, is half of what real
    images have. A flat image correlates with nothing.
    """
    scales = {name: metrics.get(f"real_{name}") for name in ("nearest_correlation", "mean_correlation")}
    known = {name: scale for name, scale in scales.items() if scale is not None and math.isfinite(scale)}
    if not known:
        return None
    found = [np.nan_to_num(arrays[name], nan=-1.0) >= ALIKE * scale for name, scale in known.items()]
    return np.asarray(np.any(found, axis=0))


def told(answer: Answer) -> list[Metric]:
    """Return what was measured, real images beside those made."""
    images = int(answer.result.metrics["images"])
    named = {
        "reached": "sure of the class",
        "reached_8bit": "sure of it after rounding to 8 bits",
        "confidence_before": "probability at the noise",
        "steps": "steps",
        "nearest_correlation": "correlation with the nearest real image",
        "real_nearest_correlation": "that of real images with their nearest",
        "mean_correlation": "correlation with the mean of the class",
        "real_mean_correlation": "that of real images with the mean of theirs",
    }
    counted = ("reached", "reached_8bit")
    by_image = {name: name for name in ("steps", "nearest_correlation", "mean_correlation")}
    by_image["confidence_before"] = "class_confidence_before"
    found = [
        answer.metric(name, label, of=images if name in counted else None)
        for name, label in named.items()
        if name in answer.result.metrics
    ]
    there = answer.result.arrays
    arrays = {named[name]: there[array] for name, array in by_image.items() if array in there}
    return [Metric.mean(each.name, arrays[each.name], each.meaning) if each.name in arrays else each for each in found]


def conclusions(reached: np.ndarray, alike: np.ndarray | None, wanted: str, *, audit: bool) -> list[Conclusion]:
    """Say whether noise is read with certainty, and whether it then resembles nothing: what an audit hopes is not so.

    Args:
        reached: Which images the model is as sure of as wanted, bool [N].
        alike: Which images resemble real ones, bool [N]; None where this is not known.
        wanted: The probability wanted, in words.
        audit: Whether the hopes of an audit are judged, and not the claims of the course report.
    """
    found = [
        Conclusion.on_most(
            reached,
            f"read as their class with at least {wanted}, though made of noise",
            HOPE if audit else SURE,
            hoped=not audit,
        )
    ]
    if alike is None:
        return found
    rule = (
        f"An image resembles real ones where it correlates with the nearest, or with the mean of its class, at least "
        f"{percent(ALIKE, 0)} as much as real images do. Judged are those that the model is sure of."
    )
    return [
        *found,
        Conclusion.on_most(
            ~alike[reached],
            "unlike any real image",
            f"{HOPE if audit else UNLIKE} {rule}",
            hoped=not audit,
            nouns="images that it is sure of",
        ),
    ]
