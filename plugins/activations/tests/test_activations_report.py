"""The section on activations: what it shows and counts, and what makes its conclusions turn."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.datasets import Dataset, Split
from cnnlab.errors import CnnlabError
from cnnlab.plugin import Subject
from cnnlab.testing import SectionContract
from cnnlab_activations import report

SHAPE = (8, 8, 1)


class TestContractOfActivations(SectionContract):
    section = "activations"


@pytest.fixture
def subject_of(tiny_models):
    def make(classifier):
        images, _ = tiny_models.images(SHAPE, 40)
        split = Split(images, classifier.predict(images))
        dataset = Dataset(name="noise", train=split[:0], test=split, class_names=classifier.class_names)
        return Subject(classifier=classifier, profile="assignment", dataset=dataset)

    return make


def test_the_section_tells_what_the_analysis_found(subject_of, tiny_models):
    subject = subject_of(tiny_models.convolutional(SHAPE))
    layers = report.ends(subject.classifier)
    written = report.write(subject)
    assert [len(figure.drawing.tiles) for figure in written.figures] == [2 * report.SHOWN] * len(layers)
    result = subject.ask("activations", subject.first(100), layer=layers).result
    metrics = {metric.name: metric.value for metric in written.metrics}
    best = np.nan_to_num(np.abs(result.arrays[f"correlation/{layers[0]}"])).max(axis=1)
    assert metrics[f"best map of {layers[0]}"] == pytest.approx(best.mean())
    visible = int((best > np.sqrt(0.5)).sum())
    assert f": {visible} of {len(best)} " in written.conclusions[0].says


def test_a_model_without_convolutions_is_told_so(subject_of, tiny_models):
    with pytest.raises(CnnlabError, match="the model has no convolution"):
        report.write(subject_of(tiny_models.linear(SHAPE)))


@pytest.mark.parametrize(
    ("first", "last", "holds"),
    [
        ([0.9] * 10, [0.3] * 10, [True, True]),
        ([0.5] * 10, [0.3] * 10, [False, True]),
        ([0.9] * 10, [0.75] * 10, [True, False]),
        ([0.9, 0.5] * 5, [0.9, 0.6] * 5, [None, None]),
        ([0.9, 0.5] * 5, [0.4] * 10, [None, True]),
    ],
)
def test_conclusions_turn(first, last, holds):
    strongest = {"conv1": np.array(first), "conv2": np.array(last)}
    found = list(report.conclusions(strongest, {"conv1": (0, 32), "conv2": (0, 32)}))
    assert [each.holds for each in found] == [*holds, True]


@pytest.mark.parametrize(("dead", "holds", "said"), [(3, True, "3 of the 32 maps"), (4, False, "of conv2 (12.5%) are")])
def test_many_dead_maps_are_found(dead, holds, said):
    found = report.conclusion_on_dead({"conv1": (1, 32), "conv2": (dead, 32)})
    assert found.holds is holds
    assert said in found.says


def test_a_model_with_one_convolution_is_not_held_against_itself():
    assert len(list(report.conclusions({"conv1": np.ones(3)}, {"conv1": (0, 4)}))) == 2
