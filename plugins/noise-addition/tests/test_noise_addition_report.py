"""The section on noise addition: what it counts, and what makes its conclusions turn."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.datasets import Dataset, Split
from cnnlab.plugin import Answer, Result, Subject
from cnnlab.testing import SectionContract
from cnnlab_noise_addition import report

SHAPE = (8, 8, 1)  # that of the contract, for which all is compiled


class TestContractOfNoiseAddition(SectionContract):
    section = "noise-addition"


@pytest.fixture
def learned(tiny_models):
    """A model with images that it reads without fault."""
    classifier = tiny_models.convolutional(SHAPE)
    images, _ = tiny_models.images(SHAPE, 120)
    split = Split(images, classifier.predict(images))
    dataset = Dataset(name="noise", train=split[:60], test=split[60:], class_names=classifier.class_names)
    return Subject(classifier=classifier, profile="assignment", dataset=dataset)


def test_the_section_counts_images_that_are_not_of_the_target(learned):
    written = report.write(learned)
    metrics = {metric.name: metric for metric in written.metrics}
    target = learned.classifier.num_classes - 1
    other = (learned.dataset.test.labels != target).sum()
    assert metrics["read as the target"].of == metrics["very sure of the target"].of == other
    assert len(written.figures[0].drawing.tiles) == 2 * report.SHOWN
    assert len(written.conclusions) == 4
    assert f"of {learned.classifier.num_classes} " in written.conclusions[2].says
    assert "not learned on" in written.paragraphs[0]


def test_of_many_classes_one_noise_is_not_enough_to_judge_by(learned, monkeypatch):
    monkeypatch.setattr(report, "MOST_CLASSES", 2)
    written = report.write(learned)
    assert [each.holds for each in written.conclusions[2:]] == [None, None]


def test_without_training_images_it_is_said_what_the_noise_was_learned_on(learned):
    learned.dataset = Dataset(
        name="noise",
        train=learned.dataset.train[:0],
        test=learned.dataset.test,
        class_names=learned.classifier.class_names,
    )
    assert "having no others" in report.write(learned).paragraphs[0]


def test_larger_images_are_asked_for_less(tiny_models):
    images, labels = tiny_models.images((56, 56, 3), 4)
    split = Split(images, labels)
    dataset = Dataset(name="noise", train=split, test=split, class_names=tuple("abcd"))
    subject = Subject(classifier=tiny_models.linear((56, 56, 3)), profile="assignment", dataset=dataset)
    assert [report.affordable(subject, *ends) for ends in ((400, 20), (40, 20))] == [100, 20]


def test_what_noises_look_like_is_told_of_those_with_a_mean_image():
    alike = np.array([[0.5, 0.1, np.nan], [0.3, 0.2, np.nan], [0.3, 0.1, np.nan]])
    arrays = {"noise_target": np.arange(3), "correlation": alike}
    metrics = {"noise_alone@0": 0.9, "noise_alone@1": 0.1, "noise_alone@2": 0.6, "success@0": 1.0}
    found = report.of_noises(Answer(Result(arrays=arrays, metrics=metrics)))
    np.testing.assert_array_equal(found["alone"], [0.9, 0.1, 0.6])
    np.testing.assert_allclose(found["own"], [0.5, 0.2])
    np.testing.assert_allclose(found["other"], [0.1, 0.3])


def test_an_image_is_surely_the_target_where_it_is_read_so_with_certainty():
    arrays = {
        "counted": np.array([True, True, True, False]),
        "success": np.array([True, True, False, True]),
        "confidence_after": np.array([0.95, 0.6, 0.99, 0.99]),
    }
    found = report.of_images(arrays)
    assert (found["read"].tolist(), found["sure"].tolist()) == ([True, True, False], [True, False, False])


@pytest.mark.parametrize(("part", "expected"), [(1.0, True), (0.0, False), (0.5, None)])
def test_what_makes_each_conclusion_turn(part, expected):
    holds = np.arange(10) < 10 * part
    found = {"read": holds, "sure": holds, "alone": 1.0 * holds, "own": np.where(holds, 0.2, 0.1), "other": [0.15] * 10}
    sure, _, alone, alike = report.conclusions({name: np.array(each) for name, each in found.items()}, "6", 0.0)
    assert [sure.holds, alone.holds, alike.holds] == [expected] * 3


@pytest.mark.parametrize(
    ("read", "shuffled", "expected"), [(90, 0.1, True), (10, 0.9, False), (50, 0.5, None), (0, 0.0, None)]
)
def test_the_pattern_counts_where_it_does_more_than_its_size(read, shuffled, expected):
    found = report.by_pattern(np.arange(100) < read, shuffled)
    assert found.holds is expected
    assert f"{read}" in found.says


def test_where_no_image_counts_nothing_is_said():
    assert report.by_pattern(np.zeros(0, bool), float("nan")).holds is None
