"""The contract, and the mathematics against brute force, closed forms and models that read one pixel."""

from __future__ import annotations

import functools
import itertools
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st
from scipy import stats

import cnnlab
from cnnlab.analysis.context import Context
from cnnlab.errors import UsageError
from cnnlab.inputs import Inputs
from cnnlab.testing import AnalysisContract
from cnnlab.testing.fakes import FakeClassifier
from cnnlab_occlusion import OcclusionParams
from cnnlab_occlusion.run import explain, fill_values, heatmap, origins, run


@pytest.mark.full
class TestContract(AnalysisContract):
    analysis = "occlusion"


class TestContractOfTheTest(AnalysisContract):
    analysis = "occlusion"
    params: ClassVar = {"sanity": True, "steps": 5, "patch": 3, "stride": 2}
    undelivered = ()


def occlude(classifier, image, label, patch, stride, fill, score="probability"):
    """Every position in a plain loop, one image at a time: scores, predicted classes, baseline, heatmap."""
    height, width, _ = image.shape
    rows = [r for r in range(0, height, stride) if r == 0 or r - stride + patch < height]
    cols = [c for c in range(0, width, stride) if c == 0 or c - stride + patch < width]
    read = classifier.logits if score == "logit" else classifier.probabilities
    baseline = read(image[None])[0, label]
    scores, predicted = np.zeros((len(rows), len(cols))), np.zeros((len(rows), len(cols)), int)
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for i, j in itertools.product(range(len(rows)), range(len(cols))):
        covered = image.copy()
        covered[rows[i] : rows[i] + patch, cols[j] : cols[j] + patch] = fill
        scores[i, j] = read(covered[None])[0, label]
        predicted[i, j] = classifier.predict(covered[None])[0]
        total[rows[i] : rows[i] + patch, cols[j] : cols[j] + patch] += baseline - scores[i, j]
        count[rows[i] : rows[i] + patch, cols[j] : cols[j] + patch] += 1
    assert count.min() >= 1
    return scores, predicted, baseline, total / count


def margins_of(classifier, image, label, patch, stride, fill):
    """The plain loop with the margin as the score: margins, baseline, heatmap."""

    class OfMargin:
        predict = staticmethod(classifier.predict)

        @staticmethod
        def logits(images):
            logits = classifier.logits(images).astype(np.float64)
            return logits - np.delete(logits, label, axis=1).max(axis=1, keepdims=True)

    margins, _, baseline, mean = occlude(OfMargin, image, label, patch, stride, fill, "logit")
    return margins, baseline, mean


CASES = [
    ((8, 8, 1), 4, 1, "min"),
    ((7, 9, 1), 3, 2, "max"),
    ((9, 6, 3), 4, 3, "mean"),
    ((5, 5, 3), 5, 5, "0.25"),
    ((5, 6, 1), 9, 2, "min"),
]


@pytest.mark.parametrize("score", ["probability", "logit"])
@pytest.mark.parametrize(("shape", "patch", "stride", "fill"), CASES, ids=str)
def test_it_equals_a_plain_loop(tiny_models, shape, patch, stride, fill, score):
    classifier = tiny_models.convolutional(shape)
    images, labels = tiny_models.images(shape, 3)
    result = cnnlab.analyze("occlusion", classifier, images, labels, patch=patch, stride=stride, fill=fill, score=score)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        paint = {"min": 0.0, "max": 1.0, "mean": image.mean(axis=(0, 1))}.get(fill)
        expected = occlude(classifier, image, label, patch, stride, float(fill) if paint is None else paint, score)
        np.testing.assert_allclose(result.arrays["score"][index], expected[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(result.arrays["predicted"][index], expected[1])
        np.testing.assert_allclose(result.arrays["baseline"][index], expected[2], rtol=1e-4, atol=1e-5)
        painted = float(fill) if paint is None else paint
        margins = margins_of(classifier, image, label, patch, stride, painted)
        for name, value in zip(("margin", "margin_baseline", "margin_heatmap"), margins, strict=True):
            np.testing.assert_allclose(result.arrays[name][index], value, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(result.arrays["heatmap"][index], expected[3], rtol=1e-3, atol=2e-5)


def reader(shape, pixel):
    """A model whose first logit is one pixel and whose second is nothing."""

    def logits(images):
        value = tf.convert_to_tensor(images)[:, pixel[0], pixel[1], pixel[2]]
        return tf.stack([value, tf.zeros_like(value)], axis=1)

    return FakeClassifier(logits, shape, 2)


@st.composite
def readers(draw):
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.sampled_from([1, 3])))
    pixel = tuple(draw(st.integers(0, side - 1)) for side in shape)
    patch = draw(st.integers(1, 10))
    return shape, pixel, patch, draw(st.integers(1, patch))


@settings(max_examples=40, deadline=None)
@given(readers())
def test_a_model_that_reads_one_pixel_lights_exactly_the_patches_over_it(case):
    shape, (row, col, channel), patch, stride = case
    images = np.ones((1, *shape), np.float32)
    inputs = Inputs(lambda indices: images[indices], np.zeros(1, np.int64), ["one"])
    params = OcclusionParams(patch=patch, stride=stride, score="logit")
    result = run(reader(shape, (row, col, channel)), inputs, params, Context(0))
    rows, cols = result.arrays["rows"], result.arrays["cols"]
    over = np.logical_and.outer((rows <= row) & (row < rows + patch), (cols <= col) & (col < cols + patch))
    np.testing.assert_array_equal(result.arrays["score"][0], np.where(over, 0, 1))
    assert over.any(), "every pixel is under some patch"
    assert result.arrays["heatmap"][0, row, col] == 1


def test_a_model_that_ignores_its_input_gives_a_map_of_zeros(tiny_models):
    images, _ = tiny_models.images((8, 8, 1), 2)
    result = cnnlab.analyze("occlusion", tiny_models.constant((8, 8, 1)), images)
    assert not result.arrays["heatmap"].any()
    assert result.metrics["flipped"] == 0


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_positions_begin_at_zero_and_end_at_the_first_that_meets_the_border(side, patch, stride):
    edges = origins(side, patch, stride)
    assert edges[0] == 0
    assert (np.diff(edges) == stride).all()
    assert edges[-1] + patch >= side
    assert len(edges) == 1 or edges[-2] + patch < side


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 8), st.data())
def test_equal_drops_average_to_themselves(height, width, patch, data):
    stride = data.draw(st.integers(1, patch))
    rows, cols = origins(height, patch, stride), origins(width, patch, stride)
    drops = np.full((1, len(rows), len(cols)), 0.5, np.float32)
    np.testing.assert_allclose(heatmap(drops, rows, cols, patch, (height, width)), 0.5, rtol=1e-6)


def test_the_class_is_the_one_asked_for_else_the_label_else_the_predicted_one(tiny_models):
    classifier = tiny_models.convolutional((8, 8, 1))
    images, _ = tiny_models.images((8, 8, 1), 3)
    predicted = classifier.predict(images)
    labels = np.array([-1, (predicted[1] + 1) % 4, -1])
    ask = functools.partial(cnnlab.analyze, "occlusion", classifier, images, labels, stride=4)
    assert ask().arrays["target"].tolist() == [predicted[0], labels[1], predicted[2]]
    assert ask(target=2).arrays["target"].tolist() == [2, 2, 2]
    with pytest.raises(UsageError, match="0 to 3; received 4"):
        ask(target=4)


def test_a_position_of_the_score_is_drawn_where_its_patch_lies(tiny_models):
    images, _ = tiny_models.images((8, 8, 1), 1)
    result = cnnlab.analyze("occlusion", tiny_models.convolutional((8, 8, 1)), images, patch=4, stride=2)
    score = next(tile for tile in result.drawing().tiles if tile is not None and tile.title.startswith("probability"))
    top, left, bottom, right = score.place
    rows, cols = result.arrays["rows"], result.arrays["cols"]
    middles = top + (np.arange(len(rows)) + 0.5) * (bottom - top) / len(rows)
    across = left + (np.arange(len(cols)) + 0.5) * (right - left) / len(cols)
    assert score.window == (4, 4)
    np.testing.assert_allclose(middles - score.window[0] / 2, rows)
    np.testing.assert_allclose(across - score.window[1] / 2, cols)


def test_results_do_not_depend_on_how_many_images_go_together(tiny_models, monkeypatch):
    classifier = tiny_models.convolutional((8, 8, 1))
    images, labels = tiny_models.images((8, 8, 1), 5)
    together = cnnlab.analyze("occlusion", classifier, images, labels)
    monkeypatch.setitem(classifier.__dict__, "batch_size", 7)
    monkeypatch.setattr("cnnlab_occlusion.run.IMAGES", 2)
    apart = cnnlab.analyze("occlusion", classifier, images, labels)
    np.testing.assert_allclose(together.arrays["heatmap"], apart.arrays["heatmap"], atol=1e-6)
    np.testing.assert_array_equal(together.arrays["predicted"], apart.arrays["predicted"])


def test_no_more_logits_than_fit_lie_in_memory(tiny_models, monkeypatch):
    """Positions are streamed, whatever their number: the arrays are the same."""
    classifier = tiny_models.convolutional((8, 8, 1))
    images, labels = tiny_models.images((8, 8, 1), 3)
    expected = cnnlab.analyze("occlusion", classifier, images, labels, patch=2).arrays
    asked = []
    whole = type(classifier).covered_logits

    def watched(self, images, fills, corners, *rest):
        asked.append(len(images) * len(corners) * self.num_classes)
        return whole(self, images, fills, corners, *rest)

    monkeypatch.setattr(type(classifier), "covered_logits", watched)
    monkeypatch.setattr("cnnlab_occlusion.run.NUMBERS", 60)
    found = cnnlab.analyze("occlusion", classifier, images, labels, patch=2).arrays
    assert max(asked) <= 60
    assert sum(asked) == 3 * (49 + 1) * classifier.num_classes
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)


def test_large_images_go_in_smaller_batches(tiny_models):
    assert tiny_models.convolutional((8, 8, 1)).batch_size == 512
    assert tiny_models.convolutional((768, 1024, 3)).batch_size < 100


@pytest.mark.parametrize("fill", [2.0, -0.1, float("nan")])
def test_a_fill_outside_the_range_is_refused(fill):
    with pytest.raises(UsageError, match=r"0 to 1; received"):
        fill_values(np.zeros((1, 2, 2, 1), np.float32), fill, (0.0, 1.0))


def test_a_stride_that_leaves_gaps_is_refused():
    with pytest.raises(UsageError, match="stride must be at most the patch's side"):
        OcclusionParams.from_public({"patch": 2, "stride": 3})


@pytest.mark.parametrize(("fill", "expected"), [("0.25", 0.25), (0.5, 0.5), ("mean", "mean")])
def test_a_fill_is_a_word_or_a_number(fill, expected):
    assert OcclusionParams.from_public({"fill": fill}).fill == expected
    with pytest.raises(UsageError, match="fill must be 'min', 'mean', 'max' or a number; received most"):
        OcclusionParams.from_public({"fill": "most"})


def test_the_options_of_the_patch_stand_before_those_of_the_test():
    assert list(OcclusionParams().to_json()) == [
        *("patch", "stride", "target", "fill", "score"),
        *("sanity", "steps", "blur"),
        "precision",
    ]


# The test of the map


def test_the_maps_of_shuffled_models_are_their_heat_maps(tiny_models):
    classifier = tiny_models.convolutional((8, 9, 3))
    images, labels = tiny_models.images((8, 9, 3), 3)
    ask = functools.partial(cnnlab.analyze, "occlusion", images=images, labels=labels, patch=3, stride=2, seed=4)
    result = ask(classifier, sanity=True, score="logit", fill="mean")
    assert result.arrays["sanity_layers"].tolist() == ["scores", "conv1"]
    for stage, layers in enumerate([["scores"], ["scores", "conv1"]]):
        expected = ask(classifier.randomized(layers, 4), score="logit", fill="mean").arrays["heatmap"]
        np.testing.assert_allclose(result.arrays[f"sanity_map/{layers[-1]}"], expected, rtol=1e-5, atol=1e-6)
        likeness = [
            stats.spearmanr(own.ravel(), other.ravel()).statistic
            for own, other in zip(result.arrays["heatmap"], expected, strict=True)
        ]
        np.testing.assert_allclose(result.arrays["sanity_similarity"][stage], likeness, atol=1e-6)
    assert {"deletion-insertion", "sanity", "sanity-maps"} < set(result.drawings)
    own = result.drawing("sanity-maps").tiles[1]
    np.testing.assert_array_equal(own.values, result.arrays["heatmap"][0])
    assert (own.scale, own.title) == ("diverging", f"occlusion for {labels[0]}")
    assert list(result.rows[0])[-3:] == ["sanity_all", "deletion_area", "insertion_area"]


@pytest.mark.parametrize("fill", ["min", "mean", 0.25])
def test_deletion_in_the_order_of_a_linear_models_map_is_the_quickest(tiny_models, fill):
    """With patches of one pixel the map of logits is each pixel's part in the logit: deletion takes the largest first.

    What deleted pixels become is what the patch is painted with, so the curve ends at the logit of that alone.
    """
    classifier = tiny_models.linear((6, 7, 1))
    images, labels = tiny_models.images((6, 7, 1), 3)
    result = cnnlab.analyze(
        "occlusion", classifier, images, labels, patch=1, score="logit", fill=fill, sanity=True, steps=42
    )
    weights = np.moveaxis(classifier.layer("scores").kernel.astype(np.float64)[:, labels], -1, 0)
    paint = {"min": 0.0, "mean": images.mean(axis=(1, 2, 3))[:, None]}.get(fill, fill)
    parts = weights * (images.reshape(3, -1) - paint)
    np.testing.assert_allclose(result.arrays["heatmap"].reshape(3, -1), parts, atol=2e-5)
    np.testing.assert_allclose(-np.diff(result.arrays["deletion"]), -np.sort(-parts, axis=1), atol=1e-4)
    whole = classifier.logits(images)[np.arange(3), labels]
    np.testing.assert_allclose(
        result.arrays["deletion"][:, [0, -1]], np.c_[whole, whole - parts.sum(axis=1)], atol=1e-4
    )
    assert result.metrics["deletion_area"] < result.metrics["deletion_random_area"]


def test_the_map_that_is_tested_is_the_map(tiny_models):
    classifier = tiny_models.convolutional((8, 8, 1))
    images, labels = tiny_models.images((8, 8, 1), 4)
    params = OcclusionParams(patch=3, stride=3)
    found = cnnlab.analyze("occlusion", classifier, images, labels, patch=3, stride=3).arrays["heatmap"]
    np.testing.assert_array_equal(explain(params, classifier, images, labels), found)
    again = cnnlab.analyze("occlusion", classifier, images, labels, patch=3, stride=3, sanity=True, steps=2)
    np.testing.assert_array_equal(again.arrays["heatmap"], found)


def test_low_precision_tells_how_far_off_it_is(tiny_models):
    classifier = tiny_models.convolutional((8, 8, 1))
    images, labels = tiny_models.images((8, 8, 1), 3)
    exact = cnnlab.analyze("occlusion", classifier, images, labels, patch=1)
    found = cnnlab.analyze("occlusion", classifier, images, labels, patch=1, precision="bfloat16")
    off = np.abs(found.arrays["score"] - exact.arrays["score"])
    assert 0 < off.max() < 0.02
    assert exact.warnings == []
    assert found.warnings == [
        f"computed in bfloat16: a probability of the first image is off by up to {off[0].max():.2g}."
    ]


def test_what_was_not_computed_in_low_precision_is_not_said_to_be_off():
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, activation="tanh")])
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(3))
    found = cnnlab.analyze("occlusion", cnnlab.load(model), np.ones((1, 8, 8, 1)), patch=1, precision="bfloat16")
    assert [text for text in found.warnings if "float" in text] == [
        "the model was computed in float32, not in bfloat16, for its operation Tanh."
    ]
