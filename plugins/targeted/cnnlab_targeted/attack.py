"""The attacks themselves: the logit less beta times the change, the search for beta, and the ball of epsilon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from cnnlab.attacks import Adam, Attack, ClassLogit, Confident, LogOdds, Objective, SquaredDistance, distances, pgd
from cnnlab.classifier import Classifier
from cnnlab_targeted import TargetedParams

FACTOR = 4.0
"""By how much beta grows or shrinks in the search, until one reached the confidence and one did not."""


@dataclass(frozen=True)
class Found:
    """What an attack found for rows [N] or [E, N].

    Attributes:
        adversarial: [*rows, H, W, C].
        steps: int64 [*rows].
        beta: float64 [*rows]; None without one.
    """

    adversarial: np.ndarray
    steps: np.ndarray
    beta: np.ndarray | None


def adam(
    classifier: Classifier, params: TargetedParams, objective: Objective, then: Literal["closest", "last"]
) -> Attack:
    """The objective less beta times the squared difference, climbed with Adam in the box of the value range."""
    low, high = classifier.bounds
    return Attack(
        objective=objective,
        penalties=(SquaredDistance((high - low) ** -2),),
        norm=None,
        step=Adam(),
        step_size=params.step_size * (high - low),
        steps=params.steps,
        goal=Confident(params.confidence),
        then=then,
        eight_bit=params.eight_bit,
    )


def attack(
    classifier: Classifier,
    images: np.ndarray,
    target: np.ndarray,
    params: TargetedParams,
    advance: Callable[[int], None],
) -> Found:
    """Attack images [N, H, W, C] towards targets [N], as the parameters say.

    Returns:
        Rows [E, N] where several betas or epsilons were given, else [N].
    """
    several: Any
    if params.method == "pgd":
        ball = pgd(targeted=True, steps=params.steps, norm=params.norm, eight_bit=params.eight_bit)
        several = np.asarray(params.epsilon)[:, None] if len(params.epsilon) > 1 else params.epsilon[0]
        ball = replace(ball, goal=Confident(params.confidence))
        found = ball.run(classifier, images, target, epsilon=several, advance=advance)
        return Found(found.adversarial, found.steps, None)
    if params.closest:
        return closest(classifier, images, target, params, advance)
    several = np.asarray(params.beta)[:, None] if len(params.beta) > 1 else params.beta[0]
    found = adam(classifier, params, ClassLogit(), "last" if len(params.beta) > 1 else "closest").run(
        classifier, images, target, beta=several, advance=advance
    )
    return Found(found.adversarial, found.steps, np.broadcast_to(several, found.steps.shape).astype(np.float64))


def closest(
    classifier: Classifier,
    images: np.ndarray,
    target: np.ndarray,
    params: TargetedParams,
    advance: Callable[[int], None],
) -> Found:
    """Search beta for each image: the nearest image of all that reached the confidence.

    A beta that reached it is raised, one that did not is lowered; once an image has one of each, the next lies midway
    between them on a logarithmic scale. An image that no beta got there keeps the last of the smallest beta.

    What is climbed are the target's log-odds: the logit alone rises along with those of other classes, and gets there
    by a detour (of about a sixth, on the classic network).
    """
    attack = adam(classifier, params, LogOdds(targeted=True), "closest")
    count = len(images)
    beta = np.full(count, params.beta[0] or 1.0)
    lower, upper = np.zeros(count), np.full(count, np.inf)
    best = images.copy()
    nearest, least = np.full(count, np.inf), np.full(count, np.inf)
    steps, with_beta = np.zeros(count, np.int64), np.zeros(count)
    for _ in range(params.rounds):
        found = attack.run(classifier, images, target, beta=beta, advance=advance)
        far = distances(images, found.adversarial, "l2")
        never = np.isinf(nearest)
        better = np.where(found.reached, far < nearest, never & (beta < least))
        best[better], steps[better], with_beta[better] = found.adversarial[better], found.steps[better], beta[better]
        nearest = np.where(found.reached & better, far, nearest)
        least = np.minimum(least, beta)
        lower = np.where(found.reached, np.maximum(lower, beta), lower)
        upper = np.where(found.reached, upper, np.minimum(upper, beta))
        beta = next_beta(lower, upper)
    return Found(best, steps, with_beta)


def next_beta(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Choose the next beta of each image, between the largest that reached and the smallest that did not, [N].

    Args:
        lower: The largest that reached the confidence; 0 where none has.
        upper: The smallest that did not; infinite where all have.
    """
    with np.errstate(invalid="ignore"):
        between = np.sqrt(lower * upper)
    return np.asarray(np.where(lower == 0, upper / FACTOR, np.where(np.isinf(upper), lower * FACTOR, between)))
