"""Learning noises: one for all images (Moosavi-Dezfooli et al., 2017), or one for each image."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cnnlab.plugin import (
    Classifier,
    Confident,
    Context,
    Inputs,
    NormalisedGradient,
    Picture,
    Sign,
    Tiles,
    UsageError,
    add_noise,
    from_split,
    known_label,
    learn_noise,
    pgd,
)
from cnnlab_noise_addition import NoiseAdditionParams

TARGET = 6
"""The report's target."""

EPSILON = 0.3

STEPS, STEPS_PER_IMAGE = 300, 40

STRIDE = 1 / 3
"""Length of the first step, in epsilons. Steps of a tenth fooled 88% where these fooled 95% (README)."""

CONFIDENCE = 0.99
"""How sure a noise of an image's own makes the model before it is done."""

SHOWN = 10
"""Noises, or images, that are shown while they are learned."""

HELD_OUT = 1000
"""Test images that are measured where nobody names any."""


@dataclass(frozen=True, kw_only=True)
class Noises:
    """A noise for each of T targets, however they were come by.

    Attributes:
        targets: The classes that they lead to, int64 [T].
        epsilon: The bound that they keep.
        noise: One for all images, [T, H, W, C]; None where each image has its own.
        adversarial: The noisy images [T, N, H, W, C], where each has its own noise.
        trace: How learning one for all images went, arrays [T, steps] by name; empty where none was learned.
    """

    targets: np.ndarray
    epsilon: float
    noise: np.ndarray | None = None
    adversarial: np.ndarray | None = None
    trace: Mapping[str, np.ndarray] = field(default_factory=dict)

    def added_to(self, images: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
        """Return the noisy images [T, N, H, W, C] of images [N, H, W, C]."""
        if self.noise is None:
            assert self.adversarial is not None
            return self.adversarial
        return np.stack([add_noise(images, noise, bounds) for noise in self.noise])


def wanted_targets(classifier: Classifier, params: NoiseAdditionParams) -> np.ndarray:
    """Return the targets that the parameters name, int64 [T]."""
    if params.target == "all":
        return np.arange(classifier.num_classes)
    return np.array([min(TARGET, classifier.num_classes - 1) if params.target is None else params.target])


def held_out(classifier: Classifier, inputs: Inputs) -> Inputs:
    """Return the first test images of the model's dataset, which no noise is learned on.

    Raises:
        UsageError: The model names no dataset, or that has no test images.
    """
    if inputs.dataset is None or not len(inputs.dataset.test):
        raise UsageError(
            "noise-addition needs images to measure the noise on: name files with `images=`, or a "
            "dataset with `dataset=`. The model names no dataset with test images."
        )
    return from_split(classifier, inputs.dataset, "test", range(min(HELD_OUT, len(inputs.dataset.test))))


@dataclass(frozen=True, kw_only=True)
class Learning:
    """The images that a noise is learned on.

    Attributes:
        images: [M, H, W, C] in the model's value range.
        classes: Their labels, or what the model reads where nobody told, int64 [M].
        before: What the model reads, int64 [M].
    """

    images: np.ndarray
    classes: np.ndarray
    before: np.ndarray


def learning_set(
    classifier: Classifier, measured_on: Inputs, params: NoiseAdditionParams, context: Context
) -> Learning:
    """Draw training images that are not measured; without training images, take the measured ones and say so."""
    chosen = _drawn(classifier, measured_on, params.learn_on, context)
    if not len(chosen):
        chosen = measured_on
        if params.apply is None and not params.per_image:
            context.warn(
                "there are no training images to learn on: the noise was learned on the very images that it is "
                "measured on, so success says nothing about other images. `dataset=` names a dataset."
            )
    before = classifier.predict(chosen.images)
    return Learning(images=chosen.images, classes=known_label(chosen.labels, before), before=before)


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


def shared_noise(classifier: Classifier, learning: Learning, params: NoiseAdditionParams, context: Context) -> Noises:
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
    counts = learning.classes != targets[:, None]
    with context.progress("steps of learning", steps) as advance:
        learned = learn_noise(
            classifier,
            learning.images,
            targets[:, None],
            epsilon=epsilon,
            norm=params.norm,
            step=Sign() if params.norm == "linf" else NormalisedGradient(),
            step_size=STRIDE * epsilon,
            steps=steps,
            weights=counts.astype(np.float32),
            start=start,
            seed=context.seed,
            advance=advance,
            watch=lambda now: context.preview(lambda: so_far(now(), targets, classifier)),
        )
    if not counts.any(axis=1).all():
        context.warn("a noise was learned without a single image of another class than its target; it means nothing.")
    if epsilon and np.ptp(learned.noise) == 0:
        context.warn("the noise never moved: the model's gradient is zero on all images, so it means nothing.")
    return Noises(
        targets=targets,
        epsilon=epsilon,
        noise=learned.noise,
        trace={"trace_confidence": learned.confidence, "trace_reached": learned.reached},
    )


def noise_each(classifier: Classifier, inputs: Inputs, params: NoiseAdditionParams, context: Context) -> Noises:
    """Learn a noise for each image, from random noise on, until the model is sure; images of the target are skipped."""
    targets = wanted_targets(classifier, params)
    epsilon = EPSILON if params.epsilon is None else params.epsilon
    images = inputs.images
    climb = pgd(steps=params.steps or STEPS_PER_IMAGE, targeted=True, norm=params.norm, random_start=True)
    attack = dataclasses.replace(climb, goal=Confident(CONFIDENCE))
    with context.progress("steps of learning", targets.size * len(images) * attack.steps) as advance:
        outcome = attack.run(
            classifier,
            images,
            targets[:, None],
            epsilon=epsilon,
            seed=context.seed,
            advance=advance,
            watch=lambda now: context.preview(lambda: noisy_so_far(now()[:, :SHOWN], targets, classifier)),
        )
    skipped = inputs.labels == targets[:, None]
    if skipped.any():
        context.warn(f"{skipped.sum():,} of the noises would lead to an image's own class; they were left out.")
    adversarial = np.where(skipped[..., None, None, None], images, outcome.adversarial)
    return Noises(targets=targets, epsilon=epsilon, adversarial=adversarial)


def so_far(noise: np.ndarray, targets: np.ndarray, classifier: Classifier) -> Tiles:
    """Show the noise for each of the first targets while it is learned, [T, H, W, C]."""
    shown = zip(noise[:SHOWN], targets[:SHOWN], strict=True)
    largest = float(np.abs(noise[:SHOWN]).max()) or 1.0
    limits = (-largest, largest)
    return Tiles(
        tiles=tuple(
            Picture(values=one, title=f"noise for {classifier.class_names[target]}", scale="diverging", limits=limits)
            for one, target in shown
        )
    )


def noisy_so_far(images: np.ndarray, targets: np.ndarray, classifier: Classifier) -> Tiles:
    """Show the first images with their noises while these are learned, [T, n, H, W, C]: a row for each target."""
    names = classifier.class_names
    shown = images[: max(1, SHOWN // images.shape[1])]
    return Tiles(
        tiles=tuple(Picture.of_image(image, classifier.bounds) for row in shown for image in row),
        columns=images.shape[1],
        rows=tuple(f"to {names[target]}" for target in targets[: len(shown)]),
    )
