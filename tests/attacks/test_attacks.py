"""The attack engine against its oracles: finite differences, plain NumPy loops, brute force and closed forms."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

import cnnlab
from cnnlab.attacks import (
    Adam,
    AtImage,
    Attack,
    ClassLogit,
    Confident,
    CrossEntropy,
    Energy,
    Fooled,
    GaussianNoise,
    LogOdds,
    Margin,
    NormalisedGradient,
    Outcome,
    Sign,
    SquaredDistance,
    TotalVariation,
    UniformNoise,
    add_noise,
    distances,
    fgsm,
    from_8bit,
    learn_noise,
    norms,
    outside,
    pgd,
    round_8bit,
    smallest_epsilon,
    stream,
    sweep,
    to_8bit,
    tolerance,
)
from cnnlab.attacks.loop import Loop, Plan
from cnnlab.attacks.rows import filled_up
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.testing import FakeClassifier
from cnnlab.training import build

NORMS = ("linf", "l2")


class Smooth:
    """tanh(x A + a) B + b, in float64 NumPy and as a Keras model."""

    def __init__(self, shape: tuple[int, int, int] = (4, 5, 2), classes: int = 3, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.shape, size = shape, int(np.prod(shape))
        self.weights = [
            rng.normal(0, 1, (size, 12)), rng.normal(0, 0.3, 12), rng.normal(0, 1, (12, classes)), np.zeros(classes)
        ]  # fmt: skip
        model = keras.Sequential(
            [
                keras.Input(shape),
                keras.layers.Flatten(),
                keras.layers.Dense(12, activation="tanh"),
                keras.layers.Dense(classes),
            ]
        )
        model.set_weights(self.weights)
        self.weights = [np.asarray(weight, np.float64) for weight in model.get_weights()]
        self.keras = model
        self.classifier = cnnlab.load(model)

    def logits(self, images: np.ndarray) -> np.ndarray:
        first, bias, second, last = self.weights
        return np.tanh(images.reshape(len(images), -1).astype(np.float64) @ first + bias) @ second + last

    def cross_entropy(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        logits = self.logits(images)
        high = logits.max(axis=1)
        total = high + np.log(np.exp(logits - high[:, None]).sum(axis=1))
        return total - logits[np.arange(len(logits)), labels]

    def gradient(self, images: np.ndarray, labels: np.ndarray, step: float = 1e-5) -> np.ndarray:
        """Central differences of the cross-entropy, in float64."""
        images = images.astype(np.float64)
        gradient = np.zeros_like(images)
        for place in np.ndindex(*self.shape):
            moved = np.zeros(self.shape)
            moved[place] = step
            rise = self.cross_entropy(images + moved, labels) - self.cross_entropy(images - moved, labels)
            gradient[(slice(None), *place)] = rise / (2 * step)
        return gradient

    def images(self, count: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).random((count, *self.shape), dtype=np.float32)

    def labelled(self, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Images with the labels they are read as."""
        images = self.images(count, seed)
        return images, self.logits(images).argmax(axis=1)


def linear(
    weights: np.ndarray, shape: tuple[int, int, int], bounds: tuple[float, float] = (0.0, 1.0)
) -> FakeClassifier:
    """A model whose logits are a linear function of the pixels, with what is needed to solve it in closed form."""
    matrix = tf.constant(weights, tf.float32)
    flat = [-1, int(np.prod(shape))]
    return FakeClassifier(lambda x: tf.reshape(x, flat) @ matrix, shape, weights.shape[1], bounds=bounds)


def _seeded_network() -> keras.Model:
    keras.utils.set_random_seed(3)
    return build("mnist-cnn", (12, 12, 1), 10)


@pytest.fixture(scope="module")
def smooth() -> Smooth:
    return Smooth()


@pytest.fixture(scope="module")
def network() -> cnnlab.Classifier:
    """mnist-cnn with random weights, for small images."""
    return cnnlab.load(_seeded_network())


@pytest.fixture(scope="module")
def read(network) -> tuple[np.ndarray, np.ndarray]:
    """Images of blurred noise, and what the network reads them as."""
    rng = np.random.default_rng(5)
    images = tf.image.resize(rng.random((70, 3, 3, 1)), (12, 12)).numpy().astype(np.float32)
    images = np.clip((images - 0.5) * 2 + 0.3, 0, 1)
    return images, network.predict(images)


# FGSM against the formula


def test_fgsm_is_the_formula_with_gradients_of_finite_differences(smooth):
    images, labels = smooth.labelled(20)
    gradient = smooth.gradient(images, labels)
    # Where a derivative is no larger than the error of the differences, its sign is not known.
    known = np.abs(gradient) > 1e-7
    assert known.mean() > 0.99
    for epsilon in (0.01, 0.1, 0.4, 1.0):
        expected = np.clip(images.astype(np.float64) + epsilon * np.sign(gradient), 0, 1)
        found = fgsm().run(smooth.classifier, images, labels, epsilon=epsilon).adversarial
        np.testing.assert_allclose(found[known], expected[known], rtol=0, atol=3e-7)


def test_the_only_step_is_the_same_in_one_go_as_from_a_start_that_is_given(smooth):
    images, labels = smooth.labelled(20)
    given = {"epsilon": np.array([[0.02], [0.1]]), "trace": True}
    one, other = (fgsm().run(smooth.classifier, images, labels, starts=starts, **given) for starts in (None, images))
    for name in ("adversarial", "reached", "steps", "logits", "flat", "confidence"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-6, err_msg=name)


def test_targeted_fgsm_descends_the_targets_cross_entropy(smooth):
    images, labels = smooth.labelled(20)
    target = (labels + 1) % 3
    expected = np.clip(images - 0.07 * np.sign(smooth.gradient(images, target)), 0, 1)
    found = fgsm(targeted=True).run(smooth.classifier, images, target, epsilon=0.07).adversarial
    assert np.mean(np.abs(found - expected) > 3e-7) < 0.01


def test_l2_fast_gradient_is_the_formula(smooth):
    images, labels = smooth.labelled(20)
    gradient = smooth.gradient(images, labels)
    unit = gradient / np.sqrt(np.square(gradient).sum(axis=(1, 2, 3), keepdims=True))
    found = fgsm(norm="l2").run(smooth.classifier, images, labels, epsilon=0.8).adversarial
    np.testing.assert_allclose(found, np.clip(images + 0.8 * unit, 0, 1), rtol=0, atol=5e-6)


def test_the_strengths_of_one_run_are_the_runs_of_each_strength(smooth):
    images, labels = smooth.labelled(40)
    strengths = np.array([0.0, 0.02, 0.1, 0.3])
    for attack in (fgsm(), fgsm(norm="l2"), pgd(steps=7), pgd(steps=7, random_start=True)):
        together = attack.run(smooth.classifier, images, labels, epsilon=strengths[:, None])
        for row, epsilon in enumerate(strengths):
            alone = attack.run(smooth.classifier, images, labels, epsilon=epsilon)
            np.testing.assert_array_equal(together.adversarial[row], alone.adversarial)
            np.testing.assert_array_equal(together.reached[row], alone.reached)
            np.testing.assert_array_equal(together.steps[row], alone.steps)


# Objectives and penalties


OBJECTIVES = {
    CrossEntropy: lambda z, own, rest: np.log(np.exp(z).sum()) - own,
    LogOdds: lambda z, own, rest: np.log(np.exp(rest).sum()) - own,
    Margin: lambda z, own, rest: rest.max() - own,
}


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("targeted", [False, True])
def test_objectives_are_their_formulas(kind, targeted):
    rng = np.random.default_rng(1)
    logits, classes = rng.normal(0, 3, (50, 4)), rng.integers(0, 4, 50)
    expected = [
        OBJECTIVES[kind](z, z[c], np.delete(z, c)) * (-1 if targeted else 1)
        for z, c in zip(logits, classes, strict=True)
    ]
    found = kind(targeted)(tf.constant(logits, tf.float32), tf.constant(classes))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_class_logit_and_penalties_are_their_formulas():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(6, 4)).astype(np.float32)
    classes = np.arange(6) % 4
    np.testing.assert_array_equal(ClassLogit()(logits, tf.constant(classes)), logits[np.arange(6), classes])
    np.testing.assert_array_equal(ClassLogit(False)(logits, tf.constant(classes)), -logits[np.arange(6), classes])
    x, r = (tf.constant(one, tf.float32) for one in rng.random((2, 6, 5, 4, 3)))
    beta = rng.random(6).astype(np.float32)
    square = np.square(x.numpy().astype(np.float64) - r).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(SquaredDistance(2.0)(x, r, beta), 2 * beta * square, rtol=1e-5)
    np.testing.assert_allclose(Energy(0.5)(x, r, beta), 0.5 * np.square(x).sum(axis=(1, 2, 3)), rtol=1e-5)
    variation = np.abs(np.diff(x, axis=1)).sum(axis=(1, 2, 3)) + np.abs(np.diff(x, axis=2)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(TotalVariation(3.0)(x, r, beta), 3 * variation, rtol=1e-5)


def test_log_odds_have_the_direction_of_the_cross_entropy_and_do_not_saturate():
    def directions(scale: float, objective: Any) -> np.ndarray:
        z = tf.constant(np.random.default_rng(3).normal(size=(30, 5)) * scale, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = objective(z, tf.argmax(z, axis=1))
        return tape.gradient(value, z).numpy()

    odds, entropy = directions(1.0, LogOdds()), directions(1.0, CrossEntropy())
    ratio = entropy / odds
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-4)
    assert (ratio > 0).all()
    assert np.any(np.all(directions(1e3, CrossEntropy()) == 0, axis=1))
    assert np.all(np.any(directions(1e3, LogOdds()) != 0, axis=1))


# Goals


@pytest.mark.parametrize("targeted", [False, True])
def test_goals_are_their_words(targeted):
    rng = np.random.default_rng(4)
    logits, classes = rng.normal(0, 4, (400, 5)).astype(np.float32), rng.integers(0, 5, 400)
    is_class = logits.argmax(axis=1) == classes
    np.testing.assert_array_equal(Fooled(targeted)(tf.constant(logits), tf.constant(classes)), is_class == targeted)
    powers = np.exp(logits.astype(np.float64))
    shares = powers / powers.sum(axis=1, keepdims=True)
    own = shares[np.arange(400), classes]
    shares[np.arange(400), classes] = 0
    expected = (own if targeted else shares.max(axis=1)) >= 0.9
    np.testing.assert_array_equal(Confident(0.9, targeted)(tf.constant(logits), tf.constant(classes)), expected)
    assert 0 < expected.sum() < 400


def test_a_tie_is_nobodys_success():
    tie = tf.constant([[2.0, 2.0, 1.0]])
    assert not Fooled()(tie, tf.constant([0])).numpy().any()
    assert not Fooled(targeted=True)(tie, tf.constant([0])).numpy().any()


# Bounds


SPACES = (((3, 2, 1), (0.0, 1.0)), ((4, 5, 2), (-2.5, 0.5)), ((1, 1, 1), (0.0, 255.0)))
MODELS = {shape: Smooth(shape, seed=1) for shape, _ in SPACES}
SPACED = {
    (shape, bounds): FakeClassifier(MODELS[shape].classifier.logits_function, shape, 3, bounds=bounds)
    for shape, bounds in SPACES
}
ATTACKS = {
    "fgsm": lambda norm: fgsm(norm=norm),
    "pgd": lambda norm: pgd(steps=4, norm=norm, then="last"),
    "random": lambda norm: pgd(steps=3, norm=norm, random_start=True, then="last"),
    "adam": lambda norm: Attack(norm=norm, step=Adam(), steps=3, step_size=0.3, then="last"),
    "closest": lambda norm: pgd(steps=4, norm=norm, then="closest"),
    "8bit": lambda norm: pgd(steps=4, norm=norm, then="last", eight_bit=True),
}
BUILT = {(name, norm): make(norm) for name, make in ATTACKS.items() for norm in NORMS}
SOME = [
    *((SPACES[1], way) for way in (("fgsm", "linf"), ("pgd", "l2"), ("random", "linf"), ("random", "l2"))),
    *((SPACES[1], ("8bit", "linf")), (SPACES[0], ("8bit", "l2"))),
    *((SPACES[2], ("adam", "linf")), (SPACES[0], ("closest", "l2"))),
]
"""Each attack in one of the spaces: for another one it is compiled anew, which is what takes the time."""
BALLS = {
    "share": st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1 / 255, 8 / 255, 1e-7, 1.0])),
    "seed": st.integers(0, 99),
}


@settings(max_examples=60, deadline=None)
@given(chosen=st.sampled_from(SOME), **BALLS)
def test_bound_and_box_are_kept(chosen, share, seed):
    keeps_bound_and_box(*chosen, share, seed)


@pytest.mark.full
@settings(max_examples=300, deadline=None)
@given(space=st.sampled_from(SPACES), attack=st.sampled_from(sorted(BUILT)), **BALLS)
def test_bound_and_box_are_kept_by_every_attack_in_every_space(space, attack, share, seed):
    keeps_bound_and_box(space, attack, share, seed)


def keeps_bound_and_box(space, attack, share, seed):
    shape, bounds = space
    name, norm = attack
    model, given_model = MODELS[shape], SPACED[space]
    width = bounds[1] - bounds[0]
    rng = np.random.default_rng(seed)
    images = from_8bit(rng.integers(0, 256, (5, *shape), np.uint8), bounds)
    if seed % 2:
        images = np.clip(images + rng.normal(0, 0.01, images.shape), *bounds).astype(np.float32)
    epsilon = share * width * (1 if norm == "linf" else np.sqrt(np.prod(shape)))
    labels = model.logits(images).argmax(axis=1)
    found = BUILT[name, norm].run(given_model, images, labels, epsilon=epsilon).adversarial
    slack = tolerance(norm, shape, bounds) if name == "8bit" else 0.0
    assert (distances(images, found, norm) <= epsilon + slack).all()
    assert not outside(found, bounds).any()
    if epsilon == 0 and not (name == "8bit" and seed % 2):
        np.testing.assert_array_equal(found, images)


def test_epsilon_zero_changes_no_bit(smooth):
    images, labels = smooth.labelled(20)
    chosen = [BUILT[name, norm] for name in ("fgsm", "random", "8bit") for norm in NORMS]
    for attack in (*chosen, pgd(steps=3, random_start=True, restarts=2)):
        images_here = round_8bit(images, (0, 1)) if attack.eight_bit else images
        outcome = attack.run(smooth.classifier, images_here, labels, epsilon=0.0)
        assert outcome.adversarial.tobytes() == images_here.tobytes()


@settings(max_examples=60, deadline=None)
@given(norm=st.sampled_from(NORMS), epsilon=st.floats(0, 2), seed=st.integers(0, 99))
def test_added_noise_keeps_its_bound(norm, epsilon, seed):
    rng = np.random.default_rng(seed)
    images = rng.random((6, 3, 4, 1), dtype=np.float32)
    noise = rng.normal(0, 1, (3, 4, 1))
    moved = add_noise(images, noise, (0.0, 1.0), epsilon=epsilon, norm=norm)
    assert (distances(images, moved, norm) <= epsilon).all()
    assert not outside(moved, (0.0, 1.0)).any()


def test_projection_is_the_nearest_point_by_brute_force():
    """Of a fine grid of the ball cut with the box, none is nearer to the point than its projection.

    For L2 that holds where the box does not cut the ball; elsewhere the projection lies in both.
    """
    ticks = np.linspace(0, 1, 401)
    plane = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    rng = np.random.default_rng(6)
    for norm in NORMS:
        loop, compared = _loop(norm), 0
        for _ in range(30):
            original, radius = rng.random(2), rng.uniform(0.05, 0.6)
            point = original + rng.normal(0, 0.5, 2)
            away = plane - original
            size = np.abs(away).max(axis=1) if norm == "linf" else np.sqrt(np.square(away).sum(axis=1))
            ball = plane[size <= radius]
            best = np.sqrt(np.square(ball - point).sum(axis=1)).min()
            found = _projected(loop, original, radius, point)
            if norm == "linf" or ((original >= radius) & (original <= 1 - radius)).all():
                assert np.sqrt(np.square(found - point).sum()) <= best + 0.005
                compared += 1
            move = found - original
            assert (np.abs(move).max() if norm == "linf" else np.sqrt(np.square(move).sum())) <= radius + 1e-6
            assert ((found >= 0) & (found <= 1)).all()
        assert compared >= 5


def _loop(norm: str) -> Loop:
    plan = Plan(LogOdds(), (), norm, (0.0, 1.0), Sign(), Fooled(), "last", False)
    return Loop(lambda x: tf.reshape(x, [-1, 2]), plan, (1, 2, 1), 2)


def _projected(loop: Loop, original: np.ndarray, radius: float, point: np.ndarray) -> np.ndarray:
    image = tf.constant(original.reshape(1, 1, 2, 1), tf.float32)
    one = tf.constant([1.0])
    rows = {
        "original": image,
        "reference": image,
        "radius": tf.constant([radius], tf.float32),
        "size": one,
        "beta": one,
        "label": tf.constant([0], tf.int64),
    }
    state, _ = loop.start(tf.constant(point.reshape(1, 1, 2, 1), tf.float32), rows)
    return state["x"].numpy().reshape(2).astype(np.float64)


# Independence of batches, order and company


@pytest.mark.parametrize(
    ("norm", "random_start"),
    [
        *(("linf", False), ("l2", True)),
        *(pytest.param(*case, marks=pytest.mark.full) for case in (("linf", True), ("l2", False))),
    ],
)
def test_results_are_the_same_bits_in_any_batch_and_order(network, read, norm, random_start):
    images, labels = read
    epsilon = np.where(np.arange(70) % 2, 0.1, 0.02) * (1 if norm == "linf" else 10)
    attack = pgd(steps=8, norm=norm, random_start=random_start, restarts=int(random_start))

    def run(order: np.ndarray, batch_size: int | None) -> Any:
        return attack.run(network, images[order], labels[order], epsilon=epsilon[order], seed=1, batch_size=batch_size)

    whole = np.arange(70)
    reference = run(whole, None)
    assert 0 < reference.reached.sum() < 70
    shuffled = np.random.default_rng(0).permutation(70)
    for order, batch_size in ((whole, 16), (whole, 64), (shuffled, None), (shuffled[:30], 1), (shuffled[:1], 7)):
        outcome = run(order, batch_size)
        np.testing.assert_array_equal(outcome.adversarial, reference.adversarial[order])
        np.testing.assert_array_equal(outcome.logits, reference.logits[order])
        np.testing.assert_array_equal(outcome.reached, reference.reached[order])
        np.testing.assert_array_equal(outcome.steps, reference.steps[order])


@pytest.mark.parametrize("then", ["stop", "closest"])
def test_how_often_one_looks_who_is_done_changes_no_bit(smooth, monkeypatch, then):
    images, labels = smooth.labelled(60)
    attack = pgd(steps=15, then=then, random_start=True)
    outcomes = []
    for stretch in (1, 15):
        monkeypatch.setattr("cnnlab.attacks.rows.STRETCH", stretch)
        monkeypatch.setattr("cnnlab.attacks.rows.LONG_STRETCH", stretch)
        monkeypatch.setattr("cnnlab.attacks.rows.IDLE", float(stretch))
        outcomes.append(attack.run(smooth.classifier, images, labels, epsilon=[[0.03], [0.1]], trace=True))
    assert 0 < outcomes[0].reached.sum() < 120
    for name in ("adversarial", "reached", "steps", "logits", "confidence"):
        np.testing.assert_array_equal(getattr(outcomes[0], name), getattr(outcomes[1], name))


def test_batches_have_few_sizes_and_little_to_fill_them_up():
    for least in (1, 16):
        sizes = {count: filled_up(count, least) for count in range(1, 513)}
        assert all(count <= size <= max(least, 1.25 * count + least) for count, size in sizes.items())
        assert all(size % least == 0 for size in sizes.values())
        assert len(set(sizes.values())) <= 4 * 9


def test_seeds_and_keys_choose_the_noise(smooth):
    images, labels = smooth.labelled(6)
    images[3] = images[0]
    labels[3] = labels[0]
    attack = pgd(steps=0, random_start=True)

    def run(**options: Any) -> np.ndarray:
        return attack.run(smooth.classifier, images, labels, epsilon=0.2, **options).adversarial

    np.testing.assert_array_equal(run(seed=1), run(seed=1))
    assert (run(seed=1) != run(seed=2)).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(run()[3], run()[0])
    keyed = run(keys=list("abcdef"))
    assert (keyed[3] != keyed[0]).any()
    np.testing.assert_array_equal(keyed, run(keys=[b"a", b"b", b"c", b"d", b"e", b"f"]))
    assert stream(0, b"x").random() != stream(0, b"x", 1).random()


# Success


def test_pgd_is_never_above_fgsm_and_accuracy_never_rises_with_epsilon(network, read):
    images, labels = read
    labels = np.where(np.arange(70) % 10 == 0, (labels + 1) % 10, labels)
    strengths = np.array([0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3])[:, None]
    fast = fgsm().run(network, images, labels, epsilon=strengths)
    slow = pgd(steps=20).run(network, images, labels, epsilon=strengths)
    accuracy = [1 - outcome.reached.mean(axis=1) for outcome in (fast, slow)]
    assert (accuracy[1] <= accuracy[0]).all()
    assert (np.diff(accuracy[1]) <= 0).all()
    assert accuracy[1][0] == np.mean(network.predict(images) == labels) == 0.9
    assert accuracy[1][-1] < 0.1
    np.testing.assert_array_equal(slow.predicted != labels, slow.reached)


def test_images_already_fooled_are_left_alone(smooth):
    images, labels = smooth.labelled(12)
    wrong = np.arange(12) % 2 == 0
    labels = np.where(wrong, (labels + 1) % 3, labels)
    for then in ("stop", "closest"):
        outcome = pgd(steps=5, then=then).run(smooth.classifier, images, labels, epsilon=0.3)
        assert outcome.reached[wrong].all()
        assert outcome.adversarial[wrong].tobytes() == images[wrong].tobytes()
        if then == "stop":
            assert (outcome.steps[wrong] == 0).all()
            assert (outcome.steps[~wrong] > 0).all()


def test_rows_that_are_done_cost_no_further_evaluation(smooth):
    evaluated = []

    def counted(x: Any) -> Any:
        tf.py_function(lambda n: evaluated.append(int(n)), [tf.shape(x)[0]], [])
        return smooth.keras(x)

    images, labels = smooth.labelled(64)
    labels = np.where(np.arange(64) < 48, (labels + 1) % 3, labels)
    pgd(steps=40).run(FakeClassifier(counted, smooth.shape, 3), images, labels, epsilon=1e-4, batch_size=16)
    # Four batches at the start; then the last sixteen rows alone go on.
    assert evaluated == [16] * 4 + [16] * 40


@pytest.fixture(scope="module")
def saturated() -> tuple[Smooth, cnnlab.Classifier]:
    """A model, and one of a hundred times its logits that ends in a softmax."""
    smooth = Smooth(seed=4)
    inputs = keras.Input(smooth.shape)
    hidden = smooth.keras.layers[1](smooth.keras.layers[0](inputs))
    scaled = keras.layers.Rescaling(100.0)(smooth.keras.layers[2](hidden))
    return smooth, cnnlab.load(keras.Model(inputs, keras.layers.Softmax()(scaled)))


@pytest.mark.parametrize(
    "attack",
    [
        fgsm(targeted=True),
        *(pytest.param(attack, marks=pytest.mark.full) for attack in (fgsm(), fgsm(norm="l2"), pgd(steps=10))),
    ],
)
def test_saturated_probabilities_are_attacked_as_well_as_the_logits(saturated, attack):
    (smooth, hundredfold), strengths = saturated, np.array([0.005, 0.02, 0.05])[:, None]
    images, labels = smooth.labelled(60)
    sure = hundredfold.probabilities(images).max(axis=1) == 1
    assert sure.mean() > 0.8
    aim = (labels + 1) % 3 if attack.goal == Fooled(True) else labels
    plain = attack.run(smooth.classifier, images, aim, epsilon=strengths)
    hard = attack.run(hundredfold, images, aim, epsilon=strengths)
    assert 0.05 < plain.reached.mean() < 0.95
    # The cross-entropies of z and of 100 z differ a little in direction; margins do not.
    assert abs(hard.reached.mean() - plain.reached.mean()) < 0.03
    assert not hard.flat.any()
    margins = replace(attack, objective=Margin(attack.goal == Fooled(True)))
    np.testing.assert_array_equal(
        margins.run(smooth.classifier, images, aim, epsilon=strengths).reached,
        margins.run(hundredfold, images, aim, epsilon=strengths).reached,
    )


def test_what_a_smaller_ball_holds_a_larger_one_holds(smooth):
    images, labels = smooth.labelled(60)
    strengths = np.array([0.0, 0.02, 0.05, 0.1, 0.3, 0.9])
    fast = fgsm().run(smooth.classifier, images, labels, epsilon=strengths[:, None])
    slow = pgd(steps=3).run(smooth.classifier, images, labels, epsilon=strengths[:, None])
    assert (np.diff(fast.reached.astype(int), axis=0) < 0).any()
    before = fast.adversarial.copy()
    for outcome, reached in (
        (fast.carried(), np.logical_or.accumulate(fast.reached)),
        (slow.or_else(fast), slow.reached | fast.reached),
        (slow.or_else(fast).carried(), np.logical_or.accumulate(slow.reached | fast.reached)),
    ):
        np.testing.assert_array_equal(outcome.reached, reached)
        np.testing.assert_array_equal(outcome.predicted != labels, outcome.reached)
        assert (distances(images, outcome.adversarial, "linf") <= strengths[:, None]).all()
        flat = outcome.adversarial.reshape(-1, *smooth.shape)
        assert (smooth.logits(flat).argmax(axis=1).reshape(6, 60) == outcome.predicted).all()
    np.testing.assert_array_equal(fast.adversarial, before)


def test_a_network_without_slope_is_noticed():
    steps = FakeClassifier(lambda x: tf.reshape(x, [-1, 4]) * 0.0 + [1.0, 0.0, 0.0, 0.0], (2, 2, 1), 4)
    images = np.random.default_rng(0).random((5, 2, 2, 1), dtype=np.float32)
    outcome = pgd(steps=3).run(steps, images, 0, epsilon=0.3)
    assert outcome.flat.all()
    assert not outcome.reached.any()
    np.testing.assert_array_equal(outcome.adversarial, images)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_networks_of_half_precision_are_attacked(smooth, kind):
    images, labels = smooth.labelled(20)
    half = FakeClassifier(lambda x: tf.cast(smooth.keras(x), kind), smooth.shape, 3)
    found = fgsm().run(half, images, labels, epsilon=0.1)
    expected = fgsm().run(smooth.classifier, images, labels, epsilon=0.1)
    assert np.mean(found.adversarial != expected.adversarial) < 0.05
    assert found.logits.dtype == np.float32


# Steps against plain loops


def numpy_adam(gradient: Any, x: np.ndarray, size: float, steps: int) -> np.ndarray:
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for step in range(1, steps + 1):
        slope = gradient(x)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        x = np.clip(x + size * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8), 0, 1)
    return x


def test_adam_is_a_plain_loop(smooth):
    images, labels = smooth.labelled(8)
    attack = Attack(objective=CrossEntropy(), norm=None, step=Adam(), step_size=0.02, steps=12, then="last")
    expected = numpy_adam(lambda x: smooth.gradient(x, labels), images.astype(np.float64), 0.02, 12)
    found = attack.run(smooth.classifier, images, labels)
    np.testing.assert_allclose(found.adversarial, expected, atol=2e-4)
    assert (found.steps == 12).all()


def test_normalised_gradient_steps_are_a_plain_loop(smooth):
    images, labels = smooth.labelled(8)
    attack = pgd(steps=9, norm="l2", step_size=0.2, then="last")
    x, original = images.astype(np.float64), images.astype(np.float64)
    for _ in range(9):
        slope = smooth.gradient(x, labels)
        x = x + 0.2 * slope / np.sqrt(np.square(slope).sum(axis=(1, 2, 3), keepdims=True))
        away = x - original
        length = np.sqrt(np.square(away).sum(axis=(1, 2, 3), keepdims=True))
        x = np.clip(original + away * np.minimum(1, 0.7 / length), 0, 1)
    found = attack.run(smooth.classifier, images, labels, epsilon=0.7).adversarial
    np.testing.assert_allclose(found, x, atol=1e-4)


def test_sign_steps_are_a_plain_loop(smooth):
    images, labels = smooth.labelled(8)
    found = pgd(steps=6, then="last").run(smooth.classifier, images, labels, epsilon=0.1).adversarial
    x = images.astype(np.float64)
    for _ in range(6):
        x = x + 0.1 * 2.5 / 6 * np.sign(smooth.gradient(x, labels))
        x = np.clip(np.clip(x, images - 0.1, images + 0.1), 0, 1)
    assert np.mean(np.abs(found - x) > 1e-6) < 0.02


def test_normalised_gradient_survives_tiny_gradients():
    direction, _ = NormalisedGradient()(tf.constant([3e-30, 4e-30], shape=(1, 1, 2, 1)), (), 0.0)
    np.testing.assert_allclose(direction.numpy().ravel(), [0.6, 0.8], rtol=1e-6)
    still, _ = NormalisedGradient()(tf.zeros((1, 1, 2, 1)), (), 0.0)
    assert (still.numpy() == 0).all()


def test_the_penalty_pulls_toward_the_original(smooth):
    images, labels = smooth.labelled(10)
    target = (labels + 1) % 3
    attack = Attack(
        objective=ClassLogit(), penalties=(SquaredDistance(),), norm=None, step=Adam(), step_size=0.02,
        steps=150, goal=Fooled(True), then="last",
    )  # fmt: skip
    beta = np.array([0.0, 1.0, 10.0, 1000.0])[:, None]
    found = attack.run(smooth.classifier, images, target, beta=beta)
    moved = distances(images, found.adversarial, "l2").mean(axis=1)
    assert (np.diff(moved) < 0).all()
    assert moved[-1] < 0.05
    # At rest inside the box, the slope of the objective is that of the penalty.
    towards = np.square(found.adversarial[1:3].astype(np.float64) - images).mean()
    assert towards > 0
    elsewhere = attack.run(smooth.classifier, images, target, beta=1000.0, references=np.full_like(images, 0.5))
    np.testing.assert_allclose(elsewhere.adversarial, 0.5, atol=0.03)


def test_the_trace_is_the_confidence_at_every_step(smooth):
    images, labels = smooth.labelled(20)
    attack = Attack(
        objective=ClassLogit(), norm=None, step=Sign(), step_size=0.01, steps=60, goal=Confident(0.99), then="stop"
    )
    target = (labels + 1) % 3
    outcome = attack.run(smooth.classifier, images, target, trace=True)
    assert outcome.confidence is not None
    x = images.astype(np.float64)
    for step in range(8):
        logits = smooth.logits(x)
        share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        going = outcome.steps >= step
        np.testing.assert_allclose(outcome.confidence[going, step], share[going, target[going]], atol=2e-3)
        x = np.clip(x + 0.01 * np.sign(-smooth_logit_gradient(smooth, x, target)), 0, 1)
    for row in range(20):
        assert np.isfinite(outcome.confidence[row]).sum() == outcome.steps[row] + 1
        assert (outcome.confidence[row, outcome.steps[row]] >= 0.99) == outcome.reached[row]
    assert outcome.reached.any()


def smooth_logit_gradient(smooth: Smooth, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The gradient of minus the class's logit, by the chain rule in float64."""
    first, bias, second, _ = smooth.weights
    hidden = np.tanh(images.reshape(len(images), -1) @ first + bias)
    return -(((1 - hidden**2) * second[:, classes].T) @ first.T).reshape(images.shape)


def test_closest_is_the_nearest_of_the_images_that_reached(smooth):
    images, labels = smooth.labelled(20)
    steps = 12
    path = [
        pgd(steps=n, step_size=0.02, then="last").run(smooth.classifier, images, labels, epsilon=0.15)
        for n in range(steps + 1)
    ]
    gaps = np.stack([
        np.where(one.reached, np.square(one.adversarial - images).sum(axis=(1, 2, 3)), np.inf) for one in path
    ])  # fmt: skip
    found = pgd(steps=steps, step_size=0.02, then="closest").run(smooth.classifier, images, labels, epsilon=0.15)
    np.testing.assert_array_equal(found.reached, np.isfinite(gaps.min(axis=0)))
    assert found.reached.sum() > 0
    for row in np.flatnonzero(found.reached):
        np.testing.assert_array_equal(found.adversarial[row], path[gaps[:, row].argmin()].adversarial[row])


def test_restarts_only_ever_add_successes(smooth):
    images, labels = smooth.labelled(60)
    attack = pgd(steps=1, step_size=0.0, random_start=True)
    once = attack.run(smooth.classifier, images, labels, epsilon=0.3, seed=2)
    often = replace(attack, restarts=15).run(smooth.classifier, images, labels, epsilon=0.3, seed=2)
    assert (often.reached >= once.reached).all()
    assert often.reached.sum() > once.reached.sum()
    np.testing.assert_array_equal(often.adversarial[once.reached], once.adversarial[once.reached])


@pytest.mark.parametrize("restarts", [0, 3])
@pytest.mark.parametrize("then", ["stop", "last", "closest"])
def test_progress_adds_up(smooth, then, restarts):
    images, labels = smooth.labelled(37)
    done: list[int] = []
    attack = pgd(steps=11, then=then, random_start=True, restarts=restarts)
    attack.run(smooth.classifier, images, labels, epsilon=[[0.0], [0.02], [0.3]], batch_size=8, advance=done.append)
    assert sum(done) == 3 * 37 * 11 * (1 + restarts)
    assert min(done) >= 0


@pytest.mark.parametrize("eight_bit", [False, True])
@pytest.mark.parametrize("epsilon", [0.2, [[0.02], [0.2]]])
def test_whoever_watches_sees_the_images_on_their_way_and_changes_nothing(smooth, epsilon, eight_bit):
    images, labels = smooth.labelled(20)
    attack = pgd(steps=30, then="last", random_start=True, eight_bit=eight_bit)
    seen: list[np.ndarray] = []
    watched = attack.run(
        smooth.classifier, images, labels, epsilon=epsilon, batch_size=8, watch=lambda now: seen.append(now())
    )
    alone = attack.run(smooth.classifier, images, labels, epsilon=epsilon, batch_size=8)
    assert len(seen) > 1
    np.testing.assert_array_equal(seen[-1], watched.adversarial)
    np.testing.assert_array_equal(alone.adversarial, watched.adversarial)
    assert (seen[0] != seen[-1]).any()


# 8 bits


def test_8_bit_attacks_find_8_bit_images_that_are_still_adversarial(smooth):
    classifier = smooth.classifier
    images = round_8bit(smooth.images(64), classifier.bounds)
    labels = classifier.predict(images)
    for attack, epsilon in (
        (pgd(steps=10, eight_bit=True), 38 / 255),
        (pgd(steps=10, eight_bit=True, then="closest"), 38 / 255),
        (fgsm(eight_bit=True), 38 / 255),
        (pgd(steps=10, norm="l2", eight_bit=True), 3.0),
    ):
        outcome = attack.run(classifier, images, labels, epsilon=epsilon)
        pixels = to_8bit(outcome.adversarial, classifier.bounds)
        np.testing.assert_array_equal(from_8bit(pixels, classifier.bounds), outcome.adversarial)
        np.testing.assert_array_equal(
            classifier.predict(from_8bit(pixels, classifier.bounds)) != labels, outcome.reached
        )
        assert (distances(images, outcome.adversarial, attack.norm) <= epsilon + 1e-6).all()
        assert outcome.reached.mean() > 0.3


def test_8_bit_steps_smaller_than_a_level_still_move():
    weights = np.stack([np.ones(6), -np.ones(6)], axis=1)
    images = np.full((3, 2, 3, 1), 100 / 255, np.float32)
    outcome = pgd(steps=100, step_size=0.1 / 255, eight_bit=True, then="last").run(
        linear(weights, (2, 3, 1)), images, 0, epsilon=4 / 255
    )
    np.testing.assert_array_equal(to_8bit(outcome.adversarial, (0.0, 1.0)), 96)


@pytest.mark.parametrize(
    "bounds",
    [
        *((0.0, 255.0), (-2.1179, 2.64)),
        *(pytest.param(bounds, marks=pytest.mark.full) for bounds in ((0.0, 1.0), (-1.0, 1.0))),
    ],
)
def test_8_bit_steps_reach_every_whole_level(bounds):
    """An epsilon of k levels moves k levels, neither k - 1 nor k + 1, wherever the pixel is."""
    low, high = bounds
    levels = np.arange(256)
    images = from_8bit(levels.astype(np.uint8), bounds).reshape(256, 1, 1, 1)
    model = linear(np.array([[1.0, -1.0]]), (1, 1, 1), bounds)
    for k in (0, 1, 2, 8, 77, 255):
        outcome = fgsm(eight_bit=True).run(model, images, 0, epsilon=k * (high - low) / 255)
        found = to_8bit(outcome.adversarial, bounds).ravel()
        np.testing.assert_array_equal(found, np.maximum(levels - k, 0))


def test_rounding_to_8_bits_is_what_a_file_holds():
    for bounds in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
        np.testing.assert_array_equal(to_8bit(from_8bit(pixels, bounds), bounds), pixels)
        images = np.random.default_rng(0).uniform(*bounds, (4, 9, 9, 1)).astype(np.float32)
        half = (bounds[1] - bounds[0]) / 255 / 2
        assert np.abs(round_8bit(images, bounds) - images).max() <= half * 1.001


# The smallest epsilon


def test_smallest_linf_epsilon_of_a_linear_model_is_the_closed_form():
    rng = np.random.default_rng(7)
    shape = (3, 4, 1)
    weights = rng.normal(size=(12, 3))
    model = linear(weights, shape)
    # Far from the box, the nearest image of another class is at the margin over the dual norm of the weights.
    images = rng.uniform(0.45, 0.55, (30, *shape)).astype(np.float32)
    scores = images.reshape(30, -1).astype(np.float64) @ weights
    labels = scores.argmax(axis=1)
    for norm, dual in (("linf", 1), ("l2", 2)):
        nearest = np.full(30, np.inf)
        for row, other in itertools.product(range(30), range(3)):
            if other != labels[row]:
                gap = scores[row, labels[row]] - scores[row, other]
                way = np.linalg.norm(weights[:, labels[row]] - weights[:, other], ord=dual)
                nearest[row] = min(nearest[row], gap / way)
        attack = replace(pgd(steps=30, norm=norm), objective=Margin())
        most = 1.0 if norm == "linf" else 1.2
        found = smallest_epsilon(attack, model, images, labels, most=most, tolerance=1e-4)
        assert found.reached.all()
        assert (found.epsilon >= nearest - 1e-6).all()
        np.testing.assert_allclose(found.epsilon, nearest, atol=0.003)
        np.testing.assert_allclose(found.epsilon, distances(images, found.adversarial, norm))


@pytest.mark.parametrize("norm", NORMS)
def test_smallest_epsilon_is_a_fine_scan(smooth, norm):
    images, labels = smooth.labelled(25)
    most = 0.5 if norm == "linf" else 3.0
    attack = pgd(steps=40, norm=norm)
    found = smallest_epsilon(attack, smooth.classifier, images, labels, most=most, tolerance=most / 5000)
    scan = np.linspace(0, most, 251)
    reached = attack.run(smooth.classifier, images, labels, epsilon=scan[:, None]).reached
    first = np.where(reached.any(axis=0), scan[reached.argmax(axis=0)], np.inf)
    np.testing.assert_array_equal(found.reached, reached.any(axis=0))
    assert found.reached.sum() > 20
    # A round that begins at the image found last may find a nearer one than the scan does.
    nearest, scanned = found.epsilon[found.reached], first[found.reached]
    assert (nearest <= scanned + most / 1000).all()
    assert 0.9 < np.median(nearest / scanned) < 1.01
    assert (smooth.logits(found.adversarial).argmax(axis=1) != labels)[found.reached].all()
    np.testing.assert_array_equal(nearest, distances(images, found.adversarial, norm)[found.reached])


def test_smallest_epsilon_of_images_misread_and_of_images_not_fooled(smooth):
    images, labels = smooth.labelled(6)
    labels[0] = (labels[0] + 1) % 3
    done: list[int] = []
    found = smallest_epsilon(
        pgd(steps=5), smooth.classifier, images, labels, most=1e-4, tolerance=1e-5, advance=done.append
    )
    assert found.epsilon[0] == 0
    assert np.isinf(found.epsilon[1:]).all()
    np.testing.assert_array_equal(found.adversarial, images)
    np.testing.assert_array_equal(found.reached, np.arange(6) == 0)
    assert sum(done) == 6


def test_smallest_epsilon_ends_where_float32_does(smooth):
    images, labels = smooth.labelled(10)
    found = smallest_epsilon(pgd(steps=10), smooth.classifier, images, labels, most=0.5, tolerance=1e-12)
    loose = smallest_epsilon(pgd(steps=10), smooth.classifier, images, labels, most=0.5, tolerance=1e-4)
    np.testing.assert_allclose(found.epsilon, loose.epsilon, atol=0.01)
    grid = smallest_epsilon(
        pgd(steps=10, eight_bit=True), smooth.classifier, round_8bit(images, (0, 1)), labels, most=0.5, tolerance=1e-12
    )
    whole = grid.epsilon[grid.reached] * 255
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-4)


# Several radii


def test_a_sweep_finds_at_least_what_attacks_at_every_radius_find(smooth):
    images, labels = smooth.labelled(80)
    labels[:3] = (labels[:3] + 1) % 3
    for attack, strengths in (
        (pgd(steps=12), (0.0, 0.01, 0.02, 0.05, 0.1, 0.3)),
        (pgd(steps=12, norm="l2", random_start=True, restarts=1), (0.05, 0.1, 0.3, 1.0)),
        (pgd(steps=12, eight_bit=True), (2 / 255, 4 / 255, 12 / 255)),
    ):
        here = round_8bit(images, (0, 1)) if attack.eight_bit else images
        steps: list[int] = []
        radii = np.array(strengths)[:, None]
        fresh = attack.run(smooth.classifier, here, labels, epsilon=radii).carried()
        for found in (None, fgsm(norm=attack.norm).run(smooth.classifier, here, labels, epsilon=radii)):
            swept = sweep(
                attack, smooth.classifier, here, labels, epsilons=strengths, found=found, advance=steps.append
            )
            assert (swept.reached.sum(axis=1) >= fresh.reached.sum(axis=1)).all()
            assert 0 < swept.reached.mean() < 1
            assert (np.diff(swept.reached.astype(int), axis=0) >= 0).all()
            assert swept.reached[:, :3].all()
            slack = tolerance(attack.norm, smooth.shape, (0, 1)) if attack.eight_bit else 0.0
            assert (distances(here, swept.adversarial, attack.norm) <= np.array(strengths)[:, None] + slack).all()
            read = smooth.classifier.predict(swept.adversarial.reshape(-1, *smooth.shape))
            np.testing.assert_array_equal(read.reshape(swept.reached.shape), swept.predicted)
            np.testing.assert_array_equal(swept.predicted != labels, swept.reached)
        assert sum(steps) == 2 * swept.reached.size * 12 * (1 + attack.restarts)
        assert min(steps) >= 0


# One noise for many images


def test_a_learned_noise_stays_in_its_ball_and_reaches_its_target(smooth):
    images = smooth.images(80)
    for norm, epsilon in (("linf", 0.4), ("l2", 2.0)):
        learned = learn_noise(
            smooth.classifier, images, 1, epsilon=epsilon, norm=norm, step_size=0.05, steps=90, batch_size=32
        )
        assert learned.noise.shape == smooth.shape
        assert norms(learned.noise, norm) <= epsilon
        moved = add_noise(images, learned.noise, (0.0, 1.0), epsilon=epsilon, norm=norm)
        assert (distances(images, moved, norm) <= epsilon).all()
        wanted = np.ones(80, int)
        before, after = (smooth.cross_entropy(x, wanted).mean() for x in (images, moved))
        assert after < before / 3
        assert np.mean(smooth.logits(moved).argmax(axis=1) == 1) > 0.9
        assert learned.confidence.shape == learned.reached.shape == (90,)
        assert learned.confidence[-10:].mean() > learned.confidence[:10].mean() + 0.2


def test_a_learned_noise_is_a_plain_loop(smooth):
    images = smooth.images(12)
    wanted = np.full(12, 2)
    learned = learn_noise(
        smooth.classifier, images, 2, epsilon=0.3, step=Sign(), step_size=0.02, steps=7, batch_size=12
    )
    noise = np.zeros(smooth.shape)
    for size in 0.02 * np.linspace(1, 0.1, 7):
        moved = images + noise
        slope = smooth.gradient(np.clip(moved, 0, 1), wanted) * ((moved > 0) & (moved < 1))
        noise = np.clip(noise - size * np.sign(slope.mean(axis=0)), -0.3, 0.3)
    np.testing.assert_allclose(learned.noise, noise, atol=1e-6)


def test_noises_learned_together_are_those_learned_alone(smooth):
    images = smooth.images(40)
    options: dict[str, Any] = {"epsilon": 0.3, "step_size": 0.03, "steps": 25, "batch_size": 16, "seed": 3}
    weights = np.ones((3, 40))
    weights[1, :20] = 0
    together = learn_noise(smooth.classifier, images, np.arange(3)[:, None], weights=weights, **options)
    assert together.noise.shape == (3, *smooth.shape)
    for target in range(3):
        alone = learn_noise(smooth.classifier, images, target, weights=weights[target], **options)
        np.testing.assert_allclose(together.noise[target], alone.noise, atol=1e-3)
        np.testing.assert_allclose(together.confidence[target], alone.confidence, atol=1e-3)


def test_a_penalty_keeps_a_learned_noise_small(smooth):
    images = smooth.images(20)
    sizes = [
        norms(
            learn_noise(
                smooth.classifier, images, 1, epsilon=None, norm=None, penalties=(SquaredDistance(),), beta=beta,
                step_size=0.02, steps=60, batch_size=20,
            ).noise,
            "l2",
        )
        for beta in (0.0, 1.0, 100.0)
    ]  # fmt: skip
    assert sizes[0] > sizes[1] > sizes[2]


# Starts


def test_starts_lie_in_the_ball_and_are_spread_over_it():
    generator = np.random.default_rng(0)
    image = np.full((4, 4, 1), 0.5, np.float32)
    epsilon = np.array([0.1, 0.2])
    for norm in NORMS:
        drawn = np.stack([UniformNoise()(image, epsilon, norm, (0, 1), generator) for _ in range(300)])
        sizes = norms(drawn - image, norm)
        assert (sizes <= epsilon + 1e-9).all()
        # Uniform in a ball of 16 dimensions: the share within 0.9 of the radius is 0.9^16 = 0.185.
        assert abs((sizes[:, 1] <= 0.18).mean() - 0.9**16) < 0.08
        np.testing.assert_allclose(drawn[:, 1] - image, 2 * (drawn[:, 0] - image))
    grey = np.stack([GaussianNoise(0.1, 0.3)(image, epsilon, None, (0, 2), generator) for _ in range(300)])
    assert abs(grey.mean() - 0.6) < 0.01
    assert abs(grey.std() - 0.2) < 0.01
    np.testing.assert_array_equal(AtImage()(image, epsilon, "linf", (0, 1), generator), np.stack([image, image]))


# Bad input


def test_wrong_numbers_are_refused_in_words(smooth):
    model, (images, labels) = smooth.classifier, smooth.labelled(4)
    wrong: list[tuple[Attack, dict[str, Any], str]] = [
        (fgsm(), {"epsilon": -0.1}, "epsilon must be from 0 to 1"),
        (fgsm(), {"epsilon": 1.1}, "epsilon must be from 0 to 1"),
        (fgsm(), {"epsilon": float("nan")}, "epsilon must be"),
        (fgsm(), {}, "needs its radius"),
        (fgsm(norm="l2"), {"epsilon": 7.0}, "root of the number of pixels"),
        (fgsm(), {"epsilon": 0.1, "labels": 3}, "none of the model's 3"),
        (fgsm(), {"epsilon": 0.1, "labels": [0, 1]}, r"^numbers of shapes .*\[2\].* do not fit 4 images"),
        (fgsm(), {"epsilon": [0.1, 0.2]}, "do not fit 4 images"),
        (fgsm(), {"epsilon": 0.1, "step_size": -1.0}, "step_size"),
        (fgsm(), {"epsilon": 0.1, "images": images * 255}, "value range"),
        (fgsm(), {"epsilon": 0.1, "images": images * np.nan}, "value range"),
        (fgsm(), {"epsilon": 0.1, "images": images[0]}, r"\[N, H, W, C\]"),
        (Attack(norm=None, step_size=0.1), {"epsilon": 0.1}, "takes no epsilon"),
    ]
    for attack, options, words in wrong:
        with pytest.raises(UsageError, match=words):
            attack.run(model, options.pop("images", images), options.pop("labels", labels), **options)
    with pytest.raises(UsageError, match="random start"):
        pgd(restarts=2)
    with pytest.raises(UsageError, match="step_size"):
        Attack(norm=None)
    for numbers in ({"steps": -1}, {"restarts": -2}):
        with pytest.raises(UsageError, match="steps and restarts must be at least 0; received"):
            pgd(**numbers)
    for target in (-1, 3):
        with pytest.raises(UsageError, match=rf"the classes must be from 0 to 2; received {target}"):
            learn_noise(model, images, target, epsilon=0.1, step_size=0.1, steps=1)
    with pytest.raises(UsageError, match="without images"):
        learn_noise(model, images[:0], 1, epsilon=0.1, step_size=0.1, steps=1)
    with pytest.raises(UsageError, match="both a norm"):
        learn_noise(model, images, 1, epsilon=None, step_size=0.1, steps=1)
    with pytest.raises(UsageError, match="tolerance above 0"):
        smallest_epsilon(fgsm(), model, images, labels, most=0.1, tolerance=0)


def test_a_model_without_gradient_is_refused():
    broken = FakeClassifier(lambda x: tf.stop_gradient(tf.reshape(x, [-1, 4])), (2, 2, 1), 4)
    with pytest.raises(CnnlabError, match="differentiable"):
        fgsm().run(broken, np.zeros((2, 2, 2, 1), np.float32), 0, epsilon=0.1)


@pytest.mark.parametrize("then", ["stop", "last", "closest"])
def test_no_images_give_an_empty_outcome(smooth, then):
    images = np.zeros((0, *smooth.shape), np.float32)
    outcome = pgd(steps=3, then=then).run(smooth.classifier, images, np.zeros(0, int), epsilon=[[0.1], [0.2]])
    assert outcome.adversarial.shape == (2, 0, *smooth.shape)
    assert outcome.reached.shape == (2, 0)


def test_large_sets_are_attacked_block_by_block(smooth, monkeypatch):
    images, labels = smooth.labelled(50)
    attack = pgd(steps=5, random_start=True, restarts=1)
    whole = attack.run(smooth.classifier, images, labels, epsilon=[[0.02], [0.1]])
    monkeypatch.setattr("cnnlab.attacks.rows.POOL_BYTES", 1)
    pieces = attack.run(smooth.classifier, images, labels, epsilon=[[0.02], [0.1]], batch_size=16)
    np.testing.assert_array_equal(pieces.adversarial, whole.adversarial)
    np.testing.assert_array_equal(pieces.reached, whole.reached)


def test_what_another_attack_found_keeps_its_trace():
    def found(reached, value, traced=True):
        filled = np.full(2, value)
        return Outcome(
            adversarial=np.full((2, 1, 1, 1), value, np.float32),
            reached=np.array(reached),
            steps=filled.astype(int),
            logits=np.array([[0.0, value]] * 2, np.float32),
            flat=filled > 5,
            confidence=np.full((2, 3), value, np.float32) if traced else None,
        )

    one, other = found([True, False], 1.0), found([True, True], 2.0)
    both = one.or_else(other)
    assert both.reached.tolist() == [True, True]
    assert both.confidence[:, 0].tolist() == both.adversarial[:, 0, 0, 0].tolist() == [1.0, 2.0]
    assert one.or_else(found([True, True], 2.0, traced=False)).confidence is None
    np.testing.assert_allclose(other.probabilities[0], [1 / (1 + np.e**2), 1 - 1 / (1 + np.e**2)], rtol=1e-5)
