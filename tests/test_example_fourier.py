"""The example distribution, installed beside a built wheel of cnnlab, as somebody else's package would be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "cnnlab-fourier"
IGNORED = shutil.ignore_patterns("__pycache__", ".*")


@pytest.fixture
def run_folder(trained_run, tmp_path) -> Path:
    """The small run, in a folder that may be written to."""
    return shutil.copytree(trained_run.path, tmp_path / "runs" / "small")


# The command writes the report in the tests below.
BOTH = """
import sys, cnnlab
from cnnlab import cli
try:
    cli.main()
except SystemExit as stop:
    assert not stop.code
report = cnnlab.report(sys.argv[sys.argv.index("--model") + 1], profile="audit", limit=20)
report.save("report.json", format="json"), report.save("report.html")
"""


def test_it_installs_tests_and_runs_beside_the_wheel(environment, tmp_path, run_folder, monkeypatch):
    folder = tmp_path / "cnnlab-fourier"
    shutil.copytree(EXAMPLE, folder, ignore=IGNORED)
    environment.install(folder)
    rows = {row["name"]: row for row in json.loads(environment.cnnlab("plugins", "list", "--json"))}
    assert rows["fourier"]["state"] == "active"
    assert rows["fourier"]["distribution"] == "cnnlab-fourier"
    assert rows["fourier"]["provides"] == ["analysis fourier", "section spectrum"]
    assert not rows["fourier"]["built_in"]
    assert rows["occlusion"]["built_in"]

    # The contracts, which are taken from the package too, are held in the same environment.
    shown = {
        f"{each['kind']} {each['name']}"
        for each in json.loads(environment.cnnlab("plugins", "show", "cnnlab-fourier", "--json"))
    }
    lines = environment.cnnlab("plugins", "check", "cnnlab-fourier").splitlines()
    assert {line.partition(",")[0] for line in lines if not line.startswith(" ")} == shown
    assert len([line for line in lines if line.startswith("  kept")]) > 20
    assert not [line for line in lines if line.startswith("  broken")]
    assert " passed" in environment.run("-m", "pytest", "-q", "-k", "not TestAnalysis and not TestSection", cwd=folder)

    monkeypatch.setenv("CNNLAB_PLUGINS", "mnist,fourier")  # its own section alone
    (tmp_path / "both.py").write_text(BOTH)
    words = ["analyze", "fourier", "--model", run_folder, "--dataset", "mnist", "--limit", "20", "--out", "out"]
    environment.run("both.py", *words)
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["plugin"] == {"distribution": "cnnlab-fourier", "version": "0.1.0"}
    assert record["arrays"]["error_rate"]["shape"] == [28, 28]
    metrics = record["metrics"]
    assert 0 <= metrics["clean_error"] <= metrics["worst_error"] <= 1
    assert 0 < metrics["mean_error"] <= metrics["worst_error"]

    sections = json.loads((tmp_path / "report.json").read_text())["sections"]
    names = [each["name"] for each in sections]
    assert names[names.index("robustness") + 1] == "spectrum"
    section = sections[names.index("spectrum")]
    assert section["left_out"] is None
    assert [each["of"] for each in section["metrics"]] == [20] * 4
    low, high = section["metrics"][1]["interval"]
    assert 0 <= low < section["metrics"][1]["value"] < high <= 1
    assert all(each["says"] and each["rule"] for each in section["conclusions"])
    (figure,) = section["figures"]
    assert figure["command"].startswith("cnnlab analyze fourier --model ")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert section["title"] in page
    assert section["conclusions"][0]["says"] in page


@pytest.fixture
def changed(install_plugin, tmp_path) -> Callable[..., dict[str, str]]:
    """Install the example with one of its files changed: ``changed("report.py", old, new)`` gives the environment."""

    def install(file: str, old: str, new: str) -> dict[str, str]:
        env = install_plugin("cnnlab-fourier", "", version="0.1.0")
        (site,) = (path.parent for path in tmp_path.rglob("cnnlab_fourier.py"))
        (site / "cnnlab_fourier.py").unlink()
        shutil.copytree(EXAMPLE / "cnnlab_fourier", site / "cnnlab_fourier", ignore=IGNORED)
        source = (site / "cnnlab_fourier" / file).read_text(encoding="utf-8")
        assert old in source
        (site / "cnnlab_fourier" / file).write_text(source.replace(old, new), encoding="utf-8")
        return env | {"CNNLAB_PLUGINS": "report,mnist,fourier"}

    return install


def test_a_section_that_fails_is_named_and_the_others_go_on(changed, cnnlab_command, run_folder, tmp_path):
    env = changed("report.py", "    images = subject.first(", "    images = 1 // 0 * subject.first(")
    words = ("report", run_folder, "--profile", "audit", "--limit", "20", "--out", "report.json")
    done = cnnlab_command(*words, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    failed = "the section 'spectrum' of cnnlab-fourier 0.1.0 failed: ZeroDivisionError"
    assert failed in done.stderr
    assert "Traceback" not in done.stderr
    sections = {each["name"]: each for each in json.loads((tmp_path / "report.json").read_text())["sections"]}
    assert failed in sections["spectrum"]["left_out"]
    assert "conclusions" not in sections["spectrum"]
    for name in ("model", "health", "accuracy", "calibration"):
        assert sections[name]["left_out"] is None
        assert sections[name]["conclusions"] or sections[name]["tables"]


def test_a_section_that_is_misdeclared_breaks_its_plugin_alone(changed, cnnlab_command, run_folder, tmp_path):
    env = changed("__init__.py", 'profiles=("audit",)', 'profiles=("audits",)')
    rows = {row["name"]: row for row in json.loads(cnnlab_command("plugins", "list", "--json", env=env).stdout)}
    assert rows["fourier"]["state"] == "broken"
    assert rows["fourier"]["error"] == (
        "plugin 'fourier' (cnnlab-fourier 0.1.0) could not be loaded: `profiles` of its section 'spectrum' holds "
        "'audits'. Did you mean 'audit'?"
    )
    words = ("report", run_folder, "--profile", "audit", "--limit", "20", "--out", "report.json")
    done = cnnlab_command(*words, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    sections = {each["name"]: each for each in json.loads((tmp_path / "report.json").read_text())["sections"]}
    assert "spectrum" not in sections
    assert sections["accuracy"]["left_out"] is None
