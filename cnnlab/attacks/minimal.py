"""The smallest strength that fools, image by image, by bisection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnlab.attacks.attack import Attack, Model
from cnnlab.attacks.balls import distances
from cnnlab.errors import UsageError

MOST_ROUNDS = 24
"""The bracket is then narrower than float32 can tell."""


@dataclass(frozen=True, kw_only=True)
class Smallest:
    """What a bisection found.

    Attributes:
        epsilon: float64 [N], the distance of the nearest image found that reaches the goal; infinite where none was.
        adversarial: float32 [N, H, W, C], those images; the originals where none was found.
        reached: bool [N].
    """

    epsilon: np.ndarray
    adversarial: np.ndarray
    reached: np.ndarray


def smallest_epsilon(
    attack: Attack,
    model: Model,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    most: float,
    tolerance: float,
    found: tuple[np.ndarray, np.ndarray] | None = None,
    least: np.ndarray | float = 0.0,
    seed: int = 0,
    batch_size: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Smallest:
    """Bisect the radius at which ``attack`` reaches its goal, for each image.

    The result is an upper bound, as for every attack: some other attack may find a nearer image. The upper end of an
    image's bracket is the distance of the image found, not the radius searched, and each round begins at the image
    found last, drawn in toward the original.

    Args:
        attack: An attack in a ball; its step size should follow epsilon (``step_size=None``).
        model: An opened classifier.
        images: [N, H, W, C] in the model's bounds.
        labels: [N], the class that the attack's goal is about.
        most: The largest radius tried.
        tolerance: How narrow the bracket is to become, in the model's units.
        found: Images already known to reach the goal: [N, H, W, C], and bool [N] which of them do.
        least: A radius known not to suffice, a number or [N].
        seed: Seeds the random streams.
        batch_size: Rows computed at once.
        advance: Called with the number of images just settled; they add up to N.

    Raises:
        UsageError: The attack has no ball, or the tolerance is not above 0.
    """
    if attack.norm is None or tolerance <= 0:
        raise UsageError("bisection needs an attack in a ball and a tolerance above 0.")
    images = np.ascontiguousarray(images, np.float32)
    labels = np.broadcast_to(np.asarray(labels, np.int64), len(images))
    report = advance or (lambda images: None)
    common: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    best = images.copy()
    reached = np.zeros(len(images), bool)
    if found is not None:
        best[found[1]] = found[0][found[1]]
        reached |= found[1]
    missing = np.flatnonzero(~reached)
    if len(missing):
        first = attack.run(model, images[missing], labels[missing], epsilon=most, **common)
        best[missing[first.reached]] = first.adversarial[first.reached]
        reached[missing] = first.reached
    high = np.where(reached, distances(images, best, attack.norm), np.inf)
    low = np.minimum(np.broadcast_to(np.asarray(least, np.float64), len(images)), high).copy()
    settled = 0
    # Halving comes to an end at the tolerance, and at the spacing of float32 numbers in any case.
    for _ in range(MOST_ROUNDS):
        open_ = np.flatnonzero(np.isfinite(high) & (high - low > tolerance))
        report(len(images) - len(open_) - settled)
        settled = len(images) - len(open_)
        if not len(open_):
            break
        middle = (low[open_] + high[open_]) / 2
        drawn = (middle / high[open_])[:, None, None, None]
        starts = images[open_] + drawn * (best[open_] - images[open_])
        tried = attack.run(model, images[open_], labels[open_], epsilon=middle, starts=starts, **common)
        nearer = open_[tried.reached]
        best[nearer] = tried.adversarial[tried.reached]
        high[nearer] = np.minimum(high[nearer], distances(images[nearer], best[nearer], attack.norm))
        low[open_[~tried.reached]] = middle[~tried.reached]
        low = np.minimum(low, high)
    report(len(images) - settled)
    return Smallest(epsilon=high, adversarial=best, reached=reached)
