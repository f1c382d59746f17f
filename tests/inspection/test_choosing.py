"""Images chosen by meaning, against a loop in plain Python; and as the commands take them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import cnnlab
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.datasets import Dataset, Split
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.inspection.choosing import choose
from cnnlab.numerics import softmax
from cnnlab.testing import FakeClassifier

NAMES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def model():
    weights = np.random.default_rng(5).normal(size=(16, 3)) * 3
    return FakeClassifier(
        lambda images: np.reshape(images, (len(images), -1)) @ weights, (4, 4, 1), 3, class_names=NAMES
    )


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(1)
    split = Split(rng.integers(0, 256, (60, 4, 4, 1)).astype(np.uint8), rng.integers(0, 3, 60))
    return Dataset(name="pets", train=split[:5], test=split, class_names=NAMES)


@pytest.fixture(scope="module")
def facts(model, dataset):
    """Of each image: its index, true class, predicted class and that one's probability."""
    probabilities = [softmax(model.logits(dataset.test[i : i + 1].images))[0] for i in range(60)]
    return [(i, int(dataset.test.labels[i]), int(p.argmax()), float(p.max())) for i, p in enumerate(probabilities)]


def indices(split):
    return [int(source.rpartition(":")[2]) for source in split.sources]


def test_each_choice_is_what_a_loop_finds(model, dataset, facts):
    wrong = sorted((row for row in facts if row[1] != row[2]), key=lambda row: (-row[3], row[0]))
    assert len(wrong) > 3, "otherwise the test tells nothing"
    assert indices(choose(model, dataset, mistakes=True)) == [row[0] for row in wrong]
    unsure = sorted(facts, key=lambda row: (row[3], row[0]))
    assert indices(choose(model, dataset, least_certain=7)) == [row[0] for row in unsure[:7]]
    assert indices(choose(model, dataset, class_="dog")) == [row[0] for row in facts if row[1] == 1]
    assert indices(choose(model, dataset, class_=[0, "owl"], limit=4)) == [r[0] for r in facts if r[1] != 1][:4]
    firsts = [next(row[0] for row in facts if row[1] == label) for label in range(3)]
    assert indices(choose(model, dataset, one_per_class=True)) == firsts


def test_choices_are_made_one_of_the_other(model, dataset, facts):
    wrong = sorted((row for row in facts if row[1] != row[2]), key=lambda row: (-row[3], row[0]))
    commonest = int(np.bincount([row[1] for row in wrong]).argmax())
    of_it = [row[0] for row in wrong if row[1] == commonest]
    assert indices(choose(model, dataset, class_=NAMES[commonest], mistakes=True, limit=2)) == of_it[:2]
    worst = [next(row[0] for row in wrong if row[1] == label) for label in sorted({row[1] for row in wrong})]
    assert indices(choose(model, dataset, mistakes=True, one_per_class=True)) == worst
    unsure = [row[0] for row in sorted(wrong, key=lambda row: (row[3], row[0]))]
    assert indices(choose(model, dataset, mistakes=True, least_certain=3)) == unsure[:3]


def test_what_is_chosen_is_told_and_analysed(model, dataset):
    inputs = ImageChoice(dataset=dataset, class_=("dog",), limit=2).read(model)
    assert set(inputs.labels.tolist()) == {1}
    dogs = int((dataset.test.labels == 1).sum())
    assert inputs.notes == (
        f"2 images were chosen; of the 60 images of pets/test: {dogs} of class dog; of these the first 2.",
    )


def test_what_cannot_be_chosen_is_said(model, dataset):
    right = dataset.test[dataset.test.labels == model.logits(dataset.test.images).argmax(axis=1)]
    with pytest.raises(CnnlabError, match=r"no image is as asked; of the \d+ images of pets/test.*: 0 misread"):
        choose(model, right, mistakes=True)
    with pytest.raises(UsageError, match=r"`class_=` must be one of the model's 3 classes.*dog"):
        choose(model, dataset, class_="dgo")
    with pytest.raises(UsageError, match="0 to 2; received 7"):
        choose(model, dataset, class_="7")
    with pytest.raises(UsageError, match="`least_certain=`"):
        choose(model, dataset, least_certain=0)
    for given, other in (({"images": ["7.png"]}, "images"), ({"indices": ("3",)}, "indices")):
        with pytest.raises(UsageError, match=f"exclude `{other}=`"):
            ImageChoice(mistakes=True, **given).check()


def test_the_commands_take_them(trained_run, command_line):
    asked = ("predict", trained_run.path, "--dataset", "mnist", "--json")
    status, out, error = command_line(*asked, "--one-per-class")
    assert status == 0, error
    assert [row["label"] for row in json.loads(out)["images"]] == [str(label) for label in range(10)]
    assert "10, the first of each class" in error
    status, out, _ = command_line(*asked, "--class", "7", "--mistakes", "--limit", "2")
    found = cnnlab.choose(trained_run, "mnist", class_=7, mistakes=True, limit=2)
    assert status == 0
    assert [row["image"] for row in json.loads(out)["images"]] == found.sources
    status, _, error = command_line("predict", trained_run.path, "7.png", "--mistakes")
    assert status == 2
    assert "--mistakes" in error
    assert "exclude --image" in error


def test_a_choice_from_a_dataset_needs_one_and_is_made_in_one_way(model):
    with pytest.raises(UsageError, match="`indices=` and `limit=` exclude each other; give one of them"):
        ImageChoice(dataset="mnist", indices=("1",), limit=2).check()
    for choice in (ImageChoice(limit=2), ImageChoice(indices=("0",))):
        choice.check()
        with pytest.raises(UsageError, match="images of a dataset need `dataset=`: the model does not say what it was"):
            choice.read(model)
