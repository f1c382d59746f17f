"""The sections on saliency: what they measure, against plain loops, and what makes their conclusions turn."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

import cnnlab
from cnnlab.datasets import Dataset, Split
from cnnlab.plugin import CnnlabError, Curves, Result, Subject, UsageError, larger_interval
from cnnlab.testing import SectionContract
from cnnlab_saliency import report, report_sanity
from cnnlab_saliency.report import CERTAIN, MISREAD, UNCERTAIN, Maps

SHAPE = (8, 8, 1)  # that of the contract, for which all is compiled


class TestContractOfExtremes(SectionContract):
    section = "saliency-extremes"


class TestContractOfSanity(SectionContract):
    section = "sanity"


NAMES = ("a|b", "<i>c</i>", "d", "e")


def subject_of(classifier, images, labels):
    split = Split(images, labels)
    data = Dataset(name="noise", train=split[:0], test=split, class_names=NAMES, value_range=(0.0, 1.0))
    return Subject(classifier=classifier, profile="audit", dataset=data)


@pytest.fixture(scope="module")
def subject(tiny_models):
    """A small network, and 60 images of which it misreads every tenth."""
    classifier = tiny_models.convolutional(SHAPE)
    images, _ = tiny_models.images(SHAPE, 60)
    read = classifier.predict(images)
    return subject_of(classifier, images, np.where(np.arange(60) % 10 == 3, (read + 1) % 4, read))


# The surest, the least sure and the misread


def test_the_section_shows_and_measures_each_kind(subject):
    written = report.write(subject)
    drawn = written.figures[0].drawing
    assert drawn.rows == (CERTAIN, UNCERTAIN, MISREAD)
    assert len(drawn.tiles) == 18
    metrics = {metric.name: metric for metric in written.metrics}
    assert metrics[f"against the class, {MISREAD}"].of == 6
    mistakes = subject.mistakes(50)
    result = subject.ask("saliency", mistakes, method="integrated", signed=True, path_steps=50).result
    maps = result.arrays["map"].astype(np.float64)
    expected = np.mean([-each[each < 0].sum() / np.abs(each).sum() for each in maps])
    assert metrics[f"against the class, {MISREAD}"].value == pytest.approx(expected)
    np.testing.assert_array_equal(drawn.tiles[13].values, result.arrays["map"][0])
    assert drawn.tiles[12].title.startswith(f"{NAMES[subject.dataset.test.labels[mistakes[0]]]}, said ")
    assert written.conclusions[0].holds is True


def test_pictures_of_fewer_than_three_leave_places_empty(tiny_models):
    classifier = tiny_models.convolutional(SHAPE)
    images, _ = tiny_models.images(SHAPE, 12)
    labels = classifier.predict(images)
    labels[5] = (labels[5] + 1) % 4
    drawn = report.write(subject_of(classifier, images, labels)).figures[0].drawing
    assert [tile is None for tile in drawn.tiles[12:]] == [False, False, True, True, True, True]
    assert drawn.tiles[12].image == 6, "it is the seventh of the images asked for"


def test_without_a_mistake_the_least_certain_are_held_against_the_surest(tiny_models):
    classifier = tiny_models.convolutional(SHAPE)
    images, _ = tiny_models.images(SHAPE, 12)
    written = report.write(subject_of(classifier, images, classifier.predict(images)))
    assert written.figures[0].drawing.rows == (CERTAIN, UNCERTAIN)
    assert "an image that the model is least sure of" in written.conclusions[1].says


def test_of_a_model_that_does_not_look_the_maps_say_nothing(tiny_models):
    classifier = tiny_models.constant(SHAPE)
    images, labels = tiny_models.images(SHAPE, 20)
    written = report.write(subject_of(classifier, images, labels))
    assert [each.holds for each in written.conclusions] == [None, None, None]


def test_what_is_measured_of_a_map():
    maps = np.zeros((3, 2, 5))
    maps[0, 0] = (4, -1, -1, 1, 1)
    maps[1] = 1
    against, spread = report.measured(maps)
    np.testing.assert_allclose(against, [2 / 8, 0, np.nan])
    np.testing.assert_allclose(spread, [1 / 10, 5 / 10, np.nan])


def test_pairs_told_are_counted_pair_by_pair():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, 20).astype(float), rng.integers(2, 8, 9).astype(float)
    pairs = list(itertools.product(first, second))
    expected = np.mean([(other > one) + (other == one) / 2 for one, other in pairs])
    share, low, high = larger_interval(np.append(first, np.nan), second)
    assert share == pytest.approx(expected, abs=1e-12)
    assert low < share < high
    assert larger_interval(np.array([np.nan]), second) is None
    assert larger_interval(np.zeros(50), np.ones(1))[1] < 0.3, "one image tells little"


def kinds(against=0.0, spread=0.0, count=60, gap=0.0, of=MISREAD):
    """What sure images and doubtful ones say, these so far above those; the numbers of both overlap within 1."""
    rng = np.random.default_rng(1)

    def some(above, gap):
        numbers = [rng.random(count) + shift for shift in above]
        return Maps(*numbers, rise=np.full(count, 10.0), gap=np.full(count, gap))

    return {CERTAIN: some((0, 0), gap), of: some((against, spread), gap)}


def test_what_makes_the_conclusions_turn():
    def holds(**how):
        return [each.holds for each in report.conclusions(kinds(**how))]

    assert holds() == [True, False, False]
    assert holds(against=0.9) == [True, True, False]
    assert holds(spread=0.9) == [True, False, True]
    assert holds(against=-0.9) == [True, False, False]
    assert holds(against=0.9, count=3)[1] is None
    assert holds(gap=0.6)[0] is False
    assert holds(gap=0.4)[0] is True
    assert "is least sure of" in list(report.conclusions(kinds(of=UNCERTAIN)))[1].says


# Are the maps to be believed?


def test_the_section_tests_every_method(subject):
    written = report_sanity.write(subject)
    assert [row[0] for row in written.tables[0].rows] == [
        "integrated gradients",
        "occlusion",
        "the gradient",
        "Grad-CAM",
    ]
    drawn = written.figures[0].drawing
    assert isinstance(drawn, Curves)
    assert drawn.ticks == ("none", "scores", "conv1")
    images = report_sanity.chosen(subject, report_sanity.MOST_IMAGES)
    assert len(set(images)) == report_sanity.MOST_IMAGES
    assert set(subject.dataset.test.labels[images[:4]]) == {0, 1, 2, 3}
    result = subject.ask("saliency", images, method="vanilla", sanity=True, steps=report_sanity.STEPS).result
    np.testing.assert_allclose(drawn.lines[2].y[1:], [result.metrics["sanity/scores"], result.metrics["sanity/conv1"]])
    assert written.tables[0].rows[2][1:] == tuple(
        result.metrics[name]
        for name in ("deletion_area", "deletion_random_area", "insertion_area", "insertion_random_area")
    )
    assert len(written.conclusions) == 4


def test_methods_that_do_not_apply_are_left_out_with_their_reason(tiny_models, monkeypatch):
    classifier = tiny_models.linear(SHAPE)
    images, _ = tiny_models.images(SHAPE, 12)
    linear = subject_of(classifier, images, classifier.predict(images))
    ask = Subject.ask

    def without_occlusion(self, analysis, *rest, **more):
        if analysis == "occlusion":
            raise UsageError("there is no analysis occlusion.")
        return ask(self, analysis, *rest, **more)

    monkeypatch.setattr(Subject, "ask", without_occlusion)
    written = report_sanity.write(linear)
    assert [row[0] for row in written.tables[0].rows] == ["integrated gradients", "the gradient"]
    assert written.paragraphs[1] == "Left out is occlusion: there is no analysis occlusion."
    assert "Left out is Grad-CAM: " in written.paragraphs[2]

    def nothing(self, *rest, **more):
        raise UsageError("it has none.")

    monkeypatch.setattr(Subject, "ask", nothing)
    with pytest.raises(CnnlabError, match=r"no method of making maps applies to this model\. it has none"):
        report_sanity.write(linear)


def test_of_a_model_that_computes_much_only_the_maps_shown_are_tested(subject, monkeypatch):
    monkeypatch.setattr(report_sanity, "HEAVY", 1)
    written = report_sanity.write(subject)
    assert [row[0] for row in written.tables[0].rows] == ["integrated gradients", "occlusion"]


def test_flat_maps_pass_and_fail_nothing(tiny_models):
    classifier = tiny_models.constant(SHAPE)
    images, labels = tiny_models.images(SHAPE, 12)
    written = report_sanity.write(subject_of(classifier, images, labels))
    assert [each.holds for each in written.conclusions] == [None] * 4
    assert "none (all are flat) change with the weights" in written.conclusions[2].says


def test_the_gradient_of_an_untrained_network_fails():
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((14, 14, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(100, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    test = cnnlab.datasets.load("mnist").test[:60]
    split = Split(test.images[:, ::2, ::2], test.labels)
    data = Dataset(name="half", train=split[:0], test=split, class_names=tuple("0123456789"))
    asked = Subject(classifier=cnnlab.load(network), profile="audit", dataset=data)
    gradient = report_sanity.write(asked).conclusions[2]
    assert gradient.holds is False
    assert gradient.says.startswith("Of this model, the maps of the gradient fail a test")


def test_what_is_read_of_an_answer():
    arrays = {
        "fraction": np.array([0.0, 0.5, 1.0]),
        "deletion": np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        "insertion": np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.2, 1.0]]),
        "deletion_random": np.tile([1.0, 0.5, 0.0], (3, 1)),
        "insertion_random": np.tile([0.0, 0.5, 1.0], (3, 1)),
        "sanity_similarity": np.array([[0.9, 0.9, 0.9], [0.4, 0.6, np.nan]]),
    }
    tested = report_sanity.Tested.of(cnnlab.plugin.Answer(Result(arrays=arrays)))
    assert tested.counts.tolist() == [True, False]
    assert tested.forgets.tolist() == [True, False]
    np.testing.assert_allclose(tested.deleted, [-0.25, 0.25, -0.25])


@pytest.mark.parametrize(
    ("forgets", "counts", "holds"),
    [
        (16, 16, True),
        (16, 12, True),
        (16, 11, None),
        (16, 0, False),
        (0, 16, False),
        (8, 0, False),
        (8, 16, None),
    ],
)
def test_maps_pass_where_both_are_so_of_most_images(forgets, counts, holds):
    found = report_sanity.conclusion("ink", np.arange(16) < forgets, np.arange(16) < counts)
    assert found.holds is holds
    assert f"{forgets} of 16 images" in found.says
    assert report_sanity.conclusion("ink", np.zeros(0, bool), np.ones(16, bool)).holds is None
