"""The host around a plugin: what it checks, what it records, whom it blames."""

from __future__ import annotations

import functools
import json
import os
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from cnnlab import interrupts
from cnnlab.analysis import host
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.inputs import from_arrays
from cnnlab.pluginhost.declarations import Array
from cnnlab.pluginhost.of_model import AClass, ALayer
from cnnlab.pluginhost.params import Doc, Params
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier

MODEL = FakeClassifier(
    lambda images: images.mean(axis=(1, 2, 3))[:, None] * np.arange(3),
    (2, 3, 1),
    3,
    class_names=("zero", "one", "two"),
    path=Path("runs/one"),
)
IMAGES = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 2, 3, 1)


def run(analysis, images=IMAGES, labels=None, model=MODEL, params=None, **options):
    params = params or analysis.params()
    return host.run(analysis, model, from_arrays(model, images, labels), params, **options)


def test_the_record_holds_everything_needed_to_repeat_it(analysis):
    def mathematics(classifier, inputs, params, context):
        context.warn("Beware.")
        return Result(
            arrays={"mean": inputs.images.mean(axis=(1, 2, 3))},
            metrics={"mean": np.float32(0.5), "nothing": float("nan"), "count": np.int64(4)},
            rows=[{"image": 0, "mean": np.float32(0.25)}],
        )

    declared = analysis(mathematics, arrays={"mean": Array("mean of each image", axes=("N",))})
    result = run(declared, labels=[0, 1, 2, -1], seed=5)
    record = json.loads(json.dumps(result.record))
    assert record["schema"] == 1
    assert record["analysis"] == "one"
    assert record["params"] == {"size": 1}
    assert record["model"] == {"path": "runs/one", "kind": "live", "digest": "of a fake", "about": {}}
    assert [row["label"] for row in record["inputs"]] == [0, 1, 2, None]
    assert record["inputs"][0]["shape"] == [2, 3, 1]
    assert len({row["digest"] for row in record["inputs"]}) == 4
    assert record["seed"] == 5
    assert record["metrics"] == {"mean": 0.5, "nothing": None, "count": 4}
    meaning = {"meaning": "mean of each image", "axes": ["N"]}
    assert record["arrays"] == {"mean": {"shape": [4], "dtype": "float32", **meaning}}
    assert record["plugin"] == {"distribution": "cnnlab-one", "version": "3.1"}
    assert record["warnings"] == ["Beware."]
    assert {"python", "cnnlab", "tensorflow", "keras", "numpy"} <= set(record["versions"])
    assert {"device", "seconds", "figures"} <= set(record)


def test_the_generator_is_seeded(analysis):
    draw = analysis(lambda c, i, p, context: Result(arrays={"x": context.rng.random(5)}))
    first, again, other = run(draw, seed=1), run(draw, seed=1), run(draw, seed=2)
    np.testing.assert_array_equal(first.arrays["x"], again.arrays["x"])
    assert (first.arrays["x"] != other.arrays["x"]).any()


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError


def raising(error):
    def mathematics(*_):
        raise error

    return mathematics


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("oh"), "ZeroDivisionError: oh"),
        (SystemExit(0), "SystemExit: 0"),
        (BaseException("panic"), "BaseException: panic"),
        (MuteError(), "MuteError"),
    ],
)
def test_a_failing_plugin_is_named_with_its_version(analysis, error, said):
    with pytest.raises(CnnlabError, match=rf"'one' of cnnlab-one 3\.1 failed: {said}\. Please report it"):
        run(analysis(raising(error)))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, interrupts.CancelledError])
def test_what_stops_it_is_no_failure_of_the_plugin(analysis, stop):
    with pytest.raises(stop):
        run(analysis(raising(stop())))
    with pytest.raises(stop):
        run(analysis(lambda *_: Result(show=raising(stop()))))


def test_a_plugins_own_clear_error_is_passed_on(analysis):
    def mathematics(*_):
        raise UsageError("size must be even.")

    with pytest.raises(UsageError, match=r"^size must be even\.$"):
        run(analysis(mathematics))


def test_a_plugin_that_goes_to_another_folder_takes_nobody_along(analysis, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def mathematics(*_):
        os.chdir("/")
        raise UsageError("size must be even.")

    with pytest.raises(UsageError):
        run(analysis(mathematics))
    assert Path.cwd() == tmp_path
    run(analysis(lambda *_: os.chdir("/") or Result()))
    assert Path.cwd() == tmp_path


def test_images_are_read_only_to_a_plugin(analysis):
    def mathematics(classifier, inputs, params, context):
        inputs.images[0] = 0
        return Result()

    with pytest.raises(CnnlabError, match="read-only"):
        run(analysis(mathematics))


def test_an_analysis_that_needs_images_says_so(analysis):
    with pytest.raises(UsageError, match="one needs images"):
        run(analysis(lambda *_: Result()), images=IMAGES[:0])


def test_a_model_without_convolutions_is_refused_where_they_are_needed(analysis):
    with pytest.raises(CnnlabError, match="needs a model with convolutional layers; this one has no layers"):
        run(analysis(lambda *_: Result(), requires=("convolutions",)))


# Parameters that depend on the model.


@dataclass(frozen=True, kw_only=True)
class OfModel(Params):
    class_: Annotated[int | None, AClass(), Doc("A class.")] = None
    target: Annotated[Literal["all"] | Annotated[int, AClass()], Doc("A target.")] = "all"
    several: Annotated[tuple[Annotated[int, AClass()], ...], Doc("Classes.")] = ()
    layer: Annotated[str | None, ALayer(spatial=True), Doc("A layer.")] = None


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {}),
        ({"class": "two"}, {"class_": 2}),
        ({"class": "2"}, {"class_": 2}),
        ({"target": "one"}, {"target": 1}),
        ({"target": "all"}, {}),
        ({"several": ("two", 0)}, {"several": (2, 0)}),
        ({"several": "one"}, {"several": (1,)}),
    ],
)
def test_a_plugin_is_given_numbers_for_the_names_of_classes(analysis, given, found):
    seen = []

    def mathematics(classifier, inputs, params, context):
        seen.append(params)
        return Result()

    result = run(analysis(mathematics, params=OfModel), params=OfModel.from_public(given))
    assert seen == [OfModel(**found)]
    assert result.record["params"] == OfModel(**found).to_json()


def test_classes_called_by_other_numbers_are_taken_by_their_names(analysis):
    model = FakeClassifier(MODEL.logits_function, (2, 3, 1), 3, class_names=("5", "6", "7"))
    seen = []

    def mathematics(classifier, inputs, params, context):
        seen.append(params.class_)
        return Result()

    for value in (6, "6", 2):
        run(analysis(mathematics, params=OfModel), model=model, params=OfModel(class_=value))
    assert seen == [1, 1, 2], "what is no number of a class may be its name"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"class": 3}, r"^class must be one of the model's 3 classes, 0 to 2; received 3\.$"),
        ({"class": "tow"}, r"received tow\. Did you mean 'two'"),
        ({"target": 7}, r"^target must be one of the model's 3 classes, 0 to 2, or all; received 7\.$"),
        ({"several": (0, "three")}, r"several must be one of the model's 3 classes.*received three"),
        ({"layer": "conv1"}, "there is no layer 'conv1'"),
    ],
)
def test_what_the_model_does_not_have_is_refused_before_anything_runs(analysis, given, message):
    declared = analysis(lambda *_: pytest.fail("it ran"), params=OfModel)
    with pytest.raises(UsageError, match=message):
        run(declared, params=OfModel.from_public(given))


def test_layers_are_asked_whether_they_fit(analysis, tiny_models):
    seen = []

    def mathematics(classifier, inputs, params, context):
        seen.append(params.layer)
        return Result()

    declared = analysis(mathematics, params=OfModel)
    model = tiny_models.convolutional((8, 8, 1))
    images, _ = tiny_models.images((8, 8, 1), 1)
    run(declared, images, model=model, params=OfModel(layer="conv1"))
    assert seen == ["conv1"]
    with pytest.raises(UsageError, match=r"layer must be one that gives maps \[h, w, channels\]; scores gives \[4\]"):
        run(declared, images, model=model, params=OfModel(layer="scores"))


@pytest.fixture
def summing(analysis, monkeypatch):
    """Install an analysis whose ``run`` and ``sum_up`` a test sets."""

    def install(run, sum_up, **declared):
        module = types.ModuleType("one_sum")
        module.sum_up = sum_up
        monkeypatch.setitem(sys.modules, "one_sum", module)
        return analysis(run, sum_up="one_sum:sum_up", arrays={"mean": Array("mean", axes=("E?", "N"))}, **declared)

    return install


def means(classifier, inputs, params, context, **more):
    return Result(arrays={"mean": inputs.images.mean(axis=(1, 2, 3))[None]}, **more)


def test_what_follows_from_the_arrays_is_said_once(summing):
    def sum_up(classifier, result, params):
        (mean,) = result.arrays["mean"]
        return Result(
            headline="Well", metrics={"m": mean.max()}, columns={"image": np.array([1, 0]), "mean": mean[::-1]}
        )

    made = summing(means, sum_up, metrics={"m": "largest mean"})
    result = run(made, np.stack([np.zeros((2, 3, 1)), np.ones((2, 3, 1))]).astype(np.float32))
    assert result.record["headline"] == "Well"
    assert result.record["metrics"] == {"m": 1.0}
    assert result.record["rows"] == [{"image": "array:1", "mean": 1.0}, {"image": "array:0", "mean": 0.0}]
    assert result.arrays["mean"].shape == (2,)


@pytest.mark.parametrize(
    ("more", "named"),
    [({"metrics": {"m": 1}}, "'m'"), ({"columns": {"a": [1]}}, "'a'"), ({"headline": "!"}, "a headline")],
)
def test_numbers_have_one_source(summing, more, named):
    made = summing(functools.partial(means, **more), lambda c, result, p: Result())
    with pytest.raises(CnnlabError, match=f"gave {named} where it ran, and declares `sum_up`,"):
        run(made, np.zeros((1, 2, 3, 1), np.float32))


def test_where_the_sources_are_the_plugins_own_they_stay(summing):
    def sum_up(classifier, result, params):
        return Result(columns={"image": [0], "mean": result.arrays["mean"][0]})

    made = summing(functools.partial(means, columns={"image": ["mine"]}), sum_up, inputs="optional")
    assert run(made, np.zeros((1, 2, 3, 1), np.float32)).rows == [{"image": "mine", "mean": 0.0}]


@pytest.mark.parametrize("wrong", [lambda c, r, p: {"m": 1}, lambda c, r, p: 1 / 0], ids=["dict", "error"])
def test_a_sum_that_fails_is_the_plugins(summing, wrong):
    with pytest.raises(
        CnnlabError, match=r"analysis 'one' of cnnlab-one 3\.1 (returned dict|failed: ZeroDivisionError)"
    ):
        run(summing(means, wrong), np.zeros((1, 2, 3, 1), np.float32))
