"""The section on FGSM: it counts what the analysis found, and turns with it."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.datasets import Dataset, Split
from cnnlab.plugin import Scrub, Subject
from cnnlab_fgsm_untargeted import report

SHAPE = (6, 6, 1)


@pytest.fixture
def subject(tiny_models):
    classifier = tiny_models.linear(SHAPE)
    images, _ = tiny_models.images(SHAPE, 30)
    split = Split(images, classifier.predict(images))
    dataset = Dataset(name="noise", train=split[:0], test=split, class_names=classifier.class_names)
    return Subject(classifier=classifier, profile="audit", dataset=dataset)


def test_the_section_counts_what_the_analysis_found(subject):
    written = report.write(subject)
    epsilon = tuple(float(f"{share:.5g}") for share in report.STEPS.values())
    found = subject.ask("fgsm-untargeted", range(30), epsilon=epsilon).result
    assert [metric.value for metric in written.metrics] == pytest.approx(
        [found.metrics[f"success@{size:g}"] for size in epsilon]
    )
    assert all(metric.of == 30 for metric in written.metrics)
    scrubs = [tile for tile in written.figures[0].drawing.tiles if isinstance(tile, Scrub)]
    assert [scrub.stops for scrub in scrubs] == [("0.031373", "0.1", "0.2", "0.3")] * len(scrubs)
    assert scrubs


@pytest.mark.parametrize(("fooled", "holds"), [(2, True), (98, False), (50, None)])
def test_the_conclusion_turns(fooled, holds):
    found = report.conclusion(np.arange(100) < fooled, "0.1")
    assert found.holds is holds
    assert f"{fooled} of 100" in found.says


def test_without_images_nothing_is_concluded():
    assert report.conclusion(np.zeros(0, bool), "0.1").holds is None
