"""The contract, and the maps against finite differences, formulas by brute force, closed forms and occlusion."""

from __future__ import annotations

import functools
import itertools
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, signal, stats

import cnnlab
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.explanations.exchange import counts
from cnnlab.testing import AnalysisContract
from cnnlab_saliency import METHODS, SaliencyParams

analyze = functools.partial(cnnlab.analyze, "saliency")


class TestContract(AnalysisContract):
    analysis = "saliency"
    params: ClassVar = {"sanity": True, "steps": 5, "method": "gradcam"}
    undelivered = (
        "map/<method>",
        "methods",
        "rank_correlation",
        "agreement",
        "logit_rise",
        "completeness_gap",
    )


@pytest.mark.full
class TestContractOfGradients(AnalysisContract):  # which has the method `all` in test_side_by_side.py
    analysis = "saliency"
    params: ClassVar = {"method": "smoothgrad", "samples": 3}


@pytest.fixture(scope="module")
def model():
    """Two convolutions, the first strided, with softmax at the end: not square, in colour."""
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.Input((10, 8, 3)),
            keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="first"),
            keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="second"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(4, name="scores", kernel_initializer=keras.initializers.RandomNormal(stddev=0.3)),
            keras.layers.Softmax(name="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def classifier(model):
    return cnnlab.load(model)


IMAGES = np.random.default_rng(0).random((3, 10, 8, 3), dtype=np.float32)
TARGETS = np.array([2, 0, 3])


def features_of(model):
    return keras.Model(model.inputs[0], model.get_layer("second").output)(IMAGES).numpy()


def head_of(model):
    """From the second convolution's output to logits, by the model's own layers."""
    return lambda features: model.get_layer("scores")(model.get_layer("flat")(features))


def enlarged(plane, size):
    """Bilinear between the centres of pixels, edges continued; independent of TensorFlow."""
    where = [(np.arange(new) + 0.5) * old / new - 0.5 for old, new in zip(plane.shape, size, strict=True)]
    return ndimage.map_coordinates(plane, np.meshgrid(*where, indexing="ij"), order=1, mode="nearest")


# Gradients


def test_the_gradient_equals_finite_differences_of_an_independent_network(tiny_models):
    classifier = tiny_models.convolutional((7, 9, 1))
    images, labels = tiny_models.images((7, 9, 1), 2)
    conv, scores = classifier.layer("conv1"), classifier.layer("scores")
    kernel = conv.kernel.astype(np.float64)

    def logits(image):
        maps = [signal.correlate2d(image, kernel[:, :, 0, k], mode="same") + conv.bias[k] for k in range(3)]
        stacked = np.maximum(np.stack(maps, axis=-1), 0)[:6, :8]
        pooled = stacked.reshape(3, 2, 4, 2, 3).max(axis=(1, 3))
        return pooled.reshape(-1) @ scores.kernel.astype(np.float64) + scores.bias

    found = analyze(classifier, images, labels, signed=True).arrays["map"]
    step = 1e-5
    for image, label, own in zip(images[..., 0].astype(np.float64), labels, found, strict=True):
        for place in np.ndindex(image.shape):
            shift = np.zeros_like(image)
            shift[place] = step
            expected = (logits(image + shift) - logits(image - shift))[label] / (2 * step)
            assert own[place] == pytest.approx(expected, abs=2e-5)


def test_the_map_is_the_strongest_channel_of_the_gradient(classifier):
    gradient = classifier.input_gradient(IMAGES, TARGETS, of="logit")
    strength = analyze(classifier, IMAGES, TARGETS).arrays["map"]
    np.testing.assert_allclose(strength, np.abs(gradient).max(axis=-1), rtol=1e-5, atol=1e-7)
    signed = analyze(classifier, IMAGES, TARGETS, signed=True).arrays["map"]
    np.testing.assert_array_equal(np.abs(signed), strength)
    assert all(value in gradient[n, y, x] for (n, y, x), value in np.ndenumerate(signed))


def test_smoothgrad_equals_a_plain_average_with_the_same_noise(classifier):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    ask = functools.partial(analyze, classifier, IMAGES, TARGETS, method="smoothgrad", samples=6, noise=0.3, seed=11)
    found = ask().arrays["map"]
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    seed = int(np.random.SeedSequence([11, 0]).generate_state(1)[0])
    normal = np.random.RandomState(seed).standard_normal((6, *IMAGES.shape))
    total = np.zeros(IMAGES.shape)
    for noise in normal:
        for index, image in enumerate(IMAGES):
            noisy = image + 0.3 * (image.max() - image.min()) * noise[index]
            own = classifier.input_gradient(noisy[None].astype(np.float32), TARGETS[index : index + 1], of="logit")[0]
            total[index] += own / 6
    np.testing.assert_allclose(found, np.abs(total).max(axis=-1), rtol=1e-4, atol=1e-6)
    assert (ask(seed=12).arrays["map"] != found).any()


def test_smoothgrad_without_noise_is_the_gradient(classifier):
    plain = analyze(classifier, IMAGES, TARGETS).arrays["map"]
    smooth = analyze(classifier, IMAGES, TARGETS, method="smoothgrad", noise=0.0, samples=3).arrays["map"]
    np.testing.assert_allclose(smooth, plain, rtol=1e-5, atol=1e-7)


# Feature maps


def keras_gradient(model, features, target):
    with tf.GradientTape() as tape:
        output = tf.constant(features[None])
        tape.watch(output)
        logit = head_of(model)(output)[0, target]
    return tape.gradient(logit, output)[0].numpy()


def weighed(features, weights, signed):
    total = sum(weight * features[..., channel].astype(np.float64) for channel, weight in enumerate(weights))
    return enlarged(total if signed else np.maximum(total, 0), IMAGES.shape[1:3])


@pytest.mark.parametrize("signed", [False, True])
def test_gradcam_equals_its_formula(model, classifier, signed):
    found = analyze(classifier, IMAGES, TARGETS, method="gradcam", signed=signed).arrays["map"]
    for own, features, target in zip(found, features_of(model), TARGETS, strict=True):
        gradient = keras_gradient(model, features, target)
        means = [np.mean([gradient[i, j, k] for i, j in np.ndindex(gradient.shape[:2])]) for k in range(3)]
        np.testing.assert_allclose(own, weighed(features, means, signed), rtol=1e-4, atol=1e-6)
    assert (found < 0).any() == signed


def test_gradcam_plus_plus_equals_the_paper_with_true_derivatives(model, classifier):
    """Alpha from the second and third derivatives of exp(S) in each single activation, by nested tapes."""
    found = analyze(classifier, IMAGES, TARGETS, method="gradcam++").arrays["map"]
    for own, features, target in zip(found, features_of(model), TARGETS, strict=True):
        first, second, third, value = derivatives_of_exp(model, features, target)
        total = features.sum(axis=(0, 1))
        below = 2 * second + total * third
        alpha = np.divide(second, below, out=np.zeros_like(second), where=second != 0)
        weights = (alpha * np.maximum(first, 0)).sum(axis=(0, 1)) / value
        np.testing.assert_allclose(own, weighed(features, weights, False), rtol=1e-3, atol=1e-5)


def derivatives_of_exp(model, features, target):
    """Three derivatives of exp(logit) in each activation: a copy of the features for each, shifted by a number."""
    count = features.size
    shift = tf.zeros(count, tf.float32)
    kernel, bias = (tf.constant(weight) for weight in model.get_layer("scores").get_weights())
    with tf.GradientTape() as outer:
        outer.watch(shift)
        with tf.GradientTape() as middle:
            middle.watch(shift)
            with tf.GradientTape() as inner:
                inner.watch(shift)
                copies = tf.constant(features.reshape(1, -1)) + tf.linalg.diag(shift)
                value = tf.exp((copies @ kernel + bias)[:, target])
            first = inner.gradient(value, shift)
        second = middle.gradient(first, shift)
    third = outer.gradient(second, shift)
    return *(found.numpy().reshape(features.shape) for found in (first, second, third)), float(value[0])


def test_scorecam_equals_its_formula(model, classifier):
    found = analyze(classifier, IMAGES, TARGETS, method="scorecam").arrays["map"]
    blank = model(np.zeros((1, 10, 8, 3), np.float32)).numpy()[0]
    for own, image, features, target in zip(found, IMAGES, features_of(model), TARGETS, strict=True):
        weights = []
        for channel in range(3):
            mask = enlarged(features[..., channel].astype(np.float64), (10, 8))
            if np.ptp(mask):
                mask = (mask - mask.min()) / (mask.max() - mask.min())
                shown = (image * mask[..., None]).astype(np.float32)
                weights.append(model(shown[None]).numpy()[0, target] - blank[target])
            else:
                weights.append(0.0)
        np.testing.assert_allclose(own, weighed(features, weights, False), rtol=1e-3, atol=1e-6)


def test_scorecam_hides_with_the_least_value_of_the_range(model):
    """A model of [-1, 1] that is given 2 x - 1 sees what a model of [0, 1] sees."""
    image = keras.Input((10, 8, 3))
    wide = cnnlab.load(keras.Model(image, model(keras.layers.Rescaling(0.5, offset=0.5)(image))))
    wide.bounds = (-1.0, 1.0)
    layer = next(layer.name for layer in wide.layers if layer.name.endswith("second"))
    found = analyze(wide, 2 * IMAGES - 1, TARGETS, method="scorecam", layer=layer).arrays["map"]
    expected = analyze(model, IMAGES, TARGETS, method="scorecam").arrays["map"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_a_layer_is_the_last_convolution_or_the_one_asked_for(model, classifier):
    default = analyze(classifier, IMAGES, TARGETS, method="gradcam").arrays["map"]
    named = analyze(classifier, IMAGES, TARGETS, method="gradcam", layer="second").arrays["map"]
    np.testing.assert_array_equal(default, named)
    other = analyze(classifier, IMAGES, TARGETS, method="gradcam", layer="first").arrays["map"]
    assert np.abs(other - default).max() > 1e-3


def test_layers_that_will_not_do_are_refused(classifier, tiny_models):
    ask = functools.partial(analyze, classifier, IMAGES, TARGETS)
    with pytest.raises(UsageError, match=r"flat gives \[60\].*'first', 'second'"):
        ask(method="gradcam", layer="flat")
    with pytest.raises(UsageError, match="no layer 'secnd'"):
        ask(method="scorecam", layer="secnd")
    with pytest.raises(UsageError, match="vanilla looks at the pixels"):
        ask(layer="second")
    with pytest.raises(UsageError, match=r"no layer of this model gives a map.* integrated need none"):
        analyze(tiny_models.linear((8, 8, 1)), *tiny_models.images((8, 8, 1), 1), method="gradcam")


# Any opened model


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    model.export(folder / "model", verbose=False)
    return cnnlab.load(folder / "model")


@pytest.fixture(scope="module")
def fixed(model):
    """The model, two images at a time."""
    image = keras.Input((10, 8, 3), batch_size=2)
    output = image
    for layer in model.layers:
        output = layer(output)
    return cnnlab.load(keras.Model(image, output))


@pytest.mark.parametrize("method", METHODS)
def test_a_savedmodel_gives_the_same_maps_as_the_live_model(classifier, exported, method):
    ask = functools.partial(analyze, images=IMAGES, labels=TARGETS, method=method, path_steps=10)
    live, saved = ask(classifier).arrays["map"], ask(exported).arrays["map"]
    assert live.any()
    np.testing.assert_allclose(saved, live, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_of_fixed_batches_gives_the_same_maps(fixed, classifier, method):
    assert fixed.fixed_batch == 2
    ask = functools.partial(analyze, images=IMAGES, labels=TARGETS, method=method, noise=0.0, samples=5, path_steps=10)
    np.testing.assert_allclose(ask(fixed).arrays["map"], ask(classifier).arrays["map"], rtol=1e-4, atol=1e-6)


def test_without_gradients_only_scorecam_answers(tmp_path):
    kernel = tf.constant(np.random.default_rng(2).normal(size=(3, 3, 1, 2)), tf.float32)
    dense = tf.constant(np.random.default_rng(3).normal(size=(2, 3)), tf.float32)

    class Rounded(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 6, 6, 1], tf.float32)])
        def __call__(self, images):
            maps = tf.nn.relu(tf.nn.conv2d(images, kernel, 1, "SAME", name="conv"))
            return tf.reduce_mean(tf.round(4 * maps), axis=(1, 2)) @ dense

    module = Rounded()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__)
    images = np.random.default_rng(4).random((2, 6, 6, 1), dtype=np.float32)
    for method in ("vanilla", "smoothgrad", "integrated", "gradcam", "gradcam++"):
        with pytest.raises(CnnlabError, match="nothing differentiable"):
            analyze(tmp_path, images, method=method)
    assert analyze(tmp_path, images, method="scorecam").arrays["map"].shape == (2, 6, 6)


def test_the_class_is_the_one_asked_for_else_the_label_else_the_predicted_one(classifier):
    predicted = classifier.predict(IMAGES)
    labels = np.array([-1, (predicted[1] + 1) % 4, -1])
    ask = functools.partial(analyze, classifier, IMAGES, labels)
    assert ask().arrays["target"].tolist() == [predicted[0], labels[1], predicted[2]]
    found = ask(target=2).arrays
    assert found["target"].tolist() == [2, 2, 2]
    np.testing.assert_array_equal(found["map"], analyze(classifier, IMAGES, np.array([2, 2, 2])).arrays["map"])
    with pytest.raises(UsageError, match="0 to 3; received 4"):
        ask(target=4)


# What a map should show


@pytest.fixture(scope="module")
def red():
    """One feature map that is above zero where red outshines blue by a half, and a class for its mean."""
    layers = [
        keras.Input((12, 12, 3)),
        keras.layers.Conv2D(2, 1, activation="relu", name="color"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2, name="scores"),
    ]
    model = keras.Sequential(layers)
    model.get_layer("color").set_weights([np.array([[[[1, -1], [0, 0], [-1, 1]]]]), np.array([-0.5, -0.5])])
    model.get_layer("scores").set_weights([np.array([[40.0, 0.0], [0.0, 40.0]]), np.zeros(2)])
    return cnnlab.load(model)


@pytest.mark.parametrize("method", METHODS)
def test_every_map_and_occlusion_point_at_the_region_that_the_model_reads(red, method):
    """The pointing game, for the red and for the blue square of each image."""
    rng = np.random.default_rng(6)
    images = rng.uniform(0.2, 0.4, (6, 12, 12, 3)).astype(np.float32)
    inside = np.zeros((2, 6, 12, 12), bool)
    for index in range(6):
        for name, (color, left) in enumerate([((1, 0, 0), 0), ((0, 0, 1), 7)]):
            row, col = rng.integers(0, 8), left + rng.integers(0, 2)
            images[index, row : row + 4, col : col + 4] = color
            inside[name, index, row : row + 4, col : col + 4] = True
    for name in (0, 1):
        maps = analyze(red, images, target=name, method=method, noise=0.05).arrays["map"]
        drops = cnnlab.analyze("occlusion", red, images, target=name, patch=2).arrays["heatmap"]
        for values in (maps, drops):
            best = [np.unravel_index(plane.argmax(), plane.shape) for plane in values]
            assert all(inside[name, index, row, col] for index, (row, col) in enumerate(best))


@pytest.mark.parametrize("method", ["vanilla", "smoothgrad"])
def test_gradients_and_occlusion_see_nothing_outside_the_region_that_the_model_reads(method):
    model = keras.Sequential([keras.Input((9, 9, 1)), keras.layers.Flatten(), keras.layers.Dense(2, name="scores")])
    inside = np.zeros((9, 9), bool)
    inside[2:5, 4:8] = True
    weights = np.where(inside, np.random.default_rng(7).uniform(1, 2, (9, 9)), 0).reshape(-1, 1)
    model.get_layer("scores").set_weights([weights * [1, 0], np.zeros(2)])
    images = np.random.default_rng(8).uniform(0.5, 1, (2, 9, 9, 1)).astype(np.float32)
    found = analyze(model, images, target=0, method=method).arrays["map"]
    drops = cnnlab.analyze("occlusion", model, images, target=0, patch=1, score="logit").arrays["heatmap"]
    for plane, drop in zip(found, drops, strict=True):
        np.testing.assert_array_equal(plane > 0, inside)
        np.testing.assert_array_equal(drop > 0, inside)


# Deletion and insertion


PAINTED = itertools.product(["min", "mean", "max"], ["probability", "logit"])


@pytest.mark.parametrize(
    ("fill", "score"),
    [pytest.param(*case, marks=[pytest.mark.full] * ((case[1] == "logit") != (case[0] == "mean"))) for case in PAINTED],
)
def test_deletion_and_insertion_equal_a_plain_loop(classifier, fill, score):
    result = analyze(classifier, IMAGES, TARGETS, sanity=True, steps=7, fill=fill, blur=1.5, score=score)
    read = classifier.logits if score == "logit" else classifier.probabilities
    for index, (image, target) in enumerate(zip(IMAGES, TARGETS, strict=True)):
        plane = result.arrays["map"][index]
        order = sorted(np.ndindex(plane.shape), key=lambda place, plane=plane: -plane[place])
        paint = {"min": 0.0, "max": 1.0, "mean": image.mean(axis=(0, 1))}[fill]
        deleted, inserted = image.copy(), np.empty_like(image)
        for channel in range(3):
            inserted[..., channel] = ndimage.gaussian_filter(image[..., channel], 1.5, mode="nearest")
        done, expected = 0, ([], [])
        for step in range(8):
            while done < round(80 * step / 7):
                deleted[order[done]], inserted[order[done]] = paint, image[order[done]]
                done += 1
            for curve, changed in zip(expected, (deleted, inserted), strict=True):
                curve.append(read(changed[None])[0, target])
        np.testing.assert_allclose(result.arrays["deletion"][index], expected[0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(result.arrays["insertion"][index], expected[1], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(result.arrays["fraction"], counts(80, 7) / 80)


def test_deletion_on_a_linear_model_is_a_running_sum(tiny_models):
    """Each deleted pixel takes its weight times its value from the logit, and the area is the sum of trapezoids."""
    classifier = tiny_models.linear((8, 8, 1))
    images, labels = tiny_models.images((8, 8, 1), 3)
    result = analyze(classifier, images, labels, sanity=True, signed=True, score="logit", steps=64)
    scores = classifier.layer("scores")
    areas = []
    for index, (image, label) in enumerate(zip(images.reshape(3, -1).astype(np.float64), labels, strict=True)):
        weights = scores.kernel[:, label].astype(np.float64)
        np.testing.assert_allclose(result.arrays["map"][index].ravel(), weights, rtol=1e-5)
        order = np.argsort(-weights)
        left = image @ weights + scores.bias[label] - np.concatenate([[0], np.cumsum((weights * image)[order])])
        np.testing.assert_allclose(result.arrays["deletion"][index], left, rtol=1e-4, atol=1e-4)
        areas.append((left[:-1] + left[1:]).sum() / 2 / 64)
    assert result.metrics["deletion_area"] == pytest.approx(np.mean(areas), rel=1e-4, abs=1e-4)
    assert result.metrics["deletion_area"] < result.metrics["deletion_random_area"]


def test_curves_begin_and_end_where_they_must(classifier):
    found = analyze(classifier, IMAGES, TARGETS, sanity=True, steps=3, method="gradcam").arrays
    whole = classifier.probabilities(IMAGES)[np.arange(3), TARGETS]
    blank = classifier.probabilities(np.zeros_like(IMAGES))[np.arange(3), TARGETS]
    for suffix in ("", "_random"):
        np.testing.assert_allclose(found["deletion" + suffix][:, [0, -1]], np.c_[whole, blank], rtol=1e-5)
        np.testing.assert_allclose(found["insertion" + suffix][:, -1], whole, rtol=1e-5)


# Shuffled weights


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(method, marks=[pytest.mark.full] * (method not in ("smoothgrad", "gradcam", "scorecam")))
        for method in METHODS
    ],
)
def test_sanity_maps_are_the_maps_of_the_shuffled_models(classifier, method):
    # With a sign, no map of the CAM family is flat.
    ask = functools.partial(analyze, images=IMAGES, labels=TARGETS, method=method, samples=8, seed=4, signed=True)
    result = ask(classifier, sanity=True)
    assert result.arrays["sanity_layers"].tolist() == ["scores", "second", "first"]
    for stage, layers in enumerate([["scores"], ["scores", "second"], ["scores", "second", "first"]]):
        expected = ask(classifier.randomized(layers, 4)).arrays["map"]
        np.testing.assert_allclose(result.arrays[f"sanity_map/{layers[-1]}"], expected, rtol=1e-5, atol=1e-7)
        likeness = [
            stats.spearmanr(own.ravel(), other.ravel()).statistic
            for own, other in zip(result.arrays["map"], expected, strict=True)
        ]
        np.testing.assert_allclose(result.arrays["sanity_similarity"][stage], likeness, atol=1e-6)
        assert result.metrics[f"sanity/{layers[-1]}"] == pytest.approx(np.mean(likeness), abs=1e-6)
    assert result.metrics["sanity_all"] == result.metrics["sanity/first"]


def test_a_map_that_shuffling_does_not_change_is_reported():
    """Equal weights stay what they are when they are shuffled: the map cannot change, and the user is told."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(1, 3, padding="same", activation="relu", kernel_initializer="ones", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, kernel_initializer="ones", name="scores"),
        ]
    )
    images = np.random.default_rng(1).random((2, 6, 6, 1), dtype=np.float32)
    result = analyze(model, images, sanity=True, steps=2)
    assert result.metrics["sanity_all"] == pytest.approx(1)
    assert any("they show the images more than what the model has learned" in words for words in result.warnings)


# Figures


def test_the_figures_are_those_that_there_is_something_to_draw_for(classifier):
    assert set(analyze(classifier, IMAGES, TARGETS).drawings) == {""}
    result = analyze(classifier, IMAGES, TARGETS, sanity=True, method="gradcam++")
    assert set(result.drawings) == {"", "deletion-insertion", "sanity", "sanity-maps"}
    lines = result.figure("deletion-insertion").axes[0].get_lines()
    np.testing.assert_allclose(lines[0].get_ydata(), result.arrays["deletion"].mean(axis=0), rtol=1e-6)
    means = [result.metrics[f"sanity/{name}"] for name in ("scores", "second", "first")]
    np.testing.assert_allclose(result.figure("sanity").axes[0].get_lines()[0].get_ydata(), [1, *means])


def test_scales_are_diverging_only_where_there_is_a_sign(classifier):
    plain, signed = (analyze(classifier, IMAGES, TARGETS, sanity=True, signed=signed) for signed in (False, True))
    for name in ("", "sanity-maps"):
        assert plain.drawing(name).tiles[1].scale == "sequential"
        assert signed.drawing(name).tiles[1].scale == "diverging"


def test_the_figure_shows_each_image_and_its_map(classifier):
    result = analyze(classifier, IMAGES, TARGETS, method="gradcam")
    tiles = result.drawing().tiles
    assert result.drawing().title == "Grad-CAM of second"
    for index, target in enumerate(TARGETS):
        image, found = tiles[2 * index : 2 * index + 2]
        np.testing.assert_array_equal(image.values, IMAGES[index])
        np.testing.assert_array_equal(found.values, result.arrays["map"][index])
        assert found.title == f"Grad-CAM for {target}"


def test_bounds_that_the_types_do_not_say():
    with pytest.raises(UsageError, match="blur"):
        SaliencyParams.from_public({"blur": 0.0})
    assert SaliencyParams.from_public({"method": "scorecam", "layer": "conv"}).layer == "conv"


def test_the_options_of_the_map_stand_before_those_of_its_test():
    names = list(SaliencyParams().to_json())
    assert names[:2] == ["method", "layer"]
    assert names[-3:] == ["sanity", "steps", "blur"]


def test_gradcam_equals_that_of_tf_keras_vis(model, classifier):
    """It runs on the Keras model itself, cut before the softmax; the enlarging, which differs, is left out."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    peer = Gradcam(keras.Model(model.inputs, model.get_layer("scores").output))(
        CategoricalScore(TARGETS.tolist()), IMAGES, expand_cam=False, normalize_cam=False
    )
    found = analyze(classifier, IMAGES, TARGETS, method="gradcam").arrays["map"]
    expected = [enlarged(np.asarray(plane), (10, 8)) for plane in peer]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
