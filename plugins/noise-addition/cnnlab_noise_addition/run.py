"""One additive noise for all images, learned on some and measured on others (Moosavi-Dezfooli et al., 2017)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from cnnlab.analysis import Context, Inputs, Result
from cnnlab.analysis.adversarial import Claims, Measured, measure
from cnnlab.analysis.inputs import from_split
from cnnlab.attacks import Confident, NormalisedGradient, Sign, Step, add_noise, learn_noise, norms, pgd, tolerance
from cnnlab.attacks.attack import largest_epsilon
from cnnlab.classifier import Classifier
from cnnlab.errors import UsageError
from cnnlab_noise_addition import NoiseAdditionParams, drawing
from cnnlab_noise_addition.parts import Found, Learning, by_class, correlations, of_target, rank_of_target, share
from cnnlab_noise_addition.saved import read_noise

Arrays = Mapping[str, np.ndarray]

TARGET = 6
"""The report's target."""

EPSILON = 0.3

STEPS, STEPS_PER_IMAGE = 300, 40

STRIDE = 1 / 3
"""Length of the first step, in epsilons. Steps of a tenth fooled 88% where these fooled 95% (README)."""

CONFIDENCE = 0.99
"""How sure a noise of an image's own makes the model before it is done."""

HELD_OUT = 1000
"""Test images that are measured where nobody names any."""


def run(classifier: Classifier, inputs: Inputs, params: NoiseAdditionParams, context: Context) -> Result:
    """Learn a noise or read one, add it to images, and count how many are read as the target."""
    measured_on = inputs if len(inputs) else held_out(classifier, inputs)
    learning = learning_set(classifier, measured_on, params, context)
    images = measured_on.images
    if params.apply is not None:
        found = saved_noise(classifier, images, params, context)
    elif params.per_image:
        found = noise_each(classifier, measured_on, params, context)
    else:
        found = shared_noise(classifier, learning, params, context)
    adversarial = found.adversarial if found.adversarial is not None else _add(classifier, images, found)
    several = found.targets.ndim == 1
    count = len(images)
    claims = Claims(
        norm=params.norm,
        epsilons=(found.epsilon,),
        strengths=tuple(found.targets.tolist()) if several else None,
        axis="target",
    )
    target = np.broadcast_to(found.targets[..., None], (*found.targets.shape, count)).copy()
    measured = measure(
        classifier, images, adversarial, measured_on.labels, target, claims=claims, sources=measured_on.sources
    )
    if not measured.arrays["counted"].any():
        context.warn(
            "every image is labelled or read as the target without noise, so there is nothing to count; name images "
            "of other classes."
        )
    rated = _on_learning(classifier, learning, found) if found.learned else None
    arrays = {**measured.arrays, **_arrays(classifier, learning, found, measured, rated)}
    metrics = {**measured.metrics, **_metrics(classifier, found, arrays, rated, context)}
    return Result(
        arrays=arrays,
        metrics=metrics,
        rows=measured.rows,
        claims=claims,
        figures=drawing.figures(classifier, found, arrays, metrics),
        pictures=drawing.pictures(classifier, found, arrays),
    )


def held_out(classifier: Classifier, inputs: Inputs) -> Inputs:
    """Return the first test images of the model's dataset, which no noise is learned on.

    Raises:
        UsageError: The model names no dataset, or that has no test images.
    """
    if inputs.dataset is None or not len(inputs.dataset.test):
        raise UsageError(
            "noise-addition needs images to measure the noise on: name files with --image, or a dataset with "
            "--dataset. The model names no dataset with test images."
        )
    return from_split(classifier, inputs.dataset, "test", range(min(HELD_OUT, len(inputs.dataset.test))))


def learning_set(
    classifier: Classifier, measured_on: Inputs, params: NoiseAdditionParams, context: Context
) -> Learning:
    """Draw training images that are not measured; without training images, take the measured ones and say so."""
    images = _drawn(classifier, measured_on, params.learn_on, context)
    if not len(images):
        images = measured_on
        if params.apply is None and not params.per_image:
            context.warn(
                "there are no training images to learn on: the noise was learned on the very images that it is "
                "measured on, so success says nothing about other images. --dataset names a dataset."
            )
    before = classifier.predict(images.images)
    classes = np.where(images.labels >= 0, images.labels, before)
    return Learning(images=images.images, classes=classes, before=before)


def _drawn(classifier: Classifier, measured_on: Inputs, wanted: int, context: Context) -> Inputs:
    """Up to ``wanted`` training images in a random order, without those that are measured: told by their pixels."""
    dataset = measured_on.dataset
    if dataset is None or not len(dataset.train):
        return measured_on.select(np.arange(0))
    taken = {image.tobytes() for image in measured_on.images}
    order = context.rng.permutation(len(dataset.train))
    chosen: list[int] = []
    for start in range(0, len(order), wanted):
        part = order[start : start + wanted]
        images = from_split(classifier, dataset, "train", part).images
        chosen += [index for index, image in zip(part, images, strict=True) if image.tobytes() not in taken]
        if len(chosen) >= wanted:
            break
    return from_split(classifier, dataset, "train", chosen[:wanted])


def shared_noise(classifier: Classifier, learning: Learning, params: NoiseAdditionParams, context: Context) -> Found:
    """Learn one noise for each target over the learning set.

    It begins as one grey value as far from zero as it may be, towards the side where the images leave room: where
    clipping holds a pixel of every image at the end of the range, the gradient there is zero, and a noise that once
    went that way would never come back. Nor may the steps be small, for the same reason.
    """
    targets = wanted_targets(classifier, params)
    epsilon = EPSILON if params.epsilon is None else params.epsilon
    steps = params.steps or STEPS
    low, high = classifier.bounds
    shape = learning.images.shape[1:]
    side = 1.0 if learning.images.mean(dtype=np.float64) <= (low + high) / 2 else -1.0
    start = np.full(shape, side * epsilon / (1.0 if params.norm == "linf" else np.sqrt(np.prod(shape))), np.float32)
    rule: Step = Sign() if params.norm == "linf" else NormalisedGradient()
    counts = learning.classes != targets[..., None]
    with context.progress("steps of learning", steps) as advance:
        learned = learn_noise(
            classifier,
            learning.images,
            targets[:, None] if targets.ndim else int(targets),
            epsilon=epsilon,
            norm=params.norm,
            step=rule,
            step_size=STRIDE * epsilon,
            steps=steps,
            weights=counts.astype(np.float32),
            start=start,
            seed=context.seed,
            advance=advance,
        )
    if not counts.any(axis=-1).all():
        context.warn("a noise was learned without a single image of another class than its target; it means nothing.")
    if epsilon and np.ptp(learned.noise) == 0:
        context.warn("the noise never moved: the model's gradient is zero on all images, so it means nothing.")
    return Found(
        targets=targets,
        epsilon=epsilon,
        noise=learned.noise,
        trace={"trace_confidence": learned.confidence, "trace_reached": learned.reached},
        learned=True,
    )


def noise_each(classifier: Classifier, inputs: Inputs, params: NoiseAdditionParams, context: Context) -> Found:
    """Learn a noise for each image, from random noise on, until the model is sure; images of the target are skipped."""
    targets = wanted_targets(classifier, params)
    epsilon = EPSILON if params.epsilon is None else params.epsilon
    images = inputs.images
    skipped = inputs.labels == targets[..., None]
    climb = pgd(steps=params.steps or STEPS_PER_IMAGE, targeted=True, norm=params.norm, random_start=True, then="stop")
    attack = dataclasses.replace(climb, goal=Confident(CONFIDENCE))
    with context.progress("steps of learning", targets.size * len(images) * attack.steps) as advance:
        labels = targets[:, None] if targets.ndim else int(targets)
        outcome = attack.run(classifier, images, labels, epsilon=epsilon, seed=context.seed, advance=advance)
    if skipped.any():
        context.warn(f"{skipped.sum():,} of the noises would lead to an image's own class; they were left out.")
    return Found(
        targets=targets,
        epsilon=epsilon,
        adversarial=np.where(skipped[..., None, None, None], images, outcome.adversarial),
    )


def saved_noise(classifier: Classifier, images: np.ndarray, params: NoiseAdditionParams, context: Context) -> Found:
    """Read a saved noise, bring it to the model's units, and within epsilon where one was named."""
    assert params.apply is not None
    saved = read_noise(params.apply, images.shape[1:])
    saved = saved.for_target(None if params.target == "all" else params.target, params.apply)
    targets = saved.target
    if params.target not in (None, "all") or targets is None:
        targets = wanted_targets(classifier, params)
        if targets.ndim:
            raise UsageError(f"{params.apply} holds one noise, so it has one target; name it with --target.")
        if saved.target is not None and int(saved.target) != int(targets):
            context.warn(f"the noise was learned for the class {saved.target}; success counts the class {targets}.")
    if targets.size and targets.max() >= classifier.num_classes:
        raise UsageError(
            f"the noise in {params.apply} leads to the class {targets.max()}, and the model has "
            f"{classifier.num_classes} classes, 0 to {classifier.num_classes - 1}; name another with --target."
        )
    noise = saved.scaled_to(classifier.bounds)
    if noise is not saved.noise:
        context.warn(f"the noise was learned in the value range {saved.bounds}; it was scaled to {classifier.bounds}.")
    size = float(norms(noise, params.norm).max())
    if params.epsilon is None:
        return Found(targets=targets, epsilon=size, noise=noise)
    most = largest_epsilon(classifier.bounds, noise.shape[-3:], params.norm)
    if params.epsilon > most:
        raise UsageError(f"epsilon must be from 0 to {most:g}; received {params.epsilon:g}.")
    if size > params.epsilon + tolerance(params.norm, noise.shape, classifier.bounds):
        context.warn(f"the saved noise is {size:.4g} large; it was brought within epsilon, {params.epsilon:g}.")
        # What is added to nothing, and is not clipped, is the noise itself within its ball.
        ends = (-max(size, *map(abs, classifier.bounds)), max(size, *map(abs, classifier.bounds)))
        noise = add_noise(np.zeros_like(noise), noise, ends, epsilon=params.epsilon, norm=params.norm)
    return Found(targets=targets, epsilon=params.epsilon, noise=noise)


def wanted_targets(classifier: Classifier, params: NoiseAdditionParams) -> np.ndarray:
    """Return the target [] int64, or [T] of all classes.

    Raises:
        UsageError: The model has no such class.
    """
    count = classifier.num_classes
    if params.target == "all":
        return np.arange(count)
    wanted = min(TARGET, count - 1) if params.target is None else params.target
    if wanted >= count:
        raise UsageError(
            f"target must be one of the model's {count} classes, 0 to {count - 1}, or all; received {wanted}."
        )
    return np.asarray(wanted, np.int64)


def _add(classifier: Classifier, images: np.ndarray, found: Found) -> np.ndarray:
    assert found.noise is not None
    if found.noise.ndim == 3:
        return add_noise(images, found.noise, classifier.bounds)
    return np.stack([add_noise(images, noise, classifier.bounds) for noise in found.noise])


def _arrays(
    classifier: Classifier, learning: Learning, found: Found, measured: Measured, rated: Arrays | None
) -> dict[str, np.ndarray]:
    means = learning.means(classifier.num_classes)
    arrays = {
        "noise_target": found.targets,
        "noise_bounds": np.asarray(classifier.bounds, np.float64),
        "target_mean": means[found.targets],
        "success_by_class": by_class(measured.arrays, classifier.num_classes),
        **found.trace,
    }
    if found.noise is not None:
        arrays |= {"noise": found.noise, "correlation": correlations(found.noise, means)}
    else:
        own = measured.arrays["adversarial"] - measured.arrays["original"]
        each = correlations(own, means)
        counted = measured.arrays["counted"]
        arrays |= {"image_noise": own, "correlation": share(each, counted[..., None], axis=-2)}
    if rated is not None:
        arrays["success_learning_by_class"] = by_class(rated, classifier.num_classes)
    return arrays


def _on_learning(classifier: Classifier, learning: Learning, found: Found) -> dict[str, np.ndarray]:
    """What the success rates on the learning set are made of: label, counted and success, [(T,)N]."""
    assert found.noise is not None
    targets = found.targets[..., None]
    noises = found.noise.reshape(-1, *learning.images.shape[1:])
    after = [classifier.predict(add_noise(learning.images, noise, classifier.bounds)) for noise in noises]
    counted = (learning.classes != targets) & (learning.before != targets)
    success = counted & (np.reshape(after, counted.shape) == targets)
    return {"label": learning.classes, "label_before": learning.before, "counted": counted, "success": success}


def _metrics(
    classifier: Classifier, found: Found, arrays: Arrays, rated: Arrays | None, context: Context
) -> dict[str, float]:
    counted, success = arrays["counted"], arrays["success"]
    several = found.targets.ndim == 1
    metrics = {"left_out": float((~counted).sum()), "success": float(share(success, counted))}
    each: dict[str, np.ndarray] = {
        "target_confidence": share(_target_confidence(classifier, found, arrays), counted, axis=-1),
        "correlation": of_target(arrays["correlation"], found.targets),
        "correlation_rank": rank_of_target(arrays["correlation"], found.targets),
    }
    if found.noise is not None:
        each["success_shuffled"] = _shuffled(classifier, found, arrays, context)
        each["noise_alone"] = _alone(classifier, found)
    if rated is not None:
        each["success_learning"] = share(rated["success"], rated["counted"], axis=-1)
        metrics["learned_on"] = len(rated["label"])
        if several:
            metrics["success_learning"] = float(share(rated["success"], rated["counted"]))
    if several:
        return metrics | {
            f"{name}@{target}": float(value)
            for name, values in each.items()
            for target, value in zip(found.targets, values, strict=True)
        }
    named = zip(classifier.class_names, arrays["success_by_class"], strict=True)
    metrics |= {f"success/{name}": float(value) for name, value in named if np.isfinite(value)}
    return metrics | {name: float(value) for name, value in each.items()}


def _target_confidence(classifier: Classifier, found: Found, arrays: Arrays) -> np.ndarray:
    """Softmax probability of the target for every noisy image, [(T,)N]."""
    groups = arrays["adversarial"].reshape(-1, *arrays["original"].shape)
    pairs = zip(found.targets.reshape(-1), groups, strict=True)
    sure = [classifier.probabilities(images)[:, target] for target, images in pairs]
    return np.reshape(sure, arrays["counted"].shape)


def _shuffled(classifier: Classifier, found: Found, arrays: Arrays, context: Context) -> np.ndarray:
    """Success of the noise with its pixels in a random order, [] or [T]."""
    assert found.noise is not None
    original = arrays["original"]
    noises = found.noise.reshape(-1, *original.shape[1:])
    mixed = [context.rng.permutation(noise.reshape(-1)).reshape(noise.shape) for noise in noises]
    after = [classifier.predict(add_noise(original, noise, classifier.bounds)) for noise in mixed]
    hit = np.reshape(after, arrays["counted"].shape) == found.targets[..., None]
    return share(hit, arrays["counted"], axis=-1)


def _alone(classifier: Classifier, found: Found) -> np.ndarray:
    """Softmax probability of the target for the noise on a flat grey from the middle of the range, [] or [T]."""
    assert found.noise is not None
    noises = found.noise.reshape(-1, *found.noise.shape[-3:])
    grey = np.full_like(noises, sum(classifier.bounds) / 2)
    sure = classifier.probabilities(add_noise(grey, noises, classifier.bounds))
    return np.asarray(of_target(sure, found.targets.reshape(-1)).reshape(found.targets.shape), np.float64)
