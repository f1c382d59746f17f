"""``cnnlab report``: what it prints and writes, what it keeps, what it refuses, and with which status."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cnnlab

ROOT = Path(__file__).resolve().parents[2]
CHEAP = {"CNNLAB_PLUGINS": "report,mnist,filters"}
QUICK = ("--profile", "quick", "--limit", "500")


@pytest.fixture
def run_folder(trained_run, tmp_path):
    """The small run, in a folder that may be written to, without what other tests asked of it."""
    others = shutil.ignore_patterns("analyses", "report*")
    return shutil.copytree(trained_run.path, tmp_path / "runs" / "small", ignore=others)


@pytest.fixture
def report(command_line, monkeypatch, plugins_anew, tmp_path):
    """Run the command in this process, in an empty folder, with few plugins: ``report(...) -> (status, out, err)``."""
    for name, value in CHEAP.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return lambda *words: command_line("report", *words)


def test_it_writes_into_the_run_and_says_what_follows(report, run_folder):
    status, out, err = report(run_folder, *QUICK)
    assert status == 0, err
    page = run_folder / "report.html"
    assert out.rstrip().endswith(str(page))
    assert page.stat().st_size > 100_000
    for words in ("Training", "✓ It learned: 9", "Architecture", "82.5 times as many as the convolutions"):
        assert words in out
    assert "left out: no plugin that is active provides the section 'occlusion'." in out
    assert "1/6  Training" in err  # time per section, while it is written
    kept = sorted((run_folder / "analyses" / "report").iterdir())
    assert [each.name.partition("-")[0] for each in kept] == ["evaluate"]
    before = [each.stat().st_mtime_ns for each in kept]
    status, _, err = report(run_folder, *QUICK, "--format", "json")
    assert status == 0, err
    assert [each.stat().st_mtime_ns for each in sorted((run_folder / "analyses" / "report").iterdir())] == before
    said = json.loads((run_folder / "report.json").read_text(encoding="utf-8"))
    assert {each["name"]: each["left_out"] is None for each in said["sections"]}["predictions"]
    assert said["dataset"]["digest"]
    assert said["versions"]["cnnlab"]


def test_what_is_no_report_is_not_replaced_and_nothing_is_run(report, run_folder, tmp_path):
    (tmp_path / "thesis.html").write_text("mine")
    status, _, err = report(run_folder, "--out", "thesis.html")
    assert status == 1
    assert err.strip() == (
        "Error: thesis.html is no report of cnnlab's in the format html, so it was not replaced. Name a new file, or "
        "replace it with --force."
    )
    assert (tmp_path / "thesis.html").read_text() == "mine"
    assert not (run_folder / "analyses" / "report").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("nowhere",), 1, "there is no model at nowhere"),
        (("--profile", "audits"), 2, "audits"),
        (("--limit", "0"), 2, "0"),
    ],
)
def test_bad_words_get_one_sentence(report, words, status, said):
    found, _, err = report(*words)
    assert found == status
    assert said in err
    assert "Traceback" not in err


def test_a_foreign_model_without_images_gets_what_applies(report, run_folder, tmp_path):
    shutil.copytree(run_folder / "model", tmp_path / "inherited")
    status, _, err = report("inherited", "--out", "audit.md")
    assert status == 0, err
    text = (tmp_path / "audit.md").read_text(encoding="utf-8")
    assert "# An audit of inherited" in text
    assert "Left out: it needs labelled images: name a dataset with --dataset." in text
    assert "## The model" in text
    assert (tmp_path / "audit-images").is_dir()
    assert not (tmp_path / "inherited" / "analyses").exists()


def test_an_interrupted_report_goes_on(report, run_folder, tmp_path):
    """Ctrl-C after the evaluation: nothing half-written, the evaluation is kept, and the next report has it."""
    words = [sys.executable, "-m", "cnnlab", "report", str(run_folder), *QUICK]
    process = subprocess.Popen(
        words, cwd=tmp_path, env={**os.environ, **CHEAP}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    kept = run_folder / "analyses" / "report"
    deadline = time.monotonic() + 120
    while not list(kept.glob("evaluate-*/result.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode == 0:  # it had come to its end before the signal
        pytest.skip("the report was written before it could be interrupted")
    assert process.returncode == 130, err
    assert err.rstrip().endswith("Interrupted. What was found is kept, and the same command goes on with it.")
    assert "Traceback" not in err
    assert not (run_folder / "report.html").exists()
    (evaluation,) = kept.glob("evaluate-*")
    before = evaluation.stat().st_mtime_ns
    assert report(run_folder, *QUICK)[0] == 0
    assert evaluation.stat().st_mtime_ns == before
    assert (run_folder / "report.html").exists()


def test_the_library_gives_what_the_command_writes(run_folder, monkeypatch, tmp_path):
    import cnnlab

    monkeypatch.chdir(tmp_path)
    found = cnnlab.report(run_folder, profile="quick", limit=500, progress=False)
    assert found.title == "small at a glance"
    accuracy = {metric.name: metric for each in found.sections if each.chapter for metric in each.chapter.metrics}
    assert accuracy["accuracy"].of == 500
    assert np.isclose(accuracy["accuracy"].value, cnnlab.evaluate(run_folder, limit=500).metrics["accuracy"])
    assert found.save("own.html") == [Path("own.html")]


def test_a_report_of_results_is_of_these_alone(report, run_folder):
    result = run_folder / "analyses" / "filters"
    cnnlab.analyze("filters", run_folder).save(result, format=None)
    status, out, err = report("--result", result)
    assert status == 0, err
    assert out.rstrip().endswith(str(run_folder / "report-of-results.html"))
    assert "1. filters of small" in out
    for words, said in (
        ((run_folder, "--result", result), "give --result or MODEL, not both"),
        (("--profile", "quick", "--result", result), "give --result or --profile, not both"),
        (("--result", run_folder), "holds no result"),
    ):
        status, _, err = report(*words)
        assert status in (1, 2)
        assert said in err
