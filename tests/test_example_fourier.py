"""The example distribution, installed beside a built wheel of cnnlab, as somebody else's package would be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "cnnlab-fourier"


def test_it_installs_tests_and_runs_beside_the_wheel(environment, tmp_path, trained_run):
    folder = tmp_path / "cnnlab-fourier"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    environment.install(folder)
    rows = {row["name"]: row for row in json.loads(environment.cnnlab("plugins", "list", "--json"))}
    assert rows["fourier"]["state"] == "active"
    assert rows["fourier"]["distribution"] == "cnnlab-fourier"
    assert not rows["fourier"]["built_in"]
    assert rows["occlusion"]["built_in"]

    assert " passed" in environment.run("-m", "pytest", "-q", cwd=folder)

    words = ["analyze", "fourier", "--model", trained_run.path, "--dataset", "mnist", "--limit", "20", "--out", "out"]
    environment.cnnlab(*words)
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["plugin"] == {"distribution": "cnnlab-fourier", "version": "0.1.0"}
    assert record["arrays"]["error_rate"]["shape"] == [28, 28]
    metrics = record["metrics"]
    assert 0 <= metrics["clean_error"] <= metrics["worst_error"] <= 1
    assert 0 < metrics["mean_error"] <= metrics["worst_error"]
