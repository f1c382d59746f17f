"""Kept results: asked for once, told apart by everything that they depend on, and never trusted where damaged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cnnlab.analysis import cache, host
from cnnlab.analysis.cache import Cache, code_digest, name_of
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.analysis.request import Request, perform
from cnnlab.drawings import to_json
from cnnlab.inputs import from_arrays
from cnnlab.pluginhost import registry
from cnnlab.testing import FakeClassifier


@pytest.fixture
def runs(monkeypatch):
    """How often an analysis ran."""
    counted = []
    real = host.run

    def run(*args, **options):
        counted.append(args)
        return real(*args, **options)

    monkeypatch.setattr(host, "run", run)
    return counted


def ask(image: np.ndarray, tmp_path: Path, **params):
    request = Request(
        analysis=registry.find_analysis("occlusion"),
        params={"patch": 2, "stride": 2, **params},
        model=ModelChoice(model=FakeClassifier.of_brightness((4, 4, 1))),
        images=ImageChoice(images=image),
    )
    return perform(request, cache=Cache(tmp_path / "kept"))


IMAGE = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4, 1)


def test_the_same_request_is_answered_once_and_alike(runs, tmp_path):
    first, second = ask(IMAGE, tmp_path), ask(IMAGE, tmp_path)
    assert len(runs) == 1
    assert second.metrics == first.metrics
    assert second.rows == first.rows
    assert second.headline == first.headline
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(second.arrays[name], array)
    assert to_json(second.drawings) == to_json(first.drawings)
    assert not list((tmp_path / "kept").rglob("*.png")), "figures can be drawn again"


@pytest.mark.parametrize("other", ["image", "params", "code", "damage"])
def test_another_request_is_asked_anew(runs, tmp_path, monkeypatch, other):
    ask(IMAGE, tmp_path)
    image, params = IMAGE, {}
    if other == "image":
        image = 1 - IMAGE
    elif other == "params":
        params = {"stride": 1}
    elif other == "code":
        monkeypatch.setattr(cache, "code_digest", lambda package: f"{package} has changed")
    else:
        (kept,) = (tmp_path / "kept").iterdir()
        (kept / "result.json").write_text("{")
    ask(image, tmp_path, **params)
    assert len(runs) == 2
    assert len(list((tmp_path / "kept").iterdir())) == (1 if other == "damage" else 2)


def test_a_name_depends_on_the_model_its_classes_the_seed_and_the_labels():
    model = FakeClassifier.of_brightness((4, 4, 1))
    occlusion = registry.find_analysis("occlusion")
    inputs, params = from_arrays(model, IMAGE), occlusion.params()
    names = {
        name_of(occlusion, model, inputs, params, 0),
        name_of(occlusion, model, inputs, params, 1),
        name_of(occlusion, model, from_arrays(model, IMAGE, [1]), params, 0),
        name_of(occlusion, model, inputs, dataclasses.replace(params, patch=2), 0),
    }
    model.digest = "another"
    names.add(name_of(occlusion, model, inputs, params, 0))
    assert len(names) == 5
    assert all(name.startswith("occlusion-") for name in names)


def test_the_digest_of_code_is_that_of_its_files(tmp_path, monkeypatch):
    package = tmp_path / "own_plugin"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('is not imported')")
    (package / "run.py").write_text("1")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_digest.__wrapped__("own_plugin")
    (package / "run.py").write_text("2")
    assert before != code_digest.__wrapped__("own_plugin") != ""
    assert code_digest.__wrapped__("there_is_no_such_package") == ""
