"""Measuring attacks: labels, successes, metrics and rows, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.adversarial.measure import measure, with_strengths
from cnnlab.adversarial.names import ADVERSARIAL_ARRAYS, ADVERSARIAL_METRICS
from cnnlab.errors import UsageError
from cnnlab.pluginhost.axes import check_axes
from cnnlab.results.claims import Claims
from cnnlab.results.meanings import declared_as
from cnnlab.testing import FakeClassifier


def mean_of(images):
    """Class 1 where the image's mean exceeds a half."""
    mean = images.mean(axis=(1, 2, 3))
    return np.stack([0.5 - mean, mean - 0.5, np.full_like(mean, -9)], axis=1)


def levels_of(images):
    """Class 1 above a mean of 127.51/255."""
    mean = images.astype(np.float64).mean(axis=(1, 2, 3)) * 255
    return np.stack([np.full_like(mean, 127.51), mean, np.zeros_like(mean)], axis=1)


MEAN, FLAT = (FakeClassifier(logits, (1, 2, 1), 3) for logits in (mean_of, levels_of))


def images_of(*means):
    return np.array(means, np.float32)[:, None, None, None] * np.ones((1, 1, 2, 1), np.float32)


def test_an_image_misread_before_counts_as_wrong_and_in_no_success_rate():
    # Labels 0: image 0 flips, image 1 stays, image 2 is misread before and read rightly after.
    measured = measure(MEAN, images_of(0.4, 0.1, 0.7), images_of(0.6, 0.3, 0.3), np.array([0, 0, 0]))
    assert measured.arrays["counted"].tolist() == [True, True, False]
    assert measured.arrays["success"][0].tolist() == [True, False, False]
    assert [row["success"] for row in measured.rows(Claims())] == ["yes", "no", "misread before"]
    metrics = measured.metrics
    assert metrics["images"] == 3
    assert metrics["misread_before"] == pytest.approx(1 / 3)
    assert metrics["accuracy_before"] == pytest.approx(2 / 3)
    assert metrics["accuracy_after"] == pytest.approx(1 / 3)
    assert metrics["success"] == pytest.approx(1 / 2)
    assert metrics["linf"] == pytest.approx((0.2 + 0.2 + 0.4) / 3)
    assert metrics["l2"] == pytest.approx(np.sqrt(2) * (0.2 + 0.2 + 0.4) / 3)


def test_confidence_is_the_softmax_of_the_label():
    measured = measure(MEAN, images_of(0.4), images_of(0.8), np.array([0]))
    scores = np.exp([0.3, -0.3, -9.0])
    assert measured.arrays["confidence_after"][0, 0] == pytest.approx(scores[0] / scores.sum(), rel=1e-6)


def test_a_target_counts_where_it_is_neither_the_label_nor_the_prediction():
    target = np.array([1, 1, 0, 2])
    measured = measure(
        MEAN, images_of(0.4, 0.7, 0.7, 0.4), images_of(0.6, 0.7, 0.3, 0.6), np.array([0, 0, 0, 0]), target
    )
    assert measured.arrays["counted"].tolist() == [True, False, False, True]
    assert measured.arrays["success"][0].tolist() == [True, False, False, False]
    assert [row["success"] for row in measured.rows(Claims())] == ["yes", "read so before", "its own class", "no"]
    assert measured.metrics["success"] == 0.5


def test_a_target_below_the_label_counts_as_well():
    measured = measure(MEAN, images_of(0.7), images_of(0.3), np.array([1]), np.array([0]))
    assert (measured.arrays["counted"].tolist(), measured.metrics["success"]) == ([True], 1.0)


def test_an_unknown_label_is_stood_for_by_the_prediction_and_has_no_accuracy():
    measured = measure(MEAN, images_of(0.4, 0.7), images_of(0.6, 0.6), np.array([-1, -1]))
    assert measured.arrays["label"].tolist() == [-1, -1]
    assert measured.arrays["success"][0].tolist() == [True, False]
    assert np.isnan(measured.metrics["accuracy_before"])
    assert measured.metrics["success"] == 0.5
    assert [row["label"] for row in measured.rows(Claims())] == [None, None]


def test_strengths_name_the_metrics_and_the_rows():
    adversarial = np.stack([images_of(0.4, 0.1), images_of(0.6, 0.3)])
    claims = Claims(norm="linf", epsilons=(0, 0.2))
    measured = measure(MEAN, images_of(0.4, 0.1), adversarial, np.array([0, 0]), claims=claims, sources=["a", "b"])
    assert measured.metrics["accuracy@0"] == 1
    assert measured.metrics["accuracy@0.2"] == 0.5
    assert measured.metrics["success@0.2"] == 0.5
    assert measured.arrays["label_after"].tolist() == [[0, 0], [1, 0]]
    assert [(row["image"], row["epsilon"]) for row in measured.rows(claims)] == [
        ("a", 0),
        ("a", 0.2),
        ("b", 0),
        ("b", 0.2),
    ]


def test_another_axis_than_epsilon_has_its_own_name():
    claims = Claims(strengths=(1, 2), axis="beta")
    measured = measure(MEAN, images_of(0.4), np.stack([images_of(0.4)] * 2), np.array([0]), claims=claims)
    assert [row["beta"] for row in measured.rows(claims)] == [1, 2]
    assert "success@2" in measured.metrics


def test_everything_measured_is_declared():
    single = measure(MEAN, images_of(0.4), images_of(0.6), np.array([0]), np.array([1]))
    several = measure(MEAN, images_of(0.4), np.stack([images_of(0.6)]), np.array([0]), claims=Claims(epsilons=(1,)))
    for measured in (single, several):
        assert not [name for name in measured.arrays if name not in ADVERSARIAL_ARRAYS]
        assert not [name for name in measured.metrics if declared_as(ADVERSARIAL_METRICS, name) is None]
        check_axes(ADVERSARIAL_ARRAYS, measured.arrays)
    assert set(single.arrays) == set(ADVERSARIAL_ARRAYS)


def test_the_axis_of_strengths_is_always_there():
    single = measure(MEAN, images_of(0.4, 0.1), images_of(0.6, 0.3), np.array([0, 0]))
    several = measure(MEAN, images_of(0.4, 0.1), images_of(0.6, 0.3)[None], np.array([0, 0]))
    assert single.arrays["adversarial"].shape == (1, 2, 1, 2, 1)
    for name, array in single.arrays.items():
        np.testing.assert_array_equal(array, several.arrays[name], err_msg=name)
    flat = {
        name: array[0] if ADVERSARIAL_ARRAYS[name].axes[0] == "E?" else array for name, array in single.arrays.items()
    }
    for name, array in with_strengths(flat).items():
        np.testing.assert_array_equal(array, single.arrays[name], err_msg=name)


def test_rounding_can_undo_an_attack_and_the_row_says_so():
    # Both have a mean above 127.51/255; rounding takes the first to levels 127 and 128, the second to 128 and 128.
    levels = np.array([[127.45, 127.58], [127.6, 127.6]], np.float32)
    measured = measure(FLAT, images_of(0.4, 0.4), levels.reshape(2, 1, 2, 1) / 255, np.array([0, 0]))
    assert [row["success"] for row in measured.rows(Claims())] == ["yes", "yes"]
    assert [row["success_8bit"] for row in measured.rows(Claims())] == ["undone by rounding", "yes"]
    assert measured.metrics["success"] == 1
    assert measured.metrics["success_8bit"] == 0.5


@pytest.mark.parametrize(
    ("adversarial", "label", "message"),
    [
        (np.zeros((2, 1, 2, 1)), [0], r"adversarial images must be \[E, N, H, W, C\] or \[N, H, W, C\]"),
        (np.zeros((1, 1, 2, 1)), [0.5], "label must be whole numbers"),
        (np.zeros((1, 1, 2, 1)), [0, 1], r"label must be whole numbers of shape \[1\]"),
    ],
)
def test_what_does_not_fit_is_refused(adversarial, label, message):
    with pytest.raises(UsageError, match=message):
        measure(MEAN, images_of(0.4), adversarial, np.array(label))


def test_a_model_of_whole_numbers_is_given_no_fractions():
    whole = FakeClassifier.of_brightness((1, 2, 1), bounds=(0.0, 3.0), whole_numbers=True)
    assert measure(whole, images_of(1.0), images_of(2.0), np.array([1])).metrics["linf"] == 1
    with pytest.raises(UsageError, match="hold fractions, and the model takes whole numbers alone"):
        measure(whole, images_of(1.0), images_of(1.5), np.array([1]))
