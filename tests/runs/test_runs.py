"""Run folders: which is the newest, what is half-written, who holds one, and how files get there whole."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cnnlab import files
from cnnlab.errors import CnnlabError
from cnnlab.files import remove_leftovers, write_beside, write_json
from cnnlab.runs import COLUMNS, Run, RunLock, find, list_runs, new_folder, read_history, write_history
from cnnlab.runs.comparison import Spread, compare_runs

RECORD = {"dataset": {"name": "mnist"}, "architecture": "mnist-cnn", "epochs": 2}


def make_run(root: Path, name: str, created: str, *, complete: bool = True) -> Path:
    folder = root / name
    (folder / "checkpoint").mkdir(parents=True)
    record = {**RECORD, "created": created}
    write_json(folder / "checkpoint" / "settings.json", record)
    if complete:
        write_json(folder / "run.json", record)
    return folder


# Which is the newest


def test_the_newest_complete_run_is_found_whatever_is_half_written(tmp_path):
    wanted = make_run(tmp_path, "b", "2026-01-02T00:00:00+00:00")
    make_run(tmp_path, "a", "2026-01-01T00:00:00+00:00")
    make_run(tmp_path, "unfinished", "2026-01-05T00:00:00+00:00", complete=False)
    damaged = make_run(tmp_path, "damaged", "2026-01-06T00:00:00+00:00")
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


def test_time_zones_are_compared_as_times(tmp_path):
    make_run(tmp_path, "later", "2026-01-01T12:00:00+00:00")
    make_run(tmp_path, "earlier", "2026-01-01T13:00:00+02:00")
    assert [run.name for run in list_runs(tmp_path)] == ["later", "earlier"]


def test_no_run_and_no_complete_run_are_said(tmp_path):
    with pytest.raises(CnnlabError, match=r"no run below .* yet"):
        find(None, tmp_path / "nothing")
    make_run(tmp_path, "half", "2026-01-01T00:00:00+00:00", complete=False)
    with pytest.raises(CnnlabError, match=r"no run .* is complete.*half --resume"):
        find(None, tmp_path)


def test_a_run_is_found_by_path_and_by_name(tmp_path):
    folder = make_run(tmp_path, "small", "2026-01-01T00:00:00+00:00")
    assert find(folder).path == find("small", tmp_path).path == folder
    with pytest.raises(CnnlabError, match="Did you mean 'small'"):
        find("smal", tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(CnnlabError, match=r"no run folder: it has no run\.json"):
        find(tmp_path / "other", tmp_path)
    make_run(tmp_path, "half", "2026-01-01T00:00:00+00:00", complete=False)
    with pytest.raises(CnnlabError, match="unfinished; go on with"):
        find("half", tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dataset": {}}', "\x00"])
def test_a_damaged_record_is_said(tmp_path, text):
    folder = make_run(tmp_path, "x", "2026-01-01T00:00:00+00:00")
    (folder / "run.json").write_text(text)
    with pytest.raises(CnnlabError, match=r"run\.json"):
        find(folder)
    assert Run(folder).state == "damaged"


def test_a_new_folder_is_new(tmp_path):
    names = set()
    for _ in range(3):
        folder = new_folder("mnist", tmp_path)
        folder.mkdir()
        names.add(folder.name)
    assert len(names) == 3
    assert all(name.startswith("mnist-") for name in names)


# Who holds one

HOLD = """
import pathlib, sys
from cnnlab.runs import RunLock
with RunLock(pathlib.Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_being_trained_until_its_process_ends_however_it_ends(tmp_path):
    folder = make_run(tmp_path, "x", "2026-01-01T00:00:00+00:00", complete=False)
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


# History

losses = st.floats(min_value=0, allow_infinity=False)


@given(st.lists(st.tuples(losses, st.floats(0, 1), losses, st.floats(0, 1), losses), max_size=4))
def test_a_history_is_read_as_it_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("history") / "history.csv"
    written = [dict(zip(COLUMNS, (epoch, *row), strict=True)) for epoch, row in enumerate(rows, 1)]
    write_history(path, written)
    assert read_history(path) == written


@pytest.mark.parametrize("text", ["epoch,loss\n1,2\n", "a\nb\n", ",".join(COLUMNS) + "\n1,2,x,3,4,5\n"])
def test_what_is_no_history_is_refused(tmp_path, text):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(CnnlabError, match="not a training history"):
        read_history(tmp_path / "history.csv")


def test_no_history_has_no_rows(tmp_path):
    assert read_history(tmp_path / "history.csv") == []


# Whole or not at all


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_fails_half_way_leaves_what_was_there(tmp_path, kind):
    path = tmp_path / "it"

    def write(text: str, *, fail: bool) -> None:
        with write_beside(path) as beside:
            file = beside
            if kind == "folder":
                beside.mkdir()
                file = beside / "inside"
            file.write_text(text)
            assert not path.exists() or contents() == "old"
            if fail:
                raise KeyboardInterrupt

    def contents() -> str:
        return (path if kind == "file" else path / "inside").read_text()

    with pytest.raises(KeyboardInterrupt):
        write("half", fail=True)
    assert not list(tmp_path.iterdir())
    write("old", fail=False)
    with pytest.raises(KeyboardInterrupt):
        write("half", fail=True)
    assert contents() == "old"
    write("new", fail=False)
    assert contents() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Unable to write file (errno = 28, error message = 'No space left on device')"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, error):
    def fill() -> None:
        with write_beside(tmp_path / "it") as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(CnnlabError, match="the disk is full"):
        fill()
    assert not list(tmp_path.iterdir())


def test_another_error_is_passed_on(tmp_path):
    with pytest.raises(PermissionError), write_beside(tmp_path / "it"):
        raise PermissionError(errno.EACCES, "no")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_device_without_space_counts_as_a_full_disk(tmp_path):
    def fill() -> None:
        with write_beside(tmp_path / "it"), open("/dev/full", "w") as full:
            full.write("x")

    with pytest.raises(CnnlabError, match="the disk is full"):
        fill()


def test_a_killed_writer_leaves_the_old_file_and_what_it_wrote_is_removed(tmp_path):
    path = tmp_path / "it.json"
    write_json(path, {"is": "old"})
    code = (
        "import os, sys; from cnnlab.files import write_beside\n"
        "with write_beside(sys.argv[1]) as beside:\n"
        "    beside.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert json.loads(path.read_text()) == {"is": "old"}
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_contents_reach_the_disk_before_the_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda handle: (events.append("contents"), fsync(handle)))
    monkeypatch.setattr(files.os, "replace", lambda *paths: (events.append("name"), replace(*paths)))
    write_json(tmp_path / "it.json", 1)
    assert events == ["contents", "name"]


def test_json_without_numbers_that_json_lacks(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "it.json", float("nan"))
    assert not list(tmp_path.iterdir())


# Seeds


def seeded(folder, seed, accuracy, **settings):
    """A complete run of a seed, in so far as a comparison reads it."""
    folder.mkdir()
    record = {
        "dataset": {"name": "toy", "digest": "d"},
        "architecture": "mnist-cnn",
        "epochs": 1,
        "seed": seed,
        "settings": {"epochs": 1, "seed": seed, **settings},
        "metrics": {"val_loss": 1.0, "val_accuracy": accuracy},
    }
    write_json(folder / "run.json", record)
    write_history(folder / "history.csv", [dict.fromkeys(COLUMNS, 1)])
    return Run(folder)


def test_runs_that_differ_in_the_seed_alone_have_a_spread(tmp_path):
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


def test_a_run_given_twice_and_a_seed_alone_have_no_spread(tmp_path):
    run = seeded(tmp_path / "it", 0, 0.5)
    assert compare_runs([run, run]).spreads == ()
    assert Spread.of("it", [run]).metrics["val_loss"]["standard_deviation"] is None
