"""SIGKILL at any moment: the whole result or none, and the next command of the same words gives the whole."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from cnnlab.pluginhost.scaffold import create
from cnnlab.results.result import Result

SEVEN = Path(__file__).resolve().parents[2] / "examples" / "7.png"

WORDS: dict[str, list[object]] = {
    "new": ["plugins", "new", "it"],
    "export": ["datasets", "export", "mnist", "it.png", "--index", "test:0"],
    "analyze": ["analyze", "occlusion", "--model", "run", "--image", SEVEN, "--out", "it"],
    "page": ["report", "run", "--profile", "quick", "--limit", "500", "--out", "it.html"],
    "markdown": ["report", "run", "--profile", "quick", "--limit", "500", "--out", "it.md"],
}


def package_is_whole(folder: Path) -> bool:
    if not (folder / "cnnlab-it").exists():
        return False
    with tempfile.TemporaryDirectory() as elsewhere:
        expected = create("it", parent=Path(elsewhere))
        return {file.name for file in expected.rglob("*")} == {file.name for file in (folder / "cnnlab-it").rglob("*")}


def picture_is_whole(folder: Path) -> bool:
    if not (folder / "it.png").exists():
        return False
    Image.open(folder / "it.png").load()
    return True


def result_is_whole(folder: Path) -> bool:
    if not (folder / "it" / "result.json").exists():
        return False
    files = json.loads((folder / "it" / "result.json").read_text())["files"]
    for name, digest in files.items():
        assert hashlib.sha256((folder / "it" / name).read_bytes()).hexdigest() == digest
    return bool(Result.load(folder / "it").arrays)


def page_is_whole(folder: Path) -> bool:
    if not (folder / "it.html").exists():
        return False
    assert (folder / "it.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    return True


def markdown_is_whole(folder: Path) -> bool:
    if not (folder / "it.md").exists():
        return False
    text = (folder / "it.md").read_text(encoding="utf-8")
    pictures = list((folder / "it-images").iterdir())
    assert pictures
    assert all(f"it-images/{picture.name}" in text for picture in pictures)
    return True


WHOLE: dict[str, Callable[[Path], bool]] = {
    "new": package_is_whole,
    "export": picture_is_whole,
    "analyze": result_is_whole,
    "page": page_is_whole,
    "markdown": markdown_is_whole,
}


def start(words: list[object], cwd: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cnnlab", *map(str, words)],
        cwd=cwd,
        env=os.environ | {"CNNLAB_PLUGINS": "mnist,report,occlusion"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def partial(folder: Path) -> list[Path]:
    """What lies half-written in a folder, but for the run."""
    found = [Path(path) / name for path, folders, files in os.walk(folder) for name in (*folders, *files)]
    return [path for path in found if "run" not in path.parts and ".partial-" in str(path)]


def is_writing(folder: Path) -> bool:
    """Whether a file is half-written; an empty folder is a trial whether something can be written."""
    return any(path.is_file() for path in partial(folder))


def kill_while_writing(words: list[object], folder: Path, delay: float) -> None:
    """Kill the command so long after it began to write."""
    process = start(words, folder)
    while process.poll() is None and not is_writing(folder):
        time.sleep(0.0002)  # which leaves the command the time to begin
    time.sleep(delay)
    process.kill()
    process.wait(timeout=60)


def assert_whole_or_nothing(command: str, folder: Path, delays: list[float]) -> None:
    for delay in delays:
        for path in folder.iterdir():
            if path.name.startswith("it") or path.name == "cnnlab-it":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        kill_while_writing(WORDS[command], folder, delay)
        if WHOLE[command](folder):
            continue
        assert start(WORDS[command], folder).wait(timeout=300) == 0
        assert WHOLE[command](folder)
        assert not partial(folder)


@pytest.mark.parametrize("command", ["new", "export"])
def test_light_commands_killed(tmp_path, command):
    assert_whole_or_nothing(command, tmp_path, [0.0, 0.001, 0.004])


@pytest.mark.full
@pytest.mark.parametrize("command", ["analyze", "page", "markdown"])
def test_heavy_commands_killed(tmp_path, trained_run, command):
    shutil.copytree(trained_run.path, tmp_path / "run")
    delays = random.Random(11)
    assert_whole_or_nothing(command, tmp_path, [0.0, *(delays.uniform(0, 2) for _ in range(5))])
