"""Every built-in analysis answers its question in one sentence, worked out from its numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest

import cnnlab
from cnnlab.errors import CnnlabError
from cnnlab.pluginhost import registry
from cnnlab.results.result import Result
from cnnlab.words import out_of

QUICK = {
    "fooling": {"steps": 5},
    "noise-addition": {"steps": 2, "target": 1},
    "targeted": {"steps": 3, "target": 1},
    "robustness": {"attack": "fgsm"},
}


@pytest.fixture(scope="module")
def small(tiny_models):
    return tiny_models.convolutional((8, 8, 1))


@pytest.fixture(scope="module")
def images(tiny_models):
    return tiny_models.images((8, 8, 1), 5)


NAMES = sorted(registry.analyses())
ALONE = {name for name in NAMES if registry.find_analysis(name).inputs == "none"}


@pytest.mark.parametrize(
    ("name", "count"), [(name, count) for name in NAMES for count in ((0,) if name in ALONE else (1, 5))]
)
def test_every_built_in_analysis_has_a_headline(small, images, name, count):
    shown = images[0][:count] if count else None
    found = cnnlab.analyze(
        name, small, shown, labels=images[1][:count] if shown is not None else None, **QUICK.get(name, {})
    )
    assert found.headline == found.record["headline"]
    assert len(found.headline) > 10
    assert found.headline[0].upper() == found.headline[0]
    assert not found.headline.endswith(".")
    assert not re.search(r"\b1 images|\bnan\b|@", found.headline)


def test_the_counts_in_a_headline_are_those_of_the_arrays(small, images):
    found = cnnlab.analyze("fgsm-untargeted", small, images[0], labels=small.predict(images[0]), epsilon=(0.1, 0.5))
    least, most = found.arrays["success"].sum(axis=1)
    assert found.headline == f"{least} of 5 images misread at epsilon 0.1, {most} at 0.5"
    robust = cnnlab.analyze("robustness", small, images[0], labels=images[1], attack="fgsm", epsilon=0.5)
    right = int((robust.arrays["label_before"] == images[1]).sum())
    assert robust.headline.startswith(f"{out_of(right, 5)} read correctly without attack, ")
    assert robust.headline.endswith(f"{robust.arrays['standing'][0].sum()} at epsilon 0.5")


def test_a_headline_is_kept_on_disk(small, images, tmp_path):
    found = cnnlab.analyze("saliency", small, images[0])
    found.save(tmp_path / "out", format=None)
    assert Result.load(tmp_path / "out").headline == found.headline != ""


def test_a_headline_is_one_line_of_text(analysis, small, images):
    analysis(lambda *_: Result(headline="two\nlines"))
    with pytest.raises(CnnlabError, match="headline"):
        cnnlab.analyze("one", small, np.asarray(images[0]))
