"""The section on targeted attacks: what it counts, against plain loops, and what makes its conclusions turn."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.datasets import Dataset, Split
from cnnlab.inputs import from_split
from cnnlab.plugin import Subject
from cnnlab.testing import SectionContract
from cnnlab_targeted import report

SHAPE = (6, 6, 1)
COMPILED = (8, 8, 1)  # for the contract


class TestContractOfTargeted(SectionContract):
    section = "targeted"


def subject_of(classifier, images, labels):
    split = Split(images, labels)
    dataset = Dataset(name="noise", train=split[:0], test=split, class_names=classifier.class_names)
    return Subject(classifier=classifier, profile="assignment", dataset=dataset)


@pytest.fixture
def learned(tiny_models):
    """A model with images that it reads without fault."""
    classifier = tiny_models.convolutional(COMPILED)
    images, _ = tiny_models.images(COMPILED, 60)
    return subject_of(classifier, images, classifier.predict(images))


def test_the_section_counts_images_that_became_every_class(learned):
    written = report.write(learned)
    shown, matrix = written.figures
    assert len(shown.drawing.tiles) == 4 * report.SHOWN
    rows = matrix.rows
    assert len(rows) == 3 * report.IMAGES
    reached = np.array([row["reached"] == "yes" for row in rows]).reshape(report.IMAGES, -1).all(axis=1)
    metrics = {metric.name: metric for metric in written.metrics}
    assert (metrics["turned"].value, metrics["turned"].of) == (reached.mean(), report.IMAGES)
    assert f": {reached.sum()} of {report.IMAGES} " in written.conclusions[0].says


def test_a_model_that_does_not_look_cannot_be_turned(tiny_models):
    images, labels = tiny_models.images(COMPILED, 60)
    written = report.write(subject_of(tiny_models.constant(COMPILED), images, labels))
    turned, itself, towards = (conclusion.holds for conclusion in written.conclusions)
    assert (turned, itself, towards) == (False, None, None)
    assert ": 0 of 10 " in written.conclusions[0].says


def test_of_many_classes_one_is_the_target(learned, monkeypatch):
    monkeypatch.setattr(report, "MOST_CLASSES", 2)
    written = report.write(learned)
    assert len(written.figures) == 1
    assert (
        written.conclusions[0]
        .says.partition(" are ")[2]
        .startswith(f"made to be read as {learned.classifier.class_names[-1]}")
    )


@pytest.fixture
def compared(tiny_models):
    classifier = tiny_models.linear(SHAPE)
    images, _ = tiny_models.images(SHAPE, 30, seed=4)
    labels = np.arange(30) % 3  # none of the last class
    return from_split(classifier, subject_of(classifier, images, labels).dataset, "test", range(30))


def test_the_nearest_image_of_a_class(compared):
    images = np.random.default_rng(1).random((5, *SHAPE)).astype(np.float32)
    classes = np.array([0, 1, 2, 3, 0])
    found = report.nearest_of_class(images, classes, compared)
    for image, label, distance in zip(images, classes, found, strict=True):
        far = [
            float(np.linalg.norm((image - other).astype(np.float64)))
            for other, of in zip(compared.images, compared.labels, strict=True)
            if of == label
        ]
        assert distance == pytest.approx(min(far, default=np.inf))


def test_a_change_towards_the_target_is_told_from_one_towards_another(compared):
    means = [compared.images[compared.labels == label].mean(axis=0) for label in range(3)]
    original = np.zeros((2, *SHAPE), np.float32)
    arrays = {"original": original, "adversarial": np.stack([means[1], means[2]]), "target": np.array([1, 1])}
    found = report.preference(arrays, np.array([0, 0]), compared)
    other = np.corrcoef(means[1].ravel(), means[2].ravel())[0, 1]
    np.testing.assert_allclose(found, [1 - other, other - 1], atol=1e-6)


def attacks(compared, reached, length):
    """Two images, each as the two other classes, with a change of a length in one pixel."""
    original = compared.images[[0, 0, 1, 1]]
    adversarial = original.copy()
    adversarial[:, 0, 0, 0] += length
    return {
        "image": np.array([0, 0, 1, 1]),
        "target": np.array([1, 2, 0, 2]),
        "label": np.array([0, 0, 1, 1]),
        "label_before": np.array([0, 0, 1, 1]),
        "reached": np.array(reached),
        "original": original,
        "adversarial": adversarial,
        "l2": np.full(4, float(length)),
    }


def test_an_image_counts_once_however_many_attacks(compared):
    found = report.by_image(attacks(compared, [True, True, True, False], 0.1), compared)
    assert found["turned"].tolist() == [True, False]
    assert found["itself"].tolist() == [True, True]
    assert found["towards"].shape == (2,)


def test_what_becomes_the_target_itself_is_no_longer_like_the_original(compared):
    found = report.by_image(attacks(compared, [True, False, True, False], 50.0), compared)
    assert found["itself"].tolist() == [False, False]


def test_nothing_is_said_of_images_that_reached_nothing(compared):
    found = report.by_image(attacks(compared, [False] * 4, 0.1), compared)
    assert (len(found["itself"]), len(found["towards"])) == (0, 0)
    assert [each.holds for each in report.conclusions(found, "8")] == [None, None, None]


@pytest.mark.parametrize(("part", "expected"), [(1.0, True), (0.0, False), (0.5, None)])
def test_what_makes_each_conclusion_turn(part, expected):
    holds = np.arange(10) < 10 * part
    found = {"turned": holds, "itself": holds, "towards": np.where(holds, 0.1, -0.1)}
    assert [each.holds for each in report.conclusions(found, "every other class")] == [expected] * 3
