"""The smallest change that reaches a goal, image by image: of a few radii, by bisection of epsilon, or for beta."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from cnnlab.attacks.attack import Attack, Model, Outcome
from cnnlab.errors import UsageError
from cnnlab.perturbations import Norm, distances

MOST_ROUNDS = 24
"""The bracket is then narrower than float32 can tell."""

FACTOR = 4.0
"""By how much beta grows or shrinks in the search, until one reached the goal and one did not."""


@dataclass(frozen=True, kw_only=True)
class Smallest:
    """What a bisection found.

    Attributes:
        epsilon: float64 [N], the distance of the nearest image found that reaches the goal; infinite where none was.
        adversarial: float32 [N, H, W, C], those images; the originals where none was found.
        reached: bool [N], whether one was found.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import pgd, smallest_epsilon
        >>> from cnnlab.testing import FakeClassifier
        >>> model, images = FakeClassifier.of_brightness(), np.full((1, 2, 2, 1), 0.1, np.float32)
        >>> found = smallest_epsilon(pgd(), model, images, np.array([0]), most=0.2, tolerance=0.01)
        >>> found.reached.tolist(), found.epsilon.tolist()
        ([False], [inf])
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

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import pgd
        >>> from cnnlab.testing import FakeClassifier
        >>> model, images = FakeClassifier.of_brightness(), np.full((1, 2, 2, 1), 0.4, np.float32)
        >>> found = smallest_epsilon(pgd(), model, images, np.array([0]), most=1.0, tolerance=0.001)
        >>> found.epsilon.round(2).tolist()
        [0.1]
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


def sweep(
    attack: Attack,
    model: Model,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epsilons: Sequence[float],
    found: Outcome | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Outcome:
    """Attack images at several radii, the largest first, and none where the answer is known.

    Each image goes down its radii by itself, so that batches stay full.

    An image found lies in every ball that is no smaller than its distance: in these nothing more is tried. In smaller
    ones the attack begins at the image found last, drawn in toward the original. Once that does not reach its goal, the
    original is taken to withstand the attack in still smaller balls, too. An original that was reached at no radius yet
    is attacked at every one: an attack may fail in a large ball only because its steps are long.

    Args:
        attack: An attack in a ball; its step size should follow epsilon (``step_size=None``).
        model: An opened classifier.
        images: [N, H, W, C] in the model's bounds.
        labels: [N], the class that the attack's goal is about.
        epsilons: E radii, ascending.
        found: What another attack found at these radii, rows [E, N]; the search goes on from there.
        seed: Seeds the random streams.
        batch_size: Rows computed at once.
        advance: Called with the number of steps just done or saved; they add up to E * N * steps * (1 + restarts).

    Returns:
        Rows [E, N]. What is reached at one radius is so at every larger one. Where nothing was tried and nothing found,
        the original stands, with its logits and no steps.

    Raises:
        UsageError: The attack has no ball, or the radii do not ascend.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import pgd
        >>> from cnnlab.testing import FakeClassifier
        >>> model, images = FakeClassifier.of_brightness(), np.full((1, 2, 2, 1), 0.4, np.float32)
        >>> found = sweep(pgd(), model, images, np.array([0]), epsilons=(0.05, 0.2, 0.3))
        >>> found.reached.ravel().tolist()
        [False, True, True]
    """
    radii = np.asarray(epsilons, np.float64)
    if attack.norm is None or (np.diff(radii) <= 0).any():
        raise UsageError("a sweep needs an attack in a ball, and radii that ascend.")
    images = np.ascontiguousarray(images, np.float32)
    labels = np.broadcast_to(np.asarray(labels, np.int64), len(images))
    report = advance or (lambda steps: None)
    each = attack.steps * (1 + attack.restarts)
    swept = _Swept.of(images, labels, radii, attack, model, found)
    tries = 0
    while True:
        tried, strength = swept.open()
        if not len(tried):
            break
        tries += len(tried)
        radius, before = radii[strength], np.isfinite(swept.distance[tried])
        for some, starts in (
            (~before, None),
            (before, swept.drawn_in(tried[before], radius[before])),
        ):
            outcome = attack.run(
                model,
                images[tried[some]],
                labels[tried[some]],
                epsilon=radius[some],
                starts=starts,
                seed=seed,
                batch_size=batch_size,
                advance=advance,
            )
            swept.put(strength[some], tried[some], {name: getattr(outcome, name) for name in _ROWS})
    report((len(radii) * len(images) - tries) * each)
    return swept.outcome.carried()


@dataclass
class _Swept:
    """What a sweep knows.

    Attributes:
        images: The originals [N, H, W, C].
        radii: [E].
        norm: The balls' norm.
        outcome: Rows [E, N].
        best: The nearest image found of each original [N, H, W, C].
        distance: How far it is, [N]; infinite where there is none.
        withstood: Which originals were reached before, and then not in a smaller ball, [N].
        lowest: The least strength that each original was attacked at, int [N]; E at first.
    """

    images: np.ndarray
    radii: np.ndarray
    norm: Norm
    outcome: Outcome
    best: np.ndarray
    distance: np.ndarray
    withstood: np.ndarray
    lowest: np.ndarray

    @classmethod
    def of(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        radii: np.ndarray,
        attack: Attack,
        model: Model,
        found: Outcome | None,
    ) -> _Swept:
        """Begin a sweep: with what another attack found, and with the originals, which lie in every ball."""
        assert attack.norm is not None
        outcome = Outcome.empty((len(radii), len(images)), images.shape[1:], model.num_classes, None)
        outcome.adversarial[:], outcome.logits[:] = images, model.logits(images)
        swept = cls(
            images=images,
            radii=radii,
            norm=attack.norm,
            outcome=outcome,
            best=images.copy(),
            distance=np.full(len(images), np.inf),
            withstood=np.zeros(len(images), bool),
            lowest=np.zeros(len(images), np.int64),
        )
        everything = np.arange(len(images))
        own = {name: getattr(outcome, name)[-1].copy() for name in _ROWS}
        own["reached"] = np.asarray(attack.goal(tf.constant(own["logits"]), tf.constant(labels)))
        for strength in reversed(range(len(radii))) if found is not None else ():
            swept.put(strength, everything, {name: getattr(found, name)[strength] for name in _ROWS})
        swept.put(len(radii) - 1, everything, own)
        swept.withstood[:], swept.lowest[:] = False, len(radii)
        return swept

    def open(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the originals of which the answer is not known at some strength, and the largest such strength."""
        places = np.arange(len(self.radii))[:, None]
        waiting = ~self.outcome.reached & ~self.withstood & (places < self.lowest)
        largest = np.where(waiting, places, -1).max(axis=0, initial=-1)
        some = np.flatnonzero(largest >= 0)
        return some, largest[some]

    def drawn_in(self, some: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """Return the nearest images found of some originals, drawn in toward each to a radius."""
        share = (radius / self.distance[some])[:, None, None, None]
        return np.asarray(self.images[some] + share * (self.best[some] - self.images[some]), np.float32)

    def put(self, strength: np.ndarray | int, some: np.ndarray, found: dict[str, np.ndarray]) -> None:
        """Take over what was found of some originals, each at a strength, there and in smaller balls that hold it."""
        reached = found["reached"]
        far = np.where(reached, distances(self.images[some], found["adversarial"], self.norm), np.inf)
        self.withstood[some], self.lowest[some] = ~reached & np.isfinite(self.distance[some]), strength
        nearer = far < self.distance[some]
        self.best[some[nearer]], self.distance[some[nearer]] = found["adversarial"][nearer], far[nearer]
        for place, radius in enumerate(self.radii):
            here = (place == np.asarray(strength)) & (reached | ~self.outcome.reached[place, some])
            taken = here | ((place < np.asarray(strength)) & (far <= radius))
            for name, values in found.items():
                getattr(self.outcome, name)[place, some[taken]] = values[taken]


_ROWS = ("adversarial", "reached", "steps", "logits", "flat")


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """What a search for beta found.

    Attributes:
        beta: float64 [N], the beta that each image was found with.
        adversarial: float32 [N, H, W, C], the nearest of all images that reached the goal; where none did, the last of
            the smallest beta.
        reached: bool [N], whether any reached it.
        steps: int64 [N], the steps taken to it.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Adam, Attack, SquaredDistance, largest_beta
        >>> from cnnlab.testing import FakeClassifier
        >>> attack = Attack(
        ...     penalties=(SquaredDistance(),), norm=None, step=Adam(), step_size=0.05, steps=20, then="closest"
        ... )
        >>> model, images = FakeClassifier.of_brightness(), np.full((1, 2, 2, 1), 0.4, np.float32)
        >>> found = largest_beta(attack, model, images, np.array([0]), first=1.0, rounds=4)
        >>> found.reached.tolist(), bool(found.beta[0] > 0)
        ([True], True)
    """

    beta: np.ndarray
    adversarial: np.ndarray
    reached: np.ndarray
    steps: np.ndarray


def largest_beta(
    attack: Attack,
    model: Model,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    first: float,
    rounds: int,
    advance: Callable[[int], None] | None = None,
) -> Nearest:
    """Search, for each image, the largest factor of the penalty under which ``attack`` still reaches its goal.

    A beta that reached it is raised, one that did not is lowered; once an image has one of each, the next lies midway
    between them on a logarithmic scale (as Carlini and Wagner, "Towards Evaluating the Robustness of Neural Networks",
    2017, search their c).

    Args:
        attack: An attack with a :class:`~cnnlab.plugin.SquaredDistance` penalty and ``then="closest"``.
        model: An opened classifier.
        images: [N, H, W, C] in the model's bounds.
        labels: [N], the class that the attack's goal is about.
        first: The beta that the search begins with, above 0.
        rounds: How many betas are tried for each image.
        advance: Called with the number of steps just done; they add up to N * rounds * the attack's steps.

    Raises:
        UsageError: As :meth:`Attack.run`.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Adam, Attack, SquaredDistance
        >>> from cnnlab.testing import FakeClassifier
        >>> attack = Attack(
        ...     penalties=(SquaredDistance(),), norm=None, step=Adam(), step_size=0.05, steps=20, then="closest"
        ... )
        >>> model, images = FakeClassifier.of_brightness(), np.full((1, 2, 2, 1), 0.4, np.float32)
        >>> found = largest_beta(attack, model, images, np.array([0]), first=1.0, rounds=4)
        >>> model.predict(found.adversarial).tolist()
        [1]
    """
    images = np.ascontiguousarray(images, np.float32)
    count = len(images)
    beta = np.full(count, first)
    lower, upper = np.zeros(count), np.full(count, np.inf)
    best = images.copy()
    nearest, least = np.full(count, np.inf), np.full(count, np.inf)
    steps, with_beta = np.zeros(count, np.int64), np.zeros(count)
    for _ in range(rounds):
        found = attack.run(model, images, labels, beta=beta, advance=advance)
        far = distances(images, found.adversarial, "l2")
        never = np.isinf(nearest)
        better = np.where(found.reached, far < nearest, never & (beta < least))
        best[better], steps[better], with_beta[better] = found.adversarial[better], found.steps[better], beta[better]
        nearest = np.where(found.reached & better, far, nearest)
        least = np.minimum(least, beta)
        lower = np.where(found.reached, np.maximum(lower, beta), lower)
        upper = np.where(found.reached, upper, np.minimum(upper, beta))
        beta = next_beta(lower, upper)
    return Nearest(beta=with_beta, adversarial=best, reached=np.isfinite(nearest), steps=steps)


def next_beta(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Choose the next beta of each image, between the largest that reached and the smallest that did not, [N].

    Args:
        lower: The largest that reached the goal; 0 where none has.
        upper: The smallest that did not; infinite where all have.
    """
    with np.errstate(invalid="ignore"):
        between = np.sqrt(lower * upper)
    return np.asarray(np.where(lower == 0, upper / FACTOR, np.where(np.isinf(upper), lower * FACTOR, between)))
