"""The wheel holds the host, every built-in plugin and MNIST, and works from an empty environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_wheel_holds_host_plugins_data_and_licences(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"cnnlab/cli/__init__.py", "cnnlab/py.typed", "cnnlab/render/html/templates/pointer.js"} <= names
    for plugin in PROJECT["project"]["entry-points"]["cnnlab"].values():
        assert f"{plugin.replace('.', '/')}/__init__.py" in names
    assert "cnnlab/reports/templates/report.html.j2" in names
    assert any(name.startswith("cnnlab_mnist/") and not name.endswith(".py") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("LICENSE-MNIST") for name in names)
    code = [name for name in names if not name.startswith("cnnlab/pluginhost/templates/")]
    assert not [name for name in code if "/tests/" in name or name.startswith(("tests/", "docs/", "plugins/"))]


def test_an_empty_environment_with_the_wheel_lists_plugins_and_datasets(wheel, tmp_path):
    """What the listings need is installed; TensorFlow, which they never import, stays out to keep this quick."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=120)
    pip = [sys.executable, "-m", "pip", "--python", tmp_path / "venv", "install", "--quiet"]
    pip += ["--constraint", ROOT / "requirements.lock"]
    subprocess.run([*pip, "--no-deps", wheel], check=True, timeout=300)
    needed = ["click", "rich", "pluggy", "annotated-types", "numpy"]
    subprocess.run([*pip, *needed], check=True, timeout=300)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = tmp_path / "venv" / "bin" / "cnnlab"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> str:
        done = subprocess.run(
            [command, *words], cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    plugins = {row["name"]: row["state"] for row in json.loads(run("plugins", "list", "--json"))}
    assert plugins == dict.fromkeys(PROJECT["project"]["entry-points"]["cnnlab"], "active")
    assert "mnist" in run("plugins", "list")
    assert "60,000" in run("datasets")
    assert "Creative Commons" in run("datasets") or "CC" in run("datasets")


TYPED = """
import cnnlab
reveal_type(cnnlab.analyze("occlusion", "model"))
reveal_type(cnnlab.datasets.load("mnist").test[:3])
cnnlab.evaluate("model", limit="many")
"""


def test_types_are_seen_where_the_wheel_is_installed(environment, tmp_path):
    (tmp_path / "use.py").write_text(TYPED)
    words = ["--strict", "--config-file=", "--python-executable", environment.python, "use.py"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, words)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert 'Revealed type is "cnnlab.results.result.Result"' in done.stdout, done.stdout
    assert 'Revealed type is "cnnlab.datasets.dataset.Split"' in done.stdout
    assert 'Argument "limit" to "evaluate" has incompatible type "str"' in done.stdout


@pytest.mark.full
def test_an_empty_environment_with_everything_trains_and_analyses(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, timeout=120)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "requirements.lock", wheel],
        check=True,
        timeout=1800,
    )
    command = tmp_path / "venv" / "bin" / "cnnlab"
    for words in (
        ["datasets"],
        ["datasets", "export", "mnist", "--index", "test:0", "7.png"],
        ["train", "--limit", "2000", "--epochs", "1", "--out", "runs/quick"],
        ["analyze", "occlusion", "--image", "7.png"],
    ):
        done = subprocess.run([command, *words], cwd=tmp_path, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("runs/quick/analyses/occlusion/figure*.png"))


def test_every_plugin_is_named_wherever_pyproject_must_name_it():
    modules = set(PROJECT["project"]["entry-points"]["cnnlab"].values()) - {"cnnlab.reports.sections"}  # the host's own
    tools = PROJECT["tool"]
    folders = {path.parent.name: path.name for path in ROOT.glob("plugins/*/cnnlab_*")}
    assert set(folders.values()) == modules
    assert {Path(path).name for path in tools["hatch"]["build"]["targets"]["wheel"]["packages"]} == modules | {"cnnlab"}
    assert {Path(path).name for path in tools["hatch"]["build"]["dev-mode-dirs"]} == set(folders) | {""}
    assert {Path(path).name for path in tools["mypy"]["mypy_path"].split(":")} == set(folders)
    assert set(tools["importlinter"]["root_packages"]) == modules | {"cnnlab"}
    contracts = {contract["name"]: contract for contract in tools["importlinter"]["contracts"]}
    assert set(contracts["The host names no plugin"]["forbidden_modules"]) == modules
    assert set(contracts["Plugins do not know each other"]["modules"]) == modules
    assert set(contracts["Plugins import the surface for authors alone"]["source_modules"]) == modules


def test_the_lock_holds_names_and_versions_alone():
    import re

    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
