"""Targeted attacks (Szegedy and others, 2014): towards one class or every other, measured as they were found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnlab.analysis import Context, Inputs, Result
from cnnlab.analysis.adversarial import Claims, measure
from cnnlab.attacks import round_8bit
from cnnlab.classifier import Classifier
from cnnlab.errors import UsageError
from cnnlab.figures import Picture
from cnnlab_targeted import TargetedParams, drawing
from cnnlab_targeted.attack import attack


@dataclass(frozen=True)
class Pairs:
    """Which image goes to which class: the rows of the attack.

    Attributes:
        image: int64 [N], index into the images given.
        target: int64 [N].
        own: int64 [N], the image's own class: its label, or what the model reads where nobody knows it.
        skipped: int64, the images given that were left out.
    """

    image: np.ndarray
    target: np.ndarray
    own: np.ndarray
    skipped: np.ndarray


def run(classifier: Classifier, inputs: Inputs, params: TargetedParams, context: Context) -> Result:
    """Make each image be read as the target, and measure what became of it."""
    _check_target(classifier, params)
    pairs = choose_pairs(classifier, inputs, params)
    _say_skipped(classifier, inputs, params, pairs, context)
    if not len(pairs.image):
        return Result(metrics={"images": 0, "skipped": len(pairs.skipped)})
    images = round_8bit(inputs.images, classifier.bounds) if params.eight_bit else inputs.images
    originals = images[pairs.image]
    runs = params.rounds if params.closest else len(params.epsilon if params.method == "pgd" else params.beta)
    with context.progress("steps", len(originals) * params.steps * runs) as advance:
        found = attack(classifier, originals, pairs.target, params, advance)
    claims = make_claims(params)
    measured = measure(
        classifier,
        originals,
        found.adversarial,
        inputs.labels[pairs.image],
        target=pairs.target,
        claims=claims,
        sources=[inputs.sources[index] for index in pairs.image],
    )
    arrays = measured.arrays | {"image": pairs.image, "steps": found.steps}
    arrays |= {} if found.beta is None else {"beta": found.beta}
    arrays |= readings(classifier, arrays, params)
    metrics = measured.metrics | {"skipped": len(pairs.skipped)} | dict(_metrics(arrays, params, claims))
    if params.target == "all":
        arrays |= matrices(arrays, pairs.own, classifier.num_classes)
    _say_missed(classifier, inputs, arrays, params, context)
    return Result(
        arrays=arrays,
        metrics=metrics,
        figures=drawing.figures(classifier, arrays, pairs.own, params, claims),
        rows=_rows(measured.rows, arrays),
        pictures=_pictures(classifier, arrays),
        claims=claims,
    )


def choose_pairs(classifier: Classifier, inputs: Inputs, params: TargetedParams) -> Pairs:
    """Pair each image with the target, or with every class; its own class is no target."""
    own = np.array(inputs.labels)
    for index in np.flatnonzero(own < 0):
        own[index] = classifier.predict(inputs.select([int(index)]).images)[0]
    targets = np.arange(classifier.num_classes) if params.target == "all" else np.array([params.target])
    image, target = np.repeat(np.arange(len(inputs)), len(targets)), np.tile(targets, len(inputs))
    keep = own[image] != target
    skipped = np.setdiff1d(np.arange(len(inputs)), image[keep])
    return Pairs(image[keep], target[keep].astype(np.int64), own[image[keep]], skipped)


def make_claims(params: TargetedParams) -> Claims:
    """What the attack promises: for pgd its ball, and what the leading axis E stands for."""
    if params.method == "pgd":
        return Claims(norm=params.norm, epsilons=params.epsilon, eight_bit=params.eight_bit)
    strengths = params.beta if len(params.beta) > 1 else None
    return Claims(eight_bit=params.eight_bit, strengths=strengths, axis="beta")


def readings(classifier: Classifier, arrays: dict[str, np.ndarray], params: TargetedParams) -> dict[str, np.ndarray]:
    """Read all probabilities off the images alone, before and after, and how far the pixels moved.

    Returns:
        Arrays by name; with a leading axis E where ``adversarial`` has one.
    """
    original, adversarial, target = arrays["original"], arrays["adversarial"], arrays["target"]
    leading, shape = adversarial.shape[:-3], adversarial.shape[-3:]

    def read(images: np.ndarray) -> np.ndarray:
        return classifier.probabilities(images.reshape(-1, *shape)).reshape(*images.shape[:-3], -1)

    def of_target(probabilities: np.ndarray) -> np.ndarray:
        places = np.broadcast_to(target, probabilities.shape[:-1])[..., None]
        return np.take_along_axis(probabilities, places, axis=-1)[..., 0]

    before, after = read(original), read(adversarial)
    sure = of_target(after)
    return {
        "probabilities_before": before,
        "probabilities_after": after,
        "target_confidence_before": of_target(before),
        "target_confidence": sure,
        "target_confidence_8bit": of_target(read(round_8bit(adversarial, classifier.bounds))),
        "reached": sure >= params.confidence,
        "mean_squared_difference": np.square(arrays["l2"]).reshape(leading) / np.prod(shape),
    }


def matrices(arrays: dict[str, np.ndarray], own: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Average over the images of each source class by target class.

    Args:
        arrays: ``target`` [N], and ``reached``, ``target_confidence`` and ``l2``, [N] or [E, N].
        own: The source classes, [N].
        classes: K.

    Returns:
        ``matrix_images`` [K, K], and the means [K, K] or [E, K, K]; NaN where there is no image.
    """
    places = (own, arrays["target"])
    count = np.zeros((classes, classes), np.int64)
    np.add.at(count, places, 1)

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.zeros((classes, classes, *values.shape[:-1]))
        np.add.at(total, places, values.T)
        total = np.moveaxis(total, (0, 1), (-2, -1))
        with np.errstate(invalid="ignore"):
            return np.asarray(total / count)

    return {
        "matrix_images": count,
        "matrix_reached": mean(arrays["reached"].astype(float)),
        "matrix_confidence": mean(arrays["target_confidence"].astype(float)),
        "matrix_l2": mean(arrays["l2"]),
    }


def _metrics(arrays: dict[str, np.ndarray], params: TargetedParams, claims: Claims) -> list[tuple[str, float]]:
    sure = arrays["target_confidence"]
    metrics: list[tuple[str, float]] = []
    for index, name in enumerate(claims.along(len(sure) if sure.ndim > 1 else None)):
        at = f"@{name}" if name else ""

        def one(key: str, index: int = index) -> np.ndarray:
            return arrays[key][index] if sure.ndim > 1 else arrays[key]

        metrics += [
            (f"reached{at}", float(one("reached").mean())),
            (f"reached_8bit{at}", float((one("target_confidence_8bit") >= params.confidence).mean())),
            (f"target_confidence{at}", float(one("target_confidence").mean(dtype=np.float64))),
            (f"lowest_target_confidence{at}", float(one("target_confidence").min())),
            (f"mean_squared_difference{at}", float(one("mean_squared_difference").mean())),
        ]
    return metrics


def _rows(rows: list[dict[str, Any]], arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Add the target's probability to the measured rows, in which the strengths of an image follow each other."""
    names = ("target_confidence", "reached", "mean_squared_difference")
    flat = {name: arrays[name].T.ravel() for name in names}
    return [
        {
            **row,
            "target_confidence": float(flat["target_confidence"][index]),
            "reached": "yes" if flat["reached"][index] else "no",
            "mean_squared_difference": float(flat["mean_squared_difference"][index]),
        }
        for index, row in enumerate(rows)
    ]


def _pictures(classifier: Classifier, arrays: dict[str, np.ndarray]) -> list[Picture]:
    """The first image, attacked, and what changed, for the terminal."""
    row = drawing.Row.of(classifier, arrays, 0, 0)
    return [row.result, row.difference]


def _check_target(classifier: Classifier, params: TargetedParams) -> None:
    if isinstance(params.target, int) and params.target >= classifier.num_classes:
        raise UsageError(
            f"target must be one of the model's {classifier.num_classes} classes, 0 to {classifier.num_classes - 1}, "
            f"or all; received {params.target}."
        )


def _say_skipped(
    classifier: Classifier, inputs: Inputs, params: TargetedParams, pairs: Pairs, context: Context
) -> None:
    if not len(pairs.skipped):
        return
    name = classifier.class_names[params.target] if isinstance(params.target, int) else "all there is"
    context.warn(
        f"{len(pairs.skipped)} of {len(inputs)} images skipped: the target {name} is their own class "
        f"({_few([inputs.sources[index] for index in pairs.skipped])})."
    )


def _say_missed(
    classifier: Classifier, inputs: Inputs, arrays: dict[str, np.ndarray], params: TargetedParams, context: Context
) -> None:
    target, sure = arrays["target"], arrays["target_confidence"]

    def told(index: Any) -> str:
        return f"{inputs.sources[arrays['image'][index]]} as {classifier.class_names[target[index]]}"

    already = np.flatnonzero(arrays["label_before"] == target)
    if len(already):
        context.warn(
            f"{len(already)} of {len(target)} are read as the target before the attack, and take part in no success "
            f"rate ({_few(told(index) for index in already)})."
        )
    if sure.ndim > 1:
        return
    missed = np.flatnonzero(~arrays["reached"])
    if len(missed):
        context.warn(
            f"{len(missed)} of {len(target)} attacks did not reach the confidence {params.confidence:g} "
            f"({_few(f'{told(index)}: {sure[index]:.3g}' for index in missed)})."
        )


def _few(words: Iterable[Any], most: int = 5) -> str:
    told = [str(word) for word in words]
    return ", ".join(told[:most]) + (", ..." if len(told) > most else "")
