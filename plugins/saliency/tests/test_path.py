"""Integrated gradients against closed forms, a float64 sum over many points, and the axiom of completeness."""

from __future__ import annotations

import functools
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

import cnnlab
from cnnlab.errors import UsageError
from cnnlab.testing import AnalysisContract, FakeClassifier
from cnnlab_saliency import SaliencyParams
from cnnlab_saliency.path import integrated_gradients

integrated = functools.partial(cnnlab.analyze, "saliency", method="integrated", signed=True)

BASELINES = ("min", "max", "mean", 0.3)


@pytest.mark.full
class TestContract(AnalysisContract):  # which has the method `all` in test_side_by_side.py
    analysis = "saliency"
    params: ClassVar = {"method": "integrated", "path_steps": 4}


def start_of(images, baseline, bounds=(0.0, 1.0)):
    """Where the path begins, float64 [N, H, W, C]."""
    if baseline == "mean":
        return np.stack(
            [np.broadcast_to(image.reshape(-1, image.shape[-1]).mean(axis=0), image.shape) for image in images]
        )
    value = {"min": bounds[0], "max": bounds[1]}.get(baseline, baseline)
    return np.full(images.shape, value, np.float64)


def drawn(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@pytest.mark.parametrize("baseline", BASELINES)
def test_a_linear_model_has_its_weights_times_the_distances(tiny_models, baseline):
    classifier = tiny_models.linear((5, 6, 3))
    images, labels = tiny_models.images((5, 6, 3), 4)
    kernel = classifier.layer("scores").kernel.astype(np.float64)
    expected = kernel.T[labels].reshape(images.shape) * (images - start_of(images, baseline))
    found = integrated(classifier, images, labels, baseline=baseline, path_steps=1)
    np.testing.assert_allclose(found.arrays["map"], expected.sum(axis=-1), rtol=1e-4, atol=1e-5)
    whole = integrated_gradients(classifier, images, labels, steps=3, baseline=baseline)
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-6)
    unsigned = integrated(classifier, images, labels, baseline=baseline, path_steps=1, signed=False)
    np.testing.assert_array_equal(unsigned.arrays["map"], np.abs(found.arrays["map"]))


SET_OUT = [
    pytest.param(bounds, baseline, marks=[pytest.mark.full] * (bounds != (-1.0, 1.0) and baseline in ("max", 0.5)))
    for bounds in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
    for baseline in ("min", "max", "mean", 0.5)
]


@pytest.mark.parametrize(("bounds", "baseline"), SET_OUT, ids=str)
def test_one_tanh_has_its_rise_shared_out_by_weight_and_distance(bounds, baseline):
    """Of f = tanh(w.x + c), w_i (x_i - b_i) (f(x) - f(b)) / w.(x - b): every gradient points along w."""
    low, high = bounds
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(4, 5, 2)).astype(np.float32) / np.float32(high - low)

    def logits(images):
        sums = tf.reduce_sum(tf.cast(images, tf.float32) * weights, axis=(1, 2, 3))
        return tf.stack([tf.tanh(sums + 0.2), -2 * tf.tanh(sums - 0.1)], axis=1)

    classifier = FakeClassifier(logits, (4, 5, 2), 2, bounds=bounds, batch_size=3)
    images = (low + (high - low) * drawn((5, 4, 5, 2), 4)).astype(np.float32)
    found = integrated(classifier, images, target=1, baseline=baseline)
    way = images - start_of(images, baseline, bounds)
    sums = [(each * weights.astype(np.float64)).sum(axis=(1, 2, 3)) for each in (images, images - way)]
    rise = -2 * (np.tanh(sums[0] - 0.1) - np.tanh(sums[1] - 0.1))
    expected = (weights * way).sum(axis=-1) * (rise / (sums[0] - sums[1]))[:, None, None]
    np.testing.assert_allclose(found.arrays["map"], expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose([row["logit_rise"] for row in found.rows], rise, rtol=1e-4, atol=1e-4)
    assert found.metrics["completeness_gap"] < 1e-3


@pytest.fixture(scope="module")
def smooth():
    """A small real model without a corner: convolution, tanh, means, another tanh."""
    keras.utils.set_random_seed(8)
    model = keras.Sequential(
        [
            keras.Input((6, 8, 3)),
            keras.layers.Conv2D(4, 3, padding="same", activation="tanh", name="conv"),
            keras.layers.AveragePooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation="tanh", kernel_initializer="random_normal", name="hidden"),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=2.0), name="scores"),
        ]
    )
    return model, cnnlab.load(model)


def by_many_points(model, image, target, start, count):
    """The midpoint rule over the path, by an own network in float64."""
    kernel, bias, hidden, lift, scores, _ = (tf.constant(weight, tf.float64) for weight in model.get_weights())
    total = np.zeros(image.shape)
    for alphas in np.array_split((np.arange(count) + 0.5) / count, 10):
        points = tf.constant(start + alphas[:, None, None, None] * (image - start))
        with tf.GradientTape() as tape:
            tape.watch(points)
            maps = tf.tanh(tf.nn.conv2d(points, kernel, 1, "SAME") + bias)
            pooled = tf.reduce_mean(tf.reshape(maps, (-1, 3, 2, 4, 2, 4)), axis=(2, 4))
            logit = (tf.tanh(tf.reshape(pooled, (len(alphas), -1)) @ hidden + lift) @ scores)[:, target]
        total += tape.gradient(logit, points).numpy().sum(axis=0)
    return (image - start) * total / count


@pytest.mark.parametrize("baseline", BASELINES)
def test_a_convolutional_model_equals_a_sum_over_many_points(smooth, baseline):
    model, classifier = smooth
    images, targets = drawn((2, 6, 8, 3), 5), np.array([2, 0])
    starts = start_of(images.astype(np.float64), baseline)
    whole = integrated_gradients(classifier, images, targets, steps=12, baseline=baseline)
    found = integrated(classifier, images, targets, baseline=baseline, path_steps=12).arrays["map"]
    for index, (image, target, start) in enumerate(zip(images.astype(np.float64), targets, starts, strict=True)):
        expected = by_many_points(model, image, target, start, 2000)
        assert np.abs(expected).max() > 1e-2
        np.testing.assert_allclose(whole[index], expected, atol=1e-5)
        np.testing.assert_allclose(found[index], expected.sum(axis=-1), atol=1e-5)


def test_the_points_are_taken_in_any_number_of_batches(smooth):
    """Three images, 12 points, and room for 1, 7 or all 36 of them at once."""
    model, _ = smooth
    images, targets, found = drawn((3, 6, 8, 3), 6), np.array([0, 1, 2]), []
    for together in (1, 7, 500):
        classifier = cnnlab.load(model)
        classifier.batch_size = together
        found.append(integrated_gradients(classifier, images, targets, steps=12, baseline="min"))
    np.testing.assert_allclose(found[0], found[2], atol=1e-6)
    np.testing.assert_allclose(found[1], found[2], atol=1e-6)


@pytest.fixture(scope="module")
def trained():
    """A tiny network with corners that has learned which half of an image is brighter, for 3 classes."""
    keras.utils.set_random_seed(2)
    rng = np.random.default_rng(9)
    images = rng.random((300, 8, 8, 1), dtype=np.float32) * 0.4
    labels = rng.integers(0, 3, 300)
    for image, label in zip(images, labels, strict=True):
        image[:, 3 * label : 3 * label + 2] += 0.5
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(6, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=12, batch_size=30, verbose=0)
    return cnnlab.load(model), images, labels


@pytest.mark.parametrize("baseline", BASELINES)
def test_a_trained_model_gets_the_rise_of_its_logit_shared_out(trained, baseline):
    classifier, images, labels = trained
    assert (classifier.predict(images) == labels).mean() > 0.95
    found = integrated(classifier, images[:40], labels[:40], baseline=baseline, path_steps=200)
    starts = start_of(images[:40], baseline).astype(np.float32)
    each = np.arange(40), labels[:40]
    rise = classifier.logits(images[:40])[each] - classifier.logits(starts)[each]
    total = found.arrays["map"].sum(axis=(1, 2))
    assert np.abs(rise).max() > 1
    np.testing.assert_allclose(total, rise, atol=0.02 * np.abs(rise).max())
    np.testing.assert_allclose([row["logit_rise"] for row in found.rows], rise, rtol=1e-3, atol=1e-4)
    gaps = [row["completeness_gap"] for row in found.rows]
    np.testing.assert_allclose(gaps, np.abs(total - rise), atol=1e-4)
    assert found.metrics["completeness_gap"] == pytest.approx(np.mean(gaps))
    assert found.metrics["logit_rise"] == pytest.approx(rise.mean(), rel=1e-3)


def test_more_points_leave_a_smaller_gap_also_without_signs(trained):
    classifier, images, labels = trained
    ask = functools.partial(integrated, classifier, images[:20], labels[:20])
    gaps = [ask(path_steps=steps).metrics["completeness_gap"] for steps in (2, 20, 200)]
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]
    assert ask(path_steps=20, signed=False).metrics["completeness_gap"] == gaps[1]


def test_a_path_with_too_few_points_is_reported():
    """One point, in the middle, sees nothing of a logit that rises only behind three quarters of the way."""

    def logits(images):
        mean = tf.reduce_mean(tf.cast(images, tf.float32), axis=(1, 2, 3))
        return tf.stack([8 * tf.nn.relu(mean - 0.75), 0 * mean], axis=1)

    classifier = FakeClassifier(logits, (3, 3, 1), 2)
    white = np.ones((1, 3, 3, 1), np.float32)
    few = integrated(classifier, white, target=0, path_steps=1)
    assert not few.arrays["map"].any()
    assert few.headline == "The integrated gradients are zero everywhere"
    assert few.metrics["completeness_gap"] == few.metrics["logit_rise"] == pytest.approx(2)
    assert any("by 2, 100% of it" in words and "path_steps" in words for words in few.warnings)
    many = integrated(classifier, white, target=0, path_steps=300)
    assert not many.warnings
    np.testing.assert_allclose(many.arrays["map"], 2 / 9, rtol=0.02)


def test_other_methods_tell_nothing_of_a_path(tiny_models):
    classifier = tiny_models.convolutional((8, 8, 1))
    found = cnnlab.analyze("saliency", classifier, *tiny_models.images((8, 8, 1), 2), path_steps=3, baseline="max")
    assert not {"logit_rise", "completeness_gap"} & {*found.metrics, *found.rows[0]}


def test_a_baseline_or_a_number_of_points_that_will_not_do_is_refused(tiny_models):
    classifier = tiny_models.linear((8, 8, 1))
    images, _ = tiny_models.images((8, 8, 1), 1)
    with pytest.raises(UsageError, match=r"baseline must lie in the model's value range, 0 to 1; received 1.5"):
        integrated(classifier, images, baseline=1.5)
    with pytest.raises(UsageError, match=r"baseline .* received -1"):
        cnnlab.analyze("saliency", classifier, images, method="all", baseline=-1)
    with pytest.raises(UsageError, match=r"baseline must be 'min', 'mean', 'max' or a number"):
        SaliencyParams.from_public({"baseline": "black"})
    with pytest.raises(UsageError, match="path_steps must be"):
        SaliencyParams.from_public({"path_steps": 0})


def test_the_figure_and_the_headline_say_what_they_are_of(smooth):
    _, classifier = smooth
    found = integrated(classifier, drawn((1, 6, 8, 3)), target=1, signed=False)
    assert found.headline.startswith("Half of the integrated gradients lie on ")
    assert found.drawing().title == "Integrated gradients"
    assert found.drawing().tiles[1].title == "integrated gradients for 1"
