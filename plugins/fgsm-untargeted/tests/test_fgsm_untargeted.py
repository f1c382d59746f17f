"""The contract, and the attack against the formula by finite differences, bounds, saturation and bad input."""

from __future__ import annotations

import itertools
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st

import cnnlab
from cnnlab.cli import cli
from cnnlab.errors import GateError
from cnnlab.plugin import Result, Scrub, UsageError, distances, from_8bit, percent, tolerance
from cnnlab.testing import AnalysisContract
from cnnlab_fgsm_untargeted import FgsmUntargetedParams
from cnnlab_fgsm_untargeted.run import SHARES, attack

SHAPE = (5, 6, 1)


class TestContract(AnalysisContract):
    analysis = "fgsm-untargeted"


class TestContractOfOneStrength(AnalysisContract):
    analysis = "fgsm-untargeted"
    params: ClassVar = {
        "epsilon": 0.1,
        "norm": "l2",
        "steps": 3,
        "random_start": True,
        "restarts": 1,
        "eight_bit": True,
    }
    undelivered = ()


class Smooth:
    """A network without kinks, opened, and the same one in float64 NumPy."""

    def __init__(self, gain=1.0):
        rng = np.random.default_rng(4)
        self.hidden, self.out = rng.normal(0, 0.6, (30, 9)), rng.normal(0, 0.8, (9, 4))
        model = keras.Sequential(
            [
                keras.Input(SHAPE),
                keras.layers.Flatten(),
                keras.layers.Dense(9, activation="tanh", use_bias=False),
                keras.layers.Dense(4, use_bias=False),
            ]
        )
        model.set_weights([self.hidden, self.out * gain])
        self.classifier = cnnlab.load(model)
        self.model = model

    def cross_entropy(self, image, label):
        logits = np.tanh(image.reshape(-1) @ self.hidden.astype(np.float32)) @ self.out.astype(np.float32)
        return np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[label]

    def gradient(self, image, label, width=1e-5):
        """Central differences in float64."""
        image = image.astype(np.float64)
        found = np.zeros(SHAPE)
        for place in itertools.product(*map(range, SHAPE)):
            step = np.zeros(SHAPE)
            step[place] = width
            found[place] = (self.cross_entropy(image + step, label) - self.cross_entropy(image - step, label)) / (
                2 * width
            )
        return found


@pytest.fixture(scope="module")
def smooth():
    return Smooth()


@pytest.fixture(scope="module")
def given_images():
    rng = np.random.default_rng(0)
    return rng.random((6, *SHAPE), dtype=np.float32), rng.integers(0, 4, 6)


def test_it_is_the_formula_with_gradients_of_finite_differences(smooth, given_images):
    images, labels = given_images
    epsilons = (0.03, 0.2)
    result = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, labels, epsilon=epsilons)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        gradient = smooth.gradient(image, label)
        assert np.abs(gradient).min() > 1e-7, "every sign is beyond doubt"
        for strength, epsilon in enumerate(epsilons):
            expected = np.clip(image + epsilon * np.sign(gradient), 0, 1)
            np.testing.assert_allclose(result.arrays["adversarial"][strength, index], expected, atol=3e-7)


def test_in_l2_it_is_the_gradient_scaled_to_epsilon(smooth, given_images):
    images, labels = given_images
    images = 0.4 + 0.2 * images  # so that nothing is clipped
    result = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, labels, epsilon=0.3, norm="l2")
    for image, label, adversarial in zip(images, labels, result.arrays["adversarial"], strict=True):
        gradient = smooth.gradient(image, label)
        np.testing.assert_allclose(adversarial - image, 0.3 * gradient / np.linalg.norm(gradient), atol=2e-6)


def test_without_a_label_it_moves_away_from_the_class_read(smooth, given_images):
    images, _ = given_images
    read = smooth.classifier.predict(images)
    unlabelled = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, epsilon=0.1)
    labelled = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, read, epsilon=0.1)
    np.testing.assert_array_equal(unlabelled.arrays["adversarial"], labelled.arrays["adversarial"])
    assert unlabelled.metrics["success@0.1"] == labelled.metrics["success@0.1"]
    assert unlabelled.metrics["accuracy@0.1"] is None, "nobody knows"


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("steps", [1, 5])
def test_epsilon_zero_changes_no_bit(smooth, given_images, norm, steps):
    images, labels = given_images
    result = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, labels, epsilon=0, norm=norm, steps=steps)
    np.testing.assert_array_equal(result.arrays["adversarial"], images)
    assert result.metrics["accuracy_after"] == result.metrics["accuracy_before"]
    assert result.metrics["success"] == 0


WAYS = list(itertools.product(["linf", "l2"], [1, 4], [False, True], [False, True]))
FEW_WAYS = [("linf", 1, False, False), ("l2", 4, True, False), ("linf", 4, False, True), ("l2", 1, True, True)]
STRENGTHS = {
    "epsilons": st.lists(st.floats(0, 1), min_size=1, max_size=3, unique=True),
    "seed": st.integers(0, 9),
}


@settings(max_examples=25, deadline=None)
@given(way=st.sampled_from(FEW_WAYS), **STRENGTHS)
def test_bound_and_range_are_kept(smooth, given_images, way, epsilons, seed):
    keeps_bound_and_range(smooth, given_images, way, epsilons, seed)


@pytest.mark.full
@settings(max_examples=100, deadline=None)
@given(way=st.sampled_from(WAYS), **STRENGTHS)
def test_bound_and_range_are_kept_in_every_way(smooth, given_images, way, epsilons, seed):
    keeps_bound_and_range(smooth, given_images, way, epsilons, seed)


def keeps_bound_and_range(smooth, given_images, way, epsilons, seed):
    norm, steps, random_start, eight_bit = way
    images, labels = given_images
    result = cnnlab.analyze(
        "fgsm-untargeted",
        smooth.classifier,
        images,
        labels,
        epsilon=epsilons,
        norm=norm,
        steps=steps,
        random_start=random_start,
        eight_bit=eight_bit,
        seed=seed,
    )
    original = result.arrays["original"]
    found = result.arrays["adversarial"].reshape(-1, *images.shape)
    assert len(found) == len(epsilons)
    assert 0 <= found.min() <= found.max() <= 1
    slack = tolerance(norm, SHAPE, (0.0, 1.0))
    assert (distances(original, found, norm).max(axis=1) <= np.sort(epsilons) + slack).all()
    if eight_bit:
        np.testing.assert_array_equal(found, from_8bit(np.rint(found.astype(float) * 255).astype(np.uint8), (0, 1)))


def test_a_model_with_a_saturated_softmax_is_attacked_as_well_as_its_logits():
    """Logits times a hundred before the softmax: most gradients through the probabilities are exactly zero."""
    images = np.random.default_rng(1).random((200, *SHAPE), dtype=np.float32)
    plain, sharp = Smooth(), Smooth(gain=100.0)
    probabilities = keras.Sequential([sharp.model, keras.layers.Softmax()])
    labels = plain.classifier.predict(images)
    with tf.GradientTape() as tape:
        variable = tf.Variable(images)
        loss = keras.losses.sparse_categorical_crossentropy(labels, probabilities(variable))
    slopes = tape.gradient(loss, variable).numpy()
    assert (slopes == 0).all(axis=(1, 2, 3)).mean() > 0.7, "what an attack on the probabilities would follow"

    epsilons = (0.02, 0.05, 0.1)
    by_logits, by_sharp, by_probabilities = (
        cnnlab.analyze("fgsm-untargeted", model, images, labels, epsilon=epsilons)
        for model in (plain.classifier, sharp.classifier, cnnlab.load(probabilities))
    )
    np.testing.assert_array_equal(by_probabilities.arrays["adversarial"], by_sharp.arrays["adversarial"])
    for epsilon in epsilons:
        rates = [found.metrics[f"success@{epsilon}"] for found in (by_logits, by_probabilities)]
        assert 0.05 < rates[0] < 0.95
        assert abs(rates[1] - rates[0]) <= 0.05


def test_one_strength_has_no_axis_and_both_names(smooth, given_images):
    images, labels = given_images
    one = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, labels, epsilon=0.2)
    two = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, labels, epsilon=(0.2, 0.05))
    assert one.arrays["adversarial"].shape == images.shape
    assert two.arrays["adversarial"].shape == (2, *images.shape)
    np.testing.assert_array_equal(two.arrays["adversarial"][1], one.arrays["adversarial"])
    assert one.metrics["accuracy@0.2"] == one.metrics["accuracy_after"] == two.metrics["accuracy@0.2"]
    assert one.metrics["success_8bit@0.2"] == one.metrics["success_8bit"] == two.metrics["success_8bit@0.2"]


def test_images_that_the_model_misreads_are_counted_apart(smooth, given_images):
    images, _ = given_images
    read = smooth.classifier.predict(images)
    labels = np.where(np.arange(6) < 2, (read + 1) % 4, read)
    result = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, labels, epsilon=0.3)
    assert result.metrics["misread_before"] == pytest.approx(2 / 6)
    assert result.arrays["counted"].tolist() == [False] * 2 + [True] * 4
    assert [row["success"] for row in result.rows[:2]] == ["misread before"] * 2
    after = result.arrays["label_after"]
    assert result.metrics["success"] == np.mean(after[2:] != labels[2:])
    fooled = int(result.arrays["success"].sum())
    assert result.headline == f"{fooled} of 4 correctly read images misread at epsilon 0.3"
    unknown = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, epsilon=(0.05, 0.3))
    few, many = unknown.arrays["success"].sum(axis=1)
    assert unknown.headline == f"{few} of 6 images read otherwise than before at epsilon 0.05, {many} at 0.3"


def test_an_attack_that_does_not_succeed_is_reported_as_such(tmp_path, tiny_models):
    images, _ = tiny_models.images((8, 8, 1), 2)
    result = cnnlab.analyze("fgsm-untargeted", tiny_models.constant((8, 8, 1)), images, epsilon=0.3)
    assert result.metrics["success"] == 0
    assert [row["success"] for row in result.rows] == ["no", "no"]
    np.testing.assert_array_equal(result.arrays["adversarial"], images, "no gradient, no change")
    result.save(tmp_path / "out")
    assert Result.load(tmp_path / "out").metrics["success"] == 0


def test_results_do_not_depend_on_what_goes_together(smooth, given_images):
    images, labels = given_images
    ask = {"steps": 5, "epsilon": (0.05, 0.1), "random_start": True, "seed": 3}
    together = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, labels, **ask)
    for index in range(len(images)):
        alone = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images[index], labels[index : index + 1], **ask)
        np.testing.assert_array_equal(alone.arrays["adversarial"][:, 0], together.arrays["adversarial"][:, index])
    other = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, labels, **{**ask, "seed": 4})
    assert (other.arrays["adversarial"] != together.arrays["adversarial"]).any(), "the seed chooses the start"


@pytest.fixture(scope="module")
def many_images(smooth):
    """8-bit images, all read as their label."""
    images = from_8bit(np.random.default_rng(2).integers(0, 256, (300, *SHAPE)).astype(np.uint8), (0.0, 1.0))
    return images, smooth.classifier.predict(images)


def test_iterating_finds_at_least_as_much(smooth, many_images):
    single, iterated = (
        cnnlab.analyze("fgsm-untargeted", smooth.classifier, *many_images, epsilon=(0.1, 0.2), steps=steps).metrics
        for steps in (1, 10)
    )
    for epsilon in ("0.1", "0.2"):
        assert iterated[f"accuracy@{epsilon}"] <= single[f"accuracy@{epsilon}"]
    assert iterated["accuracy@0.2"] < single["accuracy@0.2"]


def test_what_is_found_among_8_bit_images_outlives_a_png(smooth, many_images):
    images, labels = many_images
    result = cnnlab.analyze(
        "fgsm-untargeted", smooth.classifier, images, labels, epsilon=0.15, steps=10, eight_bit=True
    )
    assert result.metrics["success"] > 0.5
    assert result.metrics["success_8bit"] == result.metrics["success"]
    np.testing.assert_array_equal(result.arrays["label_after_8bit"], result.arrays["label_after"])


def test_images_that_are_no_8_bit_images_are_rounded_and_it_is_said(smooth, given_images):
    images, labels = given_images
    result = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, labels, epsilon=0.1, eight_bit=True)
    assert any("6 of 6 images were no 8-bit images" in warning for warning in result.warnings)
    np.testing.assert_allclose(result.arrays["original"], images, atol=0.5 / 255 + 1e-6)


def test_the_default_strengths_follow_the_models_range_and_size():
    def strengths(bounds, shape, **params):
        return FgsmUntargetedParams(**params).radii(bounds, shape, SHARES)

    assert strengths((0.0, 1.0), (28, 28, 1)) == pytest.approx((0.1, 0.2, 0.3))
    assert strengths((0.0, 255.0), (28, 28, 1)) == pytest.approx((25.5, 51, 76.5))
    assert strengths((-1.0, 1.0), (4, 4, 1), norm="l2") == pytest.approx((0.4, 0.8, 1.2))
    assert strengths((0.0, 1.0), (4, 4, 1), epsilon=(0.3, 0.1, 0.3)) == (0.1, 0.3)


def test_only_the_plain_step_is_the_formula():
    assert attack(FgsmUntargetedParams()).then == "last"
    assert attack(FgsmUntargetedParams(step_size=0.1)).step_size == 0.1
    assert attack(FgsmUntargetedParams(random_start=True, restarts=2)).restarts == 2
    assert attack(FgsmUntargetedParams(steps=7)).steps == 7


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"epsilon": -0.1}, "epsilon must be .* at least 0; received -0.1"),
        ({"epsilon": (0.1, 1.5)}, "epsilon must be from 0 to 1, the model's value range; received 1.5"),
        ({"epsilon": 6, "norm": "l2"}, "from 0 to 5.47723"),
        ({"restarts": 2}, "`restarts=` needs `random_start=True`"),
        ({"steps": 0}, "steps must be an integer of at least 1"),
        ({"step_size": 0}, "step_size must be a number above 0"),
        ({"norm": "l1"}, "'linf' or 'l2'; received l1"),
    ],
)
def test_wrong_numbers_are_refused_in_words(smooth, given_images, params, words):
    with pytest.raises(UsageError, match=words):
        cnnlab.analyze("fgsm-untargeted", smooth.classifier, *given_images, **params)


def test_the_command_says_the_range_with_status_2_and_keeps_gates(tmp_path):
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.save(tmp_path / "model.keras")
    words = ["analyze", "fgsm-untargeted", "--model", str(tmp_path / "model.keras"), "--out", str(tmp_path / "out")]
    words += ["--dataset", "mnist", "--limit", "4"]
    refused = CliRunner().invoke(cli, [*words, "--epsilon", "2"])
    assert isinstance(refused.exception, UsageError), "status 2"
    assert "0 to 1" in str(refused.exception)
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(cli, [*words, "--epsilon", "0.3", "--steps", "10", "--fail-under", "accuracy@0.3=0.9"])
    assert isinstance(done.exception, GateError), done.output
    assert (tmp_path / "out" / "figure.png").stat().st_size


def test_the_figure_shows_images_noises_and_what_they_are_read_as(smooth, given_images):
    images, labels = given_images
    result = cnnlab.analyze("fgsm-untargeted", smooth.classifier, images, labels, epsilon=(0.1, 0.2))
    shown = result.drawing()
    assert shown.columns == 2
    for index, (image, scrub) in enumerate(zip(shown.tiles[::2], shown.tiles[1::2], strict=True)):
        np.testing.assert_array_equal(image.array, images[index])
        assert isinstance(scrub, Scrub)
        assert (scrub.axis, scrub.stops) == ("linf epsilon", ("0.1", "0.2"))
        for strength, (noise, made) in enumerate(scrub.frames):
            np.testing.assert_array_equal(made.array, result.arrays["adversarial"][strength, index])
            np.testing.assert_allclose(noise.array, made.array - images[index], atol=1e-7)
            assert noise.ends == (-0.2, 0.2), "all strengths on one scale"
            name = smooth.classifier.class_names[result.arrays["label_after"][strength, index]]
            assert made.title.endswith(f"{name} ({percent(result.arrays['confidence_after'][strength, index])})")
            assert made.mark == result.arrays["success"][strength, index]
            assert noise.image == made.image == image.image == index
    written = [text.get_text() for axes in result.figure().axes for text in axes.texts]
    assert [text for text in written if text] == ["linf epsilon 0.1", "linf epsilon 0.2"]


@pytest.mark.full
def test_the_classic_network_is_in_its_band(tmp_path):
    run = cnnlab.train("mnist", seed=0, out=tmp_path / "classic")
    split = cnnlab.datasets.load("mnist").test
    images, labels = split.batch(range(1000)), split.labels[:1000]
    single = cnnlab.analyze("fgsm-untargeted", run.path, images, labels, epsilon=(0.1, 0.3)).metrics
    assert 0.70 <= single["accuracy@0.1"] <= 0.92
    assert single["accuracy@0.3"] <= 0.35
    iterated = cnnlab.analyze("fgsm-untargeted", run.path, images, labels, epsilon=0.3, steps=40).metrics
    assert iterated["accuracy@0.3"] < 0.005
