"""The fast gradient sign method (Goodfellow et al., 2015), and its iterated forms (Kurakin et al., Madry et al.)."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnlab.analysis import Context, Inputs, Result
from cnnlab.analysis.adversarial import Claims, Measured, measure
from cnnlab.analysis.adversarial_names import SINGLE_METRICS
from cnnlab.attacks import Attack, Norm, fgsm, pgd, round_8bit
from cnnlab.attacks.attack import largest_epsilon
from cnnlab.classifier import Classifier
from cnnlab.figures import Picture, tiles
from cnnlab_fgsm_untargeted import FgsmUntargetedParams

SHARES: dict[Norm, tuple[float, ...]] = {"linf": (0.1, 0.2, 0.3), "l2": (0.05, 0.1, 0.15)}
"""The default strengths, as shares of the radius of the ball that holds every image of the model."""

MOST_DRAWN, MOST_STRENGTHS = 8, 4
"""Images, and strengths of each, in the figure; arrays.npz holds all."""


def run(classifier: Classifier, inputs: Inputs, params: FgsmUntargetedParams, context: Context) -> Result:
    """Attack every image at every strength, away from its label (where unknown, from the class it is read as)."""
    original = _originals(classifier, inputs, params, context)
    epsilons = strengths(params, classifier.bounds, original.shape[1:])
    labels = np.where(inputs.labels >= 0, inputs.labels, classifier.predict(original))
    with context.progress("steps", original.shape[0] * len(epsilons) * params.steps * (1 + params.restarts)) as advance:
        outcome = attack(params).run(
            classifier, original, labels, epsilon=np.array(epsilons)[:, None], seed=context.seed, advance=advance
        )
    # One strength alone has no axis of its own.
    adversarial, steps = (a if len(epsilons) > 1 else a[0] for a in (outcome.adversarial, outcome.steps))
    claims = Claims(norm=params.norm, epsilons=epsilons, eight_bit=params.eight_bit)
    measured = measure(classifier, original, adversarial, inputs.labels, claims=claims, sources=inputs.sources)
    pictures = _pictures(classifier, measured, params, epsilons, 0)
    return Result(
        arrays={**measured.arrays, "steps": steps},
        metrics=measured.metrics if len(epsilons) > 1 else _named(measured.metrics, claims),
        rows=measured.rows,
        claims=claims,
        figures={"": lambda: _figure(classifier, inputs, measured, params, epsilons)},
        pictures=pictures[-2:],
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


def strengths(params: FgsmUntargetedParams, bounds: tuple[float, float], shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return the radii to search, ascending, each once, in the model's units.

    Args:
        params: Their ``epsilon``; where it is empty, :data:`SHARES` of the ball that holds every image.
        bounds: The model's value range.
        shape: An image's [H, W, C].
    """
    whole = largest_epsilon(bounds, shape, params.norm)
    return tuple(sorted(set(params.epsilon))) or tuple(share * whole for share in SHARES[params.norm])


def _originals(classifier: Classifier, inputs: Inputs, params: FgsmUntargetedParams, context: Context) -> np.ndarray:
    if not params.eight_bit:
        return inputs.images
    rounded = round_8bit(inputs.images, classifier.bounds)
    moved = int((rounded != inputs.images).any(axis=(1, 2, 3)).sum())
    if moved:
        context.warn(f"{moved} of {len(inputs)} images were no 8-bit images: with --eight-bit they were rounded first.")
    return rounded


def _named(metrics: dict[str, float], claims: Claims) -> dict[str, float]:
    """Give the metrics of one strength the names that they have among several as well: one gate fits both."""
    (strength,) = claims.along(1)
    return metrics | {
        f"{'accuracy' if name == 'accuracy_after' else name}@{strength}": metrics[name] for name in SINGLE_METRICS
    }


def _of(measured: Measured, name: str, strength: int) -> np.ndarray:
    """One strength of an array that may or may not have an axis of strengths."""
    array = measured.arrays[name]
    flat = measured.arrays["adversarial"].ndim == measured.arrays["original"].ndim
    return array if flat else array[strength]


def _pictures(
    classifier: Classifier,
    measured: Measured,
    params: FgsmUntargetedParams,
    epsilons: tuple[float, ...],
    index: int,
) -> list[Picture]:
    """The image, and for each strength the noise and what became of the image."""
    names, arrays = classifier.class_names, measured.arrays
    original, label = arrays["original"][index], int(arrays["label"][index])
    before = f"read as {names[arrays['label_before'][index]]} ({arrays['confidence_before'][index]:.1%})"
    if label >= 0 and label != arrays["label_before"][index]:
        before += f", misread: it is {names[label]}"
    pictures = [Picture.of_image(original, classifier.bounds, title=before)]
    for strength, epsilon in enumerate(epsilons[:MOST_STRENGTHS]):
        adversarial = _of(measured, "adversarial", strength)[index]
        read = names[_of(measured, "label_after", strength)[index]]
        sure = _of(measured, "confidence_after", strength)[index]
        verb = "still" if read == names[arrays["label_before"][index]] else "read as"
        noise = adversarial.astype(np.float64) - original
        # Colours at full strength stand for a pixel moved by all of epsilon; an L2 noise has a scale of its own.
        limits = (-epsilon, epsilon) if params.norm == "linf" and epsilon else None
        pictures += [
            Picture(noise, title=f"noise, {params.norm} {epsilon:g}", scale="diverging", limits=limits),
            Picture.of_image(adversarial, classifier.bounds, title=f"{verb} {read} ({sure:.1%})"),
        ]
    return pictures


def _figure(
    classifier: Classifier,
    inputs: Inputs,
    measured: Measured,
    params: FgsmUntargetedParams,
    epsilons: tuple[float, ...],
) -> Any:
    drawn = range(min(len(inputs), MOST_DRAWN))
    pictures = [p for index in drawn for p in _pictures(classifier, measured, params, epsilons, index)]
    title = "Fast gradient sign method" if params.norm == "linf" else "Fast gradient method"
    if params.steps > 1:
        title = f"Projected gradient descent, {params.steps} steps"
    if len(inputs) > MOST_DRAWN:
        title += f": the first {MOST_DRAWN} of {len(inputs):,} images"
    columns = 1 + 2 * min(len(epsilons), MOST_STRENGTHS)
    return tiles(pictures, title=title, columns=columns, size=1.6)
