"""Writing: whole or not at all, whatever fails or is killed, and nothing of anybody else's is touched."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab.errors import CnnlabError
from cnnlab.files import writing
from cnnlab.files.writing import (
    is_leftover,
    move_up,
    partial_name,
    remove_leftovers,
    write_beside,
    write_into,
    write_json,
    write_text,
)


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


def test_another_error_of_the_system_is_said(tmp_path):
    with pytest.raises(CnnlabError, match=r"it cannot be written: no way\."), write_beside(tmp_path / "a" / "it"):
        raise PermissionError(errno.EACCES, "no way")
    assert not list(tmp_path.iterdir())


def test_what_is_no_error_of_the_system_is_passed_on(tmp_path):
    with pytest.raises(ZeroDivisionError), write_beside(tmp_path / "it"):
        raise ZeroDivisionError


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
        "import os, sys; from cnnlab.files.writing import write_beside\n"
        "with write_beside(sys.argv[1]) as beside:\n"
        "    beside.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert json.loads(path.read_text()) == {"is": "old"}
    (half,) = (file for file in tmp_path.iterdir() if file != path)
    assert is_leftover(half)
    write_json(tmp_path / "another.json", 1)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["another.json", "it.json"]


def test_what_a_living_process_or_somebody_else_writes_is_left_alone(tmp_path):
    mine = [".partial-thesis", ".partial-cnnlab-thesis", partial_name().replace(str(os.getpid()), "4000000000000")]
    for name in mine:
        (tmp_path / name).write_text("mine")
    elsewhere = re.sub(r"cnnlab-[0-9a-f]{8}-\d+", "cnnlab-00000000-4000000", partial_name())
    for name in (partial_name(), elsewhere):
        (tmp_path / name).write_text("of another")
    before = sorted(tmp_path.iterdir())
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "a name.with spaces", "a." + "b" * 200], ids=len)
def test_any_name_that_the_disk_takes_can_be_written(tmp_path, name):
    write_text(tmp_path / name, "text")
    assert (tmp_path / name).read_text() == "text"


# Several files at once


def folder_of(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()}


def staged(target: Path, away=()) -> None:
    with write_into(target) as stage:
        (stage / "images").mkdir()
        for name in ("one", "images/two", "three"):
            (stage / name).write_text("new")
        move_up(stage, target, ["one", "images/two", "three"], away=away)


def test_staged_files_move_up_and_what_makes_way_goes(tmp_path):
    for name in ("one", "old", "mine"):
        (tmp_path / name).write_text("old")
    staged(tmp_path, away=["old"])
    assert folder_of(tmp_path) == {"one": "new", "images/two": "new", "three": "new", "mine": "old"}


@pytest.mark.parametrize("failing", range(5))
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
def test_where_moving_fails_everything_is_put_back(tmp_path, monkeypatch, failing, error):
    before = {"one": "old", "old": "old", "mine": "old"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    replace, count = os.replace, 0

    def fail(*paths):
        nonlocal count
        count += 1
        if count == failing + 1:
            raise error
        replace(*paths)

    monkeypatch.setattr(writing.os, "replace", fail)
    with pytest.raises((CnnlabError, KeyboardInterrupt)):
        staged(tmp_path, away=["old"])
    assert folder_of(tmp_path) == before
    assert count > failing


@pytest.mark.parametrize("name", ["one", "images"])
@pytest.mark.parametrize("what", ["link", "folder"])
def test_nothing_is_moved_onto_a_folder_or_through_a_link(tmp_path, name, what):
    if (name, what) == ("images", "folder"):
        name = "images/two"
    mine, target = tmp_path / "mine", tmp_path / "target"
    (mine / "deep").mkdir(parents=True)
    (mine / "deep" / "thesis").write_text("mine")
    (target / name).parent.mkdir(parents=True)
    if what == "link":
        (target / name).symlink_to(mine)
    else:
        mine.rename(target / name)
    before = folder_of(tmp_path)
    with pytest.raises(CnnlabError, match=f"{name} is no plain"):
        staged(target)
    assert folder_of(tmp_path) == before


def test_results_half_moved_leave_no_folder_behind(tmp_path, monkeypatch):
    replace = os.replace

    def fail(source, target):
        if target.name == "three":
            raise OSError(errno.ENOSPC, "No space left")
        replace(source, target)

    monkeypatch.setattr(writing.os, "replace", fail)
    with pytest.raises(CnnlabError):
        staged(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_made_in_the_meantime_is_not_replaced(tmp_path):
    def write(text: str) -> None:
        with write_beside(tmp_path / "it", replace=False) as beside:
            beside.mkdir()
            (beside / "file").write_text(text)

    write("first")
    with pytest.raises(CnnlabError, match="it cannot be written: Directory not empty"):
        write("second")
    assert folder_of(tmp_path) == {"it/file": "first"}


WAITING = """
import sys
from pathlib import Path
from cnnlab.files.writing import alone_in
with alone_in(Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


def test_one_at_a_time_is_alone_in_a_folder(tmp_path):
    words = [sys.executable, "-c", WAITING, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        handle = os.open(tmp_path, os.O_RDONLY)
        assert not writing.lock(handle)
        process.communicate("go")
        assert writing.lock(handle)
        os.close(handle)


def test_contents_reach_the_disk_before_the_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(writing.os, "fsync", lambda handle: (events.append("contents"), fsync(handle)))
    monkeypatch.setattr(writing.os, "replace", lambda *paths: (events.append("name"), replace(*paths)))
    write_json(tmp_path / "it.json", 1)
    assert events == ["contents", "name"]


def test_json_without_numbers_that_json_lacks(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "it.json", float("nan"))
    assert not list(tmp_path.iterdir())
