"""The contract, the climb against closed forms and finite differences, and likeness against plain loops."""

from __future__ import annotations

import functools
import itertools

import keras
import numpy as np
import pytest

import cnnlab
from cnnlab.plugin import Context, Inputs, UsageError, correlation, distances
from cnnlab.testing import AnalysisContract
from cnnlab.testing.fakes import Spectator
from cnnlab_fooling import likeness as module, run as making
from cnnlab_fooling.likeness import likeness, resemblance, spread

SHAPE = (8, 8, 1)


class TestContract(AnalysisContract):
    analysis = "fooling"
    params = {"steps": 20}  # noqa: RUF012 - the contract declares it
    undelivered = ()


def ask(classifier, **params):
    return cnnlab.analyze("fooling", classifier, **params)


def test_the_images_are_seen_while_they_are_made(tiny_models):
    spectator = Spectator()
    result = ask(tiny_models.linear(SHAPE), steps=20, confidence=0.9999999, progress=spectator)
    assert len(spectator.previews) > 1
    last = spectator.previews[-1].tiles
    assert len(last) == tiny_models.classes
    for picture, made in zip(last, result.arrays["adversarial"], strict=True):
        np.testing.assert_array_equal(picture.values, made)


def weights_of(classifier, shape, target):
    """The gradient of a linear model's logit, by finite differences: exact, whatever the step."""
    eye = np.eye(int(np.prod(shape)), dtype=np.float32).reshape(-1, *shape)
    return (classifier.logits(eye)[:, target] - classifier.logits(0 * eye)[:, target]).reshape(shape)


@pytest.mark.parametrize("steps", [1, 3, 9])
def test_on_a_linear_model_every_step_goes_the_way_of_the_weights(tiny_models, steps):
    """Adam on a constant gradient moves each pixel by the whole step size, until the box stops it."""
    classifier = tiny_models.linear(SHAPE)
    result = ask(classifier, steps=steps, step_size=0.03, confidence=0.9999999, std=0.5)
    for target, before, after in zip(*(result.arrays[n] for n in ("target", "original", "adversarial")), strict=True):
        way = np.sign(weights_of(classifier, SHAPE, target))
        np.testing.assert_allclose(after, np.clip(before + steps * 0.03 * way, 0, 1), atol=1e-5)


def test_the_penalties_are_what_they_say(tiny_models):
    """The first Adam step has the sign of the gradient of logit - smoothness TV - darkness sum of squares."""
    classifier = tiny_models.linear(SHAPE)
    smoothness, darkness = 0.7, 0.9
    result = ask(
        classifier, classes=1, steps=1, step_size=1e-3, smoothness=smoothness, darkness=darkness, confidence=0.9999
    )
    image = result.arrays["original"][0].astype(np.float64)
    weights = weights_of(classifier, SHAPE, 1).astype(np.float64)

    def value(x):
        roughness = np.abs(np.diff(x, axis=0)).sum() + np.abs(np.diff(x, axis=1)).sum()
        return (weights * x).sum() - smoothness * roughness - darkness * np.square(x).sum()

    slope = np.zeros_like(image)
    for place in itertools.product(*map(range, SHAPE)):
        shift = np.zeros_like(image)
        shift[place] = 1e-6
        slope[place] = (value(image + shift) - value(image - shift)) / 2e-6
    clear = (np.abs(slope) > 1e-2) & (image > 0.01) & (image < 0.99)
    moved = result.arrays["adversarial"][0] - image
    assert clear.mean() > 0.8
    np.testing.assert_array_equal(np.sign(moved[clear]), np.sign(slope[clear]))


def test_more_penalty_gives_smoother_and_darker_images(tiny_models):
    make = functools.partial(ask, tiny_models.linear(SHAPE), steps=60, step_size=0.02, confidence=0.9999999)
    plain, smooth, dark = make(), make(smoothness=5), make(darkness=5)

    def roughness(result):
        return np.abs(np.diff(result.arrays["adversarial"], axis=2)).sum()

    assert roughness(smooth) < 0.5 * roughness(plain)
    assert dark.arrays["adversarial"].mean() < 0.5 * plain.arrays["adversarial"].mean()


def test_noise_and_darkness_know_the_models_value_range():
    layers = [keras.layers.Flatten(), keras.layers.Dense(3, kernel_initializer="zeros")]
    classifier = cnnlab.load(keras.Sequential([keras.Input(SHAPE), *layers]))
    classifier.bounds = (-100.0, 100.0)
    for start in ("gaussian", "uniform"):
        noise = ask(classifier, steps=0, start=start).arrays["original"]
        assert noise.min() < -40
        assert noise.max() > 40
        assert abs(noise.mean()) < 15
    dark = ask(classifier, steps=300, step_size=0.01, darkness=1e4, confidence=0.9999999)
    np.testing.assert_allclose(dark.arrays["adversarial"], -100, atol=2)


@pytest.mark.parametrize("start", ["gaussian", "uniform"])
def test_the_network_becomes_as_sure_as_was_wanted(tiny_models, start):
    classifier = tiny_models.convolutional(SHAPE)
    result = ask(classifier, start=start, confidence=0.9, seeds=3)
    arrays = result.arrays
    read = classifier.probabilities(arrays["adversarial"])[np.arange(12), arrays["target"]]
    np.testing.assert_array_equal(arrays["class_confidence"], read)
    assert (read >= 0.9).all()
    assert result.metrics["reached"] == 1
    assert result.metrics["confidence"] == pytest.approx(read.min())
    assert not result.warnings or all("compared with nothing" in text for text in result.warnings)


def test_the_path_begins_at_the_noise_and_ends_at_the_image(tiny_models):
    arrays = ask(tiny_models.convolutional(SHAPE), confidence=0.9).arrays
    path, steps = arrays["confidence_by_step"], arrays["steps"]
    rows = np.arange(len(steps))
    assert steps.max() > 1
    np.testing.assert_allclose(path[:, 0], arrays["class_confidence_before"], rtol=1e-4)
    np.testing.assert_allclose(path[rows, steps], arrays["class_confidence"], rtol=1e-4)
    for row, taken in zip(path, steps, strict=True):
        assert (row[:taken] < 0.9).all()
        assert np.isnan(row[taken + 1 :]).all()


def test_eight_bit_images_are_the_same_after_saving(tiny_models):
    result = ask(tiny_models.convolutional(SHAPE), confidence=0.9, eight_bit=True)
    levels = result.arrays["adversarial"] * 255
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    np.testing.assert_array_equal(result.arrays["class_confidence"], result.arrays["class_confidence_8bit"])
    assert result.metrics["reached_8bit"] == 1


def test_an_image_depends_on_its_class_and_its_number_alone(tiny_models):
    make = functools.partial(ask, tiny_models.convolutional(SHAPE), steps=30)
    every, one = make(seeds=3), make(classes=(2,), seeds=2)
    assert every.arrays["target"].tolist() == [0, 1, 2, 3] * 3
    assert every.arrays["seed"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    np.testing.assert_array_equal(one.arrays["adversarial"], every.arrays["adversarial"][[2, 6]])
    drawn = every.arrays["original"].reshape(12, -1)
    assert len(np.unique(drawn, axis=0)) == 12
    assert not np.array_equal(make(seed=1).arrays["original"], every.arrays["original"][:4])


def test_what_is_not_reached_is_said(tiny_models):
    result = ask(tiny_models.convolutional(SHAPE), steps=0, confidence=0.999999)
    assert result.metrics["reached"] == 0
    assert {row["reached"] for row in result.rows} == {"no"}
    assert "4 of 4 images did not reach the confidence 0.999999 in 0 steps" in result.warnings[0]
    np.testing.assert_array_equal(result.arrays["adversarial"], result.arrays["original"])


def test_a_network_without_a_way_up_is_told_from_one_that_resists(tiny_models):
    result = ask(tiny_models.constant(SHAPE), steps=5)
    assert any("exactly zero at 4 of 4" in text for text in result.warnings)


def test_a_class_that_is_none_is_refused(tiny_models):
    with pytest.raises(UsageError, match="0 to 3; received 4"):
        ask(tiny_models.linear(SHAPE), classes=(1, 4))


def test_a_class_may_be_named(tiny_models):
    layers = [keras.layers.Flatten(), keras.layers.Dense(3)]
    classifier = cnnlab.load(keras.Sequential([keras.Input(SHAPE), *layers]), class_names=["cat", "dog", "cow"])
    result = ask(classifier, classes=("cow", 0, "cat"), steps=2)
    assert result.arrays["target"].tolist() == [2, 0]
    assert [row["class"] for row in result.rows] == ["cow", "cat"]
    assert result.record["params"]["classes"] == [2, 0, 0]


def test_the_drawings_show_some_classes_and_seeds_and_say_of_how_many(tiny_models, monkeypatch):
    monkeypatch.setattr(making, "MOST_SEEDS", 2)
    monkeypatch.setattr(making, "MOST_CLASSES", 3)
    images, labels = tiny_models.images(SHAPE, 5)
    labels = np.where(labels == 1, 2, labels)
    result = cnnlab.analyze("fooling", tiny_models.convolutional(SHAPE), images, labels, seeds=3, steps=5)
    made, beside, climbs = (result.drawing(name) for name in ("", "likeness", "confidence"))
    shown = [0, 1, 2, 4, 5, 6]
    assert "the first 2 of 3 images of each class" in made.title
    assert "the first 3 of 4 classes" in made.title
    assert (made.columns, made.rows) == (3, ("noise 0", "noise 1"))
    for index, tile in zip(shown, made.tiles, strict=True):
        np.testing.assert_array_equal(tile.array, result.arrays["adversarial"][index])
        assert tile.title.startswith(f"{result.arrays['target'][index]}: ")
    for index, tile in enumerate(beside.tiles[3:6]):
        np.testing.assert_array_equal(tile.array, result.arrays["nearest_image"][index])
    assert [tile.image for tile in beside.tiles] == [0, 1, 2] * 3, "one image under another share a pointer"
    assert beside.tiles[7].title == "none in the set"
    assert [len(line.y) for line in climbs.lines] == [steps + 1 for steps in result.arrays["steps"][:3]]


def test_a_model_of_any_size_needs_images_that_say_how_large(tiny_models):
    layers = [keras.layers.Conv2D(3, 3, padding="same"), keras.layers.GlobalAveragePooling2D()]
    classifier = cnnlab.load(keras.Sequential([keras.Input((None, None, 1)), *layers]))
    with pytest.raises(UsageError, match="images of any size"):
        ask(classifier)
    images, labels = np.zeros((2, 6, 5, 1), np.float32), [0, 1]
    made = cnnlab.analyze("fooling", classifier, images, labels, steps=2)
    assert made.arrays["adversarial"].shape == (3, 6, 5, 1)


def test_without_images_to_compare_with_it_says_so(tiny_models):
    result = ask(tiny_models.linear(SHAPE), steps=2)
    assert "nearest" not in result.arrays
    assert "nearest_distance" not in result.metrics
    assert any("compared with nothing" in text for text in result.warnings)


def some(count, seed, shape=(5, 4, 3)):
    rng = np.random.default_rng(seed)
    return rng.random((count, *shape), dtype=np.float32), rng.integers(0, 3, count)


def as_inputs(images, labels):
    return Inputs(lambda indices: images[indices], labels, [str(index) for index in range(len(images))])


@pytest.mark.parametrize("block", [4, 100])
def test_likeness_equals_a_plain_loop(monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    images, classes = some(6, 0)
    others, labels = some(23, 1)
    others[7] = images[3]
    compared = as_inputs(others, labels)
    found = likeness(images, classes, compared, 3)
    for index, (image, target) in enumerate(zip(images.astype(np.float64), classes, strict=True)):
        far = [np.linalg.norm(image - other) for other in others.astype(np.float64)]
        nearest = int(np.argmin(far))
        mean = np.mean([o.astype(np.float64) for o, label in zip(others, labels, strict=True) if label == target], 0)
        assert found["nearest"][index] == nearest
        np.testing.assert_array_equal(found["nearest_image"][index], others[nearest])
        assert found["nearest_distance"][index] == pytest.approx(min(far))
        assert found["mean_distance"][index] == pytest.approx(np.linalg.norm(image - mean))
        for name, other in (("nearest", others[nearest]), ("mean", mean)):
            expected = np.corrcoef(image.ravel(), other.ravel())[0, 1]
            assert found[f"{name}_correlation"][index] == pytest.approx(expected)
    assert found["nearest_distance"][3] == 0


def test_an_image_of_the_set_is_not_compared_with_itself():
    images, labels = some(12, 2)
    compared = as_inputs(images, labels)
    own = np.array([0, 5, 11])
    found = likeness(images[own], labels[own], compared, 3, own=own)
    for index, place in enumerate(own):
        far = np.linalg.norm((images - images[place]).reshape(12, -1), axis=1)
        assert found["nearest"][index] == np.argsort(far)[1]


def test_unknown_labels_and_missing_classes_give_no_mean():
    images, _ = some(4, 3)
    labels = np.array([-1, 0, 0, 2])
    found = likeness(images, np.array([-1, 0, 1, 2]), as_inputs(images, labels), 3)
    means = found["class_mean"]
    np.testing.assert_allclose(means[0], images[1:3].mean(axis=0), rtol=1e-6)
    assert np.isnan(means[1]).all()
    np.testing.assert_allclose(means[2], images[3], rtol=1e-6)
    for name in ("mean_distance", "mean_correlation"):
        np.testing.assert_array_equal(np.isnan(found[name]), [True, False, True, False])


def test_the_set_is_read_once_and_gives_the_scale():
    """One pass for the images made, for the sample of the set, and for the means of the classes."""
    images, classes = some(3, 5)
    others, labels = some(20, 6)
    asked = []

    def read(indices):
        asked.extend(indices)
        return others[indices]

    compared = Inputs(read, labels, [str(index) for index in range(20)])
    arrays = resemblance(images, classes, compared, 3, Context())
    metrics = module.means(arrays)
    assert sorted(asked) == sorted([*range(20), *spread(20)])
    alone, rest = likeness(images, classes, compared, 3), likeness(others, labels, compared, 3, own=np.arange(20))
    for name in module.MEASURES:
        np.testing.assert_allclose(arrays[name], alone[name])
        assert metrics[name] == pytest.approx(alone[name].mean())
        assert metrics[f"real_{name}"] == pytest.approx(rest[name].mean())


def test_a_constant_image_correlates_with_nothing():
    images, _ = some(1, 4)
    assert np.isnan(correlation(np.zeros_like(images), images)).all()
    assert correlation(images, images) == pytest.approx(1)
    assert correlation(images, 1 - images) == pytest.approx(-1)
    assert distances(images, images, "l2") == 0


def test_the_sample_is_spread_over_the_whole_set():
    assert spread(1).tolist() == [0]
    assert spread(3).tolist() == [0, 1, 2]
    assert len(spread(60_000)) == 100
    assert spread(60_000)[[0, -1]].tolist() == [0, 59_999]


@pytest.mark.full
def test_a_trained_network_is_fooled_for_every_class(tmp_path):
    """99% for all ten classes, from either noise, and nothing like a digit."""
    run = cnnlab.train("mnist", epochs=2, seed=0, out=tmp_path / "run")
    for start in ("gaussian", "uniform"):
        metrics = cnnlab.analyze("fooling", run.path, start=start, seeds=5).metrics
        assert metrics["images"] == 50
        assert metrics["reached"] == 1
        assert metrics["confidence"] >= 0.99
        assert metrics["nearest_distance"] > 2 * metrics["real_nearest_distance"]
        assert abs(metrics["mean_correlation"]) < 0.15 < 0.5 < metrics["real_mean_correlation"]
