"""The wheel holds the host, every built-in plugin and MNIST, and works from an empty environment; the sdist holds all.

`make release-check` installs both with all that they need, and uses them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.metadata import parse_email

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_wheel_holds_host_plugins_data_and_licences(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"cnnlab/cli/__init__.py", "cnnlab/py.typed", "cnnlab/render/html/templates/pointer.js"} <= names
    for plugin in PROJECT["project"]["entry-points"]["cnnlab"].values():
        module = plugin.replace(".", "/")
        assert {f"{module}/__init__.py", f"{module}.py"} & names
    assert "cnnlab/reports/templates/report.html.j2" in names
    assert any(name.startswith("cnnlab_mnist/") and not name.endswith(".py") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("LICENSE-MNIST") for name in names)
    code = [name for name in names if not name.startswith("cnnlab/pluginhost/templates/")]
    assert not [name for name in code if "/tests/" in name or name.startswith(("tests/", "docs/", "plugins/"))]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """The source distribution, built as it would be uploaded."""
    out = tmp_path_factory.mktemp("sdist")
    words = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    (found,) = out.glob("cnnlab-*.tar.gz")
    return found


LICENCES = {"LICENSE", "plugins/mnist/cnnlab_mnist/LICENSE-MNIST"}


def test_the_licences_of_code_and_data_travel_with_both(wheel, sdist):
    """Everything that others made has its licence beside it: MNIST, and neither fonts nor scripts."""
    version = wheel.name.split("-")[1]
    with zipfile.ZipFile(wheel) as packed:
        folder = f"cnnlab-{version}.dist-info"
        texts = {name: packed.read(f"{folder}/licenses/{name}") for name in LICENCES}
        described = [packed.read(f"{folder}/METADATA")]
        names = packed.namelist()
    with tarfile.open(sdist) as packed:
        described.append(packed.extractfile(f"cnnlab-{version}/PKG-INFO").read())
        for name, text in texts.items():
            assert packed.extractfile(f"cnnlab-{version}/{name}").read() == text == (ROOT / name).read_bytes()
    for text in described:
        metadata, unknown = parse_email(text)
        assert not unknown
        assert set(metadata["license_files"]) == LICENCES
        assert metadata["license_expression"] == PROJECT["project"]["license"]
    assert not [name for name in names if name.endswith((".ttf", ".otf", ".woff", ".woff2", ".min.js"))]


def test_the_sdist_holds_what_is_committed(sdist):
    top = sdist.name.removesuffix(".tar.gz") + "/"
    with tarfile.open(sdist) as packed:
        held = {member.name.removeprefix(top) for member in packed if member.isfile()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout")
    committed = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    assert len(committed) > 100
    assert committed <= held


def lists_plugins_and_datasets(run: Callable[..., str]) -> None:
    """Whether the installed command, run in a folder elsewhere, knows all plugins and MNIST."""
    rows = json.loads(run("plugins", "list", "--json"))
    assert {row["name"] for row in rows} == set(PROJECT["project"]["entry-points"]["cnnlab"])
    assert not [row["error"] for row in rows if row["state"] != "active"]
    assert "mnist" in run("plugins", "list")
    told = run("datasets")
    assert "60,000" in told
    assert "Creative Commons" in told or "CC" in told


@pytest.mark.full
def test_an_empty_environment_with_the_wheel_lists_plugins_and_datasets(wheel, tmp_path):
    """What the listings need is installed; TensorFlow, which they never import, stays out to keep this quick."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=120)
    pip = [sys.executable, "-m", "pip", "--python", tmp_path / "venv", "install", "--quiet"]
    pip += ["--constraint", ROOT / "requirements.lock"]
    subprocess.run([*pip, "--no-deps", wheel], check=True, timeout=300)
    needed = ["click", "rich", "pluggy", "platformdirs", "annotated-types", "pydantic", "numpy"]
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

    lists_plugins_and_datasets(run)


TYPED = """
import cnnlab
reveal_type(cnnlab.analyze("occlusion", "model"))
reveal_type(cnnlab.datasets.load("mnist").test[:3])
cnnlab.evaluate("model", limit="many")
"""


def test_where_the_wheel_is_installed_plugins_and_data_are_found_and_types_seen(environment, tmp_path):
    lists_plugins_and_datasets(environment.cnnlab)
    (tmp_path / "use.py").write_text(TYPED)
    words = ["--strict", "--config-file=", "--python-executable", environment.python, "use.py"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, words)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert 'Revealed type is "cnnlab.results.result.Result"' in done.stdout, done.stdout
    assert 'Revealed type is "cnnlab.datasets.dataset.Split"' in done.stdout
    assert 'Argument "limit" to "evaluate" has incompatible type "str"' in done.stdout


def test_every_plugin_is_named_wherever_pyproject_must_name_it():
    named = PROJECT["project"]["entry-points"]["cnnlab"].values()
    modules = {module for module in named if not module.startswith("cnnlab.")}  # which are in the host itself
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
