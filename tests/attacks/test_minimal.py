"""The searches for the smallest change, around attacks that are a table: what is tried at each step, what is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnnlab.attacks import minimal
from cnnlab.attacks.minimal import largest_beta, next_beta, smallest_epsilon, sweep
from cnnlab.errors import UsageError

SHAPE = (1, 1, 1)


def of(values) -> np.ndarray:
    return np.asarray(values, np.float32).reshape(-1, *SHAPE)


@dataclass
class Threshold:
    """An attack that reaches its goal from a radius on, each image its own, at a share of the radius.

    An image is told by its label; where it lies at what an attack begins with is kept.
    """

    needed: list[float]
    share: float = 1.0
    norm: str | None = "linf"
    calls: list[SimpleNamespace] = field(default_factory=list)

    def run(self, model, images, labels, *, epsilon, starts=None, **common: Any) -> SimpleNamespace:
        epsilon = np.broadcast_to(epsilon, len(images))
        self.calls.append(SimpleNamespace(labels=labels.tolist(), epsilon=epsilon.copy(), starts=starts, **common))
        needed = np.array([self.needed[label] for label in labels])
        reached = epsilon >= needed
        far = np.maximum(needed, self.share * epsilon)
        return SimpleNamespace(
            reached=reached, adversarial=(images.reshape(-1) + far).reshape(images.shape).astype("f4")
        )


def bisected(needed: float, most: float, tolerance: float, share: float, least: float = 0.0) -> tuple[list, float]:
    """The radii that bisection tries on one image, and where it ends: the textbook, in plain numbers."""
    tried, high = [most], max(needed, share * most)
    if needed > most:
        return tried, math.inf
    low = min(least, high)
    while high - low > tolerance:
        middle = (low + high) / 2
        tried.append(middle)
        if middle >= needed:
            high = max(needed, share * middle)
            low = min(low, high)
        else:
            low = middle
    return tried, high


@pytest.mark.parametrize("share", [1.0, 0.75])
@pytest.mark.parametrize("least", [0.0, 0.125])
@pytest.mark.parametrize("tolerance", [0.01, 0.125])
def test_the_radii_tried_are_those_of_bisection(share, least, tolerance):
    needed = [0.3, 0.7, 2.0, 0.99, 0.15]
    attack, done = Threshold(needed, share), []
    found = smallest_epsilon(
        attack, None, of([0] * 5), np.arange(5), most=1.0, tolerance=tolerance, least=least, advance=done.append
    )
    for image, radius in enumerate(needed):
        tried = [call.epsilon[call.labels.index(image)] for call in attack.calls if image in call.labels]
        wanted, end = bisected(radius, 1.0, tolerance, share, least)
        np.testing.assert_allclose(tried, wanted, rtol=1e-6)
        assert found.epsilon[image] == pytest.approx(end, rel=1e-6)
        assert found.reached[image] == (radius <= 1.0)
    np.testing.assert_allclose(found.adversarial.reshape(-1), np.where(found.reached, found.epsilon, 0), rtol=1e-6)
    assert (sum(done), min(done) >= 0) == (5, True)


def test_every_round_begins_at_the_image_found_last_drawn_in_to_the_radius():
    attack = Threshold([0.3, 0.6], share=0.8)
    smallest_epsilon(attack, None, of([0.1, 0.2]), np.arange(2), most=1.0, tolerance=0.01)
    best = [1 * 0.8, 1 * 0.8]
    assert attack.calls[0].starts is None
    for call in attack.calls[1:]:
        for place, image in enumerate(call.labels):
            middle, origin = call.epsilon[place], (0.1, 0.2)[image]
            assert call.starts[place].item() == pytest.approx(origin + middle, rel=1e-5)
            if middle >= attack.needed[image]:
                best[image] = max(attack.needed[image], 0.8 * middle)
            assert middle < best[image] / 0.8 + 1e-6


def test_an_image_is_done_once_its_bracket_is_as_narrow_as_wanted():
    """Narrower, or just so: a half and a quarter are float32 numbers."""
    attack = Threshold([0.2])
    found = smallest_epsilon(attack, None, of([0]), np.array([0]), most=1.0, tolerance=0.25)
    assert [call.epsilon.tolist() for call in attack.calls] == [[1.0], [0.5], [0.25]]
    assert found.epsilon == [0.25]


def test_bisection_ends_after_its_most_rounds():
    attack = Threshold([0.3])
    smallest_epsilon(attack, None, of([0]), np.array([0]), most=1.0, tolerance=1e-300)
    assert len(attack.calls) == 1 + minimal.MOST_ROUNDS == 25


def test_what_is_found_already_is_not_looked_for_and_is_the_upper_end():
    attack = Threshold([0.1, 0.1, 0.1])
    known = (of([0.4, 9.0, 0.6]), np.array([True, False, True]))
    found = smallest_epsilon(attack, None, of([0] * 3), np.arange(3), most=1.0, tolerance=0.3, found=known, least=0.2)
    assert (attack.calls[0].labels, attack.calls[0].epsilon.tolist()) == ([1], [1.0])
    assert attack.calls[1].labels == [1, 2], "the first is known to 0.2 already"
    np.testing.assert_allclose(attack.calls[1].epsilon, [0.6, 0.4], rtol=1e-6)
    np.testing.assert_allclose(found.epsilon, [0.4, 0.4, 0.4], rtol=1e-6)
    nothing = Threshold([0.1, 0.1])
    all_known = (of([0.4, 0.3]), np.array([True, True]))
    smallest_epsilon(nothing, None, of([0, 0]), np.arange(2), most=1.0, tolerance=1.0, found=all_known)
    assert nothing.calls == []


def test_a_radius_known_not_to_suffice_may_exceed_what_was_found():
    found = smallest_epsilon(
        Threshold([0.1]), None, of([0]), np.array([0]), most=0.5, tolerance=0.01, least=np.array([0.9])
    )
    assert found.epsilon == [0.5]


def test_a_nearer_image_is_never_lost_to_a_farther_one():
    """An attack that overshoots its radius, as nothing forbids one in a test: the nearer distance stands."""

    class Overshooting(Threshold):
        def run(self, model, images, labels, *, epsilon, starts=None, **common):
            made = super().run(model, images, labels, epsilon=epsilon, starts=starts, **common)
            made.adversarial = made.adversarial if starts is None else made.adversarial + np.float32(5)
            return made

    found = smallest_epsilon(Overshooting([0.3]), None, of([0]), np.array([0]), most=1.0, tolerance=0.4)
    assert found.epsilon == [1.0]


def test_seed_and_batch_size_reach_every_attack():
    attack = Threshold([0.3])
    smallest_epsilon(attack, None, of([0]), np.array([0]), most=1.0, tolerance=0.2, seed=7, batch_size=3)
    assert {(call.seed, call.batch_size) for call in attack.calls} == {(7, 3)}


@pytest.mark.parametrize(("norm", "tolerance"), [(None, 0.1), ("linf", 0.0), ("linf", -1.0)])
def test_without_a_ball_or_a_tolerance_nothing_is_bisected(norm, tolerance):
    with pytest.raises(UsageError, match="bisection needs an attack in a ball and a tolerance above 0"):
        smallest_epsilon(Threshold([0.3], norm=norm), None, of([0]), np.array([0]), most=1.0, tolerance=tolerance)


# The largest beta


@dataclass
class Penalised:
    """An attack that reaches its goal up to a beta, each image its own, the nearer the larger beta is.

    Where it does not, it ends at ``10 + beta``; it takes as many steps as it was called times.
    """

    most: list[float]
    calls: list[list[float]] = field(default_factory=list)

    def run(self, model, images, labels, *, beta, advance=None):
        self.calls.append(beta.tolist())
        reached = beta <= np.array(self.most)
        end = np.where(reached, 1 / beta, 10 + beta)
        return SimpleNamespace(
            reached=reached,
            adversarial=(images.reshape(-1) + end).reshape(images.shape).astype("f4"),
            steps=np.full(len(images), len(self.calls)),
        )


def searched(most: float, first: float, rounds: int) -> list[float]:
    """The betas tried on one image: by four up or down, then midway on a logarithmic scale."""
    beta, lower, upper, tried = first, 0.0, math.inf, []
    for _ in range(rounds):
        tried.append(beta)
        if beta <= most:
            lower = max(lower, beta)
        else:
            upper = min(upper, beta)
        beta = upper / 4 if lower == 0 else lower * 4 if upper == math.inf else math.exp((math.log(lower * upper)) / 2)
    return tried


def test_the_betas_tried_are_those_of_the_search():
    most = [0.3, 5.0, 100.0, 1e-9, 1.0]
    attack = Penalised(most)
    found = largest_beta(attack, None, of([0] * 5), np.zeros(5, int), first=1.0, rounds=7)
    for image, limit in enumerate(most):
        tried = searched(limit, 1.0, 7)
        np.testing.assert_allclose([betas[image] for betas in attack.calls], tried, rtol=1e-6)
        within = [beta for beta in tried if beta <= limit]
        best = max(within) if within else min(tried)
        assert found.beta[image] == pytest.approx(best, rel=1e-6)
        assert found.steps[image] == 1 + tried.index(best)
        assert found.reached[image] == bool(within)
        end = 1 / best if within else 10 + best
        assert found.adversarial[image].item() == pytest.approx(end, rel=1e-6)


def test_the_nearest_image_is_kept_and_not_the_last():
    """One that lies farther with a larger beta, as an optimiser may leave it, is not taken for a nearer one."""

    class Worse(Penalised):
        def run(self, *given, **named):
            made = super().run(*given, **named)
            made.adversarial = np.full_like(made.adversarial, float(len(self.calls)))
            return made

    found = largest_beta(Worse([100.0]), None, of([0]), np.zeros(1, int), first=1.0, rounds=4)
    assert (found.beta.tolist(), found.steps.tolist(), found.adversarial.item()) == ([1.0], [1], 1.0)


def test_without_rounds_nothing_is_found():
    found = largest_beta(Penalised([1.0]), None, of([0.5]), np.zeros(1, int), first=1.0, rounds=0)
    assert (found.reached.tolist(), found.adversarial.item(), found.beta.tolist()) == ([False], 0.5, [0.0])
    assert found.steps.tolist() == [0]


def test_of_images_as_near_the_first_is_kept():
    class Alike(Penalised):
        def run(self, *given, **named):
            made = super().run(*given, **named)
            made.adversarial = np.full_like(made.adversarial, 0.5)
            return made

    assert largest_beta(Alike([100.0]), None, of([0]), np.zeros(1, int), first=1.0, rounds=3).steps.tolist() == [1]


def test_the_next_beta_is_four_times_off_or_midway():
    lower, upper = np.array([0.0, 2.0, 2.0]), np.array([8.0, np.inf, 8.0])
    np.testing.assert_allclose(next_beta(lower, upper), [2.0, 8.0, 4.0])
    assert minimal.FACTOR == 4


# A sweep


def test_a_sweep_tries_only_what_it_does_not_know():
    """Each from the largest radius down: what was found decides where it lies, a stand ends it, none never does."""
    model = SimpleNamespace(logits=lambda images: np.zeros((len(images), 2), np.float32), num_classes=2)
    tried: list[tuple[list[float], list[int], bool]] = []
    # Distances found at each radius, by image; the last is reached in the smallest ball alone.
    table = {
        4.0: [1.5, 3.5, 0.0, None],
        3.0: [None, 2.5, None, None],
        2.0: [None, None, None, None],
        1.0: [None] * 3 + [0.5],
    }

    class Table(Threshold):
        steps, restarts = 10, 0

        def goal(self, logits: Any, labels: Any) -> np.ndarray:
            return labels.numpy() == 4

        def run(self, model, images, labels, *, epsilon, starts=None, **common: Any) -> SimpleNamespace:
            if len(images):
                tried.append((epsilon.tolist(), labels.tolist(), starts is not None))
            if starts is not None:
                np.testing.assert_allclose(np.abs(starts - images).max(axis=(1, 2, 3), initial=0), epsilon)
            common["advance"](len(images) * 10)
            far = [table[radius][label] for radius, label in zip(epsilon, labels, strict=True)]
            reached = np.array([one is not None for one in far], bool)
            moved = np.array([one or 0.0 for one in far], np.float32).reshape(-1, *SHAPE)
            count = len(images)
            return SimpleNamespace(
                reached=reached, adversarial=images + moved, steps=np.full(count, 7), flat=np.zeros(count, bool),
                logits=np.ones((count, 2), np.float32),
            )  # fmt: skip

    steps: list[int] = []
    images = of([0, 10, 20, 30, 40])
    found = sweep(Table([]), model, images, np.arange(5), epsilons=(1.0, 2.0, 3.0, 4.0), advance=steps.append)
    assert tried == [
        ([4.0] * 4, [0, 1, 2, 3], False),
        ([3.0], [3], False),
        ([1.0, 3.0], [0, 1], True),
        ([2.0], [3], False),
        ([2.0], [1], True),
        ([1.0], [3], False),
    ]
    assert found.reached.astype(int).tolist() == [[0, 0, 1, 1, 1], [1, 0, 1, 1, 1], [1] * 5, [1] * 5]
    assert found.adversarial[..., 0, 0, 0].tolist() == [
        [0, 10, 20, 30.5, 40],
        [1.5, 10, 20, 30.5, 40],
        [1.5, 12.5, 20, 30.5, 40],
        [1.5, 13.5, 20, 30.5, 40],
    ]
    assert sum(steps) == 4 * 5 * 10
    for wrong in ((2.0, 1.0), (1.0, 1.0)):
        with pytest.raises(UsageError, match="radii that ascend"):
            sweep(Table([]), model, images, np.arange(5), epsilons=wrong)
    with pytest.raises(UsageError, match="attack in a ball"):
        sweep(Table([], norm=None), model, images, np.arange(5), epsilons=(1.0,))
