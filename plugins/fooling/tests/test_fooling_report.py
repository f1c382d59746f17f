"""The section on fooling images: what it compares with, and what makes its conclusions turn."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.datasets import Dataset, Split
from cnnlab.plugin import Subject
from cnnlab.testing import SectionContract
from cnnlab_fooling import report

SHAPE = (8, 8, 1)


class TestContractOfFooling(SectionContract):
    section = "fooling"


def subject_of(tiny_models, classifier, profile="assignment"):
    images, labels = tiny_models.images(SHAPE, 40)
    split = Split(images, labels)
    dataset = Dataset(name="noise", train=split[:0], test=split, class_names=classifier.class_names)
    return Subject(classifier=classifier, profile=profile, dataset=dataset)


def verdicts(written):
    return [each.holds for each in written.conclusions]


def test_a_model_that_can_be_made_sure_of_noise(tiny_models):
    classifier = tiny_models.convolutional(SHAPE)
    written = report.write(subject_of(tiny_models, classifier))
    assert [figure.drawing.rows[0] for figure in written.figures] == ["noise 0", "made from noise"]
    sure = written.metrics[0]
    assert (sure.value, sure.of) == (0.9, report.IMAGES)
    assert verdicts(written)[0] is True
    assert verdicts(report.write(subject_of(tiny_models, classifier, "audit")))[0] is False


def test_a_model_that_does_not_look_is_sure_of_nothing(tiny_models):
    constant = tiny_models.constant(SHAPE)
    assert verdicts(report.write(subject_of(tiny_models, constant))) == [False, None]
    assert verdicts(report.write(subject_of(tiny_models, constant, "audit"))) == [True, None]


def test_without_a_dataset_nothing_is_said_of_likeness(tiny_models):
    written = report.write(Subject(classifier=tiny_models.convolutional(SHAPE), profile="audit"))
    assert (len(written.figures), len(written.conclusions)) == (1, 1)


def test_some_of_many_classes_are_spread_over_all(tiny_models, monkeypatch):
    monkeypatch.setattr(report, "CLASSES", 2)
    written = report.write(subject_of(tiny_models, tiny_models.convolutional(SHAPE)))
    assert report.spread(1000) == (0, 999)
    assert [row["class"] for row in written.figures[0].rows] == ["0", "3"] * 10


def test_what_resembles_real_images_correlates_half_as_much():
    arrays = {
        "nearest_correlation": np.array([0.41, 0.39, 0.1, np.nan]),
        "mean_correlation": np.array([0.0, 0.0, 0.31, np.nan]),
    }
    real = {"real_nearest_correlation": 0.8, "real_mean_correlation": 0.6}
    assert report.resembles(arrays, real).tolist() == [True, False, True, False]
    assert report.resembles(arrays, {"real_mean_correlation": 0.6}).tolist() == [False, False, True, False]
    assert report.resembles(arrays, {}) is None


@pytest.mark.parametrize(("part", "expected"), [(1.0, True), (0.0, False), (0.5, None)])
@pytest.mark.parametrize("audit", [False, True])
def test_what_makes_the_conclusions_turn(part, expected, audit):
    holds = np.arange(20) < 20 * part
    first = report.conclusions(holds, None, "99%", audit=audit)[0]
    second = report.conclusions(np.ones(20, bool), ~holds, "99%", audit=audit)[1]
    hoped = expected if expected is None or not audit else not expected
    assert (first.holds, second.holds) == (hoped, hoped)


def test_likeness_is_judged_of_what_the_model_is_sure_of():
    reached = np.arange(20) < 10
    (_, found) = report.conclusions(reached, ~reached, "99%", audit=False)
    assert "10 of 10" in found.says
