"""Targeted attacks (Szegedy et al., 2014): the logit less beta times the change, or a ball of epsilon."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from cnnlab.plugin import (
    Adam,
    At,
    Attack,
    Bars,
    Claims,
    Classifier,
    ClassLogit,
    Confident,
    Context,
    Curves,
    Inputs,
    Line,
    LogOdds,
    Measured,
    Norm,
    Picture,
    Result,
    Scrub,
    Series,
    SquaredDistance,
    derive,
    few,
    largest_beta,
    measure,
    of_class,
    out_of,
    percent,
    pgd,
)
from cnnlab_targeted import TargetedParams, matrix

SHARES: dict[Norm, tuple[float, ...]] = {"linf": (0.3,), "l2": (0.125,)}
"""The default ball, as a share of the radius of the ball that holds every image of the model."""

STEP = 0.02
"""Length of a step of Adam, as a share of the value range."""


def run(classifier: Classifier, inputs: Inputs, params: TargetedParams, context: Context) -> Result:
    """Make each image be read as the target, or as every other class, and measure what became of it."""
    images = context.on_grid(inputs, params.eight_bit)
    own = classifier.own_class(images, inputs.labels)
    targets = np.arange(classifier.num_classes) if params.target == "all" else np.array([params.target])
    image, place = np.nonzero(own[:, None] != targets)
    original, target = images[image], targets[place]
    skipped = np.setdiff1d(np.arange(len(inputs)), image)
    if len(skipped):
        context.warn(
            f"{len(skipped)} of {len(inputs)} images skipped: the target {classifier.class_names[targets[0]]} is their "
            f"own class ({few(inputs.sources[index] for index in skipped)})."
        )
    if not len(image):
        return Result(arrays={"skipped": skipped})
    strengths = params.beta
    if params.method == "pgd":  # in the order in which they were given
        strengths = params.epsilon or params.radii(classifier.bounds, inputs.shape, SHARES)
    runs = params.rounds if params.closest else len(strengths)
    with context.progress("steps", len(image) * params.steps * runs) as advance:
        found = attack(classifier, original, target, params, strengths, context.seed, advance)
    claims = claimed(params, strengths)
    sources = [inputs.sources[index] for index in image]
    measured = measure(classifier, original, found["adversarial"], inputs.labels[image], target, claims=claims)
    of_images = {"image": image, "skipped": skipped}
    arrays = {**found, **measured.arrays, **of_target(measured, params.confidence), **of_images}
    drawings: dict[str, Any] = {}
    if len(strengths) > 1:
        drawings["trade-off"] = trade_off(arrays, claims, params.confidence)
    if params.target == "all":
        arrays |= matrix.matrices(arrays, own[image], classifier.num_classes)
        drawings |= matrix.drawings(classifier, arrays, own[image], claims, params.confidence)
    _say_missed(classifier, arrays, params.confidence, sources, context)
    return Result(
        arrays=arrays,
        claims=claims,
        show=None if "" in drawings else functools.partial(show, classifier, measured, claims),
        title="Before, after, and what changed",
        drawings=drawings,
    )


def sum_up(classifier: Classifier, result: Result, params: TargetedParams) -> Result:
    """Count how many attacks reached their target, and say how far each had to go."""
    arrays, claims = result.arrays, result.claims or Claims()
    skipped = {"skipped": len(arrays["skipped"])}
    if "image" not in arrays:
        return Result(headline="Every image is of the target class", metrics={"images": 0, **skipped})
    found = derive(arrays, claims)
    reached = arrays["target_confidence"] >= params.confidence
    return Result(
        headline=headline(classifier, reached, arrays["target"], claims, params),
        metrics={**found.metrics, **skipped, **claims.metrics(_by_strength(found.arrays, params.confidence))},
        columns={
            **found.columns,
            "image": arrays["image"],
            "target_confidence": arrays["target_confidence"],
            "reached": np.where(reached, "yes", "no"),
            "mean_squared_difference": mean_squared_difference(found.arrays),
        },
    )


def headline(
    classifier: Classifier, reached: np.ndarray, targets: np.ndarray, claims: Claims, params: TargetedParams
) -> str:
    """Say how many attacks reached their target with the wanted confidence, at the first strength and at the last."""
    strengths = claims.names(len(reached))
    each = params.target == "all"
    target = "their target" if each else classifier.class_names[targets[0]]
    told = [out_of(int(one.sum()), one.size, "attack" if each else "image") for one in reached]
    verb = "reach" if each else "read as"
    words = f"{told[0]} {verb} {target} with a confidence of at least {100 * params.confidence:g}%"
    if not strengths:
        return words
    return f"{words} at {claims.axis} {strengths[0]}, {told[-1].partition(' ')[0]} at {strengths[-1]}"


def attack(
    classifier: Classifier,
    images: np.ndarray,
    target: np.ndarray,
    params: TargetedParams,
    strengths: Sequence[float],
    seed: int,
    advance: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """Attack images [N, H, W, C] towards targets [N], as the parameters say.

    Args:
        classifier: The model.
        images: The originals.
        target: What each is to be read as.
        params: How.
        strengths: The betas, or with pgd the epsilons.
        seed: Seeds random starts.
        advance: Called with the number of steps just done.

    Returns:
        ``adversarial`` [E, N, H, W, C], ``steps`` int64 [E, N] and, where there is one, ``beta`` float64 [E, N].
    """
    if params.closest:
        # The logit alone rises along with those of other classes, and gets there by a detour (of about a sixth, on the
        # classic network).
        climb = adam(classifier, params, LogOdds(targeted=True), "closest")
        first = params.beta[0] or 1.0
        found = largest_beta(climb, classifier, images, target, first=first, rounds=params.rounds, advance=advance)
        return {"adversarial": found.adversarial[None], "steps": found.steps[None], "beta": found.beta[None]}
    along = np.array(strengths, np.float64)[:, None]
    if params.method == "pgd":
        outcome = ball(classifier, params).run(classifier, images, target, epsilon=along, seed=seed, advance=advance)
        return {"adversarial": outcome.adversarial, "steps": outcome.steps}
    climb = adam(classifier, params, ClassLogit(), "last" if len(strengths) > 1 else "closest")
    outcome = climb.run(classifier, images, target, beta=along, advance=advance)
    beta = np.broadcast_to(along, outcome.steps.shape).copy()
    return {"adversarial": outcome.adversarial, "steps": outcome.steps, "beta": beta}


def adam(
    classifier: Classifier, params: TargetedParams, objective: ClassLogit | LogOdds, then: Literal["closest", "last"]
) -> Attack:
    """The objective less beta times the squared difference, climbed with Adam in the box of the value range."""
    low, high = classifier.bounds
    return Attack(
        objective=objective,
        penalties=(SquaredDistance((high - low) ** -2),),
        norm=None,
        step=Adam(),
        step_size=(params.step_size or STEP) * (high - low),
        steps=params.steps,
        goal=Confident(params.confidence),
        then=then,
        eight_bit=params.eight_bit,
    )


def ball(classifier: Classifier, params: TargetedParams) -> Attack:
    """The target's log-odds, climbed within a ball until it has the confidence."""
    low, high = classifier.bounds
    climb = pgd(
        targeted=True,
        steps=params.steps,
        norm=params.norm,
        step_size=None if params.step_size is None else params.step_size * (high - low),
        random_start=params.random_start,
        eight_bit=params.eight_bit,
    )
    return replace(climb, goal=Confident(params.confidence))


def claimed(params: TargetedParams, strengths: Sequence[float]) -> Claims:
    """What the attack promises: for pgd its ball, and what the axis E stands for."""
    if params.method == "pgd":
        return Claims(norm=params.norm, epsilons=tuple(strengths), eight_bit=params.eight_bit)
    betas = tuple(strengths) if len(strengths) > 1 else None
    return Claims(eight_bit=params.eight_bit, strengths=betas, axis="beta")


def of_target(measured: Measured, confidence: float) -> dict[str, np.ndarray]:
    """How sure the model is of everything and of the target, before and after, and how far the pixels moved."""
    target = measured.arrays["target"]
    before, after, rounded = (measured.probabilities[name] for name in ("before", "after", "after_8bit"))
    sure = of_class(after, target)
    return {
        "probabilities_before": before,
        "probabilities_after": after,
        "target_confidence_before": of_class(before, target),
        "target_confidence": sure,
        "target_confidence_8bit": of_class(rounded, target),
        "reached": sure >= confidence,
        "mean_squared_difference": mean_squared_difference(measured.arrays),
    }


def mean_squared_difference(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The squared difference to the original, mean over the pixels, [E, N]."""
    return np.asarray(np.square(arrays["l2"]) / np.prod(arrays["original"].shape[1:]))


def _by_strength(arrays: Mapping[str, np.ndarray], confidence: float) -> dict[str, np.ndarray]:
    """The metrics at each strength, each [E]."""
    sure = arrays["target_confidence"]
    return {
        "reached": (sure >= confidence).mean(axis=1),
        "reached_8bit": (arrays["target_confidence_8bit"] >= confidence).mean(axis=1),
        "target_confidence": sure.mean(axis=1, dtype=np.float64),
        "lowest_target_confidence": sure.min(axis=1),
        "mean_squared_difference": mean_squared_difference(arrays).mean(axis=1),
    }


def show(classifier: Classifier, measured: Measured, claims: Claims, index: int) -> list[Picture | Scrub | Bars]:
    """The image before and after, what changed, and the probabilities; of several strengths, each without these."""
    names, arrays = classifier.class_names, measured.arrays
    target, before = int(arrays["target"][index]), int(arrays["label_before"][index])
    sure = percent(arrays["confidence_before"][index])
    original = Picture.of_image(
        At("original", index), classifier.bounds, f"read as {names[before]} ({sure}), to be {names[target]}"
    )

    changes = arrays["adversarial"][:, index] - arrays["original"][index]
    largest = float(np.abs(changes).max())  # the strengths of an image are told on one scale

    def frame(strength: int) -> tuple[Picture, Picture]:
        read = names[arrays["label_after"][strength, index]]
        sure = percent(arrays["confidence_after"][strength, index])
        return (
            Picture.of_image(
                At("adversarial", (strength, index)),
                classifier.bounds,
                f"read as {read} ({sure})",
                mark=bool(arrays["success"][strength, index]),
            ),
            Picture(
                values=changes[strength],
                title=f"difference, L2 {arrays['l2'][strength, index]:.2f}",
                scale="diverging",
                limits=(-largest, largest),
            ),
        )

    stops = claims.names(len(arrays["adversarial"]))[: matrix.MOST_STRENGTHS]
    if stops:
        return [original, Scrub(axis=claims.axis, stops=stops, frames=tuple(map(frame, range(len(stops)))))]
    series = (
        Series(name="before", values=At("probabilities_before", index)),
        Series(name="after", values=At("probabilities_after", (0, index))),
    )
    return [
        original,
        *frame(0),
        Bars(names=names, series=series, label="", percent=True, limits=(0, 1), highlight=target),
    ]


def trade_off(arrays: dict[str, np.ndarray], claims: Claims, confidence: float) -> Curves:
    """The target's probability against the mean squared difference, a point for each strength."""
    sure, change = arrays["target_confidence"], arrays["mean_squared_difference"]
    count = sure.shape[1]
    order = np.argsort(change.mean(axis=1))
    x = change.mean(axis=1)[order]
    names = tuple(claims.names(len(sure))[index] for index in order)
    lines = [
        Line(name=f"mean of {count:,}" if count > 1 else "the image", x=x, y=sure.mean(axis=1)[order], points=names)
    ]
    if count > 1:
        lines.append(Line(name="median", x=np.median(change, axis=1)[order], y=np.median(sure, axis=1)[order]))
    return Curves(
        lines=tuple(lines),
        x_label="mean squared difference to the original",
        y_label="probability of the target",
        title=f"The trade-off: how sure, at what change ({claims.axis} beside each point)",
        percent=True,
        y_limits=(0, 1.05),
        x_scale="log" if 0 < x.min() * 20 < x.max() else "linear",
        horizontal={f"wanted: {100 * confidence:g}%": confidence},
    )


def _say_missed(
    classifier: Classifier, arrays: dict[str, np.ndarray], confidence: float, sources: Sequence[str], context: Context
) -> None:
    target, sure = arrays["target"], arrays["target_confidence"]
    told = [f"{source} as {classifier.class_names[wanted]}" for source, wanted in zip(sources, target, strict=True)]
    already = np.flatnonzero(arrays["label_before"] == target)
    if len(already):
        context.warn(
            f"{len(already)} of {len(target)} are read as the target before the attack, and take part in no success "
            f"rate ({few(told[index] for index in already)})."
        )
    missed = np.flatnonzero(~arrays["reached"][0])
    if len(missed) and len(sure) == 1:
        context.warn(
            f"{len(missed)} of {len(target)} attacks did not reach the confidence {confidence:g} "
            f"({few(f'{told[index]}: {sure[0, index]:.3g}' for index in missed)})."
        )
