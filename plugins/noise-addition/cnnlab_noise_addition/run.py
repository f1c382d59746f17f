"""What noises do: how many of the images that they are added to are read as the target, and what they resemble."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from cnnlab.plugin import (
    Claims,
    Classifier,
    Context,
    Inputs,
    Measured,
    Result,
    add_noise,
    derive,
    known_label,
    measure,
    of_class,
    standardised,
)
from cnnlab_noise_addition import NoiseAdditionParams
from cnnlab_noise_addition.apply import saved_noise
from cnnlab_noise_addition.drawing import drawings, headline, show
from cnnlab_noise_addition.learn import Learning, Noises, held_out, learning_set, noise_each, shared_noise


def run(classifier: Classifier, inputs: Inputs, params: NoiseAdditionParams, context: Context) -> Result:
    """Learn a noise or read one, add it to images, and count how many are read as the target."""
    measured_on = inputs if len(inputs) else held_out(classifier, inputs)
    learning = learning_set(classifier, measured_on, params, context)
    if params.apply is not None:
        found = saved_noise(classifier, measured_on.shape, params, context)
    elif params.per_image:
        found = noise_each(classifier, measured_on, params, context)
    else:
        found = shared_noise(classifier, learning, params, context)
    targets = found.targets
    claims = Claims(
        norm=params.norm,
        epsilons=(found.epsilon,),
        strengths=tuple(targets) if len(targets) > 1 else None,
        axis="target",
    )
    measured = measure(
        classifier,
        measured_on.images,
        found.added_to(measured_on.images, classifier.bounds),
        measured_on.labels,
        np.repeat(targets[:, None], len(measured_on), axis=1),
        claims=claims,
    )
    counted, success = measured.arrays["counted"], measured.arrays["success"]
    if not counted.any():
        context.warn(
            "every image is labelled or read as the target without noise, so there is nothing to count; name images "
            "of other classes."
        )
    arrays = {
        **measured.arrays,
        **found.trace,
        **resemblance(found, measured, class_means(learning, classifier.num_classes)),
        **alone_and_shuffled(classifier, found, measured.arrays["original"], context),
        "noise_target": targets,
        "noise_bounds": np.asarray(classifier.bounds, np.float64),
        "success_by_class": by_class(success, counted, source(measured.arrays), classifier.num_classes),
        "target_confidence": of_class(measured.probabilities["after"], targets[:, None]),
    }
    if found.trace:
        assert found.noise is not None
        arrays["learning_label"], arrays["learning_label_before"] = learning.classes, learning.before
        arrays["learning_label_after"] = read_with(classifier, learning.images, found.noise)
        hit, others = on_learning_set(arrays)
        arrays["success_learning_by_class"] = by_class(hit, others, learning.classes, classifier.num_classes)
    return Result(
        arrays=arrays,
        columns={"image": measured_on.sources},
        claims=claims,
        show=functools.partial(show, classifier, found, arrays),
        title=headline(classifier, claims, arrays),
        drawings=drawings(classifier, found, arrays),
    )


def sum_up(classifier: Classifier, result: Result, params: NoiseAdditionParams) -> Result:
    """Count how many of the images are read as the target, of each class and by chance too."""
    arrays, claims = result.arrays, result.claims or Claims()
    found = derive(arrays, claims)
    success, counted, targets = found.arrays["success"], found.arrays["counted"], arrays["noise_target"]
    metrics = {**found.metrics, "left_out": float((~counted).sum()), "success": float(share(success, counted))}
    each = {
        "target_confidence": share(arrays["target_confidence"], counted, axis=1),
        "correlation": of_class(arrays["correlation"], targets),
        "correlation_rank": rank_of_target(arrays["correlation"], targets),
    }
    if "noise" in arrays:
        each["success_shuffled"] = share(arrays["label_shuffled"] == targets[:, None], counted, axis=1)
        each["noise_alone"] = arrays["noise_alone"]
    if "learning_label" in arrays:
        hit, others = on_learning_set(arrays)
        metrics |= {"learned_on": len(arrays["learning_label"]), "success_learning": float(share(hit, others))}
        each["success_learning"] = share(hit, others, axis=1)
    if len(targets) == 1:
        rates = by_class(success, counted, source(arrays), classifier.num_classes)[0]
        named = zip(classifier.class_names, rates, strict=True)
        metrics |= {f"success/{name}": rate for name, rate in named if np.isfinite(rate)}
    return Result(
        headline=headline(classifier, claims, arrays),
        metrics={**metrics, **claims.metrics(each)},
        columns=found.columns,
    )


def source(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the class of each image, or what it is read as where nobody told, int64 [N]."""
    return known_label(arrays["label"], arrays["label_before"])


def alone_and_shuffled(
    classifier: Classifier, found: Noises, original: np.ndarray, context: Context
) -> dict[str, np.ndarray]:
    """Return what the model makes of the noises [T] alone, and of the images with their pixels in a random order."""
    if found.noise is None:
        return {}
    noise, bounds = found.noise, classifier.bounds
    shuffled = np.stack([context.rng.permutation(one.reshape(-1)).reshape(one.shape) for one in noise])
    grey = np.full_like(noise, sum(bounds) / 2)
    return {
        "label_shuffled": read_with(classifier, original, shuffled),
        "noise_alone": of_class(classifier.probabilities(add_noise(grey, noise, bounds)), found.targets),
    }


def on_learning_set(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Say which images of the learning set are read as each target, and which are not without it, bool [T, M]."""
    targets = arrays["noise_target"][:, None]
    others = (arrays["learning_label"] != targets) & (arrays["learning_label_before"] != targets)
    return np.asarray(arrays["learning_label_after"] == targets), others


def read_with(classifier: Classifier, images: np.ndarray, noises: np.ndarray) -> np.ndarray:
    """Return what images [N, H, W, C] are read as with each of the noises [T, H, W, C], int64 [T, N]."""
    return np.stack([classifier.predict(add_noise(images, noise, classifier.bounds)) for noise in noises])


def share(values: np.ndarray, counted: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the mean of ``values`` over the counted ones, float64; NaN where none is counted."""
    counted = np.broadcast_to(counted, values.shape)
    total = np.where(counted, values, 0).sum(axis=axis, dtype=np.float64)
    number = counted.sum(axis=axis)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def by_class(success: np.ndarray, counted: np.ndarray, source: np.ndarray, classes: int) -> np.ndarray:
    """Return the success rate [T, N] of each source class [N], float64 [T, K]; NaN where no image of it is counted."""
    return np.stack([share(success, counted & (source == label), axis=-1) for label in range(classes)], axis=-1)


def class_means(learning: Learning, classes: int) -> np.ndarray:
    """Return the mean image of each of K classes, float32 [K, H, W, C]; NaN where there is none."""
    means = np.full((classes, *learning.images.shape[1:]), np.nan, np.float32)
    for label in np.unique(learning.classes):
        means[label] = learning.images[learning.classes == label].mean(axis=0, dtype=np.float64)
    return means


def resemblance(found: Noises, measured: Measured, means: np.ndarray) -> dict[str, np.ndarray]:
    """Return the noises, the targets' mean images, and how much they and all others are alike, by name of the array."""
    target_mean = means[found.targets]
    if found.noise is not None:
        return {"noise": found.noise, "target_mean": target_mean, "correlation": correlations(found.noise, means)}
    own = measured.arrays["adversarial"] - measured.arrays["original"]
    alike = share(correlations(own, means), measured.arrays["counted"][..., None], axis=1)
    return {"image_noise": own, "target_mean": target_mean, "correlation": alike}


def correlations(noises: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of noises [..., H, W, C] with images [K, H, W, C], float64 [..., K].

    NaN where either is the same everywhere.
    """
    first, second = (standardised(images.reshape(*images.shape[:-3], -1)) for images in (noises, means))
    return np.asarray(np.einsum("...i,ki->...k", first, second))


def rank_of_target(values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return which place the target has among values [T, K], 1 for the largest, float64 [T]; NaN if it is NaN."""
    own = of_class(values, targets)
    return np.where(np.isnan(own), np.nan, 1.0 + (values > own[..., None]).sum(axis=-1))
