"""All methods side by side: the same maps as one by one, what is left out, and how far they agree."""

from __future__ import annotations

import functools
from itertools import combinations
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import cnnlab
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.testing import AnalysisContract, FakeClassifier
from cnnlab_saliency import METHODS, SaliencyParams

everything = functools.partial(cnnlab.analyze, "saliency", method="all", samples=3, path_steps=5)
WITHOUT_LAYERS = ("vanilla", "smoothgrad", "integrated")


class TestContract(AnalysisContract):
    analysis = "saliency"
    params: ClassVar = {"method": "all", "samples": 2, "path_steps": 3}


@pytest.fixture(scope="module")
def classifier():
    """Two convolutions and a dense layer: not square, in colour."""
    keras.utils.set_random_seed(11)
    layers = [
        keras.Input((10, 8, 3)),
        keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="first"),
        keras.layers.Conv2D(3, 3, strides=2, padding="same", activation="relu", name="second"),
        keras.layers.Flatten(),
        keras.layers.Dense(4, name="scores"),
    ]
    return cnnlab.load(keras.Sequential(layers), input_range=(0, 1))


IMAGES = np.random.default_rng(0).random((3, 10, 8, 3), dtype=np.float32)
TARGETS = np.array([2, 0, 3])


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("layer", [None, "first"])
def test_the_maps_are_those_of_each_method_alone(classifier, signed, layer):
    found = everything(classifier, IMAGES, TARGETS, signed=signed, layer=layer, seed=5)
    assert tuple(found.arrays["methods"]) == METHODS
    assert "map" not in found.arrays
    assert not found.warnings
    for method in METHODS:
        own = {"layer": layer} if method not in WITHOUT_LAYERS else {}
        one = everything(classifier, IMAGES, TARGETS, method=method, signed=signed, seed=5, **own)
        np.testing.assert_array_equal(found.arrays[f"map/{method}"], one.arrays["map"])
        if method == "integrated":
            for name in ("logit_rise", "completeness_gap"):
                assert found.metrics[name] == one.metrics[name]
                assert [row[name] for row in found.rows] == [row[name] for row in one.rows]


def test_agreement_is_the_mean_of_the_rank_correlations(classifier):
    found = everything(classifier, IMAGES, TARGETS, signed=True)  # with signs, none is flat
    alike = found.arrays["rank_correlation"]
    assert alike.shape == (6, 6, 3)
    pairs = {}
    for one, other in combinations(range(6), 2):
        maps = [found.arrays[f"map/{METHODS[place]}"].reshape(3, -1) for place in (one, other)]
        pairs[one, other] = [stats.spearmanr(*each).statistic for each in zip(*maps, strict=True)]
        np.testing.assert_allclose(alike[one, other], pairs[one, other], atol=1e-9)
        np.testing.assert_array_equal(alike[one, other], alike[other, one])
    by_image = np.mean(list(pairs.values()), axis=0)
    np.testing.assert_allclose([row["agreement"] for row in found.rows], by_image)
    assert found.metrics["agreement"] == pytest.approx(by_image.mean())
    matrix = found.drawing("agreement")
    assert matrix.rows == matrix.columns == METHODS
    np.testing.assert_allclose(matrix.values, alike.mean(axis=-1))


def test_the_headline_names_the_two_that_agree_most_and_least(classifier):
    found = everything(classifier, IMAGES, TARGETS, signed=True)  # with signs, none is flat
    words = ("gradient", "SmoothGrad", "integrated gradients", "Grad-CAM", "Grad-CAM++", "Score-CAM")
    means = found.arrays["rank_correlation"].mean(axis=-1)
    pairs = sorted((means[one, other], f"{words[one]} and {words[other]}") for one, other in combinations(range(6), 2))
    (least, last), (most, first) = pairs[0], pairs[-1]
    said = f"{first} agree most, with a rank correlation of {most:.2f}, mean over the images; {last} least, with "
    assert found.headline.casefold() == f"{said}{least:.2f}".casefold()
    assert "mean over" not in everything(classifier, IMAGES[:1], TARGETS[:1]).headline


def test_a_row_says_where_each_map_is_largest(classifier):
    found = everything(classifier, IMAGES, TARGETS, target=1, signed=True)
    assert {row["class"] for row in found.rows} == {"1"}
    for method in METHODS:
        for row, plane in zip(found.rows, found.arrays[f"map/{method}"], strict=True):
            assert plane[tuple(map(int, row[f"peak/{method}"].split(", ")))] == plane.max()


@pytest.mark.parametrize("signed", [False, True])
def test_the_figure_shows_each_image_and_every_map(classifier, signed):
    found = everything(classifier, IMAGES, TARGETS, signed=signed)
    tiles = found.drawing()
    assert tiles.columns == 7
    for index, target in enumerate(TARGETS):
        image, *maps = tiles.tiles[7 * index : 7 * index + 7]
        np.testing.assert_array_equal(image.values, IMAGES[index])
        assert image.title.endswith(f"\nfor {target}")
        for method, tile in zip(METHODS, maps, strict=True):
            np.testing.assert_array_equal(tile.values, found.arrays[f"map/{method}"][index])
            assert tile.scale == ("diverging" if signed else "sequential")


def test_a_model_without_feature_maps_is_explained_by_the_others(tiny_models):
    found = everything(tiny_models.linear((8, 8, 1)), *tiny_models.images((8, 8, 1), 2))
    assert tuple(found.arrays["methods"]) == WITHOUT_LAYERS
    assert {name for name in found.arrays if "/" in name} == {f"map/{method}" for method in WITHOUT_LAYERS}
    assert found.drawing().columns == 4
    (said,) = found.warnings
    assert said.startswith("left out, as not for this model: gradcam, gradcam++, scorecam: no layer of this model")


def rounded(folder, *, spatial):
    """A model without gradients: what it counts is rounded."""
    kernel = tf.constant(np.random.default_rng(2).normal(size=(3, 3, 1, 2)), tf.float32)
    dense = tf.constant(np.random.default_rng(3).normal(size=(2, 3)), tf.float32)

    class Rounded(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 6, 6, 1], tf.float32)])
        def __call__(self, images):
            if not spatial:
                return tf.round(4 * tf.reshape(images, (-1, 36))[:, :2]) @ dense
            maps = tf.nn.relu(tf.nn.conv2d(images, kernel, 1, "SAME", name="conv"))
            return tf.reduce_mean(tf.round(4 * maps), axis=(1, 2)) @ dense

    module = Rounded()
    tf.saved_model.save(module, str(folder), signatures=module.__call__)
    return folder


def test_a_model_without_gradients_is_explained_by_scorecam_alone(tmp_path):
    images = np.random.default_rng(4).random((2, 6, 6, 1), dtype=np.float32)
    found = everything(rounded(tmp_path, spatial=True), images)
    assert tuple(found.arrays["methods"]) == ("scorecam",)
    assert found.headline.startswith("Half of the Score-CAM of conv2d_1 lies on ")
    assert set(found.drawings) == {""}
    assert found.metrics["agreement"] is None
    said = [words for words in found.warnings if "left out" in words]
    assert len(said) == 1
    assert "vanilla, smoothgrad, integrated, gradcam, gradcam++: nothing differentiable" in said[0]


def test_where_no_method_applies_the_first_says_why(tmp_path):
    with pytest.raises(CnnlabError, match="nothing differentiable leads to the logits"):
        everything(rounded(tmp_path, spatial=False), np.zeros((1, 6, 6, 1), np.float32))


def test_flat_maps_are_not_compared(tiny_models):
    found = everything(tiny_models.constant((8, 8, 1)), *tiny_models.images((8, 8, 1), 2))
    assert np.isnan(found.arrays["rank_correlation"]).all()
    assert found.headline == "No two maps can be compared: of each image, one at most is not flat"
    assert {row["peak/vanilla"] for row in found.rows} == {"-"}


def test_two_methods_that_can_be_compared_are_said_to_agree_so_far():
    """Without noise, smoothgrad is the gradient; at its baseline, integrated is flat, and no layer has maps."""

    def logits(images):
        squares = tf.reduce_sum(tf.cast(images, tf.float32) ** 2 * np.arange(1.0, 5.0).reshape(2, 2, 1), axis=(1, 2, 3))
        return tf.stack([squares, 0 * squares], axis=1)

    classifier = FakeClassifier(logits, (2, 2, 1), 2)
    classifier.keras_model = lambda: _as_model(logits)
    found = everything(classifier, np.full((1, 2, 2, 1), 0.5, np.float32), target=0, baseline=0.5, noise=0.0)
    assert found.headline == "Gradient and SmoothGrad agree to a rank correlation of 1.00"


def _as_model(logits):
    image = keras.Input((2, 2, 1))
    return keras.Model([image], keras.layers.Lambda(logits, output_shape=(2,))(image))


def test_all_methods_take_a_layer_and_no_test():
    assert SaliencyParams(method="all", layer="conv").layer == "conv"
    with pytest.raises(UsageError, match=r"sanity tests the maps of one method; received method all. Name one: van"):
        SaliencyParams(method="all", sanity=True)
