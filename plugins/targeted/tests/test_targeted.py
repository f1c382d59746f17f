"""The contract, the attacks against closed forms, and the bookkeeping of who goes where against plain loops."""

from __future__ import annotations

import functools
from typing import ClassVar

import keras
import numpy as np
import pytest

import cnnlab
from cnnlab.attacks.minimal import next_beta
from cnnlab.drawings import Bars, Curves, Matrix, Scrub, Tiles
from cnnlab.errors import UsageError
from cnnlab.results.claims import Claims
from cnnlab.testing import AnalysisContract, FakeClassifier
from cnnlab_targeted import TargetedParams
from cnnlab_targeted.matrix import drawings, matrices

SHAPE = (8, 8, 1)
AT_STRENGTHS = ("success", "success_8bit", "confidence_after", "linf", "l2", "accuracy", "reached", "reached_8bit")
MEANS = ("target_confidence", "lowest_target_confidence", "mean_squared_difference")


class TestContract(AnalysisContract):
    analysis = "targeted"
    params: ClassVar = {"steps": 10}


@pytest.mark.full
class TestContractOfPGD(AnalysisContract):
    analysis = "targeted"
    params: ClassVar = {"steps": 5, "method": "pgd", "target": 1, "epsilon": (0.1, 0.3)}
    undelivered = (
        *AT_STRENGTHS,
        *MEANS,
        "accuracy_after",
        "beta",
        "matrix_images",
        "matrix_reached",
        "matrix_confidence",
        "matrix_l2",
    )


def ask(classifier, images, labels=None, **params):
    return cnnlab.analyze("targeted", classifier, images, labels, **params)


@functools.cache
def one_way(scale=1.0, bounds=(0.0, 1.0), shape=(4, 4, 1)):
    """A model of two classes whose second logit is w · (x - 0.5) * scale, and whose first is 0; with w."""
    w = np.random.default_rng(0).normal(size=int(np.prod(shape)))
    dense = keras.layers.Dense(2, name="scores")
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), dense])
    kernel = np.stack([0 * w, w * scale], axis=1)
    dense.set_weights([kernel, np.array([0, -0.5 * scale * w.sum()])])
    return cnnlab.load(model, input_range=bounds), (w * scale).reshape(shape)


def test_a_beta_run_to_its_end_finds_the_optimum():
    """Of a linear logit less beta times the squared difference: the image plus w / (2 beta), cut to the box."""
    classifier, w = one_way()
    image = np.random.default_rng(1).uniform(0.3, 0.7, (1, *w.shape)).astype(np.float32)
    betas = (30.0, 3.0, 0.5)
    found = ask(classifier, image, [0], target=1, beta=betas, steps=400, step_size=0.005, confidence=0.999)
    for index, beta in enumerate(betas):
        best = np.clip(image + w / (2 * beta), 0, 1)
        np.testing.assert_allclose(found.arrays["adversarial"][index], best, atol=0.01)


def test_beta_is_told_in_shares_of_the_value_range():
    classifier, w = one_way(scale=1e-2, bounds=(-100.0, 100.0))
    image = np.full((1, *w.shape), 10, np.float32)
    found = ask(classifier, image, [0], target=1, beta=(1e9, 50.0), steps=400, step_size=0.005, confidence=0.9999999)
    np.testing.assert_allclose(found.arrays["adversarial"][0], image, atol=2)
    best = np.clip(image + w * 200**2 / (2 * 50), -100, 100)
    np.testing.assert_allclose(found.arrays["adversarial"][1], best, atol=2)


@pytest.mark.parametrize("confidence", [0.9, pytest.param(0.7, marks=pytest.mark.full)])
def test_closest_finds_the_nearest_image_that_reaches_the_confidence(confidence):
    """With two classes it lies along w, where the second logit is the confidence's log-odds."""
    classifier, w = one_way()
    images = np.random.default_rng(2).uniform(0.35, 0.65, (5, *w.shape)).astype(np.float32)
    found = ask(
        classifier, images, target=1, labels=[0] * 5, closest=True, confidence=confidence, steps=150, step_size=0.005
    )
    logits = classifier.logits(images)[:, 1].astype(np.float64)
    missing = np.maximum(np.log(confidence / (1 - confidence)) - logits, 0)
    least = missing / np.linalg.norm(w)
    assert least.max() > 0.1
    assert found.metrics["reached"] == 1
    counted = least > 0
    assert (found.arrays["l2"][counted] >= least[counted] * 0.999).all()
    np.testing.assert_allclose(found.arrays["l2"], least, rtol=0.05, atol=1e-6)


def test_closest_is_never_further_than_any_beta_it_tried(tiny_models):
    classifier = tiny_models.convolutional(SHAPE)
    images, _ = tiny_models.images(SHAPE, 4)
    make = functools.partial(ask, classifier, images, target=2, confidence=0.9, steps=60)
    plain, searched = make(beta=0.3), make(beta=0.3, closest=True, rounds=5)
    assert plain.metrics["reached"] == searched.metrics["reached"] == 1
    assert (searched.arrays["l2"] <= plain.arrays["l2"] + 1e-6).all()
    assert searched.metrics["l2"] < 0.95 * plain.metrics["l2"]


def test_the_search_grows_shrinks_and_then_halves():
    lower, upper = np.array([0.0, 2.0, 2.0]), np.array([3.0, np.inf, 8.0])
    np.testing.assert_allclose(next_beta(lower, upper), [0.75, 8.0, 4.0])


def test_more_beta_changes_less(tiny_models):
    images, labels = tiny_models.images(SHAPE, 6)
    betas = (0.1, 1.0, 10.0, 100.0)
    found = ask(tiny_models.convolutional(SHAPE), images, labels, target=0, beta=betas, steps=150).arrays
    assert found["adversarial"].shape == (4, len(found["target"]), *SHAPE)
    assert (np.diff(found["l2"], axis=0) < 0).all()
    assert (np.diff(found["target_confidence"].mean(axis=1)) < 0).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_on_a_linear_model_goes_to_the_edge_of_the_ball_and_no_further(norm):
    classifier, w = one_way()
    images = np.full((1, *w.shape), 0.5, np.float32)
    epsilons = (0.0, 0.05, 0.2)
    found = ask(
        classifier, images, [0], target=1, method="pgd", norm=norm, epsilon=epsilons, confidence=0.9999999, steps=30
    )
    direction = np.sign(w) if norm == "linf" else w / np.linalg.norm(w)
    for index, epsilon in enumerate(epsilons):
        np.testing.assert_allclose(found.arrays["adversarial"][index], images + epsilon * direction, atol=1e-5)
    assert (found.arrays[norm] <= np.array(epsilons)[:, None] + 1e-7).all()
    np.testing.assert_array_equal(found.arrays["adversarial"][0], images)
    assert "success@0.05" in found.metrics


def test_probabilities_and_changes_are_those_of_the_images(tiny_models):
    classifier = tiny_models.convolutional(SHAPE)
    images, labels = tiny_models.images(SHAPE, 5)
    found = ask(classifier, images, labels, beta=(0.5, 5.0), steps=30, confidence=0.9)
    arrays = found.arrays
    np.testing.assert_array_equal(arrays["original"], images[arrays["image"]])
    np.testing.assert_array_equal(arrays["label"], labels[arrays["image"]])
    for index in range(2):
        made = arrays["adversarial"][index]
        probabilities = classifier.probabilities(made)
        np.testing.assert_allclose(arrays["probabilities_after"][index], probabilities, rtol=1e-4, atol=1e-6)
        own = probabilities[np.arange(len(made)), arrays["target"]]
        np.testing.assert_allclose(arrays["target_confidence"][index], own, rtol=1e-4, atol=1e-6)
        change = np.square(made.astype(np.float64) - arrays["original"]).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(arrays["mean_squared_difference"][index], change, rtol=1e-6)
        at = f"@{(0.5, 5)[index]:g}"
        assert found.metrics[f"mean_squared_difference{at}"] == pytest.approx(change.mean())
        assert found.metrics[f"reached{at}"] == pytest.approx((own >= 0.9).mean())
    assert len(found.rows) == 2 * len(arrays["target"])
    for index, row in enumerate(found.rows):
        image, strength = divmod(index, 2)
        assert row["target_confidence"] == pytest.approx(float(arrays["target_confidence"][strength, image]))


def test_all_sends_every_image_to_every_other_class(tiny_models):
    images, labels = tiny_models.images(SHAPE, 5)
    found = ask(tiny_models.convolutional(SHAPE), images, labels, target="all", steps=5)
    expected = [(i, t) for i in range(5) for t in range(4) if t != labels[i]]
    assert list(zip(found.arrays["image"].tolist(), found.arrays["target"].tolist(), strict=True)) == expected
    count = found.arrays["matrix_images"]
    assert count.sum() == len(expected)
    assert not np.diag(count).any()
    assert {"", "matrix"} <= set(found.drawings)
    assert not [text for text in found.warnings if "skipped" in text]


def test_matrices_equal_a_plain_loop():
    rng = np.random.default_rng(3)
    own, target = rng.integers(0, 3, 40), rng.integers(0, 3, 40)
    arrays = {"target": target, "reached": rng.random((2, 40)) < 0.5, "l2": rng.random((2, 40))}
    arrays["target_confidence"] = rng.random((2, 40))
    own[own == 2] = 1
    found = matrices(arrays, own, 3)
    for source in range(3):
        for wanted in range(3):
            here = (own == source) & (target == wanted)
            assert found["matrix_images"][source, wanted] == here.sum()
            for name, key in (("reached", "reached"), ("confidence", "target_confidence"), ("l2", "l2")):
                value = found[f"matrix_{name}"][:, source, wanted]
                if here.any():
                    np.testing.assert_allclose(value, arrays[key][:, here].mean(axis=1))
                else:
                    assert np.isnan(value).all()


def test_images_of_the_target_class_are_skipped_and_that_is_said(tiny_models):
    images, _ = tiny_models.images(SHAPE, 4)
    found = ask(tiny_models.convolutional(SHAPE), images, [1, 2, 1, 0], target=1, steps=5)
    assert found.arrays["image"].tolist() == [1, 3]
    assert found.metrics["skipped"] == 2
    assert any("2 of 4 images skipped: the target 1 is their own class (array:0, array:2)" in t for t in found.warnings)


def test_where_nobody_knows_the_label_the_predicted_class_stands_for_it(tiny_models):
    classifier = tiny_models.convolutional(SHAPE)
    images, _ = tiny_models.images(SHAPE, 4)
    predicted = classifier.predict(images)
    found = ask(classifier, images, target=int(predicted[0]), steps=5)
    assert found.arrays["image"].tolist() == np.flatnonzero(predicted != predicted[0]).tolist()


def test_nothing_left_to_attack_is_an_answer(tiny_models, tmp_path):
    images, _ = tiny_models.images(SHAPE, 2)
    found = ask(tiny_models.linear(SHAPE), images, [3, 3], target=3)
    assert dict(found.metrics) == {"images": 0, "skipped": 2}
    assert any("2 of 2 images skipped" in text for text in found.warnings)
    assert found.save(tmp_path / "out")


def test_an_image_already_read_as_the_target_is_counted_apart(tiny_models):
    classifier = tiny_models.convolutional(SHAPE)
    images, _ = tiny_models.images(SHAPE, 1)
    read = int(classifier.predict(images)[0])
    found = ask(classifier, images, [(read + 1) % 4], target=read, steps=5)
    assert not found.arrays["counted"].any()
    assert found.rows[0]["success"] == "read so before"
    assert any("read as the target before the attack" in text for text in found.warnings)


def test_an_attack_that_does_not_succeed_is_reported(tiny_models):
    images, labels = tiny_models.images(SHAPE, 2)
    target = next(t for t in range(4) if t not in labels)
    found = ask(tiny_models.convolutional(SHAPE), images, labels, target=target, beta=1e6, steps=5)
    assert found.metrics["reached"] == 0
    assert {row["reached"] for row in found.rows} == {"no"}
    assert any("2 of 2 attacks did not reach the confidence 0.99" in text for text in found.warnings)
    assert np.isfinite(found.arrays["adversarial"]).all()
    searched = ask(tiny_models.constant(SHAPE), images, labels, target=target, steps=5, closest=True, rounds=3)
    assert searched.metrics["reached"] == 0


def test_eight_bit_images_are_the_same_after_saving(tiny_models):
    images, labels = tiny_models.images(SHAPE, 3)
    for method in ({}, {"method": "pgd", "epsilon": 0.5}):
        found = ask(tiny_models.convolutional(SHAPE), images, labels, confidence=0.7, eight_bit=True, **method)
        levels = found.arrays["adversarial"] * 255
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
        np.testing.assert_array_equal(found.arrays["target_confidence"], found.arrays["target_confidence_8bit"])


@pytest.mark.parametrize("closest", [False, True])
def test_an_image_gets_the_same_attack_alone_and_among_others(tiny_models, closest):
    classifier = tiny_models.convolutional(SHAPE)
    images, _ = tiny_models.images(SHAPE, 20)
    labels = np.zeros(20, int)
    make = functools.partial(ask, classifier, target=2, steps=20, confidence=0.9, closest=closest, rounds=4)
    together, alone = make(images, labels), make(images[7:8], labels[7:8])
    np.testing.assert_allclose(alone.arrays["adversarial"][0], together.arrays["adversarial"][7], atol=1e-5)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"target": -1}, "target must be 'all' or a class, by number or name; received -1"),
        ({"closest": True, "method": "pgd"}, "closest searches beta, which method pgd does not have"),
        ({"closest": True, "beta": (1, 2)}, "at most one is given"),
        ({"beta": (1, 1)}, "must not be given twice"),
        ({"epsilon": (0.1, 0.1), "method": "pgd"}, "epsilon must not be given twice"),
        ({"random_start": True}, "draws from the ball of `method=pgd`"),
    ],
)
def test_words_that_make_no_sense_together_are_refused(params, words):
    with pytest.raises(UsageError, match=words):
        TargetedParams.from_public(params)


def test_the_target_is_a_word_or_a_number():
    assert TargetedParams.from_public({"target": "3"}).target == 3
    assert TargetedParams.from_public({"target": "all"}).target == "all"


def test_a_target_that_is_no_class_is_refused(tiny_models):
    images, _ = tiny_models.images(SHAPE, 1)
    for target in (4, "nine"):
        with pytest.raises(UsageError, match=f"0 to 3, or all; received {target}"):
            ask(tiny_models.linear(SHAPE), images, target=target)


def test_every_figure_can_be_drawn(tiny_models):
    images, labels = tiny_models.images(SHAPE, 7)
    found = ask(tiny_models.convolutional(SHAPE), images, labels, beta=(0.1, 1.0, 10.0), steps=5)
    assert set(found.drawings) == {"", "trade-off", "matrix", "beta"}
    for name in found.drawings:
        assert found.figure(name).axes


@functools.cache
def of_animals():
    """A model whose classes have names."""
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(4)])
    return cnnlab.load(model, class_names=["cat", "dog", "cow", "hen"])


def test_the_headline_says_what_they_were_to_be_read_as(tiny_models):
    images, labels = tiny_models.images(SHAPE, 4)
    classifier = of_animals()
    others = int((labels != 3).sum())
    told = ask(classifier, images, labels, target="hen", beta=1e6, steps=2).headline
    assert told == f"0 of {others} images read as hen with a confidence of at least 99%"
    told = ask(classifier, images, labels, target="all", beta=(1e6, 1e7), steps=2).headline
    assert told == ("0 of 12 attacks reach their target with a confidence of at least 99% at beta 1e+06, 0 at 1e+07")


@pytest.mark.parametrize(("beta", "first"), [(0.0, 1.0), (7.0, 7.0)])
def test_the_search_begins_at_the_beta_that_is_given(tiny_models, beta, first):
    images, _ = tiny_models.images(SHAPE, 3)
    labels = np.zeros(3, int)
    found = ask(
        tiny_models.linear(SHAPE), images, labels, target=2, steps=20, confidence=0.1, beta=beta, closest=True, rounds=1
    )
    assert set(found.arrays["beta"].ravel().tolist()) == {first}


def test_the_target_may_be_named(tiny_models):
    images, labels = tiny_models.images(SHAPE, 3)
    classifier = of_animals()
    named, numbered = (ask(classifier, images, labels, target=target, steps=3) for target in ("hen", 3))
    np.testing.assert_array_equal(named.arrays["adversarial"], numbered.arrays["adversarial"])
    with pytest.raises(UsageError, match=r"or all; received henn\. Did you mean 'hen'\?"):
        ask(classifier, images, labels, target="henn")


def test_the_ball_is_by_default_a_share_of_the_value_range():
    classifier, w = one_way(scale=1e-2, bounds=(-100.0, 100.0))
    image = np.zeros((1, *w.shape), np.float32)
    found = ask(classifier, image, [0], target=1, method="pgd", confidence=0.9999999, steps=10)
    np.testing.assert_allclose(found.arrays["adversarial"], image + 60 * np.sign(w), atol=1e-3)
    short = ask(classifier, image, [0], target=1, method="pgd", confidence=0.9999999, steps=2, step_size=0.05)
    np.testing.assert_allclose(short.arrays["adversarial"], image + 20 * np.sign(w), atol=1e-3)


def test_strengths_keep_the_order_in_which_they_were_given():
    classifier, w = one_way()
    image = np.full((1, *w.shape), 0.5, np.float32)
    found = ask(classifier, image, [0], target=1, method="pgd", epsilon=(0.2, 0.1), confidence=0.9999999, steps=10)
    np.testing.assert_allclose(found.arrays["linf"][:, 0], [0.2, 0.1], atol=1e-6)
    assert [row["epsilon"] for row in found.rows] == [0.2, 0.1]
    assert found.drawing("").tiles[1].stops == ("0.2", "0.1")


def test_a_random_start_belongs_to_the_seed(tiny_models):
    images, labels = tiny_models.images(SHAPE, 3)
    make = functools.partial(
        ask, tiny_models.convolutional(SHAPE), images, labels, target=0, method="pgd", random_start=True, steps=2
    )
    first, again, other = make(seed=1), make(seed=1), make(seed=2)
    np.testing.assert_array_equal(first.arrays["adversarial"], again.arrays["adversarial"])
    assert (first.arrays["adversarial"] != other.arrays["adversarial"]).any()


def test_what_is_drawn_is_what_was_found(tiny_models):
    images, labels = tiny_models.images(SHAPE, 3)
    classifier = tiny_models.convolutional(SHAPE)
    wanted = int((labels[0] + 1) % 4)
    one = ask(classifier, images[:1], labels[:1], target=wanted, steps=20)
    tiles = one.drawing("")
    assert isinstance(tiles, Tiles)
    original, result, difference, bars = tiles.tiles[:4]
    np.testing.assert_array_equal(original.values, images[0])
    np.testing.assert_array_equal(result.values, one.arrays["adversarial"][0])
    np.testing.assert_allclose(difference.values, one.arrays["adversarial"][0] - images[0])
    assert result.mark == one.arrays["success"][0]
    assert isinstance(bars, Bars)
    assert bars.highlight == one.arrays["target"][0]
    np.testing.assert_array_equal(bars.series[1].values, one.arrays["probabilities_after"][0])

    one = ask(classifier, images, labels, target="all", steps=20)
    matrix, grid = one.drawing("matrix"), one.drawing()
    assert isinstance(matrix, Matrix)
    np.testing.assert_array_equal(matrix.values, one.arrays["matrix_l2"])
    assert isinstance(grid, Tiles)
    assert len(grid.tiles) == 4 * len(np.unique(labels))
    for place, picture in enumerate(grid.tiles):
        source, target = np.unique(labels)[place // 4], place % 4
        first = int(np.flatnonzero(labels == source)[0])
        row = np.flatnonzero((one.arrays["image"] == first) & (one.arrays["target"] == target))
        shown = one.arrays["adversarial"][row[0]] if len(row) else images[first]
        np.testing.assert_array_equal(picture.values, shown)

    of_one = ask(classifier, images[:1], labels[:1], target="all", steps=20)
    row = of_one.drawing()
    assert row.rows == (classifier.class_names[labels[0]], "change")
    for target, (shown, changed) in enumerate(zip(row.tiles[:4], row.tiles[4:], strict=True)):
        assert (changed is None) == (target == labels[0])
        if changed is not None:
            np.testing.assert_allclose(changed.values, shown.values - images[0], atol=1e-7)

    of_all = ask(classifier, images, labels, target="all", beta=(10.0, 0.1), steps=20)
    rows = of_all.drawing("beta")
    assert rows.rows == tuple(name for name in classifier.class_names if name != classifier.class_names[labels[0]])
    for row, scrub in enumerate(rows.tiles):
        assert (scrub.axis, scrub.stops) == ("beta", ("10", "0.1"))
        for strength, (picture,) in enumerate(scrub.frames):
            np.testing.assert_array_equal(picture.values, of_all.arrays["adversarial"][strength, row])

    several = ask(classifier, images, labels, target=0, beta=(10.0, 0.1), steps=20)
    scrub = several.drawing("").tiles[1]
    assert isinstance(scrub, Scrub)
    assert (scrub.axis, scrub.stops) == ("beta", ("10", "0.1"))
    np.testing.assert_array_equal(scrub.frames[1][0].values, several.arrays["adversarial"][1, 0])
    assert "trade-off" not in one.drawings
    curves = several.drawing("trade-off")
    assert isinstance(curves, Curves)
    assert curves.lines[0].points == ("10", "0.1")
    np.testing.assert_allclose(curves.lines[0].y, several.arrays["target_confidence"].mean(axis=1))


@pytest.mark.full
def test_a_trained_network_reads_every_digit_as_every_other(tmp_path):
    """99% from every source class to every target, with the defaults and with the smallest change."""
    run = cnnlab.train("mnist", epochs=2, seed=0, out=tmp_path / "run")
    split = cnnlab.datasets.load("mnist").test
    classifier = cnnlab.load(run.path)
    right = np.flatnonzero(classifier.predict(split.batch(range(500))) == split.labels[:500])
    chosen = [right[split.labels[right] == label][0] for label in range(10)]
    images, labels = split.batch(chosen), split.labels[chosen]
    plain, searched = (ask(classifier, images, labels, closest=closest) for closest in (False, True))
    for found in (plain, searched):
        assert found.metrics["images"] == 90
        assert found.metrics["reached"] == 1
        assert found.metrics["lowest_target_confidence"] >= 0.99
        assert found.metrics["success"] == 1
    assert searched.metrics["l2"] < 0.9 * plain.metrics["l2"]


def test_of_many_classes_no_matrix_is_drawn():
    model = FakeClassifier(lambda images: images, (2, 2, 1), 21)
    assert drawings(model, {}, np.zeros(0, int), Claims(), 0.5) == {}
