"""The contract, and the mathematics against closed forms, plain loops and files made by hand."""

from __future__ import annotations

import pickle
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import cnnlab
from cnnlab.datasets import Dataset, Split
from cnnlab.drawings import Matrix, Scrub, Tiles
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.numerics import known_label
from cnnlab.testing import AnalysisContract
from cnnlab.testing.fakes import Spectator
from cnnlab_noise_addition import NoiseAdditionParams, learn
from cnnlab_noise_addition.drawing import spectrum
from cnnlab_noise_addition.run import by_class, correlations, rank_of_target, share

SHAPE = (8, 8, 1)
OF_SEVERAL = ("accuracy@<strength>",)
OF_LEARNING = (
    *("noise", "success_learning_by_class", "trace_confidence", "trace_reached", "label_shuffled", "noise_alone"),
    *("learning_label", "learning_label_before", "learning_label_after"),
)
OF_LEARNING_METRICS = ("success_learning", "success_shuffled", "noise_alone", "learned_on")


class TestContract(AnalysisContract):
    analysis = "noise-addition"
    params: ClassVar = {"steps": 5, "target": 0}
    undelivered = ("image_noise", *OF_SEVERAL)


class TestPerImage(AnalysisContract):
    analysis = "noise-addition"
    params: ClassVar = {"steps": 5, "per_image": True, "target": 0}
    undelivered = (*OF_SEVERAL, *OF_LEARNING, *OF_LEARNING_METRICS)


@pytest.mark.full
class TestAllTargets(AnalysisContract):
    analysis = "noise-addition"
    params: ClassVar = {"steps": 5, "target": "all"}
    undelivered = (
        "image_noise",
        "accuracy_after",
        "success_8bit",
        "confidence_after",
        "linf",
        "l2",
        "success_shuffled",
        "target_confidence",
        "correlation",
        "correlation_rank",
        "noise_alone",
        "success/<class>",
    )


def drawn(tiny_models, count, seed=0):
    """Random images, and labels that go through the classes: 0, 1, 2, 3, 0, ..."""
    return tiny_models.images(SHAPE, count, seed)[0], np.arange(count) % tiny_models.classes


def dataset_of(tiny_models, shape=SHAPE, train=40, test=12):
    images, labels = tiny_models.images(shape, train + test, seed=5)
    classes = tuple(map(str, range(tiny_models.classes)))
    return Dataset(
        name="drawn",
        train=Split(images[:train], labels[:train]),
        test=Split(images[train:], labels[train:]),
        class_names=classes,
    )


def ask(tiny_models, images=None, labels=None, *, model=None, dataset="drawn", seed=0, **params):
    """Ask the tiny convolutional model, with a dataset of random images to learn on."""
    dataset = dataset_of(tiny_models) if dataset == "drawn" else dataset
    params = {"steps": 10, "target": 1} | params
    model = model or tiny_models.convolutional(SHAPE)
    return cnnlab.analyze("noise-addition", model, images, labels, dataset=dataset, seed=seed, **params)


@pytest.mark.parametrize("way", [{}, {"target": "all"}], ids=str)
def test_the_noises_are_seen_while_they_are_learned(tiny_models, way):
    spectator = Spectator()
    result = ask(tiny_models, steps=25, progress=spectator, **way)
    noises = np.reshape(result.arrays["noise"], (-1, *SHAPE))
    first, last = (np.stack([tile.values for tile in each.tiles]) for each in spectator.previews)
    np.testing.assert_array_equal(last, noises)
    assert (first != last).any()


def test_images_with_noises_of_their_own_are_seen_while_these_are_learned(tiny_models):
    images, labels = drawn(tiny_models, 3)
    spectator = Spectator()
    result = ask(tiny_models, images, labels, steps=25, per_image=True, progress=spectator)
    last = np.stack([tile.values for tile in spectator.previews[-1].tiles])
    other = labels != 1  # the noise of an image of the target is left out in the end
    np.testing.assert_array_equal(last[other], result.arrays["adversarial"][other])


def scorer(weights):
    """A model of two classes whose second logit leads by ``weights`` times the pixels."""
    import keras

    layer = keras.layers.Dense(2, use_bias=False)
    model = keras.Sequential([keras.Input((*weights.shape, 1)), keras.layers.Flatten(), layer])
    layer.set_weights([np.stack([np.zeros(weights.size), weights.reshape(-1)], axis=1)])
    return cnnlab.load(model)


WEIGHTS = np.random.default_rng(3).choice([-1.0, 1.0], (5, 6)) * np.linspace(0.5, 1.5, 30).reshape(5, 6)


def test_on_a_linear_model_the_noise_is_epsilon_times_the_sign_of_the_weights():
    images = np.random.default_rng(0).uniform(0.4, 0.6, (6, 5, 6, 1)).astype(np.float32)
    result = cnnlab.analyze(
        "noise-addition", scorer(WEIGHTS), images, np.zeros(6, int), target=1, epsilon=0.2, steps=40
    )
    np.testing.assert_allclose(result.arrays["noise"][..., 0], 0.2 * np.sign(WEIGHTS), atol=1e-6)


def test_on_a_linear_model_the_noise_in_an_l2_ball_is_along_the_weights():
    images = np.random.default_rng(0).uniform(0.4, 0.6, (6, 5, 6, 1)).astype(np.float32)
    result = cnnlab.analyze(
        "noise-addition", scorer(WEIGHTS), images, np.zeros(6, int), target=1, epsilon=0.5, norm="l2", steps=200
    )
    expected = 0.5 * WEIGHTS / np.linalg.norm(WEIGHTS)
    np.testing.assert_allclose(result.arrays["noise"][..., 0], expected, atol=2e-3)


@pytest.mark.parametrize(("ground", "side"), [(0.0, 1), (1.0, -1)], ids=["dark", "light"])
def test_no_pixel_is_lost_to_clipping(ground, side):
    """Where the images leave no room to one side, the noise is learned from the other one."""
    images = np.full((4, 5, 6, 1), ground, np.float32)
    result = cnnlab.analyze("noise-addition", scorer(WEIGHTS), images, np.zeros(4, int), target=1, steps=30)
    noise = result.arrays["noise"][..., 0]
    useful = np.sign(WEIGHTS) == side
    np.testing.assert_allclose(noise[useful], side * 0.3, atol=1e-6)
    assert (noise[~useful] * side <= 1e-6).all(), "what speaks against the target is not added"


def test_the_noise_is_added_and_clipped_and_nothing_else(tiny_models):
    images, labels = drawn(tiny_models, 6)
    result = ask(tiny_models, images, labels, epsilon=0.4)
    expected = np.clip(images + result.arrays["noise"], 0, 1)
    np.testing.assert_array_equal(result.arrays["adversarial"], expected)
    assert np.abs(result.arrays["noise"]).max() <= 0.4
    assert result.metrics["linf"] > 0.2


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("way", [{}, {"per_image": True}, {"target": "all"}], ids=str)
def test_no_image_moves_further_than_epsilon(tiny_models, norm, way):
    result = ask(tiny_models, *drawn(tiny_models, 5), norm=norm, epsilon=0.25, **way)
    assert result.arrays[norm].max() <= 0.25
    assert result.arrays[norm].max() > 0.1


@pytest.mark.parametrize("way", [{}, {"per_image": True}, {"target": "all"}], ids=str)
def test_epsilon_0_changes_nothing(tiny_models, way):
    result = ask(tiny_models, *drawn(tiny_models, 5), epsilon=0, **way)
    np.testing.assert_array_equal(*np.broadcast_arrays(result.arrays["adversarial"], result.arrays["original"]))
    assert not result.arrays["success"].any()
    assert np.isnan(result.arrays["correlation"]).all()


def test_success_is_what_a_plain_loop_counts(tiny_models):
    model, dataset = tiny_models.convolutional(SHAPE), dataset_of(tiny_models)
    result = ask(tiny_models, epsilon=0.5, steps=30)
    arrays, noise = result.arrays, result.arrays["noise"]
    assert len(arrays["original"]) == len(dataset.test), "without images, the test images are measured"
    for split, rates, total in (
        (dataset.test, arrays["success_by_class"], result.metrics["success"]),
        (dataset.train, arrays["success_learning_by_class"], result.metrics["success_learning"]),
    ):
        counted, hits = np.zeros(4), np.zeros(4)
        for image, label in zip(split.images, split.labels, strict=True):
            if label != 1 and model.predict(image[None])[0] != 1:
                counted[label] += 1
                hits[label] += model.predict(np.clip(image + noise, 0, 1)[None])[0] == 1
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(rates, hits / counted)
        assert total == pytest.approx(hits.sum() / counted.sum())
    assert result.metrics["left_out"] == (~arrays["counted"]).sum()
    assert result.metrics["learned_on"] == 40
    sure = model.probabilities(arrays["adversarial"])[arrays["counted"], 1]
    assert result.metrics["target_confidence"] == pytest.approx(sure.mean(), rel=1e-5)
    alone = model.probabilities(np.clip(0.5 + noise, 0, 1)[None])[0, 1]
    assert result.metrics["noise_alone"] == pytest.approx(alone, rel=1e-5)


def test_all_targets_are_as_many_noises(tiny_models):
    result = ask(tiny_models, target="all", epsilon=0.4, steps=30)
    arrays = result.arrays
    assert arrays["noise"].shape == (4, *SHAPE)
    assert arrays["noise_target"].tolist() == [0, 1, 2, 3]
    assert np.isnan(np.diag(arrays["success_by_class"])).all(), "from a class to itself there is nothing to count"
    for target in range(4):
        alone = ask(tiny_models, target=target, epsilon=0.4, steps=30)
        np.testing.assert_allclose(arrays["noise"][target], alone.arrays["noise"], atol=1e-5)
        assert result.metrics[f"success@{target}"] == alone.metrics["success"]
        assert result.metrics[f"correlation@{target}"] == pytest.approx(alone.metrics["correlation"], abs=1e-5)
    counted = arrays["counted"]
    assert result.metrics["success"] == pytest.approx(arrays["success"][counted].mean())


def watch_learning(monkeypatch):
    seen = []
    whole = learn.learn_noise

    def watched(classifier, images, *rest, **options):
        seen.append(images)
        return whole(classifier, images, *rest, **options)

    monkeypatch.setattr(learn, "learn_noise", watched)
    return seen


def test_images_that_are_measured_are_never_learned_on(tiny_models, monkeypatch):
    seen = watch_learning(monkeypatch)
    dataset = dataset_of(tiny_models)
    images, labels = dataset.train.images[:30], dataset.train.labels[:30]
    result = ask(tiny_models, images, labels, dataset=dataset, learn_on=8)
    assert len(seen[0]) == 8
    rest = {image.tobytes() for image in dataset.train.images[30:]}
    assert {image.tobytes() for image in seen[0]} < rest
    assert not any("very images" in text for text in result.warnings)


def test_which_images_are_learned_on_is_drawn_by_the_seed(tiny_models, monkeypatch):
    seen = watch_learning(monkeypatch)
    for seed in (1, 1, 2):
        ask(tiny_models, *drawn(tiny_models, 2), learn_on=10, seed=seed)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != seen[2]).any()


def test_without_training_images_it_says_what_it_learned_on(tiny_models):
    images, labels = drawn(tiny_models, 5)
    result = ask(tiny_models, images, labels, dataset=None)
    assert "the very images that it is measured on" in result.warnings[0]
    assert result.metrics["learned_on"] == 5


def test_with_neither_images_nor_a_dataset_it_is_refused(tiny_models):
    with pytest.raises(UsageError, match="name files with `images=`"):
        ask(tiny_models, dataset=None)


def test_an_image_of_the_target_gets_no_noise_of_its_own(tiny_models):
    images, _ = drawn(tiny_models, 6)
    labels = np.array([1, 0, 2, 1, 3, 0])
    result = ask(tiny_models, images, labels, per_image=True, epsilon=0.5, steps=20)
    moved = result.arrays["linf"] > 0
    assert moved.tolist() == (labels != 1).tolist()
    assert not result.arrays["counted"][labels == 1].any()
    np.testing.assert_array_equal(result.arrays["image_noise"], result.arrays["adversarial"] - images)
    assert any("2 of the noises" in text for text in result.warnings)
    assert result.rows[0]["success"] == "its own class"


def test_a_noise_of_its_own_does_not_depend_on_the_other_images(tiny_models):
    images, labels = drawn(tiny_models, 6)
    together = ask(tiny_models, images, labels, per_image=True)
    alone = ask(tiny_models, images[4:5], labels[4:5], per_image=True)
    np.testing.assert_array_equal(together.arrays["adversarial"][4], alone.arrays["adversarial"][0])


# --- saved noises


def test_a_saved_noise_does_again_what_it_did(tiny_models, tmp_path):
    images, labels = drawn(tiny_models, 6)
    learned = ask(tiny_models, images, labels, epsilon=0.4, target=2)
    learned.save(tmp_path)
    again = ask(tiny_models, images, labels, apply=tmp_path, target=None)
    for name in ("noise", "adversarial", "target", "success", "correlation"):
        np.testing.assert_array_equal(again.arrays[name], learned.arrays[name], err_msg=name)
    assert "success_learning" not in again.metrics
    others, _ = drawn(tiny_models, 3, seed=9)
    moved = ask(tiny_models, others, apply=tmp_path / "arrays.npz", target=None).arrays
    np.testing.assert_array_equal(moved["adversarial"], np.clip(others + learned.arrays["noise"], 0, 1))


def test_one_of_several_saved_noises_is_picked_by_its_target(tiny_models, tmp_path):
    images, labels = drawn(tiny_models, 4)
    learned = ask(tiny_models, images, labels, target="all")
    learned.save(tmp_path)
    file = tmp_path / "arrays.npz"
    picked = ask(tiny_models, images, labels, apply=file, target=3)
    np.testing.assert_array_equal(picked.arrays["noise"], learned.arrays["noise"][3])
    assert set(picked.arrays["target"]) == {3}
    for target in (None, "all"):
        every = ask(tiny_models, images, labels, apply=file, target=target)
        np.testing.assert_array_equal(every.arrays["adversarial"], learned.arrays["adversarial"])


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "saved.npz", **arrays)
    return tmp_path / "saved.npz"


def test_a_noise_is_brought_within_epsilon_and_to_the_units_of_the_model(tiny_models, tmp_path):
    images, labels = drawn(tiny_models, 4)
    noise = np.linspace(-0.8, 0.8, 64).reshape(8, 8)
    within = ask(tiny_models, images, labels, apply=saved(tmp_path, noise=noise), epsilon=0.5)
    np.testing.assert_allclose(within.arrays["noise"][..., 0], np.clip(noise, -0.5, 0.5), atol=1e-6)
    assert "brought within epsilon" in " ".join(within.warnings)
    file = saved(tmp_path, noise=noise * 255, noise_bounds=[0.0, 255.0])
    scaled = ask(tiny_models, images, labels, apply=file)
    np.testing.assert_allclose(scaled.arrays["noise"][..., 0], noise, atol=1e-6)
    assert scaled.record["claims"]["epsilons"] == [pytest.approx(0.8)]


def test_a_noise_within_epsilon_stays_as_it_is(tiny_models, tmp_path):
    images, labels = drawn(tiny_models, 4)
    file = saved(tmp_path, noise=np.full((8, 8), 0.25))
    result = ask(tiny_models, images, labels, apply=file, epsilon=0.5)
    np.testing.assert_array_equal(result.arrays["noise"][..., 0], np.full((8, 8), 0.25, np.float32))
    assert "brought within epsilon" not in " ".join(result.warnings)
    with pytest.raises(UsageError, match=r"epsilon must be from 0 to 1; received 1\.5"):
        ask(tiny_models, images, labels, apply=file, epsilon=1.5)
    with pytest.raises(UsageError, match="holds one noise, so it has one target; name it with `target=`"):
        ask(tiny_models, images, labels, apply=file, target="all")


def test_without_images_the_test_images_that_the_model_names_are_measured(tiny_models, tmp_path, monkeypatch):
    images, labels = np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8), np.arange(20) % 4
    np.savez(tmp_path / "own.npz", x_train=images[:12], y_train=labels[:12], x_test=images[12:], y_test=labels[12:])
    model = tiny_models.convolutional(SHAPE)
    monkeypatch.setattr(model, "dataset_name", str(tmp_path / "own.npz"))  # the model is shared by all tests
    result = ask(tiny_models, model=model, dataset=None)
    np.testing.assert_array_equal(np.rint(result.arrays["original"][..., 0] * 255), images[12:])
    assert result.metrics["learned_on"] == 12


def test_counting_another_class_than_the_noise_leads_to_is_said(tiny_models, tmp_path):
    file = saved(tmp_path, noise=np.zeros(SHAPE), noise_target=np.int64(2))
    result = ask(tiny_models, *drawn(tiny_models, 3), apply=file, target=1)
    assert any("learned for the class 2; success counts the class 1" in text for text in result.warnings)
    result = ask(tiny_models, *drawn(tiny_models, 3), apply=file, target=2)
    assert not any("learned for the class" in text for text in result.warnings)


class Trap:
    def __reduce__(self):
        return (exec, ("raise SystemError('the file was unpickled')",))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"noise": np.zeros((7, 8))}, r"has shape \[7, 8\], and the images are \[8, 8, 1\]"),
        ({"noise": np.zeros((2, 8, 8, 3))}, r"\[2, 8, 8, 3\]"),
        ({"noise": np.zeros((0, 8, 8, 1))}, r"\[0, 8, 8, 1\]"),
        ({"noise": np.zeros(())}, "has shape"),
        ({"noise": np.zeros((2, 8, 8, 1))}, "not the classes that they lead to"),
        ({"noise": np.zeros((2, 8, 8, 1)), "noise_target": [2, 3]}, "for the classes 2, 3 and none for 1"),
        ({"noise": np.zeros((2, 8, 8, 1)), "noise_target": [2]}, "noise_target"),
        ({"noise": np.zeros((8, 8)), "noise_target": -1}, "noise_target"),
        ({"noise": np.zeros((8, 8)), "noise_target": np.uint64(2**63)}, "noise_target"),
        ({"noise": np.full((8, 8), 1e300)}, "too large to be added"),
        ({"noise": np.ones((8, 8)), "noise_bounds": [0.0, 1e-300], "noise_target": 2}, "too near to one another"),
        ({"noise": np.full((8, 8), np.nan)}, "finite"),
        ({"noise": np.full((8, 8), "x")}, "numbers"),
        ({"noise": np.zeros((8, 8)), "noise_bounds": [1.0, 0.0]}, "rising"),
        (
            {"image_noise": np.zeros((8, 8))},
            r"has no noise: expected the arrays\.npz of a result .*, found image_noise",
        ),
        ({"noise": np.array([Trap()], object)}, "pickled Python objects, which can run code"),
    ],
)
def test_a_saved_noise_that_does_not_fit_is_refused(tiny_models, tmp_path, arrays, said):
    with pytest.raises(CnnlabError, match=said):
        ask(tiny_models, *drawn(tiny_models, 2), apply=saved(tmp_path, **arrays))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no archive", pickle.dumps(Trap())])
def test_a_file_that_is_no_archive_is_refused(tiny_models, tmp_path, content):
    (tmp_path / "noise.npz").write_bytes(content)
    with pytest.raises(CnnlabError, match=r"cannot be read as an \.npz file"):
        ask(tiny_models, *drawn(tiny_models, 2), apply=tmp_path / "noise.npz")


def test_a_missing_file_and_a_single_array_are_refused(tiny_models, tmp_path):
    images = drawn(tiny_models, 2)
    with pytest.raises(CnnlabError, match="there is no file"):
        ask(tiny_models, *images, apply=tmp_path / "none.npz")
    np.save(tmp_path / "noise.npy", np.zeros(SHAPE))
    with pytest.raises(CnnlabError, match=r"cannot be read as an \.npz file"):
        ask(tiny_models, *images, apply=tmp_path / "noise.npy")


def test_a_noise_for_a_class_that_the_model_lacks_is_refused(tiny_models, tmp_path):
    file = saved(tmp_path, noise=np.zeros(SHAPE), noise_target=np.int64(7))
    with pytest.raises(UsageError, match="leads to the class 7, and the model has 4 classes"):
        ask(tiny_models, *drawn(tiny_models, 2), apply=file, target=None)


# --- what is asked for


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"target": 4}, "0 to 3, or all; received 4"),
        ({"target": -1}, "received -1"),
        ({"epsilon": 1.5}, "from 0 to 1; received 1.5"),
        ({"epsilon": -0.1}, "received -0.1"),
        ({"epsilon": 1.5, "per_image": True}, "from 0 to 1"),
    ],
)
def test_targets_and_strengths_that_make_no_sense_are_refused(tiny_models, params, said):
    with pytest.raises(UsageError, match=said):
        ask(tiny_models, *drawn(tiny_models, 2), **params)


def test_applying_and_learning_exclude_each_other():
    with pytest.raises(UsageError, match="give one of them"):
        NoiseAdditionParams(apply="noise.npz", per_image=True)


def test_the_target_is_6_or_the_last_class(tiny_models):
    images = drawn(tiny_models, 2)
    assert ask(tiny_models, *images, target=None).arrays["noise_target"] == 3


def test_nothing_to_count_is_said_and_not_a_success(tiny_models):
    images, _ = drawn(tiny_models, 3)
    result = ask(tiny_models, images, np.ones(3, int))
    assert result.metrics["success"] is None
    assert any("nothing to count" in text for text in result.warnings)


def test_a_model_without_a_gradient_is_said(tiny_models):
    result = ask(tiny_models, *drawn(tiny_models, 3), model=tiny_models.constant(SHAPE))
    assert any("never moved" in text for text in result.warnings)
    assert not result.arrays["success"].any()
    for other in (ask(tiny_models, *drawn(tiny_models, 3)), ask(tiny_models, *drawn(tiny_models, 3), epsilon=0)):
        assert not any("never moved" in text for text in other.warnings)


# --- the numbers


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(), (3,), (2, 3)]), st.sampled_from([1, 3]))
def test_correlations_are_numpys(seed, leading, channels):
    rng = np.random.default_rng(seed)
    noises, means = rng.normal(size=(*leading, 4, 5, channels)), rng.random((6, 4, 5, channels))
    found = correlations(noises, means)
    assert found.shape == (*leading, 6)
    for index in np.ndindex(*leading):
        for label in range(6):
            expected = np.corrcoef(noises[index].ravel(), means[label].ravel())[0, 1]
            assert found[(*index, label)] == pytest.approx(expected, abs=1e-12)


def test_a_flat_noise_correlates_with_nothing():
    means = np.stack([np.full((4, 4, 1), 0.3), np.arange(16.0).reshape(4, 4, 1)])
    assert np.isnan(correlations(np.full((4, 4, 1), 0.1, np.float32), means)).all()
    assert np.isnan(correlations(means[1], means)).tolist() == [True, False]
    assert np.isnan(rank_of_target(np.array([np.nan, 0.1]), np.array(0)))
    assert rank_of_target(np.array([0.3, 0.1, 0.2]), np.array(2)) == 2


def test_the_spectrum_keeps_the_energy_and_finds_a_wave():
    noise = np.cos(2 * np.pi * 3 * np.arange(16) / 16)[None, :, None] * np.ones((16, 1, 1))
    power = spectrum(noise)
    assert power.sum() == pytest.approx(256 * np.square(noise).sum())
    assert sorted(zip(*np.nonzero(power > 1e-6), strict=True)) == [(8, 5), (8, 11)]


def test_shares_are_of_the_counted_ones():
    values, counted = np.array([[1, 0, 1], [1, 1, 1]]), np.array([[True, True, False], [False] * 3])
    np.testing.assert_array_equal(share(values, counted, axis=-1), [0.5, np.nan])
    source = known_label(np.array([0, -1, 1]), np.array([2, 1, 1]))
    rates = by_class(np.array([True, False, True]), np.array([True, True, True]), source, 3)
    np.testing.assert_array_equal(rates, [1, 0.5, np.nan])


# --- what is drawn


def test_what_is_drawn_is_what_was_found(tiny_models):
    images, labels = drawn(tiny_models, 3)
    one = ask(tiny_models, images, labels)
    assert list(one.drawings) == ["", "noise", "learning"]
    before, after = one.drawing("").tiles[:2]
    np.testing.assert_array_equal(before.values, images[0])
    np.testing.assert_array_equal(after.values, one.arrays["adversarial"][0])
    assert after.mark == one.arrays["success"][0]
    noise, mean, power = one.drawing("noise").tiles
    np.testing.assert_array_equal(noise.values, one.arrays["noise"])
    np.testing.assert_array_equal(mean.values, one.arrays["target_mean"])
    assert 10 ** power.values.max() == pytest.approx(spectrum(one.arrays["noise"]).max(), abs=2e-6)
    reached, sure = one.drawing("learning").lines
    np.testing.assert_array_equal(reached.y, one.arrays["trace_reached"])
    np.testing.assert_array_equal(sure.y, one.arrays["trace_confidence"])

    each = ask(tiny_models, images, labels, per_image=True)
    assert list(each.drawings) == [""]
    np.testing.assert_array_equal(each.drawing("").tiles[2].values, each.arrays["image_noise"][0])

    several = ask(tiny_models, images, labels, target="all")
    assert list(several.drawings) == ["", "matrix", "noise", "learning"]
    scrub, matrix, noises = several.drawing("").tiles[1], several.drawing("matrix"), several.drawing("noise")
    assert isinstance(scrub, Scrub)
    assert (scrub.axis, scrub.stops) == ("target", ("0", "1", "2", "3"))
    np.testing.assert_array_equal(scrub.frames[3][0].values, several.arrays["adversarial"][3, 0])
    assert isinstance(matrix, Matrix)
    np.testing.assert_array_equal(matrix.values, 100 * several.arrays["success_by_class"].T)
    assert isinstance(noises, Tiles)
    assert len(noises.tiles) == 3 * 4
    np.testing.assert_array_equal(noises.tiles[2].values, several.arrays["noise"][2])
    for result in (one, each, several):
        for name in result.drawings:
            assert result.figure(name).axes


def test_the_target_may_be_named(tiny_models):
    import keras

    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(4)])
    classifier = cnnlab.load(model, class_names=["cat", "dog", "cow", "hen"])
    images = drawn(tiny_models, 3)
    named, numbered = (ask(tiny_models, *images, model=classifier, target=target) for target in ("hen", 3))
    np.testing.assert_array_equal(named.arrays["noise"], numbered.arrays["noise"])
    assert named.metrics == numbered.metrics


# --- the report's finding


@pytest.fixture(scope="module")
def classic(tmp_path_factory):
    """The classic network, trained as the tutorial trains it."""
    return cnnlab.load(cnnlab.train("mnist", seed=0, out=tmp_path_factory.mktemp("runs") / "classic").path)


@pytest.mark.full
def test_one_noise_of_0_3_fools_most_held_out_digits(classic):
    result = cnnlab.analyze("noise-addition", classic)
    metrics = result.metrics
    assert metrics["images"] == 1000
    assert metrics["success"] > 0.5
    assert abs(metrics["success"] - metrics["success_learning"]) < 0.05
    assert metrics["success_8bit"] > 0.5
    assert metrics["success_shuffled"] < 0.05
    assert metrics["target_confidence"] > 0.5
    assert metrics["correlation"] > 0.05, "a 6 can be made out in the noise"
    assert metrics["noise_alone"] > 0.9


@pytest.mark.full
def test_every_class_has_its_noise(classic):
    result = cnnlab.analyze("noise-addition", classic, target="all")
    assert result.metrics["success"] > 0.5
    assert min(result.metrics[f"success@{target}"] for target in range(10)) > 0.3


@pytest.mark.full
def test_a_noise_of_its_own_fools_every_digit(classic):
    test = cnnlab.datasets.load("mnist").test
    result = cnnlab.analyze("noise-addition", classic, test.batch(range(1000)), test.labels[:1000], per_image=True)
    assert result.metrics["success"] > 0.99
    assert result.metrics["target_confidence"] > 0.98
