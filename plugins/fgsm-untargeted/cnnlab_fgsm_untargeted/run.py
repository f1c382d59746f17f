"""The fast gradient sign method (Goodfellow et al., 2015), and its iterated forms (Kurakin et al., Madry et al.)."""

from __future__ import annotations

import functools

import numpy as np

from cnnlab.plugin import (
    SINGLE_METRICS,
    At,
    Attack,
    Claims,
    Classifier,
    Context,
    Inputs,
    Measured,
    Norm,
    Picture,
    Result,
    Scrub,
    derive,
    fgsm,
    measure,
    out_of,
    percent,
    pgd,
)
from cnnlab_fgsm_untargeted import FgsmUntargetedParams

SHARES: dict[Norm, tuple[float, ...]] = {"linf": (0.1, 0.2, 0.3), "l2": (0.05, 0.1, 0.15)}
"""The default strengths, as shares of the radius of the ball that holds every image of the model."""

MOST_STRENGTHS = 4
"""Strengths of each image that are shown; arrays.npz holds all."""


def run(classifier: Classifier, inputs: Inputs, params: FgsmUntargetedParams, context: Context) -> Result:
    """Attack every image at every strength, away from its label (where unknown, from the class it is read as)."""
    original = context.on_grid(inputs, params.eight_bit)
    epsilons = params.radii(classifier.bounds, inputs.shape, SHARES)
    labels = classifier.own_class(original, inputs.labels)
    with context.progress("steps", len(original) * len(epsilons) * params.steps * (1 + params.restarts)) as advance:
        outcome = attack(params).run(
            classifier, original, labels, epsilon=np.array(epsilons)[:, None], seed=context.seed, advance=advance
        )
    claims = Claims(norm=params.norm, epsilons=epsilons, eight_bit=params.eight_bit)
    measured = measure(classifier, original, outcome.adversarial, inputs.labels, claims=claims)
    return Result(
        arrays={**measured.arrays, "steps": outcome.steps},
        claims=claims,
        show=functools.partial(show, classifier, measured, params, epsilons),
        title=_title(params),
    )


def sum_up(classifier: Classifier, result: Result, params: FgsmUntargetedParams) -> Result:
    """Count what became of the images at each strength."""
    claims = result.claims or Claims()
    found = derive(result.arrays, claims)
    single = len(found.arrays["success"]) == 1
    return Result(
        headline=headline(classifier, found, claims),
        metrics=_named(found.metrics, claims) if single else found.metrics,
        columns=found.columns,
    )


def attack(params: FgsmUntargetedParams) -> Attack:
    """Return the attack that the parameters ask for: one plain step is the formula, anything else the iteration."""
    if params.steps == 1 and params.step_size is None and not params.random_start:
        return fgsm(norm=params.norm, eight_bit=params.eight_bit)
    return pgd(
        steps=params.steps,
        norm=params.norm,
        step_size=params.step_size,
        random_start=params.random_start,
        restarts=params.restarts,
        eight_bit=params.eight_bit,
    )


def _named(metrics: dict[str, float], claims: Claims) -> dict[str, float]:
    """Give the metrics of one strength the names that they have among several as well: one gate fits both."""
    (strength,) = claims.strength_names(1)
    return metrics | {
        f"{'accuracy' if name == 'accuracy_after' else name}@{strength}": metrics[name] for name in SINGLE_METRICS
    }


def headline(classifier: Classifier, measured: Measured, claims: Claims) -> str:
    """Say how many images are misread at the least and at the largest epsilon; of one image, as what."""
    names, arrays = classifier.class_names, measured.arrays
    counted, success = arrays["counted"], arrays["success"]
    strengths = claims.strength_names(len(success))
    if not counted.any():
        return f"{'The' if len(counted) == 1 else 'Every'} image is misread without an attack"
    if len(counted) == 1:
        before = names[arrays["label_before"][0]]
        if not success.any():
            return f"The image is still read as {before} at epsilon {strengths[-1]}"
        first = int(success[:, 0].argmax())
        after = names[arrays["label_after"][first, 0]]
        return f"The image is read as {after} instead of {before} at epsilon {strengths[first]}"
    noun = "image" if counted.all() else "correctly read image"
    words = "misread" if (arrays["label"] >= 0).all() else "read otherwise than before"
    told = [out_of(int(each.sum()), int(counted.sum()), noun) for each in success]
    several = f", {told[-1].partition(' ')[0]} at {strengths[-1]}" if len(strengths) > 1 else ""
    return f"{told[0]} {words} at epsilon {strengths[0]}{several}"


def _title(params: FgsmUntargetedParams) -> str:
    if params.steps > 1:
        return f"Projected gradient descent, {params.steps} steps"
    return "Fast gradient sign method" if params.norm == "linf" else "Fast gradient method"


def show(
    classifier: Classifier,
    measured: Measured,
    params: FgsmUntargetedParams,
    epsilons: tuple[float, ...],
    index: int,
) -> list[Picture | Scrub]:
    """The image, and for each strength the noise, all on one scale, and what became of the image."""
    names, arrays = classifier.class_names, measured.arrays
    # Full colour stands for a pixel moved by all of the largest epsilon; an L2 noise moves none that far.
    largest = max(epsilons) if params.norm == "linf" else float(arrays["linf"][:, index].max(initial=0.0))
    label, before = int(arrays["label"][index]), int(arrays["label_before"][index])
    words = f"read as {names[before]} ({percent(arrays['confidence_before'][index])})"
    if label >= 0 and label != before:
        words += f", misread: it is {names[label]}"

    def frame(strength: int) -> tuple[Picture, Picture]:
        read = int(arrays["label_after"][strength, index])
        sure = percent(arrays["confidence_after"][strength, index])
        noise = arrays["adversarial"][strength, index].astype(np.float64) - arrays["original"][index]
        return (
            Picture(values=noise, title="noise", scale="diverging", limits=(-largest, largest)),
            Picture.of_image(
                At("adversarial", (strength, index)),
                classifier.bounds,
                f"{'still' if read == before else 'read as'} {names[read]} ({sure})",
                mark=bool(arrays["success"][strength, index]),
            ),
        )

    frames = tuple(map(frame, range(min(len(epsilons), MOST_STRENGTHS))))
    stops = tuple(f"{epsilon:g}" for epsilon in epsilons[:MOST_STRENGTHS])
    return [
        Picture.of_image(At("original", index), classifier.bounds, words),
        Scrub(axis=f"{params.norm} epsilon", stops=stops, frames=frames),
    ]
