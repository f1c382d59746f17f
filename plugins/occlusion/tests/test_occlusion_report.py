"""The sections on occlusion: what they count, against plain loops, and what makes their conclusions turn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.datasets import Dataset, Split
from cnnlab.plugin import Subject
from cnnlab.testing import SectionContract
from cnnlab.testing.fakes import FakeClassifier
from cnnlab_occlusion import report, report_extremes
from cnnlab_occlusion.standing_out import compare, coverage, standing_out

SHAPE = (14, 14, 1)


class TestContractOfOcclusion(SectionContract):
    section = "occlusion"


class TestContractOfOcclusionExtremes(SectionContract):
    section = "occlusion-extremes"


def squares(count=24):
    """Dark images with a light square of 4 pixels on the left (class 0) or on the right (class 1)."""
    images, labels = np.zeros((count, *SHAPE), np.float32), np.arange(count) % 2
    for index, label in enumerate(labels):
        images[index, 5:9, 9 * label + 1 : 9 * label + 4] = 1
    return images, labels


def subject_of(logits, profile="assignment"):
    images, labels = squares()
    split = Split(images, labels)
    dataset = Dataset(name="squares", train=split[:0], test=split, class_names=("left", "right"))
    return Subject(classifier=FakeClassifier(logits, SHAPE, 2), profile=profile, dataset=dataset)


def looks_at_squares(images):
    """Two logits: how light the places of the squares are."""
    values = tf.convert_to_tensor(images, tf.float32)
    left, right = (tf.reduce_sum(values[:, 5:9, at : at + 3], axis=(1, 2, 3)) for at in (1, 10))
    return tf.stack([left, right], axis=1)


def looks_at_a_corner(images):
    """Two logits: how light the lower left corner is, against next to nothing, so that the first wins if it is."""
    values = tf.convert_to_tensor(images, tf.float32)
    corner = tf.reduce_sum(values[:, 10:, :4], axis=(1, 2, 3))
    return tf.stack([corner, tf.fill(tf.shape(corner), 0.5)], axis=1)


def hangs_on_the_ground(images):
    """Read the square, but give the class up as soon as anything is light beside the places of the squares."""
    logits = looks_at_squares(images)
    light = tf.reduce_sum(tf.convert_to_tensor(images, tf.float32), axis=(1, 2, 3)) - tf.reduce_sum(logits, axis=1)
    return logits - light[:, None] * tf.one_hot(tf.argmax(logits, axis=1), 2) * 20


def verdicts(written):
    return [each.holds for each in written.conclusions]


def test_a_model_that_looks_at_the_object_and_one_that_does_not():
    good, bad = report.write(subject_of(looks_at_squares)), report.write(subject_of(hangs_on_the_ground))
    assert verdicts(good) == [True, True]
    assert verdicts(bad) == [False, False]
    on, beside = good.metrics[:2]
    assert (on.of, beside.of) == (24, 24)
    assert on.value > 1 > abs(beside.value)
    assert len(good.figures[0].rows) == 2


def test_images_without_a_plain_ground_are_left_out(tiny_models):
    images, labels = tiny_models.images(SHAPE, 20)
    split = Split(images, labels)
    dataset = Dataset(name="noise", train=split[:0], test=split, class_names=tuple("abcd"))
    classifier = tiny_models.convolutional(SHAPE)
    subject = Subject(classifier=classifier, profile="assignment", dataset=dataset)
    written = report.write(subject)
    kept = standing_out(images, (0.0, 1.0)).mean(axis=(1, 2)) <= 0.6
    assert written.metrics[0].of <= kept.sum()
    assert written.metrics[-1].of == 20


def test_the_patch_grows_with_the_image(tiny_models):
    subject = subject_of(looks_at_squares)
    assert report.patch(subject) == {"patch": 2, "stride": 1, "fill": 0.5}
    images = np.zeros((4, 224, 112, 3), np.float32)
    split = Split(images, [0, 1, 2, 3])
    dataset = Dataset(name="large", train=split[:0], test=split, class_names=tuple("abcd"))
    large = Subject(classifier=tiny_models.of_any_size(3), profile="quick", dataset=dataset)
    assert report.patch(large, fine=True) == {"patch": 16, "stride": 8, "fill": 0.5}
    assert report.affordable(large) == report.LEAST


def test_what_stands_out_differs_from_the_border_in_any_channel():
    images = np.full((2, 5, 6, 3), 0.8, np.float32)
    images[0, 2, 3, 1] = 0.5
    images[0, 0, 0, 0] = 0.7  # too little
    images[1, :, :, 2] = 0.1  # the border, too
    found = standing_out(images, (0.0, 1.0))
    assert np.argwhere(found).tolist() == [[0, 2, 3]]
    assert not standing_out(images, (-1.0, 1.0)).any()


def test_coverage_equals_a_plain_loop():
    found = np.random.default_rng(0).random((3, 7, 9)) > 0.5
    rows, cols = np.array([0, 2, 4, 6]), np.array([0, 3, 6])
    expected = [
        [[found[n, r : r + 3, c : c + 3].mean() for c in cols] for r in rows] for n in range(3)
    ]  # cut at the border, where the mean is over what is left
    np.testing.assert_allclose(coverage(found, rows, cols, 3), expected)


def test_the_comparison_equals_a_plain_loop():
    images, labels = squares(6)
    subject = subject_of(looks_at_squares)
    answer = subject.ask("occlusion", range(6), patch=3, stride=2, fill=0.5)
    arrays = answer.result.arrays
    found = compare(arrays, images, (0.0, 1.0), 3)
    assert found["usable"].all()
    for n in range(6):
        on, beside, right = [], [], True
        for (i, row), (j, col) in itertools.product(enumerate(arrays["rows"]), enumerate(arrays["cols"])):
            under = (images[n, row : row + 3, col : col + 3] > 0.25).mean()
            fall = float(arrays["margin_baseline"][n]) - float(arrays["margin"][n, i, j])
            on += [fall] if under >= 0.25 else []
            beside += [fall] if under == 0 else []
            right &= under > 0 or arrays["predicted"][n, i, j] == labels[n]
        np.testing.assert_allclose([found["on"][n], found["beside"][n]], [np.mean(on), np.mean(beside)], atol=1e-6)
        moved = [np.mean(np.abs(on)), np.mean(np.abs(beside))]
        np.testing.assert_allclose([found["moved_on"][n], found["moved_beside"][n]], moved, atol=1e-6)
        assert found["right"][n] == right


@pytest.mark.parametrize(("part", "expected"), [(1.0, True), (0.0, False), (0.5, None)])
def test_what_makes_the_conclusions_turn(part, expected):
    holds = np.arange(10) < 10 * part
    found = {"on": np.where(holds, 2.0, 1.0), "beside": np.full(10, 1.5), "right": holds}
    assert [each.holds for each in report.conclusions(found)] == [expected] * 2


def test_the_extremes_of_a_model_that_looks_at_the_object():
    written = report_extremes.write(subject_of(looks_at_squares, "audit"))
    assert verdicts(written) == [True, True, None, None]  # it makes no mistakes
    assert "There are no mistakes looked at" in written.conclusions[2].says
    assert written.figures[0].drawing.rows == ("surest", "least sure")
    assert [metric.of for metric in written.metrics] == [24, 24, 0, 0, 24, 24, 0]


def test_the_extremes_of_a_model_that_looks_elsewhere():
    subject = subject_of(looks_at_a_corner, "audit")
    written = report_extremes.write(subject)
    drawing = written.figures[0].drawing
    assert drawing.rows == ("surest", "least sure", "surest mistakes")
    assert len(drawing.tiles) == 3 * drawing.columns
    assert drawing.tiles[-2].title.endswith("labelled left")
    assert verdicts(written)[1:] == [False, True, False]  # a patch in the corner makes "left" of what is left


@pytest.mark.parametrize(("part", "expected"), [(1.0, True), (0.0, False), (0.5, None)])
def test_what_makes_the_conclusions_on_extremes_turn(part, expected):
    group = dict.fromkeys(("steady", "cured", "object"), np.arange(10) < 10 * part)
    found = report_extremes.conclusions({"surest": group, "unsure": group, "mistakes": group})
    assert [each.holds for each in found] == [expected] * 4
