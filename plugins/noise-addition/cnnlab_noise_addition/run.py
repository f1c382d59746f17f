"""What noises do: how many of the images that they are added to are read as the target, and what they resemble."""

from __future__ import annotations

import functools

import numpy as np

from cnnlab.plugin import (
    Claims,
    Classifier,
    Context,
    Inputs,
    Measured,
    Result,
    add_noise,
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
        sources=measured_on.sources,
    )
    counted, success = measured.arrays["counted"], measured.arrays["success"]
    if not counted.any():
        context.warn(
            "every image is labelled or read as the target without noise, so there is nothing to count; name images "
            "of other classes."
        )
    source = known_label(measured.arrays["label"], measured.arrays["label_before"])
    arrays = {
        **measured.arrays,
        **found.trace,
        **resemblance(found, measured, class_means(learning, classifier.num_classes)),
        "noise_target": targets,
        "noise_bounds": np.asarray(classifier.bounds, np.float64),
        "success_by_class": by_class(success, counted, source, classifier.num_classes),
    }
    metrics = {**measured.metrics, "left_out": float((~counted).sum()), "success": float(share(success, counted))}
    each = of_targets(classifier, found, measured, arrays["correlation"], context)
    if found.trace:
        hit, others = on_learning_set(classifier, found, learning)
        arrays["success_learning_by_class"] = by_class(hit, others, learning.classes, classifier.num_classes)
        metrics |= {"learned_on": len(learning.classes), "success_learning": float(share(hit, others))}
        each["success_learning"] = share(hit, others, axis=1)
    if len(targets) == 1:
        rates = zip(classifier.class_names, arrays["success_by_class"][0], strict=True)
        metrics |= {f"success/{name}": rate for name, rate in rates if np.isfinite(rate)}
    words = headline(classifier, found, arrays)
    return Result(
        headline=words,
        arrays=arrays,
        metrics={**metrics, **claims.metrics(each)},
        columns=measured.columns,
        claims=claims,
        show=functools.partial(show, classifier, found, arrays),
        title=words,
        drawings=drawings(classifier, found, arrays),
    )


def of_targets(
    classifier: Classifier, found: Noises, measured: Measured, correlation: np.ndarray, context: Context
) -> dict[str, np.ndarray]:
    """Return what is told of each target, float64 [T] by name; ``correlation`` is [T, K]."""
    targets, counted = found.targets, measured.arrays["counted"]
    sure = of_class(measured.probabilities["after"], targets[:, None])
    each = {
        "target_confidence": share(sure, counted, axis=1),
        "correlation": of_class(correlation, targets),
        "correlation_rank": rank_of_target(correlation, targets),
    }
    if found.noise is None:
        return each
    original, noise, bounds = measured.arrays["original"], found.noise, classifier.bounds
    shuffled = np.stack([context.rng.permutation(one.reshape(-1)).reshape(one.shape) for one in noise])
    each["success_shuffled"] = share(hits(classifier, original, shuffled, targets), counted, axis=1)
    grey = np.full_like(noise, sum(bounds) / 2)
    each["noise_alone"] = of_class(classifier.probabilities(add_noise(grey, noise, bounds)), targets)
    return each


def on_learning_set(classifier: Classifier, found: Noises, learning: Learning) -> tuple[np.ndarray, np.ndarray]:
    """Say which images of the learning set are read as each target, and which are not without it, bool [T, M]."""
    assert found.noise is not None
    targets = found.targets[:, None]
    others = (learning.classes != targets) & (learning.before != targets)
    return hits(classifier, learning.images, found.noise, found.targets), others


def hits(classifier: Classifier, images: np.ndarray, noises: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Say which images [N, H, W, C] are read as the targets [T] with the noises [T, H, W, C], bool [T, N]."""
    after = [classifier.predict(add_noise(images, noise, classifier.bounds)) for noise in noises]
    return np.asarray(np.stack(after) == targets[:, None])


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
