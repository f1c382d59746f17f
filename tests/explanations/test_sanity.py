"""The test of a map, on maps that need no plugin: orders, correlations, what a known map must score."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

import cnnlab
from cnnlab.analysis.context import Context
from cnnlab.drawings import resolved
from cnnlab.errors import UsageError
from cnnlab.explanations.exchange import exchange, fill_values, ranks
from cnnlab.explanations.randomisation import similarity, stages
from cnnlab.inputs import Inputs
from cnnlab.plugin import MAP_TEST_ARRAYS, MAP_TEST_METRICS, MapTest, MapTestParams, explained, run_map_test


@pytest.fixture(scope="module")
def classifier():
    """Three layers with weights, one of them strided: not square, in colour."""
    keras.utils.set_random_seed(5)
    return cnnlab.load(
        keras.Sequential(
            [
                keras.Input((10, 8, 3)),
                keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="first"),
                keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="second"),
                keras.layers.Flatten(name="flat"),
                keras.layers.Dense(4, name="scores"),
                keras.layers.Softmax(name="softmax"),
            ]
        )
    )


# Orders


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 3), st.integers(0, 99))
def test_ranks_are_an_order_and_follow_the_map(count, side, levels, seed):
    maps = np.random.default_rng(seed).integers(0, levels + 1, (count, side, side)).astype(np.float32)
    for plane, places in zip(maps, ranks(maps, np.random.default_rng(seed).random(maps.shape)), strict=True):
        assert sorted(places.ravel()) == list(range(side * side))
        assert (np.diff(plane.ravel()[places.ravel().argsort()]) <= 0).all()


def test_ties_are_broken_at_random():
    rng = np.random.default_rng(0)
    assert len(np.unique(ranks(np.zeros((200, 4, 4)), rng.random((200, 4, 4)))[:, 0, 0])) == 16


@pytest.mark.parametrize("most", [1, 3, 7, 100])
def test_however_many_steps_are_scored_at_once_the_scores_are_those_of_each_image(most):
    rng = np.random.default_rng(0)
    start, end = rng.random((3, 4, 5, 2), np.float32), rng.random((3, 1, 1, 2), np.float32)
    places, amounts = ranks(rng.random((3, 4, 5)), rng.random((3, 4, 5))), np.array([0, 1, 7, 13, 20])
    asked = []

    def score(images):
        asked.append(len(images))
        return images.sum(axis=(1, 2, 3)) * np.tile([1.0, 10.0, 100.0], len(images) // 3)

    found = exchange(start, end, places, amounts, score, most)
    for image, row in enumerate(found):
        for amount, value in zip(amounts, row, strict=True):
            changed = start[image].copy()
            changed[places[image] < amount] = end[image]
            assert value == pytest.approx(changed.sum() * 10**image, rel=1e-5)
    assert sum(asked) == 15
    assert max(asked) == 3 * min(5, max(1, most // 3))


@given(st.integers(2, 40), st.integers(1, 8), st.integers(0, 99))
def test_similarity_is_spearmans(size, levels, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, levels, (3, 1, size)), rng.normal(size=(3, 1, size)).round(1)
    for index, found in enumerate(similarity(first, second)):
        if np.ptp(first[index]) == 0:
            assert np.isnan(found)
        elif np.ptp(second[index]) == 0:
            assert found == 0
        else:
            expected = stats.spearmanr(first[index].ravel(), second[index].ravel()).statistic
            assert found == pytest.approx(expected, abs=1e-9)


def test_similarity_of_the_same_the_opposite_and_a_flat_map():
    maps = np.random.default_rng(0).normal(size=(2, 5, 5))
    np.testing.assert_allclose(similarity(maps, np.exp(maps)), 1)
    np.testing.assert_allclose(similarity(maps, -maps), -1)
    np.testing.assert_array_equal(similarity(maps, np.ones_like(maps)), 0)
    assert np.isnan(similarity(np.ones_like(maps), maps)).all()


def test_a_deep_model_is_shuffled_in_few_stages(classifier):
    assert [name for name, _ in stages(classifier)] == ["scores", "second", "first"]
    assert stages(classifier, most=2) == [("second", ["scores", "second"]), ("first", ["scores", "second", "first"])]
    assert stages(classifier, most=1) == [("first", ["scores", "second", "first"])]


def test_hidden_pixels_become_what_was_asked_for():
    images = np.random.default_rng(1).uniform(-1, 1, (2, 5, 4, 3)).astype(np.float32)
    for fill, expected in (("min", -1), ("max", 1), (0.25, 0.25)):
        np.testing.assert_array_equal(fill_values(images, fill, (-1, 1)), np.full((2, 1, 1, 3), expected))
    np.testing.assert_allclose(fill_values(images, "mean", (-1, 1))[:, 0, 0], images.mean(axis=(1, 2)), rtol=1e-5)
    with pytest.raises(UsageError, match=r"-1 to 1; received 1\.5"):
        fill_values(images, 1.5, (-1.0, 1.0))
    with pytest.raises(UsageError, match="fill must be 'min', 'mean', 'max' or a number; received most"):
        MapTestParams(fill="most")


# Any map


def weights_of(classifier, images, targets, seed):
    """A map that is known: the weight of each pixel for its class, of a model of one dense layer."""
    kernel = classifier.layer("scores").kernel.reshape(*images.shape[1:3], -1)
    return np.moveaxis(kernel[..., targets], -1, 0)


def brightness(classifier, images, targets, seed):
    """A map of the image, which no model has a part in."""
    return images.mean(axis=-1)


def put_to_test(explain, classifier, images, labels, name="map", **params):
    """The maps of images and what their test gives, with the warnings."""
    context = Context(3)
    inputs = Inputs(lambda indices: images[indices], labels, [f"image {index}" for index in range(len(images))])
    arrays = {"target": labels, name: explained(explain, classifier, inputs, labels, context)}
    found = run_map_test(explain, classifier, inputs, MapTestParams(**params), context, arrays, of=name, name="the map")
    return arrays, found, context.warnings


def test_without_being_asked_for_it_tests_nothing(tiny_models):
    _, found, warnings = put_to_test(brightness, tiny_models.linear((6, 5, 1)), *tiny_models.images((6, 5, 1), 2))
    assert found == MapTest()
    assert not warnings


def test_the_weights_of_a_linear_model_are_forgotten_and_count(tiny_models):
    """The shuffled map is the shuffled weights; each pixel deleted in their order takes the most that is left."""
    classifier = tiny_models.linear((8, 8, 1))
    images, labels = tiny_models.images((8, 8, 1), 3)
    images = np.ones_like(images)
    arrays, found, _ = put_to_test(weights_of, classifier, images, labels, sanity=True, score="logit", steps=64)
    shuffled = weights_of(classifier.randomized(["scores"], 3), images, labels, 0)
    np.testing.assert_array_equal(found.arrays["sanity_map/scores"], shuffled)
    assert found.metrics["sanity_all"] == pytest.approx(similarity(arrays["map"], shuffled).mean())
    ordered = -np.sort(-arrays["map"].reshape(3, -1).astype(np.float64), axis=1)
    np.testing.assert_allclose(-np.diff(found.arrays["deletion"]), ordered, atol=1e-4)
    # Of all orders this one has the lowest curve.
    assert (found.arrays["deletion"] <= found.arrays["deletion_random"] + 1e-4).all()
    np.testing.assert_allclose(found.columns["deletion_area"].mean(), found.metrics["deletion_area"])


def test_a_map_of_the_image_alone_is_not_to_be_believed(classifier):
    images = np.random.default_rng(0).random((2, 10, 8, 3), dtype=np.float32)
    _, found, warnings = put_to_test(brightness, classifier, images, np.array([0, 1]), sanity=True, steps=2)
    np.testing.assert_allclose(found.arrays["sanity_similarity"], 1)
    assert found.metrics["sanity_all"] == pytest.approx(1)
    assert any("more than what the model has learned" in words for words in warnings)


def test_an_image_whose_own_map_is_flat_is_in_no_mean(classifier):
    images = np.random.default_rng(0).random((3, 10, 8, 3), dtype=np.float32)
    images[1] = 0.5
    _, found, _ = put_to_test(brightness, classifier, images, np.zeros(3, int), sanity=True, steps=2)
    assert np.isnan(found.arrays["sanity_similarity"][:, 1]).all()
    assert found.metrics["sanity/second"] == pytest.approx(1)
    titles = [tile.title for tile in found.drawings["sanity-maps"].tiles]
    assert titles[5:10] == [
        "image 1",
        "the map for 0",
        *[f"to {name}: own map is flat" for name in ("scores", "second", "first")],
    ]


def test_it_gives_what_it_declares(classifier):
    images = np.random.default_rng(0).random((2, 10, 8, 3), dtype=np.float32)
    _, found, _ = put_to_test(brightness, classifier, images, np.array([0, 1]), sanity=True, steps=2)
    layers = ["scores", "second", "first"]
    each = {f"sanity_map/{name}" for name in layers}
    assert set(found.arrays) == {name for name in MAP_TEST_ARRAYS if "<" not in name} | each
    assert set(found.metrics) == {name for name in MAP_TEST_METRICS if "<" not in name} | {
        f"sanity/{name}" for name in layers
    }
    assert list(found.columns) == ["sanity_all", "deletion_area", "insertion_area"]


def test_each_batch_has_a_seed_that_no_model_changes(classifier, monkeypatch):
    monkeypatch.setattr("cnnlab.explanations.sanity.IMAGES", 2)
    images = np.random.default_rng(0).random((5, 10, 8, 3), dtype=np.float32)
    asked = []

    def noisy(model, images, targets, seed):
        asked.append((model.digest, len(images), targets.tolist(), seed))
        return np.random.default_rng(seed).random(images.shape[:3])

    _, found, _ = put_to_test(noisy, classifier, images, np.arange(5) % 4, sanity=True, steps=1)
    assert [call[1:3] for call in asked[:3]] == [(2, [0, 1]), (2, [2, 3]), (1, [0])]
    seeds = [call[3] for call in asked]
    assert seeds == seeds[:3] * 4
    assert len(set(seeds)) == 3
    assert len({call[0] for call in asked}) == 4
    np.testing.assert_allclose(found.arrays["sanity_similarity"], 1)


def test_a_model_of_fixed_batches_is_given_no_more(tiny_models):
    classifier = tiny_models.convolutional((8, 8, 1), fixed_batch=2)
    images, labels = tiny_models.images((8, 8, 1), 5)
    sizes = []

    def counted(model, images, targets, seed):
        sizes.append(len(images))
        return images[..., 0]

    put_to_test(counted, classifier, images, labels, sanity=True, steps=2)
    assert max(sizes) == 2


@pytest.mark.parametrize(("count", "most", "columns", "tiles"), [(2, 8, 5, 10), (6, 8, 5, 20), (3, 4, 4, 5)])
def test_shuffled_maps_lie_in_a_row_for_each_image_or_in_rows_of_one(
    classifier, monkeypatch, count, most, columns, tiles
):
    monkeypatch.setattr("cnnlab.explanations.drawing.MOST_ACROSS", most)
    images = np.random.default_rng(0).random((count, 10, 8, 3), dtype=np.float32)
    labels = np.arange(count) % 4
    arrays, found, _ = put_to_test(brightness, classifier, images, labels, "heat", sanity=True, steps=2)
    drawing = resolved(found.drawings["sanity-maps"], arrays | found.arrays)
    assert (drawing.columns, len(drawing.tiles)) == (columns, tiles)
    for index in range(tiles // 5):
        image, own, *shuffled = drawing.tiles[5 * index : 5 * index + 5]
        assert {tile.image for tile in (image, own, *shuffled)} == {index}
        np.testing.assert_array_equal(image.values, images[index])
        np.testing.assert_array_equal(own.values, arrays["heat"][index])
        for name, tile in zip(("scores", "second", "first"), shuffled, strict=True):
            np.testing.assert_array_equal(tile.values, found.arrays[f"sanity_map/{name}"][index])
            assert (tile.title, tile.scale) == (f"to {name}: 1.00", "sequential")
