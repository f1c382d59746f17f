"""Commands at once in one folder: no two take one place, and what they leave is of one of them, whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnnlab.results.result import Result
from cnnlab.runs import list_runs

SEVEN = Path(__file__).resolve().parents[2] / "examples" / "7.png"


def at_once(cwd: Path, *commands: list[object]) -> list[tuple[int, str]]:
    """Run commands side by side; the status of each, and what it said on stderr."""
    env = os.environ | {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "cnnlab", *map(str, words)],
            cwd=cwd,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in commands
    ]
    said = [process.communicate(timeout=900)[1] for process in started]
    return [(process.returncode, words) for process, words in zip(started, said, strict=True)]


def test_one_of_several_makes_a_package_and_the_others_leave_it(tmp_path):
    found = at_once(tmp_path, *(["plugins", "new", "it", "--kind", kind] for kind in ("analysis", "dataset") * 2))
    assert sorted(status for status, _ in found) == [0, 1, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["cnnlab-it"]
    assert len(list((tmp_path / "cnnlab-it").glob("cnnlab_it/*.py"))) >= 2
    for status, err in found:
        assert (err == "") == (status == 0)
        assert status == 0 or re.fullmatch(r"Error: .*cnnlab-it .*\n", err)


CLAIMING = """
import sys, time
from cnnlab.runs import new_folder
time.sleep(max(0, float(sys.argv[1]) - time.time()))
for _ in range(20):
    with new_folder("it") as claimed:
        print(claimed)
"""


def test_processes_that_claim_in_the_same_second_each_have_a_folder(tmp_path):
    start = str(time.time() + 1)
    processes = [
        subprocess.Popen([sys.executable, "-c", CLAIMING, start], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    claimed = [name for process in processes for name in process.communicate(timeout=60)[0].split()]
    assert len(claimed) == len(set(claimed)) == 80
    assert {f"runs/{path.name}" for path in (tmp_path / "runs").iterdir()} == set(claimed)


def assert_whole(folder: Path) -> None:
    """Hold a result's folder against its record."""
    record = json.loads((folder / "result.json").read_text())
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "result.json"
    }
    assert files == record["files"]
    assert Result.load(folder).arrays["heatmap"].shape[-1] == record["arrays"]["heatmap"]["shape"][-1]


@pytest.mark.full
def test_eight_trainings_at_once_each_have_a_run(tmp_path):
    commands = [["train", "--epochs", "1", "--limit", "300", "--seed", seed] for seed in range(8)]
    assert [status for status, _ in at_once(tmp_path, *commands)] == 8 * [0]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    runs = list_runs(tmp_path / "runs")
    assert sorted(run.config["seed"] for run in runs) == list(range(8))
    assert all(run.state == "complete" and len(run.history) == 1 for run in runs)
    assert len(list((tmp_path / "runs").iterdir())) == 8


@pytest.mark.full
def test_eight_trainings_of_one_folder_leave_one_run_of_one_of_them(tmp_path):
    found = at_once(
        tmp_path, *(["train", "--epochs", "1", "--limit", "300", "--seed", seed, "--out", "it"] for seed in range(8))
    )
    assert sorted(status for status, _ in found) == [0] + 7 * [1]
    for status, err in found:
        assert status == 0 or re.search(r"^Error: it (already holds|is being trained)", err, re.MULTILINE), err
    (run,) = list_runs(tmp_path)
    assert run.state == "complete"
    assert found[run.config["seed"]][0] == 0


@pytest.mark.full
def test_eight_analyses_at_once_in_one_folder_or_beside_each_other(tmp_path, trained_run):
    shutil.copytree(trained_run.path, tmp_path / "runs" / "small")
    words = ["analyze", "occlusion", "--image", SEVEN, "--patch"]
    found = at_once(tmp_path, *([*words, patch, "--out", "same"] for patch in range(4, 12)))
    assert [status for status, _ in found] == 8 * [0], found
    assert_whole(tmp_path / "same")
    found = at_once(tmp_path, *([*words, patch] for patch in range(4, 12)))
    assert [status for status, _ in found] == 8 * [0], found
    folders = list((tmp_path / "runs" / "small" / "analyses").iterdir())
    for folder in folders:
        assert_whole(folder)
    patches = sorted(json.loads((folder / "result.json").read_text())["params"]["patch"] for folder in folders)
    assert patches == list(range(4, 12))


@pytest.mark.full
def test_eight_reports_at_once_into_one_run(tmp_path, trained_run):
    run = shutil.copytree(trained_run.path, tmp_path / "runs" / "small")
    words = ["report", run, "--profile", "quick", "--limit", "500", "--format"]
    found = at_once(tmp_path, *([*words, format] for format in ("html", "md") * 4))
    assert [status for status, _ in found] == 8 * [0], found
    assert (run / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    pictures = set(re.findall(r"\(<report-images/([^>]*)>\)", (run / "report.md").read_text(encoding="utf-8")))
    assert {path.name for path in (run / "report-images").iterdir()} == pictures
    assert pictures
    assert not list(tmp_path.rglob(".partial-*"))
