"""Run folders: which is the newest, what is half-written, who holds one, and how files get there whole."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from dataclasses import MISSING, fields

import pytest
from hypothesis import given, strategies as st

from cnnlab.errors import CnnlabError
from cnnlab.files.writing import write_json
from cnnlab.runs import COLUMNS, Run, RunLock, find, list_runs, new_folder, read_history, write_history
from cnnlab.runs.comparison import Spread, compare_runs, facts_of
from cnnlab.runs.folder import files_tell
from cnnlab.runs.record import Finished


def test_the_newest_complete_run_is_found_whatever_is_half_written(tmp_path, make_run):
    wanted = make_run(tmp_path / "b", created="2026-01-02T00:00:00+00:00")
    make_run(tmp_path / "a", created="2026-01-01T00:00:00+00:00")
    make_run(tmp_path / "unfinished", created="2026-01-05T00:00:00+00:00", complete=False)
    damaged = make_run(tmp_path / "damaged", created="2026-01-06T00:00:00+00:00")
    (damaged / "run.json").write_text('{"dataset": ')
    (tmp_path / "empty").mkdir()
    (tmp_path / "model-only" / "model").mkdir(parents=True)
    (tmp_path / "file").touch()
    assert find(None, tmp_path).path == wanted
    listed = list_runs(tmp_path)
    assert {run.name: run.state for run in listed} == {
        "unfinished": "unfinished",
        "damaged": "damaged",
        "b": "complete",
        "a": "complete",
    }
    assert [run.name for run in listed if run.state == "complete"] == ["b", "a"]


def test_time_zones_are_compared_as_times(tmp_path, make_run):
    make_run(tmp_path / "later", created="2026-01-01T12:00:00+00:00")
    make_run(tmp_path / "earlier", created="2026-01-01T13:00:00+02:00")
    assert [run.name for run in list_runs(tmp_path)] == ["later", "earlier"]


def test_no_run_and_no_complete_run_are_said(tmp_path, make_run):
    with pytest.raises(CnnlabError, match=r"no run below .* yet"):
        find(None, tmp_path / "nothing")
    make_run(tmp_path / "half", created="2026-01-01T00:00:00+00:00", complete=False)
    with pytest.raises(CnnlabError, match=r"no run .* is complete.*half --resume"):
        find(None, tmp_path)


def test_a_run_is_found_by_path_and_by_name(tmp_path, make_run):
    folder = make_run(tmp_path / "small", created="2026-01-01T00:00:00+00:00")
    assert find(folder).path == find("small", tmp_path).path == folder
    with pytest.raises(CnnlabError, match="Did you mean 'small'"):
        find("smal", tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(CnnlabError, match=r"no run folder: it has no run\.json"):
        find(tmp_path / "other", tmp_path)
    make_run(tmp_path / "half", created="2026-01-01T00:00:00+00:00", complete=False)
    with pytest.raises(CnnlabError, match="unfinished; go on with"):
        find("half", tmp_path)


WRONG = {
    "epochs": ("3", "epochs is '3', expected a valid integer"),
    "seed": (True, "seed is True, expected a valid integer"),
    "settings": ([1], r"settings is \[1\], expected an object"),
    "settings.seed": ({}, "settings.seed.* is {}"),
    "dataset": (3, "dataset is 3, expected an object"),
    "dataset.shape": ([4, 4], "dataset.shape is .*at least 3 items"),
    "dataset.shape.1": (0, "dataset.shape.1 is 0, expected greater than or equal to 1"),
    "dataset.value_range": ([1, 0], "expected value_range to rise"),
    "dataset.class_names": ("ab", "dataset.class_names is 'ab', expected a valid array"),
    "dataset.name": (None, "dataset.name is None, expected a valid string"),
    "metrics.val_loss": (1e400, "no JSON: Infinity"),
    "metrics": (None, "metrics is None, expected an object"),
    "classes.0.accuracy": ("x" * 200, "classes.0.accuracy is 'x.*…, expected a valid number"),
    "versions": ({"cnnlab": 1}, "versions.cnnlab is 1, expected a valid string"),
    "schema": (2, "schema is 2, expected 1"),
    "evaluated_on": ("nothing", "evaluated_on is 'nothing', expected 'test images' or"),
}


@pytest.mark.parametrize("key", WRONG)
def test_a_record_of_another_type_is_said(tmp_path, key, make_run):
    folder = make_run(tmp_path / "x", created="2026-01-01T00:00:00+00:00")
    value, message = WRONG[key]
    record = json.loads((folder / "run.json").read_text())
    *way, last = (int(part) if part.isdecimal() else part for part in key.split("."))
    functools.reduce(lambda inner, part: inner[part], way, record)[last] = value
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(CnnlabError, match=f"run.json is .*{message}"):
        find(folder)
    assert Run(folder).state == "damaged"
    assert facts_of(Run(folder))["state"] == "damaged"


NEEDED = [each.name for each in fields(Finished) if each.default is MISSING and each.default_factory is MISSING]


@pytest.mark.parametrize("key", NEEDED)
def test_a_record_that_lacks_a_key_is_said(tmp_path, key, make_run, finished):
    assert set(finished) == set(NEEDED)
    folder = make_run(tmp_path / "x", created="2026-01-01T00:00:00+00:00")
    write_json(folder / "run.json", {name: value for name, value in finished.items() if name != key})
    with pytest.raises(CnnlabError, match=f"run.json is damaged: it has no {key}"):
        find(folder)


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_a_damaged_unfinished_run_hides_no_other(tmp_path, text, make_run):
    folder = make_run(tmp_path / "half", created="2026-01-01T00:00:00+00:00", complete=False)
    (folder / "checkpoint" / "settings.json").write_text(text)
    make_run(tmp_path / "whole", created="2026-01-02T00:00:00+00:00")
    assert [(facts_of(run)["name"], facts_of(run)["state"]) for run in list_runs(tmp_path)] == [
        ("half", "damaged"),
        ("whole", "complete"),
    ]
    assert find(None, tmp_path).name == "whole"


def test_a_folder_that_is_no_run_has_no_record(tmp_path):
    assert Run(tmp_path / "none").state == "unfinished"
    with pytest.raises(CnnlabError, match=r"run\.json does not exist, so .*none is no run folder"):
        _ = Run(tmp_path / "none").config


def test_nothing_is_told_of_files_that_cannot_be_read(tmp_path):
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "model.keras")
    (tmp_path / "text.keras").write_text("no zip")
    for path in (tmp_path / "pipe", tmp_path / "text.keras", tmp_path / "none"):
        assert files_tell(path) == ((), ())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dataset": {}}', "\x00"])
def test_a_damaged_record_is_said(tmp_path, text, make_run):
    folder = make_run(tmp_path / "x", created="2026-01-01T00:00:00+00:00")
    (folder / "run.json").write_text(text)
    with pytest.raises(CnnlabError, match=r"run\.json"):
        find(folder)
    assert Run(folder).state == "damaged"


def test_a_new_folder_is_called_after_the_time_and_claimed(tmp_path):
    with new_folder("mnist", tmp_path) as one, new_folder("mnist", tmp_path) as other:
        assert one.is_dir()
        assert other.is_dir()
        assert one != other
    assert one.name.startswith("mnist-2")


# Who holds one

HOLD = """
import pathlib, sys
from cnnlab.runs import RunLock
with RunLock(pathlib.Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_being_trained_until_its_process_ends_however_it_ends(tmp_path, make_run):
    folder = make_run(tmp_path / "x", created="2026-01-01T00:00:00+00:00", complete=False)
    assert Run(folder).state == "unfinished"
    words = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert Run(folder).state == "training"
        with pytest.raises(CnnlabError, match="another process"), RunLock(folder).hold():
            pass
        process.kill()
    assert Run(folder).state == "unfinished"
    with RunLock(folder).hold():
        assert RunLock(folder).is_held()
    assert not RunLock(folder).is_held()


def test_a_lock_that_leads_elsewhere_makes_nothing_there(tmp_path, make_run):
    folder = make_run(tmp_path / "x", created="2026-01-01T00:00:00+00:00", complete=False)
    (folder / "checkpoint").mkdir(exist_ok=True)
    (folder / "checkpoint" / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CnnlabError, match="lock is a symbolic link"), RunLock(folder).hold():
        pass
    assert not RunLock(folder).is_held()
    assert not (tmp_path / "elsewhere").exists()


# History

losses = st.floats(min_value=0, allow_infinity=False)


@given(st.lists(st.tuples(losses, st.floats(0, 1), losses, st.floats(0, 1), losses), max_size=4))
def test_a_history_is_read_as_it_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("history") / "history.csv"
    written = [dict(zip(COLUMNS, (epoch, *row), strict=True)) for epoch, row in enumerate(rows, 1)]
    write_history(path, written)
    assert read_history(path) == written


HEAD = ",".join(COLUMNS)


@pytest.mark.parametrize(
    "text",
    [
        "epoch,loss\n1,2\n",
        "a\nb\n",
        f"{HEAD}\n1,2,x,3,4,5\n",
        f"{HEAD}\n1,2,nan,3,4,5\n",
        f"{HEAD}\n1,2,3,4,5,inf\n",
        f"{HEAD}\n0,1,2,3,4,5\n",
        f"{HEAD}\n1,1,2,3,4,5\n3,1,2,3,4,5\n",
        f"{HEAD}\n{'1' * 5000},1,2,3,4,5\n",
        f"{HEAD}\n1,1,2\n",
        "\0",
    ],
)
def test_what_is_no_history_is_refused(tmp_path, text):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(CnnlabError, match="not a training history"):
        read_history(tmp_path / "history.csv")


def test_no_history_has_no_rows(tmp_path):
    assert read_history(tmp_path / "history.csv") == []


# Seeds


@pytest.fixture
def seeded(make_run, finished):
    """Makes a complete run of a seed, in so far as a comparison reads it."""

    def make(folder, seed, accuracy, **settings):
        said = {"seed": seed, "settings": {"epochs": 1, "seed": seed, **settings}}
        return Run(make_run(folder, epochs_done=1, metrics=finished["metrics"] | {"val_accuracy": accuracy}, **said))

    return make


def test_runs_that_differ_in_the_seed_alone_have_a_spread(tmp_path, seeded):
    plain = [seeded(tmp_path / f"plain-seed{seed}", seed, value) for seed, value in ((1, 0.25), (10, 0.5), (11, 1.0))]
    normalised = [seeded(tmp_path / name, seed, 0.75, batch_norm=True) for seed, name in enumerate(("one", "other"))]
    alone = seeded(tmp_path / "alone-seed3", 3, 0.5, limit=7)
    first, second = compare_runs([*plain, alone, *normalised]).spreads
    assert (first.label, first.seeds) == ("plain", (1, 10, 11))
    spread = first.metrics["val_accuracy"]
    assert (spread["least"], spread["most"]) == (0.25, 1.0)
    assert spread["mean"] == pytest.approx(1.75 / 3)
    squares = sum((value - 1.75 / 3) ** 2 for value in (0.25, 0.5, 1.0))
    assert spread["standard_deviation"] == pytest.approx((squares / 2) ** 0.5)
    assert (second.label, second.metrics["val_accuracy"]["standard_deviation"]) == ("one, other", 0.0)


def test_a_run_given_twice_and_a_seed_alone_have_no_spread(tmp_path, seeded):
    run = seeded(tmp_path / "it", 0, 0.5)
    assert compare_runs([run, run]).spreads == ()
    assert Spread.of("it", [run]).metrics["val_loss"]["standard_deviation"] is None
