"""A second model as a parameter: opened by the host, held against the first, recorded, verified."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest

import cnnlab
from cnnlab.analysis import host
from cnnlab.analysis.cache import name_of
from cnnlab.classifier import Classifier, load
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.inputs import from_arrays
from cnnlab.pluginhost.declarations import Array
from cnnlab.pluginhost.of_model import AModel
from cnnlab.pluginhost.params import Doc, Params, fields_of
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier
from cnnlab.verification.of_result import _other_models

SHAPE = (8, 8, 1)


@dataclass(frozen=True, kw_only=True)
class AgreementParams(Params):
    other: Annotated[Classifier, AModel(), Doc("The model to compare with.")]
    third: Annotated[Classifier | None, AModel(same_classes=False), Doc("A third one.")] = None


def agree(classifier, inputs, params, context):
    alike = classifier.predict(inputs.images) == params.other.predict(inputs.images)
    return Result(arrays={"agree": alike}, metrics={"agreement": float(alike.mean())})


@pytest.fixture
def installed(analysis):
    arrays = {"agree": Array("whether both predict the same class", axes=("N",))}
    return analysis(agree, params=AgreementParams, arrays=arrays, metrics={"agreement": "share of images"})


@pytest.fixture(scope="module")
def saved(tiny_models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return tiny_models.saved(tiny_models.linear(SHAPE), folder / "linear")


def test_it_is_opened_from_a_path_or_taken_as_it_is(installed, tiny_models, saved):
    model, images = tiny_models.convolutional(SHAPE), tiny_models.images(SHAPE, 20)
    live = cnnlab.analyze("one", model, *images, other=tiny_models.linear(SHAPE))
    opened = cnnlab.analyze("one", model, *images, other=saved)
    due = (model.predict(images[0]) == tiny_models.linear(SHAPE).predict(images[0])).mean()
    assert live.metrics["agreement"] == opened.metrics["agreement"] == due < 1
    record = json.loads(json.dumps(opened.record))
    assert record["params"] == {"other": str(saved), "third": None}
    assert record["models"] == {"other": {**load(saved).record(), "about": load(saved).about.to_json()}}
    assert (live.record["params"]["other"], live.record["models"]["other"]["kind"]) == (None, "live")


def test_the_command_takes_its_path(installed, tiny_models, saved, tmp_path):
    from PIL import Image

    from cnnlab.cli import cli

    images, _ = tiny_models.images(SHAPE, 1)
    Image.fromarray(np.rint(images[0, :, :, 0] * 255).astype(np.uint8)).save(tmp_path / "a.png")
    model = tiny_models.saved(tiny_models.convolutional(SHAPE), tmp_path / "model")
    words = ["analyze", "one", "--model", model, "--other", saved, "--image", tmp_path / "a.png", "--out"]
    words = [*map(str, words), str(tmp_path / "out")]
    cli(words, standalone_mode=False)
    record = Result.load(tmp_path / "out").record
    assert record["models"]["other"]["path"] == str(saved)
    with pytest.raises(UsageError, match="other must be a model: a folder or file of one; received ''"):
        cli([*words[:4], "--other", "", *words[6:]], standalone_mode=False)


@pytest.mark.parametrize(
    ("other", "kind", "said"),
    [
        (3, UsageError, "other must be a model: a folder or file of one; received 3"),
        (None, UsageError, "other must be a model"),
        ("no/such/model", CnnlabError, "no/such/model"),
        (FakeClassifier.of_brightness((8, 8, 1)), UsageError, r"it has classes: 2, and the model .* has 4"),
        (FakeClassifier.of_brightness((9, 8, 1)), UsageError, r"it has images of shape \[9, 8, 1\]"),
    ],
)
def test_what_is_no_other_model_is_refused_in_a_sentence(installed, tiny_models, other, kind, said):
    with pytest.raises(kind, match=said):
        cnnlab.analyze("one", tiny_models.convolutional(SHAPE), *tiny_models.images(SHAPE, 2), other=other)


def test_where_nobody_asks_for_the_same_classes_there_may_be_others(installed, tiny_models):
    linear, two = tiny_models.linear(SHAPE), FakeClassifier.of_brightness(SHAPE)
    result = cnnlab.analyze("one", linear, *tiny_models.images(SHAPE, 2), other=linear, third=two)
    assert set(result.record["models"]) == {"other", "third"}


def test_it_is_a_part_of_what_was_asked(installed, tiny_models, monkeypatch):
    """A kept result is not given for another model."""
    monkeypatch.setattr("cnnlab.analysis.cache.code_digest", lambda package: "")
    model = tiny_models.convolutional(SHAPE)
    inputs = from_arrays(model, *tiny_models.images(SHAPE, 2))
    others = (tiny_models.linear(SHAPE), tiny_models.constant(SHAPE))
    names = {name_of(installed, model, inputs, AgreementParams(other=other), 0, "cpu") for other in others}
    assert len(names) == 2
    assert [field.is_model for field in fields_of(AgreementParams)] == [True, True]


def test_what_is_opened_has_the_trust_of_the_first(tmp_path):
    from cnnlab.analysis.model_choice import ModelChoice

    seen = []

    class Noted(ModelChoice):
        def open(self):
            seen.append(self)

    first = Noted(model="a", trust=True, limit_seconds=5.0, signature="serve", input_range="0,255")
    first.another(tmp_path / "b")
    first.another(FakeClassifier.of_brightness())
    assert [(each.trust, each.limit_seconds, each.signature) for each in seen] == [(True, 5.0, None)] * 2
    assert [each.input_range for each in seen] == ["0,255", None]


def test_a_saved_result_is_held_against_it(installed, tiny_models, saved):
    model, images = tiny_models.convolutional(SHAPE), tiny_models.images(SHAPE, 2)
    record = cnnlab.analyze("one", model, *images, other=saved).record

    class Saved:
        def __init__(self, **other):
            self.record = {"models": {"other": {**record["models"]["other"], **other}}}

    states = [next(_other_models(Saved(**change))).state for change in ({}, {"digest": "0"}, {"path": None})]
    assert states == ["holds", "fails", "not checked"]
    assert next(_other_models(Saved(path="gone"))).state == "not checked"


@pytest.mark.parametrize(
    ("requires", "labels", "said"),
    [
        (("labels",), [0, -1], "one needs the true labels of the images, and 1 of 2 have none"),
        (("dataset",), [0, 1], "one needs the dataset that the model learned, and none is known"),
    ],
)
def test_what_is_not_known_of_the_images_is_said_before_anything_runs(analysis, tiny_models, requires, labels, said):
    declared = analysis(lambda *given: pytest.fail("it ran"), requires=requires)
    model = tiny_models.linear(SHAPE)
    inputs = from_arrays(model, tiny_models.images(SHAPE, 2)[0], labels)
    with pytest.raises(CnnlabError, match=said):
        host.run(declared, model, inputs, declared.params())
