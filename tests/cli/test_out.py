"""``--out`` of every command: what cannot be written to, and what is not cnnlab's, is refused before anything heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = {"tensorflow", "keras", "matplotlib", "h5py"}

MANY = """
import contextlib, io, json, sys
from cnnlab import cli

found = []
for words in json.loads(sys.stdin.read()):
    sys.argv = ["cnnlab", *words]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as stop:
            found.append([stop.code, out.getvalue(), err.getvalue()])
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([found, loaded]))
"""


def run_many(commands: list[list[str]], cwd: Path) -> tuple[list[tuple[int, str, str]], set[str]]:
    """Run commands in one process: the status, stdout and stderr of each, and what was imported."""
    asked = json.dumps([list(map(str, words)) for words in commands])
    done = subprocess.run(
        [sys.executable, "-c", MANY], input=asked, capture_output=True, text=True, cwd=cwd, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found, loaded = json.loads(done.stdout)
    return [(status, out, err) for status, out, err in found], set(loaded)


# How each command is told where to write. There are no models, images and runs of these names: nothing gets so far.
FOLDERS: dict[str, Callable[[Path], list[str]]] = {
    "analyze": lambda place: ["analyze", "occlusion", "--model", "m", "--image", "i.png", "--out", place],
    "several": lambda place: ["analyze", "occlusion,filters", "--model", "m", "--image", "i.png", "--out", place],
    "evaluate": lambda place: ["evaluate", "--model", "m", "--out", place],
    "train": lambda place: ["train", "--out", place],
    "begin": lambda place: ["train", "--out", place, "--resume"],
    "new": lambda place: ["plugins", "new", place.name.removeprefix("cnnlab-"), "--out", place.parent],
}
FILES: dict[str, Callable[[Path], list[str]]] = {
    "page": lambda place: ["report", "m", "--out", place],
    "markdown": lambda place: ["report", "m", "--out", place, "--format", "md"],
    "compare": lambda place: ["compare", "a", "b", "--out", place],
    "export": lambda place: ["datasets", "export", "mnist", place, "--index", "test:0"],
}
COMMANDS = FOLDERS | FILES


def made(make: Callable[[Path], object], place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    (place.parent / "mine").mkdir()
    (place.parent / "mine" / "thesis.txt").write_text("mine")
    make(place)


LINKED: dict[str, Callable[[Path], object]] = {
    "a link to a folder": lambda place: place.symlink_to(place.parent / "mine"),
    "a link to a file": lambda place: place.symlink_to(place.parent / "mine" / "thesis.txt"),
    "a dangling link": lambda place: place.symlink_to("nowhere"),
    "a pipe": os.mkfifo,
}


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): "" if path.is_dir() or path.is_fifo() or not path.exists() else path.read_text()
        for path in sorted(folder.rglob("*"))
    }


def refused(cases: dict[str, list[str]], folder: Path) -> dict[str, str]:
    """Run what is to be refused; what each said, by its name."""
    before = contents(folder)
    found, loaded = run_many(list(cases.values()), folder)
    assert contents(folder) == before
    assert not loaded & HEAVY
    said = {}
    for name, (status, out, err) in zip(cases, found, strict=True):
        assert (status, out) == (1, ""), f"{name}: {err}"
        assert err.startswith("Error: "), name
        assert len(err.splitlines()) == 1, err
        assert "unexpected" not in err, err
        said[name] = err
    return said


def test_what_is_no_place_to_write_to_is_refused_whatever_is_forced(tmp_path):
    cases = {}
    for command, words in COMMANDS.items():
        other = "is a file" if command in FOLDERS else "is a folder"
        kinds = LINKED | {other: Path.touch if command in FOLDERS else Path.mkdir}
        for kind, make in kinds.items():
            place = tmp_path / f"{command}, {kind}" / "cnnlab-it"
            made(make, place)
            cases[f"{command}, {kind}"] = [*words(place), "--force"]
    for name, said in refused(cases, tmp_path).items():
        kind = name.partition(", ")[2]
        assert ("is a symbolic link" if "link" in kind else kind.replace("a pipe", "is a pipe")) in said, said


def test_where_nothing_can_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    places = {"below a file": tmp_path / "file" / "cnnlab-it", "read-only": Path("/proc/cnnlab-it")}
    long = {"too long": tmp_path / ("é" * 200)}
    cases = {
        f"{command}, {kind}": words(place)
        for command, words in COMMANDS.items()
        for kind, place in (places | (long if command != "new" else {})).items()
    }
    expected = {"below a file": "file is no folder", "read-only": "/proc/cnnlab-it", "too long": "File name too long"}
    for name, said in refused(cases, tmp_path).items():
        assert expected[name.partition(", ")[2]] in said


def test_what_somebody_else_wrote_is_left_alone(tmp_path):
    cases = {}
    for command, words in COMMANDS.items():
        place = tmp_path / command / "cnnlab-it"
        (place if command in FOLDERS else place.parent).mkdir(parents=True)
        if command == "several":
            (place / "filters").mkdir()
            (place / "filters" / "thesis.txt").write_text("mine")
        elif command in FOLDERS:
            (place / "thesis.txt").write_text("mine")
        else:
            place.write_text("mine")
        cases[command] = words(place)
    said = refused(cases, tmp_path)
    assert all("--force" in sentence for name, sentence in said.items() if name != "begin")


def test_results_that_go_beside_a_model_are_refused_early_too(tmp_path):
    (tmp_path / "results").write_text("mine")
    said = refused({"analyze": FOLDERS["analyze"](tmp_path)[:-2], "report": FILES["page"](tmp_path)[:-2]}, tmp_path)
    assert "results is a file, where a folder was expected" in said["analyze"]
    assert "results is no folder" in said["report"]


def test_by_force_a_file_is_replaced_and_files_of_a_package(tmp_path):
    package = tmp_path / "cnnlab-it"
    package.mkdir()
    for name in ("README.md", "thesis.txt"):
        (package / name).write_text("mine")
    (tmp_path / "it.png").write_text("mine")
    words = [[*COMMANDS[name](place), "--force"] for name, place in (("new", package), ("export", tmp_path / "it.png"))]
    found, _ = run_many(words, tmp_path)
    assert [status for status, _, _ in found] == [0, 0], found
    assert (package / "README.md").read_text() != "mine"
    assert (package / "thesis.txt").read_text() == "mine"
    assert (package / "cnnlab_it" / "__init__.py").exists()
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"cnnlab-it", "it.png"}


NAMES = ["with spaces", "naïve 文件", "n" * 200, '\'; quoted "$HOME"']


@pytest.mark.parametrize("name", NAMES, ids=len)
def test_any_name_will_do(tmp_path, name):
    folder = tmp_path / name
    found, _ = run_many(
        [
            ["plugins", "new", "it", "--out", folder],
            ["datasets", "export", "mnist", folder / f"{name}.png", "--index", "test:0"],
        ],
        tmp_path,
    )
    assert [status for status, _, _ in found] == [0, 0], found
    assert {path.name for path in folder.iterdir()} == {"cnnlab-it", f"{name}.png"}
