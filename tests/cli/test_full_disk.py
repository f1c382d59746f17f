"""A disk that is full, at any point: one sentence, nothing half-written, and what was there is there."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SEVEN = Path(__file__).resolve().parents[2] / "examples" / "7.png"


@pytest.fixture
def small(tmp_path):
    """A file system of its own: ``small(kilobytes) -> its folder``, where root may mount one."""
    place = tmp_path / "small disk"
    place.mkdir()

    def mount(kilobytes: int) -> Path:
        words = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
        if subprocess.run(words, capture_output=True).returncode != 0:
            pytest.skip("nothing can be mounted here")
        (place / "old").write_text("old")
        return place

    yield mount
    subprocess.run(["umount", str(place)], capture_output=True)


def fill(place: Path) -> None:
    with contextlib.suppress(OSError), open(place / "filled", "wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def refused(command_line, place: Path, words: list[object]) -> None:
    before = contents(place)
    status, out, err = command_line(*words)
    assert (status, out) == (1, ""), err
    said = err.splitlines()[-1]
    assert said.startswith("Error: the disk is full: ")
    assert said.endswith(" could not be written, and nothing of it was kept. Free some space and try again.")
    assert ".partial" not in said
    assert contents(place) == before


@pytest.mark.parametrize("kilobytes", [0, 8, 16], ids="{} kB".format)
@pytest.mark.parametrize("command", ["new", "export"])
def test_light_commands_on_a_full_disk(command_line, small, kilobytes, command):
    place = small(kilobytes or 4)
    if not kilobytes or command == "export":  # whose file needs but one page
        fill(place)
    words = {
        "new": ["plugins", "new", "it", "--out", place / "deep"],
        "export": ["datasets", "export", "mnist", place / "deep" / "it.png", "--index", "test:0"],
    }
    refused(command_line, place, words[command])


@pytest.mark.full
@pytest.mark.parametrize("kilobytes", [0, 8, 16], ids="{} kB".format)
@pytest.mark.parametrize("command", ["analyze", "evaluate", "compare", "page", "markdown"])
def test_heavy_commands_on_a_full_disk(command_line, small, trained_run, tmp_path, kilobytes, command):
    place = small(kilobytes or 4)
    if not kilobytes:
        fill(place)
    model = shutil.copytree(trained_run.path, tmp_path / "run")  # in which a report keeps its analyses
    words = {
        "analyze": ["analyze", "fgsm-untargeted", "--model", model, "--image", SEVEN, "--label", "7"],
        "evaluate": ["evaluate", "--model", model, "--limit", "500"],
        "compare": ["compare", model, model],
        "page": ["report", model, "--profile", "quick", "--limit", "500"],
        "markdown": ["report", model, "--profile", "quick", "--limit", "500", "--format", "md"],
    }
    refused(command_line, place, [*words[command], "--out", place / ("it.png" if command == "compare" else "it")])


@pytest.mark.full
@pytest.mark.parametrize("kilobytes", [0, 100, 3000, 9600, 13000, 16000], ids="{} kB".format)
def test_training_on_a_full_disk_goes_on_elsewhere_with_what_is_done(command_line, small, tmp_path, kilobytes):
    place = small(kilobytes or 4)
    if not kilobytes:
        fill(place)
    status, _, err = command_line("train", "--epochs", "1", "--limit", "500", "--out", place / "it")
    assert status == 1
    assert err.splitlines()[-1].startswith("Error: the disk is full: ")
    assert not [path for path in place.rglob("*") if path.name.startswith(".partial")]
    assert (place / "old").read_text() == "old"
    if (place / "it").exists():
        assert kilobytes > 4000
        shutil.move(place / "it", tmp_path / "moved")
        assert command_line("train", "--out", tmp_path / "moved", "--resume")[0] == 0


LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
os.execv(sys.executable, [sys.executable, "-m", "cnnlab", "plugins", "new", "it"])
"""


def test_a_limit_on_the_size_of_files_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # what measures this process writes files too
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # of a module, Python 3.11 keeps half, which others then load
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "Error: cnnlab-it cannot be written: File too large.\n"
    assert list(tmp_path.iterdir()) == []
