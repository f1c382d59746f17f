"""The sections on robustness: what they count, against plain loops and closed forms, and what makes them turn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from cnnlab.datasets import Dataset, Split
from cnnlab.plugin import Subject
from cnnlab.testing import FakeClassifier, SectionContract
from cnnlab_robustness import report, report_smallest

SHAPE = (6, 5, 1)


class TestContract(SectionContract):
    section = "robustness"


class TestContractOfSmallestAttacks(SectionContract):
    section = "smallest-attacks"


EPSILON = np.array(report.SHARES)


def subject_of(classifier, images, labels):
    split = Split(images, labels)
    bounds = tuple(map(float, classifier.bounds))
    data = Dataset(name="noise", train=split[:0], test=split, class_names=classifier.class_names, value_range=bounds)
    return Subject(classifier=classifier, profile="audit", dataset=data)


@pytest.fixture(scope="module")
def subject(tiny_models):
    """A small network, and 60 images of which it reads every tenth as another class."""
    classifier = tiny_models.convolutional(SHAPE)
    images, _ = tiny_models.images(SHAPE, 60)
    read = classifier.predict(images)
    return subject_of(classifier, images, np.where(np.arange(60) % 10 == 3, (read + 1) % 4, read))


def test_the_section_tells_what_the_analysis_found(subject):
    written = report.write(subject)
    answer = subject.ask("robustness", range(60), epsilon=report.strengths(0, 1), steps=report.STEPS, minimal=True)
    metrics = {metric.name: metric for metric in written.metrics}
    assert metrics["accuracy without attack"].value == 0.9
    for share, epsilon in zip(report.SHARES, report.strengths(0, 1), strict=True):
        told = metrics[f"robust accuracy at {report.named(share, epsilon)}"]
        assert told.value == answer.result.metrics[f"accuracy@{epsilon:g}"]
        assert told.of == 60
    drawn = written.figures[0].drawing
    assert [line.name for line in drawn.lines] == ["FGSM", "PGD, 20 steps", "random signs"]
    assert drawn.lines[2].y[0] == 0.9
    small, _, believed = written.conclusions
    assert small.holds is None
    assert "5 of 54 images that are read correctly" in small.says
    assert believed.holds is True


def test_both_sections_rest_on_one_answer(subject):
    written = report_smallest.write(subject)
    smallest = subject.ask("robustness", range(60), epsilon=report.strengths(0, 1), steps=report.STEPS, minimal=True)
    found = smallest.result.arrays["smallest"]
    right = np.arange(60) % 10 != 3
    metrics = {metric.name: metric for metric in written.metrics}
    assert metrics["median smallest epsilon"].value == pytest.approx(np.median(found[right]))
    assert metrics["fooled within 8/255"].value == np.mean(found[right] <= 8 / 255)
    rows = written.tables[0].rows
    assert rows[0][0] == np.flatnonzero(right)[found[right].argmin()]
    assert [row[3] for row in rows] == sorted(float(value) for value in found[right])[:5]
    assert written.conclusions[1].holds is True


def test_nothing_fools_a_model_that_does_not_look_and_the_attack_is_not_believed(tiny_models):
    classifier = tiny_models.constant((8, 8, 1))  # for which the contract has had all compiled
    images, _ = tiny_models.images((8, 8, 1), 40)
    written = subject_of(classifier, images, classifier.predict(images))
    small, noise, believed = report.write(written).conclusions
    assert (small.holds, noise.holds, believed.holds) == (True, True, False)
    least, median, foretold = report_smallest.write(written).conclusions
    assert (least.holds, median.holds, foretold.holds) == (None, True, None), "0 of 40 is up to 9%"
    assert "more than half the value range" in median.says


def test_a_model_that_reads_nothing_has_nothing_to_lose(subject):
    labels = (subject.classifier.predict(subject.dataset.test.batch(range(60))) + 1) % 4
    lost = subject_of(subject.classifier, subject.dataset.test.batch(range(60)), labels)
    assert [each.holds for each in report.write(lost).conclusions][:2] == [None, None]
    written = report_smallest.write(lost)
    assert [each.holds for each in written.conclusions] == [None, None, None]
    assert written.tables[0].rows == []


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-2.0, 6.0)])
def test_noise_moves_every_pixel_by_epsilon_within_the_bounds(bounds):
    seen = []

    def logits(images):
        seen.append(np.array(images))
        return np.stack([np.zeros(len(images)), np.ones(len(images))], axis=1)

    classifier = FakeClassifier(logits, SHAPE, 2, bounds=bounds)
    low, high = bounds
    images = (low + (high - low) * np.random.default_rng(0).random((20, *SHAPE))).astype(np.float32)
    asked = subject_of(classifier, images, np.arange(20) % 2)
    epsilons = EPSILON * (high - low)
    found = report.under_noise(asked, range(20), epsilons)
    np.testing.assert_array_equal(found, np.tile(np.arange(20) % 2 == 1, (len(epsilons), 1)))
    for epsilon, noisy in zip(epsilons, seen[-len(epsilons) :], strict=True):
        up, down = (np.clip(images + sign * np.float32(epsilon), low, high) for sign in (1, -1))
        raised = noisy == up
        np.testing.assert_array_equal(np.where(raised, up, down), noisy)
        assert 0.4 < raised.mean() < 0.7
    np.testing.assert_array_equal(report.under_noise(asked, range(20), epsilons), found)


def test_images_are_the_first_ones_unless_these_are_of_few_classes(tiny_models):
    classifier = tiny_models.linear(SHAPE)
    images, labels = tiny_models.images(SHAPE, 60)
    assert report.chosen(subject_of(classifier, images, labels), 20) == list(range(20))
    sorted_by_class = report.chosen(subject_of(classifier, images, np.sort(labels)), 20)
    assert len(np.unique(np.sort(labels)[sorted_by_class])) == 4
    assert len(sorted_by_class) == 20


def told(small=0, noise=0, left=0, count=100, classes=10):
    """Verdicts where so many images are lost to small changes, so many to noise, and so many left by the largest."""
    right = np.ones(count, bool)
    standing = np.tile(np.arange(count) < left, (len(report.SHARES), 1))
    standing[report.SHARES.index(report.SMALL)] = np.arange(count) >= small
    noisy = np.tile(np.arange(count) >= noise, (len(report.SHARES), 1))
    return [each.holds for each in report.conclusions(right, standing, noisy, classes, EPSILON)]


def test_robustness_turns_with_its_numbers():
    assert told() == [True, True, True]
    assert [told(small=lost)[0] for lost in (2, 10, 40)] == [True, None, False]
    assert [told(noise=lost)[1] for lost in (2, 10, 40)] == [True, None, False]
    assert [told(left=left)[2] for left in (2, 10, 40)] == [True, None, False]
    assert told(left=10, classes=2)[2] is True, "guessing reads half"
    assert told(count=10)[0] is None, "ten images are too few"


def test_smallest_attacks_turn_with_their_numbers():
    def holds(smallest, margins=None):
        given = np.arange(len(smallest)) if margins is None else margins
        return [each.holds for each in report_smallest.conclusions(np.array(smallest), np.array(given))]

    far = np.linspace(0.1, 0.4, 100)
    assert holds(far) == [True, True, True]
    assert holds(far, -np.arange(100)) == [True, True, False]
    assert holds(far / 100)[:2] == [False, False]
    assert holds(np.full(100, np.nan)) == [True, True, None]
    assert holds(np.linspace(0.02, 0.045, 20))[:2] == [None, None]
    assert holds(np.full(3, 0.2)) == [None, None, None]
    assert holds([]) == [None, None, None]


def test_the_medians_interval_is_of_order_statistics():
    for count in (6, 10, 25, 100):
        middle, low, high = report_smallest.median_interval(np.arange(1.0, count + 1))
        assert middle == (count + 1) / 2
        assert low + high == count + 1
        # The median is below the k-th of n with the probability that fewer than k of n lie below it.
        assert 1 - 2 * binom.cdf(low - 1, count, 0.5) >= 0.95 > 1 - 2 * binom.cdf(low, count, 0.5)
    assert report_smallest.median_interval(np.arange(5.0))[1:] == (-np.inf, np.inf)
    assert report_smallest.median_interval(np.array([1.0] * 9 + [np.inf]))[0] == 1


def test_the_interval_of_the_rank_correlation_holds_the_truth_19_times_in_20():
    rng = np.random.default_rng(0)
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # of normal variables whose correlation is 0.6
    held = 0
    for _ in range(400):
        one, other = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 50).T
        _, low, high = report_smallest.rank_correlation(one, other)
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.98
    assert report_smallest.rank_correlation(np.arange(20.0), np.ones(20)) is None
    assert report_smallest.rank_correlation(np.arange(9.0), np.arange(9.0)) is None
