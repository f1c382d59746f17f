"""Fooling images (Nguyen, Yosinski and Clune, 2015), made by climbing logits (Simonyan and others, 2014) from noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnlab.analysis import Context, Inputs, Result
from cnnlab.analysis.adversarial import Claims, measure
from cnnlab.analysis.inputs import from_split
from cnnlab.attacks import (
    Adam,
    Attack,
    ClassLogit,
    Confident,
    GaussianNoise,
    SquaredDistance,
    TotalVariation,
    UniformNoise,
    round_8bit,
    stream,
)
from cnnlab.classifier import Classifier
from cnnlab.errors import UsageError
from cnnlab.figures import Picture, curves, tiles
from cnnlab_fooling import FoolingParams
from cnnlab_fooling.likeness import class_means, likeness, spread

MOST_SEEDS = 5
"""Images of each class in the figures; arrays.npz holds all."""


def run(classifier: Classifier, inputs: Inputs, params: FoolingParams, context: Context) -> Result:
    """Make images that the network is sure of, and compare them with the images given or with the training images."""
    chosen = _classes(classifier, params)
    classes = np.tile(chosen, params.seeds)
    seeds = np.repeat(np.arange(params.seeds), len(chosen))
    compared = _compared(classifier, inputs)
    noise = starts(classifier, _shape(classifier, compared), classes, seeds, params, context.seed)
    outcome = climb(classifier, noise, classes, params, context)
    names = classifier.class_names
    claims = Claims(eight_bit=params.eight_bit)
    sources = [f"noise {seed}, class {names[target]}" for seed, target in zip(seeds, classes, strict=True)]
    unknown = np.full(len(classes), -1)
    measured = measure(classifier, noise, outcome.adversarial, unknown, target=classes, claims=claims, sources=sources)
    arrays: dict[str, np.ndarray] = measured.arrays | {
        "seed": seeds,
        "steps": outcome.steps,
        "confidence_by_step": np.asarray(outcome.confidence),
    }
    arrays |= _confidences(classifier, arrays)
    metrics = _metrics(arrays, params)
    _warn(arrays, outcome.flat, classifier, params, context)
    more, numbers = _resemblance(outcome.adversarial, classes, compared, classifier, context)
    arrays |= more
    figures: dict[str, Any] = {
        "": lambda: _figure(classifier, params, arrays),
        "confidence": lambda: _climbs(classifier, params, arrays),
    }
    if compared is not None:
        figures["likeness"] = lambda: _beside(classifier, params, arrays)
    return Result(
        arrays=arrays,
        metrics=metrics | numbers,
        figures=figures,
        rows=_rows(classifier, arrays, compared, params),
        pictures=_pictures(classifier, arrays)[:2],
        claims=claims,
    )


def starts(
    classifier: Classifier,
    shape: tuple[int, int, int],
    classes: np.ndarray,
    seeds: np.ndarray,
    params: FoolingParams,
    seed: int,
) -> np.ndarray:
    """Draw the noise that each image begins at, float32 [N, H, W, C] in the model's value range.

    What an image gets depends on the user's seed, its class and its number alone: not on which others are made.
    """
    low, high = classifier.bounds
    start = GaussianNoise(params.std, mean=0.5) if params.start == "gaussian" else UniformNoise()
    none = np.array([np.inf])
    grey = np.zeros(shape, np.float32)
    drawn = [
        start(grey, none, None, (low, high), stream(seed, f"fooling {target} {number}".encode()))[0]
        for target, number in zip(classes, seeds, strict=True)
    ]
    images = np.clip(np.stack(drawn), low, high).astype(np.float32)
    return round_8bit(images, classifier.bounds) if params.eight_bit else images


def climb(
    classifier: Classifier, noise: np.ndarray, classes: np.ndarray, params: FoolingParams, context: Context
) -> Any:
    """Climb the logit of each image's class, less the penalties, until the network is sure of it.

    Args:
        classifier: The model.
        noise: Where to begin, [N, H, W, C].
        classes: [N].
        params: How.
        context: Where progress is shown.

    Returns:
        An :class:`~cnnlab.attacks.Outcome` of rows [N], with the confidence by step.
    """
    low, high = classifier.bounds
    size = high - low
    penalties: list[Any] = []
    if params.smoothness:
        penalties.append(TotalVariation(params.smoothness / size))
    if params.darkness:
        penalties.append(SquaredDistance())
    attack = Attack(
        objective=ClassLogit(),
        penalties=tuple(penalties),
        norm=None,
        step=Adam(),
        step_size=params.step_size * size,
        steps=params.steps,
        goal=Confident(params.confidence),
        then="stop",
        eight_bit=params.eight_bit,
    )
    with context.progress("steps", len(noise) * params.steps) as advance:
        return attack.run(
            classifier,
            noise,
            classes,
            beta=params.darkness / size**2,
            # The darkness penalty is a squared distance too: to the image that is all dark.
            references=np.full_like(noise, low),
            trace=True,
            advance=advance,
        )


def _classes(classifier: Classifier, params: FoolingParams) -> np.ndarray:
    wrong = [target for target in params.classes if target >= classifier.num_classes]
    if wrong:
        raise UsageError(
            f"classes must be of the model's {classifier.num_classes}, 0 to {classifier.num_classes - 1}; received "
            f"{wrong[0]}."
        )
    return np.array(list(dict.fromkeys(params.classes)) or range(classifier.num_classes), np.int64)


def _compared(classifier: Classifier, inputs: Inputs) -> Inputs | None:
    """The images given, else those that the model was trained on, else none."""
    if len(inputs):
        return inputs
    dataset = inputs.dataset
    if dataset is None:
        return None
    split = "train" if len(dataset.train) else "test"
    return from_split(classifier, dataset, split, np.arange(len(dataset.split(split))))


def _shape(classifier: Classifier, compared: Inputs | None) -> tuple[int, int, int]:
    height, width, channels = classifier.input_shape
    if height is not None and width is not None:
        return height, width, channels
    if compared is None:
        raise UsageError(
            "this model takes images of any size, so it does not say how large to make them; name images of the "
            "wanted size with --image or --dataset."
        )
    return next(compared.batches(1))[0].shape[1:]


def _confidences(classifier: Classifier, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The probability of each image's class at the noise, in the end, and once rounded to 8 bits, [N] each."""
    adversarial, target = arrays["adversarial"], arrays["target"]
    rounded = round_8bit(adversarial, classifier.bounds)
    return {
        name: np.take_along_axis(classifier.probabilities(images), target[:, None], axis=1)[:, 0]
        for name, images in (
            ("class_confidence_before", arrays["original"]),
            ("class_confidence", adversarial),
            ("class_confidence_8bit", rounded),
        )
    }


def _metrics(arrays: dict[str, np.ndarray], params: FoolingParams) -> dict[str, float]:
    sure, sure_8bit = arrays["class_confidence"], arrays["class_confidence_8bit"]
    return {
        "images": len(sure),
        "reached": float((sure >= params.confidence).mean()),
        "reached_8bit": float((sure_8bit >= params.confidence).mean()),
        "confidence": float(sure.min()),
        "confidence_8bit": float(sure_8bit.min()),
        "confidence_before": float(arrays["class_confidence_before"].mean(dtype=np.float64)),
        "steps": float(arrays["steps"].mean()),
        "most_steps": int(arrays["steps"].max()),
    }


def _warn(
    arrays: dict[str, np.ndarray], flat: np.ndarray, classifier: Classifier, params: FoolingParams, context: Context
) -> None:
    sure, names = arrays["class_confidence"], classifier.class_names
    missed = np.flatnonzero(sure < params.confidence)
    if len(missed):
        best = ", ".join(f"{names[arrays['target'][index]]} ({sure[index]:.3g})" for index in missed[:10])
        context.warn(
            f"{len(missed)} of {len(sure)} images did not reach the confidence {params.confidence:g} in "
            f"{params.steps} steps: {best}{', ...' if len(missed) > 10 else ''}."
        )
    if flat.any():
        context.warn(
            f"the gradient of the class's logit is exactly zero at {flat.sum()} of {len(flat)} noise images: there is "
            "no way up from there, and that these were not reached says nothing about the network."
        )


def _resemblance(
    images: np.ndarray, classes: np.ndarray, compared: Inputs | None, classifier: Classifier, context: Context
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Compare the images with a set, and a sample of that set with the rest of it: arrays and metrics."""
    if compared is None:
        context.warn(
            "the model does not say what it was trained on, so the images are compared with nothing; --dataset NAME "
            "--split train compares them."
        )
        return {}, {}
    means = class_means(compared, classifier.num_classes)
    sample = spread(len(compared))
    real = compared.select(sample)
    with context.progress("comparisons", len(compared) * 2) as advance:
        found = likeness(images, classes, compared, means, advance=advance)
        scale = likeness(real.images, real.labels, compared, means, own=sample, advance=advance)
    measures = ("nearest_distance", "nearest_correlation", "mean_distance", "mean_correlation")
    arrays = {name: getattr(found, name) for name in ("nearest", "nearest_image", *measures)}
    arrays["class_mean"] = means.astype(np.float32)
    metrics = {}
    for prefix, one in (("", found), ("real_", scale)):
        for name in measures:
            values = getattr(one, name)
            if np.isfinite(values).any():
                metrics[prefix + name] = float(np.nanmean(values))
    return arrays, metrics


def _rows(
    classifier: Classifier, arrays: dict[str, np.ndarray], compared: Inputs | None, params: FoolingParams
) -> list[dict[str, Any]]:
    names, rows = classifier.class_names, []
    for index, target in enumerate(arrays["target"]):
        sure = float(arrays["class_confidence"][index])
        row = {
            "class": names[target],
            **({"seed": int(arrays["seed"][index])} if params.seeds > 1 else {}),
            "noise_read_as": names[arrays["label_before"][index]],
            "read_as": names[arrays["label_after"][index]],
            "confidence": sure,
            "confidence_8bit": float(arrays["class_confidence_8bit"][index]),
            "reached": "yes" if sure >= params.confidence else "no",
            "steps": int(arrays["steps"][index]),
        }
        if compared is not None:
            row["nearest"] = compared.sources[arrays["nearest"][index]]
            for name in ("nearest_distance", "nearest_correlation", "mean_distance", "mean_correlation"):
                row[name] = float(arrays[name][index])
        rows.append(row)
    return rows


def _few(arrays: dict[str, np.ndarray]) -> np.ndarray:
    return np.flatnonzero(arrays["seed"] < MOST_SEEDS)


def _picture(classifier: Classifier, arrays: dict[str, np.ndarray], index: int) -> Picture:
    name = classifier.class_names[arrays["target"][index]]
    sure = 100 * arrays["class_confidence"][index]
    return Picture.of_image(arrays["adversarial"][index], classifier.bounds, title=f"{name}: {sure:.1f}%")


def _pictures(classifier: Classifier, arrays: dict[str, np.ndarray]) -> list[Picture]:
    return [_picture(classifier, arrays, index) for index in range(len(arrays["target"]))]


def _figure(classifier: Classifier, params: FoolingParams, arrays: dict[str, np.ndarray]) -> Any:
    few, made = _few(arrays), len(np.unique(arrays["target"]))
    title = f"Noise that the network reads as a class (wanted: {100 * params.confidence:g}%)"
    if len(few) < len(arrays["target"]):
        title += f"\nthe first {MOST_SEEDS} of {params.seeds} images of each class"
    columns = made if params.seeds > 1 or made <= 5 else -(-made // 2)
    return tiles([_picture(classifier, arrays, int(index)) for index in few], title=title, columns=columns, size=1.5)


def _beside(classifier: Classifier, params: FoolingParams, arrays: dict[str, np.ndarray]) -> Any:
    """Each class's first image over the nearest image compared with, and over the mean image of the class."""
    first = np.flatnonzero(arrays["seed"] == 0)
    bounds, targets = classifier.bounds, arrays["target"][first]
    pictures = [_picture(classifier, arrays, int(index)) for index in first]
    pictures += [
        Picture.of_image(
            arrays["nearest_image"][index],
            bounds,
            title=f"distance {arrays['nearest_distance'][index]:.1f}\ncorr. {arrays['nearest_correlation'][index]:.2f}",
        )
        for index in first
    ]
    pictures += [
        Picture.of_image(
            arrays["class_mean"][target],
            bounds,
            title=f"distance {arrays['mean_distance'][index]:.1f}\ncorr. {arrays['mean_correlation'][index]:.2f}",
        )
        for index, target in zip(first, targets, strict=True)
    ]
    title = "What they resemble: L2 distance and correlation of pixels"
    rows = ("made from noise", "nearest image", "mean of its class")
    return tiles(pictures, title=title, columns=len(first), size=1.35, row_titles=rows)


def _climbs(classifier: Classifier, params: FoolingParams, arrays: dict[str, np.ndarray]) -> Any:
    """The probability of the class after every step, a line for each class's first image."""
    lines = {}
    for index in np.flatnonzero(arrays["seed"] == 0):
        path = arrays["confidence_by_step"][index]
        taken = np.flatnonzero(np.isfinite(path))
        lines[classifier.class_names[arrays["target"][index]]] = (taken, path[taken])
    return curves(
        lines,
        xlabel="step",
        ylabel="probability of the class",
        title="From noise to certainty, by class",
        percent=True,
        marks=False,
        ylim=(0, 1.03),
        horizontal={f"wanted: {100 * params.confidence:g}%": params.confidence},
    )
