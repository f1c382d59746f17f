"""The sections about a model that somebody else made: what they count, and what makes their conclusions turn."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from scipy.stats import fisher_exact

import cnnlab
from cnnlab.classifier.preprocessing import ASSUMED
from cnnlab.datasets import Dataset, Split
from cnnlab.inspection import evaluation_result
from cnnlab.inspection.facts import facts_of, headline
from cnnlab.inspection.gradients import Preflight
from cnnlab.inspection.inspect import Health, inspect
from cnnlab.reports.sections import accuracy, calibration, health, model
from cnnlab.reports.subject import Subject
from cnnlab.testing import SectionContract
from cnnlab.words import percent

SHAPE = (6, 5, 1)


class TestModelContract(SectionContract):
    section = "model"


class TestHealthContract(SectionContract):
    section = "health"


class TestAccuracyContract(SectionContract):
    section = "accuracy"


class TestCalibrationContract(SectionContract):
    section = "calibration"


def written(section, classifier, dataset=None, **more):
    return section.write(Subject(classifier=classifier, profile="audit", dataset=dataset, **more))


def verdicts(chapter):
    return [conclusion.holds for conclusion in chapter.conclusions]


def value(chapter, name):
    return next(metric.value for metric in chapter.metrics if metric.name == name)


@pytest.fixture(scope="module")
def mnist():
    return cnnlab.datasets.load("mnist")


@pytest.fixture(scope="module")
def untrained():
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(4, 3, activation="relu", name="look"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(10, activation="softmax", name="decide"),
    ]
    return cnnlab.load(keras.Sequential(layers))


@pytest.fixture(scope="module")
def noise_data(tiny_models):
    """Noise, with the labels that the tiny convolutional network gives it, but for a fifth of them."""
    images, _ = tiny_models.images(SHAPE, 60)
    read = tiny_models.convolutional(SHAPE).predict(images)
    labels = np.where(np.arange(60) % 5 == 0, (read + 1) % tiny_models.classes, read)
    split = Split(images, labels)
    return Dataset(name="noise", train=split[:0], test=split, class_names=tuple("abcd"), value_range=(0.0, 1.0))


# The model


def test_the_report_tells_the_facts_of_inspect(classifier, mnist, command_line):
    chapter = written(model, classifier, mnist)
    facts, layers, analyses = chapter.tables
    found = inspect(classifier)
    assert [name for name, _ in facts.rows] == [name for name, _ in facts_of(found)]
    assert headline(found) in chapter.paragraphs[0]
    assert [row[0] for row in layers.rows] == [layer.name for layer in classifier.layers]
    assert analyses.heads == ("analysis", "can run")
    assert all(runs for _, runs in analyses.rows)
    assert verdicts(chapter) == [True, True, True]
    _, out, _ = command_line("inspect", classifier.path)
    for name, _ in facts.rows:
        assert name in out


def test_what_is_guessed_or_missing_is_said(tiny_models):
    chapter = written(model, tiny_models.linear(SHAPE))
    assert verdicts(chapter) == [True, True, False]
    assert "filters needs a model with convolutional layers" in chapter.conclusions[2].says
    assert chapter.tables[2].heads == ("analysis", "can run", "why not")
    (traced, assumed, _) = model.conclusions("untraced probabilities", (0, 1), ASSUMED, {})
    assert (traced.holds, assumed.holds) == (False, None)
    assert ASSUMED in assumed.says
    unknown = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])
    assert verdicts(written(model, cnnlab.load(unknown)))[1] is None


# Health


def with_dead_units(dead=3, poisoned=False):
    """A network of 8 ReLU units of which some never fire, and the first of two maps is off."""
    network = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(2, 3, activation="relu", name="maps"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(8, activation="relu", name="units"),
            keras.layers.Dense(4, activation="softmax", name="scores"),
        ]
    )
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.5, each.shape).astype(np.float32) for each in network.get_weights()]
    weights[0] = np.abs(weights[0])
    weights[1][:] = (-100, 0.1)
    weights[2] = np.abs(weights[2])
    weights[3][:] = np.where(np.arange(8) < dead, -1000.0, 0.1)
    if poisoned:
        weights[4][0, 0] = np.nan
    network.set_weights(weights)
    return cnnlab.load(network, input_range=(0.0, 1.0))


def test_silent_units_are_those_that_never_change(tiny_models):
    images, _ = tiny_models.images(SHAPE, 30)
    assert health.silent_units(with_dead_units(3), images) == {"maps": (1, 2), "units": (3, 8)}
    living = tiny_models.convolutional(SHAPE)
    maps = living.activations(images, ["conv1"])["conv1"]
    silent = sum(len(np.unique(maps[..., unit])) == 1 for unit in range(maps.shape[-1]))
    assert health.silent_units(living, images) == {"conv1": (silent, maps.shape[-1])}
    assert health.silent_units(tiny_models.linear(SHAPE), images) == {}


def test_a_model_with_dead_units_is_found_out_on_images_and_not_on_noise(noise_data):
    on_images = written(health, with_dead_units(), noise_data)
    assert verdicts(on_images)[3] is False
    assert "4 of 10 hidden units" in on_images.conclusions[3].says
    assert "units, 3 of 8" not in on_images.conclusions[3].says, "half of the maps are silent, that is more"
    assert "maps 1 of 2, units 3 of 8" in on_images.figures[0].caption
    assert value(on_images, "silent units") == 0.4
    assert verdicts(written(health, with_dead_units()))[3] is None


def test_the_small_run_is_sound(classifier, mnist):
    chapter = written(health, classifier, mnist)
    finite, recovered, gradients, _ = chapter.conclusions
    assert (finite.holds, recovered.holds, gradients.holds) == (True, True, True)
    assert "100 images (mnist/test)" in chapter.paragraphs[0]
    metrics = {metric.name: metric for metric in chapter.metrics}
    assert metrics["least margin"].value <= metrics["median margin"].value <= metrics["largest margin"].value
    assert metrics["without a gradient"].interval[1] < health.FEW


def test_a_model_that_answers_alike_whatever_the_image_has_no_gradient(tiny_models):
    chapter = written(health, tiny_models.constant(SHAPE))
    finite, gradients, units = chapter.conclusions
    assert (finite.holds, gradients.holds, units.holds) == (True, False, None)
    assert "100 of 100 images" in gradients.says
    assert "answers alike whatever the image" in gradients.says


def test_weights_that_are_not_finite_are_named():
    chapter = written(health, with_dead_units(poisoned=True))
    assert chapter.conclusions[0].holds is False
    assert "scores" in chapter.conclusions[0].says


def told(zero=0, images=100, error=1e-7, margins=(0.1, 1.0, 2.0), broken=(), silent=None, sample="mnist/test", **more):
    found = Preflight(images=images, zero=zero, saturated=0)
    sound = Health(sample=sample, preflight=found, margins=margins, softmax_error=error)
    given = {"units": (0, 8)} if silent is None else silent
    return list(health.conclusions(sound, list(broken), given, images))


def test_health_turns_with_its_numbers():
    assert [each.holds for each in told()] == [True, True, True, True]
    assert told(margins=(0.1, np.nan, np.nan))[0].holds is False
    assert told(error=0.1)[1].holds is False
    assert told(error=float("nan"))[1].holds is False
    assert len(told(error=None)) == 3
    assert [told(zero=zero)[2].holds for zero in (0, 2, 40)] == [True, None, False]
    assert told(zero=0, images=10)[2].holds is None, "ten images tell little"
    assert [told(silent={"units": (count, 100)})[3].holds for count in (0, 9, 10)] == [True, True, False]
    assert told(silent={"units": (1, 100)}, sample="noise")[3].holds is None
    assert len(told(silent={})) == 3
    without = Health(sample="noise", preflight=None, margins=(0, 0, 0), softmax_error=None)
    assert list(health.conclusions(without, [], {}, 100))[1].holds is False


# Accuracy


def counts(*rows):
    return np.array(rows, np.int64)


def test_accuracy_of_the_small_run(classifier, mnist):
    chapter = written(accuracy, classifier, mnist, limit=1000)
    read = classifier.predict(mnist.test.batch(range(1000)))
    labels = mnist.test.labels[:1000]
    assert value(chapter, "accuracy") == np.mean(read == labels)
    assert value(chapter, "most frequent class") == np.bincount(labels).max() / 1000
    assert value(chapter, "chance") == 0.1
    assert chapter.conclusions[0].holds is True
    assert len(chapter.figures) == 2
    true, said, images, share = chapter.tables[0].rows[0]
    assert images == ((labels == int(true)) & (read == int(said))).sum() > 0
    assert share == images / (labels == int(true)).sum()


def test_a_model_that_learned_nothing_beats_nobody(untrained, mnist):
    chapter = written(accuracy, untrained, mnist, limit=2000)
    assert chapter.conclusions[0].holds is False
    assert "no more than always saying" in chapter.conclusions[0].says


def test_beating_the_most_frequent_class_is_decided_by_pairs():
    names = tuple("ab")
    assert accuracy.beats_one_class(counts([60, 0], [0, 40]), names).holds is True
    assert accuracy.beats_one_class(counts([600, 0], [400, 0]), names).holds is False, "it always says a"
    assert accuracy.beats_one_class(counts([0, 600], [400, 0]), names).holds is False
    assert accuracy.beats_one_class(counts([6, 0], [3, 1]), names).holds is None, "one image more, of ten"
    large = accuracy.beats_one_class(counts([60000, 0], [39900, 100]), names)
    assert large.holds is False, "a difference of a thousandth is of no use, however sure"


def test_a_class_far_behind_is_found_and_chance_is_not_taken_for_one():
    names = tuple("abc")

    def behind(*rows):
        return next(iter(accuracy.no_class_behind(counts(*rows), names)))

    even = behind([990, 10, 0], [0, 990, 10], [10, 0, 990])
    assert even.holds is True
    assert "not significantly" in even.says
    worse = behind([990, 10, 0], [0, 990, 10], [20, 10, 970])
    assert worse.holds is True, "two points are not far"
    assert "c: 97.00%" in worse.says
    assert "is significantly more" in worse.says
    far = behind([990, 10, 0], [0, 990, 10], [100, 100, 800])
    assert far.holds is False
    assert "1 of 3 classes are far behind, most of all c: 80.00%" in far.says
    assert behind([990, 10, 0], [0, 990, 10], [1, 0, 3]).holds is None, "four images tell nothing"
    assert behind([0, 30, 0], [0, 0, 30], [30, 0, 0]).holds is None, "where nothing is read, nothing can be behind"
    missing = behind([0, 0, 0], [0, 990, 10], [100, 100, 800])
    assert missing.holds is False
    assert "1 of 2 classes" in missing.says
    assert list(accuracy.no_class_behind(counts([5, 1, 0], [0, 0, 0], [0, 0, 0]), names)) == []


def test_the_chance_of_a_class_being_behind_is_fishers():
    right, images = np.array([8, 17, 30, 1]), np.array([10, 20, 31, 4])
    for k, found in enumerate(accuracy._by_chance(right, images)):
        others = right.sum() - right[k], (images - right).sum() - (images - right)[k]
        table = [[right[k], (images - right)[k]], others]
        assert found == pytest.approx(fisher_exact(table, alternative="less").pvalue, abs=1e-12)


def test_without_a_mistake_nothing_is_confused(tiny_models):
    images, _ = tiny_models.images(SHAPE, 20)
    opened = tiny_models.convolutional(SHAPE)
    split = Split(images, opened.predict(images))
    data = Dataset(name="own", train=split[:0], test=split, class_names=tuple("abcd"), value_range=(0.0, 1.0))
    chapter = written(accuracy, opened, data)
    assert chapter.tables == []
    assert value(chapter, "accuracy") == 1
    assert written(calibration, opened, data).conclusions[2].holds is None
    assert accuracy.confused(counts([3, 0], [2, 0]), ("x|y", "<b>")).rows == [("<b>", "x|y", 2, 1.0)]


def test_of_many_classes_the_confusion_is_not_drawn(tiny_models, monkeypatch):
    images, _ = tiny_models.images(SHAPE, 20)
    split = Split(images, np.arange(20) % 4)
    data = Dataset(name="own", train=split[:0], test=split, class_names=tuple("abcd"), value_range=(0.0, 1.0))
    for most, drawn in ((4, True), (3, False)):
        monkeypatch.setattr(evaluation_result, "MOST_DRAWN", most)
        captions = [each.caption for each in written(accuracy, tiny_models.convolutional(SHAPE), data).figures]
        assert any(caption.startswith("How many images of each class") for caption in captions) is drawn
        assert captions[-1].startswith("The error rate of each class")


# Calibration


def test_the_area_under_the_curve_is_the_share_of_ordered_pairs():
    rng = np.random.default_rng(0)
    confidence, right = rng.integers(0, 9, 40) / 10, rng.random(40) < 0.6
    pairs = list(itertools.product(confidence[right], confidence[~right]))
    expected = np.mean([(good > bad) + (good == bad) / 2 for good, bad in pairs])
    area, low, high = calibration.roc_area(confidence, right)
    assert area == pytest.approx(expected, abs=1e-12)
    assert 0 <= low < area < high <= 1
    assert calibration.roc_area(confidence, np.ones(40, bool)) is None
    assert calibration.roc_area(confidence, np.zeros(40, bool)) is None


def test_the_interval_of_the_area_holds_the_truth_at_least_19_times_in_20():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        right = np.arange(120) < 80
        low, high = calibration.roc_area(rng.normal(np.where(right, 1.0, 0.0)), right)[1:]
        held += low <= 0.7602 <= high  # Phi(1 / sqrt(2))
    assert held / 300 >= 0.93
    assert calibration.roc_area(np.array([0.9] * 99 + [0.1]), np.arange(100) < 99)[1] < 0.5, "one mistake tells little"


def sharpened(classifier, factor):
    """A model whose logits are that many times another's."""
    from cnnlab.testing import FakeClassifier

    return FakeClassifier(
        lambda images: factor * classifier.logits(images),
        classifier.input_shape,
        10,
        class_names=classifier.class_names,
    )


def test_calibration_turns_where_logits_are_sharpened_or_flattened(classifier, mnist):
    chapters = [written(calibration, sharpened(classifier, factor), mnist, limit=2000) for factor in (1, 20, 0.1)]
    plain, sharp, flat = chapters
    assert False not in verdicts(plain)
    assert sharp.conclusions[1].says.startswith("It is overconfident")
    assert value(sharp, "mean confidence") > value(plain, "mean confidence")
    assert [each.holds for each in flat.conclusions][:2] == [False, False]
    assert flat.conclusions[1].says.startswith("It is underconfident")
    assert value(sharp, "accuracy") == value(flat, "accuracy") == value(plain, "accuracy")


def test_a_model_that_guesses_is_calibrated_and_its_confidence_of_no_use(untrained, mnist):
    chapter = written(calibration, untrained, mnist, limit=2000)
    assert chapter.conclusions[2].holds is not True


def found(error, standard_error, chance):
    return {
        "expected_calibration_error": error,
        "calibration_standard_error": standard_error,
        "calibration_error_by_chance": chance / 2,
        "calibration_error_by_chance_high": chance,
    }


@pytest.mark.parametrize(
    ("numbers", "confidence", "right", "images", "area", "holds"),
    [
        ((0.004, 0.001, 0.001), 0.954, 9500, 10_000, (0.98, 0.97, 0.99), [True, True, True]),
        ((0.10, 0.01, 0.02), 0.95, 850, 1000, (0.6, 0.55, 0.65), [False, False, False]),
        ((0.05, 0.02, 0.06), 0.95, 18, 20, (0.7, 0.6, 0.8), [None, None, None]),
        ((0.05, 0.001, 0.06), 0.85, 950, 1000, None, [None, False, None]),
        ((0.001, 0.0, 0.001), 0.999, 20, 20, None, [None, None, None]),
        ((0.001, 0.0, 0.001), 0.999, 1000, 1000, None, [True, True, None]),
    ],
)
def test_calibration_turns_with_its_numbers(numbers, confidence, right, images, area, holds):
    conclusions = list(calibration.conclusions(found(*numbers), confidence, right, images, area))
    assert [each.holds for each in conclusions] == holds
    assert percent(numbers[0], 2) in conclusions[0].says
