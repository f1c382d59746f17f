"""The layout: plugins, examples and the scaffold stand on the surface for authors alone, and tests mirror the rooms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnlab.pluginhost.scaffold import KINDS, create

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(folder.name for folder in (ROOT / "plugins").iterdir() if folder.is_dir())


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def of_cnnlab(folder: Path) -> set[str]:
    """What the code of a package imports of cnnlab; its contract classes, in ``testing.py``, are no part of that."""
    files = [file for file in folder.rglob("*.py") if "tests" not in file.parts and file.name != "testing.py"]
    assert files
    return {name for file in files for name in imported(file) if name.partition(".")[0] == "cnnlab"}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_built_in_plugin_imports_the_surface_alone(plugin):
    assert of_cnnlab(ROOT / "plugins" / plugin) == {"cnnlab.plugin"}


def test_the_example_plugin_imports_the_surface_alone():
    assert of_cnnlab(ROOT / "examples" / "cnnlab-fourier") == {"cnnlab.plugin"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_imports_the_surface_alone(kind, tmp_path):
    assert of_cnnlab(create("own", kind, tmp_path)) == {"cnnlab.plugin"}


def test_the_host_imports_no_plugin_by_name():
    modules = {f"cnnlab_{name.replace('-', '_')}" for name in PLUGINS}
    for file in (ROOT / "cnnlab").rglob("*.py"):
        assert not {name.partition(".")[0] for name in imported(file)} & modules, file


def test_the_tests_mirror_the_rooms():
    rooms = {path.stem for path in (ROOT / "cnnlab").iterdir() if not path.name.startswith(("_", "py."))}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= rooms, "a folder of tests is called after no room"
    packages = {path.parent.name for path in (ROOT / "cnnlab").glob("*/__init__.py")}
    assert packages == folders, "a room has no folder of tests"


def test_every_room_is_in_the_description_of_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text()
    described = set(re.findall(r"`cnnlab\.(\w+)`", text.partition("## The rooms")[2].partition("\n## ")[0]))
    rooms = {path.stem for path in (ROOT / "cnnlab").iterdir() if not path.name.startswith(("_", "py."))}
    assert described >= rooms - {"silence_tensorflow"}


def test_the_long_files_of_tests_are_there():
    named = (ROOT / "tests" / "long_files.txt").read_text(encoding="utf-8").split()
    assert [name for name in named if not (ROOT / name).is_file()] == []
    assert len(named) == len(set(named))
