"""``--out`` of every command: what cannot be written to, and what is not cnnlab's, is refused before anything heavy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SEVEN = Path(__file__).resolve().parents[2] / "examples" / "7.png"
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


ANALYSE = ("--image", SEVEN, "--label", "7", "--out")
FORCED: dict[str, Callable[[Path, Path], list[str | Path]]] = {
    "analyze": lambda run, place: ["analyze", "occlusion", "--model", run, *ANALYSE, place],
    "several": lambda run, place: ["analyze", "occlusion,fgsm-untargeted", "--model", run, *ANALYSE, place],
    "evaluate": lambda run, place: ["evaluate", "--model", run, "--limit", "100", "--out", place],
    "train": lambda run, place: ["train", "--dataset", place.with_name("few.npz"), "--epochs", "1", "--out", place],
}


@pytest.mark.parametrize("command", FORCED)
def test_by_force_a_folder_is_written_into_and_what_is_not_replaced_stays(command_line, trained_run, tmp_path, command):
    images, labels = np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "few.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    place = tmp_path / "it"
    result = place / "occlusion" if command == "several" else place
    result.mkdir(parents=True)
    theirs, record = ("history.csv", "run.json") if command == "train" else ("result.json", "result.json")
    for name in ("thesis.txt", theirs):
        (result / name).write_text("mine")
    words = FORCED[command](trained_run.path, place)
    assert command_line(*words)[0] == 1
    assert {path.name: path.read_text() for path in result.iterdir()} == {"thesis.txt": "mine", theirs: "mine"}
    assert command_line(*words, "--force")[0] == 0
    assert (result / "thesis.txt").read_text() == "mine"
    assert command_line("verify", result)[0] == 0
    assert json.loads((result / record).read_text())["files"]


def test_by_force_a_comparison_replaces_a_file(command_line, trained_run, tmp_path):
    (tmp_path / "it.png").write_text("mine")
    words = ["compare", trained_run.path, trained_run.path, "--out", tmp_path / "it.png"]
    assert command_line(*words)[0] == 1
    assert (tmp_path / "it.png").read_text() == "mine"
    assert command_line(*words, "--force")[0] == 0
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")


NAMES = ["with spaces", "naïve 文件", "n" * 200, '\'; quoted "$HOME"']


def test_any_name_will_do(tmp_path):
    folders = {name: tmp_path / name for name in NAMES}
    export = ["datasets", "export", "mnist", "--index", "test:0"]
    words = [["plugins", "new", "it", "--out", folder] for folder in folders.values()]
    found, _ = run_many([*words, *([*export, folder / f"{name}.png"] for name, folder in folders.items())], tmp_path)
    assert {status for status, _, _ in found} == {0}, found
    for name, folder in folders.items():
        assert {path.name for path in folder.iterdir()} == {"cnnlab-it", f"{name}.png"}


OUTS = {
    "analyze": ["analyze", "filters", "--out"],
    "several": ["analyze", "filters,occlusion", "--out"],
    "evaluate": ["evaluate", "--out"],
    "train": ["train", "--out"],
    "begin": ["train", "--resume", "--out"],
    "seeds": ["train", "--seeds", "0,1", "--out"],
    "new": ["plugins", "new", "it", "--out"],
    "report": ["report", "m", "--out"],
    "compare": ["compare", "a", "b", "--out"],
    "export": ["datasets", "export", "mnist", "--index", "test:0"],
}


def wrong(commands: list[list[str]], folder: Path) -> list[str]:
    """Run what is wrong by its words; the last line of what each said."""
    found, loaded = run_many(commands, folder)
    assert not loaded & HEAVY
    assert [(status, out) for status, out, _ in found] == [(2, "")] * len(commands), found
    assert list(folder.iterdir()) == []
    return [err.splitlines()[-1] for _, _, err in found]


def test_an_empty_place_is_not_the_current_folder(tmp_path):
    for said in wrong([[*words, ""] for words in OUTS.values()], tmp_path):
        assert said.startswith("Error: Invalid value for"), said
        assert said.endswith(": expected a path; received an empty one."), said


def test_a_figure_that_cannot_be_written_as_its_name_says_is_refused_early(tmp_path):
    names = ["c", "c.txt", "c.html", "c.csv", "c.json", "c.jpg", "c.raw", "c.pgf", "c.ps"]
    for name, said in zip(names, wrong([[*OUTS["compare"], name] for name in names], tmp_path), strict=True):
        assert said.startswith(f"Error: {name} does not say "), said
        assert said.endswith("expected a name that ends in .png, .svg or .pdf."), said


def test_that_the_current_folder_is_gone_is_said(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    named = [words(Path("cnnlab-it")) for words in COMMANDS.values()]
    unnamed = [words[:2] for words in named if words[0] == "report"]
    for words in (*named, *unnamed, ["train"], ["compare", "a", "b"], ["analyze", "filters", "--model", "m"]):
        status, out, err = command_line(*words)
        assert (status, out) == (1, ""), (words, err)
        assert err == "Error: the current folder is gone: it was deleted. Go to another one and try again.\n", words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkfifo, lambda place: place.symlink_to("/dev/zero")], ids=["pipe", "endless"])
def test_what_is_no_file_in_a_folder_is_not_waited_for(tmp_path, make):
    cases = {}
    for command in ("analyze", "evaluate"):
        for force in ([], ["--force"]):
            place = tmp_path / f"{command}{len(force)}"
            place.mkdir()
            make(place / "result.json")
            cases[place.name] = [*COMMANDS[command](place), *force]
    found, loaded = run_many(list(cases.values()), tmp_path)
    assert not loaded & HEAVY
    for (status, _, err), name in zip(found, cases, strict=True):
        assert status == 1
        assert err.startswith(f"Error: {tmp_path / name / 'result.json'} is no plain file"), err


def test_nothing_of_a_run_or_a_result_is_replaced_even_by_force(command_line, trained_run, tmp_path):
    run, result = tmp_path / "run", tmp_path / "result"
    shutil.copytree(trained_run.path, run)
    model = ["--model", run]
    assert command_line("analyze", "filters", *model, "--out", result)[0] == 0
    figure = next(result.glob("figure*.png"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    cases = {
        "run holds a run, ": [
            ["analyze", "filters", *model, "--out", run],
            ["evaluate", *model, "--limit", "10", "--out", run],
        ],
        "model is a SavedModel, ": [
            ["analyze", "filters", *model, "--out", run / "model" / "variables"],
            ["analyze", "filters,occlusion", *model, "--image", SEVEN, "--out", run / "model"],
            ["train", "--out", run / "model" / "it"],
            ["report", run, "--out", run / "model" / "report.html"],
            ["compare", run, run, "--out", run / "model" / "compare.png"],
        ],
        "result holds a result, ": [["train", "--out", result], ["train", "--out", result, "--resume"]],
        "is a file of the ": [
            ["report", run, "--out", result / "result.json"],
            ["report", run, "--out", run / "run.json"],
            ["report", run, "--out", run / "drawings.json"],
            ["compare", run, run, "--out", run / "curves.png"],
            ["compare", run, run, "--out", figure],
            ["datasets", "export", "mnist", figure, "--index", "test:0"],
        ],
    }
    for said, commands in cases.items():
        for words in commands:
            status, out, err = command_line(*words, "--force")
            assert (status, out) == (1, ""), words
            assert err.startswith("Error: "), err
            assert said in err, err
            assert "Name a new f" in err, err
            assert len(err.splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
