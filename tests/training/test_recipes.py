"""Recipes: those that come with cnnlab keep the contract, and one of a plugin is taken as they are."""

from __future__ import annotations

import json

import numpy as np
import pytest

import cnnlab
from cnnlab.pluginhost import registry
from cnnlab.runs import Run
from cnnlab.runs.folder import SETTINGS
from cnnlab.testing import RecipeContract
from cnnlab.training.recipes import decided

PATIENT = """
from cnnlab.plugin import Recipe, hookimpl


@hookimpl
def cnnlab_recipes():
    return [Recipe(name="patient", summary="It falls from the first step on.", epochs=2, batch_size=16, decay=1.0)]
"""


class TestClassic(RecipeContract):
    recipe = "classic"


@pytest.mark.full
class TestConstant(RecipeContract):
    recipe = "constant"


class TestFast(RecipeContract):
    recipe = "fast"


@pytest.mark.full
class TestBest(RecipeContract):
    recipe = "best"


@pytest.fixture
def patient(tmp_path, monkeypatch, plugins_anew):
    """The plugin ``patient.py``, in this process; it can be written anew."""
    file = tmp_path / "patient.py"

    def write(text: str = PATIENT) -> None:
        import sys

        file.write_text(text)
        sys.modules.pop("patient", None)
        registry.plugins.cache_clear()

    monkeypatch.setenv("CNNLAB_PLUGIN_FILES", str(file))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    write()
    return write


@pytest.fixture
def small(tmp_path):
    """A dataset of two classes, saved."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), np.uint8)
    labels = np.arange(64) % 2
    where = tmp_path / "small.npz"
    np.savez(where, x_train=pixels, y_train=labels, x_test=pixels[:16], y_test=labels[:16])
    return where


def test_a_plugins_recipe_trains_what_the_same_numbers_do(patient, small, command_line, tmp_path):
    status, out, _ = command_line("train", "--dataset", small, "--recipe", "patient", "--out", tmp_path / "one")
    assert status == 0, out
    one = Run(tmp_path / "one")
    assert one.config["settings"]["batch_size"] == 16
    assert one.config["recipe"]["decay"] == 1.0
    patient(PATIENT.replace("decay=1.0", "decay=1.0, beta_1=0.9"))  # as it is by default
    other = cnnlab.train(
        str(small), recipe="patient", epochs=2, batch_size=16, learning_rate=0.001, out=tmp_path / "two", progress=False
    )
    assert [row["loss"] for row in one.history] == [row["loss"] for row in other.history]
    constant = cnnlab.train(
        str(small), recipe="constant", epochs=2, batch_size=16, out=tmp_path / "three", progress=False
    )
    assert [row["loss"] for row in one.history] != [row["loss"] for row in constant.history]
    assert "decay" not in one.config["settings"]


def test_a_run_goes_on_with_the_recipe_that_it_was_begun_by_alone(patient, small, command_line, tmp_path):
    words = ("train", "--dataset", small, "--recipe", "patient", "--out", tmp_path / "run")
    assert command_line(*words)[0] == 0
    begun = {"settings": Run(tmp_path / "run").config["settings"]}
    run = Run(tmp_path / "run")
    started = json.loads((run.path / SETTINGS).read_text())
    run.record_path.unlink()  # as if it had been stopped before its end
    patient(PATIENT.replace("decay=1.0", "decay=0.5"))
    status, out, err = command_line("train", "--out", run.path, "--resume")
    assert (status, out) == (1, "")
    assert "was started by another recipe patient, with decay 1.0 (not 0.5). Install the version of its plugin" in err
    patient("")
    status, _, err = command_line("train", "--out", run.path, "--resume")
    assert status == 1
    assert "cannot be gone on with as it was begun: recipe 'patient' is not available: " in err
    patient()
    del started["recipe"]  # as runs were begun before it was recorded
    (run.path / SETTINGS).write_text(json.dumps(started))
    assert command_line("train", "--out", run.path, "--resume")[0] == 0
    assert Run(run.path).config["settings"] == begun["settings"]


def test_what_is_recorded_of_a_recipe_is_what_no_setting_says():
    assert decided("fast") == {
        "warm_up": 0.2,
        "decay": 0.8,
        "beta_1": 0.9,
        "beta_2": 0.99,
        "label_smoothing": 0.05,
        "shift": 1,
        "he_normal": True,
    }
