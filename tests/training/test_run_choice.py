"""Which folder a run goes into, and which settings it can be gone on with."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import cnnlab
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files.writing import write_json
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.clashes import settle
from cnnlab.pluginhost.declarations import Architecture, Recipe
from cnnlab.runs import Run
from cnnlab.training import run_choice, seeds
from cnnlab.training.settings import Settings, difference


@pytest.fixture
def begun(started):
    """Makes an unfinished run with settings that somebody edited: ``begun(folder, limit="left out", epochs=0)``."""

    def make(folder: Path, **settings: object) -> Path:
        said = {**Settings(epochs=2).filled().to_json(), **settings}
        (folder / "checkpoint").mkdir(parents=True)
        written = {name: value for name, value in said.items() if value != "left out"}
        write_json(folder / "checkpoint" / "settings.json", started | {"settings": written})
        return folder

    return make


def test_a_run_is_gone_on_with_by_its_own_settings_alone(tmp_path, begun):
    folder = begun(tmp_path / "run")
    settings = Settings(epochs=2).filled()
    assert run_choice.choose(settings, folder, resume=True) == Run(folder)
    with pytest.raises(UsageError, match=r"was started with seed 0 \(not 1\); `resume=True` goes on with the same"):
        run_choice.choose(Settings(epochs=2, seed=1).filled(), folder, resume=True)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"epochs": 0}, "as it was begun: epochs must be an integer of at least 1"),
        ({"architecture": "mnist-cmm"}, "as it was begun: there is no architecture 'mnist-cmm'"),
        ({"seed": "0"}, "are damaged: seed is '0', expected a value such as 0. Train anew in another folder."),
        ({"limit": "left out"}, "are damaged: limit is 'missing', expected a value such as None."),
    ],
)
def test_settings_that_no_run_can_have_are_said(tmp_path, edit, said, begun):
    folder = begun(tmp_path / "run", **edit)
    with pytest.raises(CnnlabError) as failure:
        run_choice.choose(Settings(epochs=2).filled(), folder, resume=True)
    assert said in str(failure.value)


GIVEN = [Architecture(name="slim", summary="One layer.", build="nowhere:build"), Recipe(name="brisk", summary="Quick.")]


@pytest.fixture
def clashing(monkeypatch):
    """Sets which distributions give the architecture ``slim`` and the recipe ``brisk``: ``clashing("mix", "more")``."""
    own = registry.plugins()

    def install(*names: str) -> None:
        found = [registry.Plugin(name, name, f"cnnlab-{name}", "1.0", declarations=GIVEN) for name in names]
        settle(found, of_host=())
        monkeypatch.setattr(registry, "plugins", lambda: (*own, *found))

    return install


def test_what_others_are_called_too_by_now_is_said_in_full(tmp_path, begun, clashing):
    clashing("mix", "more")
    folder = begun(tmp_path / "run", architecture="slim", recipe="brisk")
    with pytest.raises(CnnlabError, match=r"is that of cnnlab-mix 1\.0 and cnnlab-more 1\.0\. Say which"):
        run_choice.stored_settings(Run(folder))
    said = {"architecture": "cnnlab-mix:slim", "recipe": "cnnlab_mix:brisk"}
    assert said.items() <= run_choice.stored_settings(Run(folder), said).items()
    settings = Settings(**said, epochs=2).filled()
    assert run_choice.choose(settings, folder, resume=True) == Run(folder)
    folder = begun(tmp_path / "full", architecture="CNNLab.Mix:slim", recipe="cnnlab-mix:brisk")
    assert run_choice.choose(settings, folder, resume=True) == Run(folder)
    with pytest.raises(UsageError, match=r"started with architecture CNNLab\.Mix:slim \(not cnnlab-more:slim\)"):
        run_choice.choose(replace(settings, architecture="cnnlab-more:slim"), folder, resume=True)


def test_a_complete_run_is_given_back_whatever_became_of_its_plugins(trained_run, tmp_path, clashing, command_line):
    folder = Path(shutil.copytree(trained_run.path, tmp_path / "run"))
    record = json.loads((folder / "run.json").read_text())
    record["settings"] |= {"architecture": "slim", "recipe": "brisk"}
    (folder / "run.json").write_text(json.dumps(record))
    words = ("train", "--out", folder, "--resume", "--json")
    for installed in ((), ("mix", "more")):
        clashing(*installed)
        status, out, error = command_line(*words)
        assert (status, json.loads(out)) == (0, record), error
        assert "is complete already; nothing was done." in error
        given = {**record["settings"], "epochs": None}
        assert cnnlab.train(**given, out=folder, resume=True, progress=False) == Run(folder)
        status, _, error = command_line(*words, "--architecture", "mnist-cnn")
        assert (status, "was started with architecture slim (not mnist-cnn); --resume goes on" in error) == (2, True)
    assert command_line(*words, "--architecture", "cnnlab-mix:slim")[0] == 0


def test_by_force_a_run_begins_among_other_files_and_replaces_no_folder(tmp_path):
    settings = Settings().filled()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CnnlabError, match="already exists and is not an empty folder"):
        run_choice.choose(settings, tmp_path, resume=False)
    assert run_choice.choose(settings, tmp_path, resume=False, force=True) == Run(tmp_path)
    (tmp_path / "model").mkdir()
    with pytest.raises(CnnlabError, match=r"model would be replaced with all that is in it\. Move it elsewhere"):
        run_choice.choose(settings, tmp_path, resume=False, force=True)


def test_a_network_without_the_variant_is_refused(monkeypatch, command_line):
    plain = Architecture(
        name="plain", summary="One layer.", build="nowhere:build", input_shape=(4, 4, 1), classes=2, batch_norm=False
    )
    plugin = registry.Plugin("plain", "plain", "cnnlab-plain", "1.0", declarations=(plain,))
    installed = (*registry.plugins(), plugin)
    monkeypatch.setattr(registry, "plugins", lambda: installed)
    with pytest.raises(UsageError, match="the architecture 'plain' has no variant with batch normalisation"):
        Settings(architecture="plain", batch_norm=True)
    assert Settings(architecture="plain").batch_norm is False
    status, _, err = command_line("summary", "plain", "--batch-norm")
    assert status == 2
    assert "the architecture 'plain' has no variant with batch normalisation; leave --batch-norm out." in err


def test_settings_that_differ_are_named_in_words():
    before, now = {"batch_norm": True, "limit": None, "seed": 0}, {"batch_norm": False, "limit": 5, "seed": 0}
    assert difference(before, now) == "batch_norm on (not off), limit unset (not 5)"


def test_seeds_of_the_dataset_that_nobody_named_are_those_of_the_default(tmp_path, monkeypatch):
    trained = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(seeds, "train", lambda **given: trained.append((str(given.pop("out")), given.get("dataset"))))
    seeds.train_seeds([0, 3], {"epochs": 1})
    assert trained == [("runs/mnist-mnist-cnn-seed0", None), ("runs/mnist-mnist-cnn-seed3", None)]
