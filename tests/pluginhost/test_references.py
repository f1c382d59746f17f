"""Whether a reference names something is found without importing it, its parents neither."""

from __future__ import annotations

import sys

import pytest

from cnnlab.pluginhost.references import file_of, problem_with, spec_of

WAYS = {
    "def": "def run(): ...",
    "async": "async def run(): ...",
    "class": "class run: ...",
    "assigned": "run = print",
    "annotated": "run: object = print",
    "in a tuple": "first, (run, *rest) = 1, (2, 3)",
    "imported": "from os import walk as run",
    "a module": "import run.deep",
    "under a condition": "if True:\n    def run(): ...",
    "where another fails": "try:\n    import nothing\nexcept ImportError:\n    run = None",
    "in a with": "with open('x') as run:\n    pass",
    "in a loop": "for run in (): pass",
    "made global": "def make():\n    global run\n    run = 1",
    "with a walrus": "print(run := 1)",
    "in another encoding": "# -*- coding: latin-1 -*-\nname = 'caf\xe9'\ndef run(): ...",
}

NOT = {
    "another": "def runs(): ...",
    "within a function": "def outer():\n    def run(): ...\n    ran = 1",
    "within a class": "class Outer:\n    def run(self): ...",
    "read": "def outer(): ...\nprint(outer)",
    "of a lambda": "outer = lambda run: run",
}

UNKNOWN = {
    "a star": "from os.path import *",
    "made when asked": "def __getattr__(name):\n    return print",
    "made by hand": "globals()['ru' + 'n'] = print",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package whose import fails, with a module of the given text; its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> str:
        folder = tmp_path / "unlucky_package"
        folder.mkdir()
        (folder / "__init__.py").write_text("raise RuntimeError('it was imported')")
        (folder / "work.py").write_bytes(text.encode("latin-1"))
        return "unlucky_package.work:run"

    yield write
    assert not [name for name in sys.modules if name.startswith("unlucky_package")]


@pytest.mark.parametrize("way", [*WAYS, *UNKNOWN])
def test_what_is_there_or_may_be_is_no_problem(package, way):
    reference = package((WAYS | UNKNOWN)[way])
    assert problem_with(reference) == ""
    assert file_of(reference).name == "work.py"


@pytest.mark.parametrize("way", NOT)
def test_what_is_bound_elsewhere_is_not_there(package, way):
    assert problem_with(package(NOT[way])).startswith("the module 'unlucky_package.work' has no 'run'")


def test_what_cannot_be_read_is_told_with_its_line(package):
    said = problem_with(package("x = 1\ndef run(:\n    pass"))
    assert "work.py cannot be read as Python: " in said
    assert said.endswith(", line 2")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("nothing_like_this:run", "there is no module 'nothing_like_this'"),
        ("json.nothing:run", "there is no module 'json.nothing'"),
        ("json.decoder.deep:run", "there is no module 'json.decoder.deep'"),
        ("json:lodas", "the module 'json' has no 'lodas'. Did you mean 'loads'"),
        ("json.loads", "that is no reference to code"),
        ("json:", "that is no reference to code"),
        ("json:a b", "that is no reference to code"),
        ("..:run", "that is no reference to code"),
        ("json:loads", ""),
        ("math:sqrt", ""),
        ("json.tool:main", ""),
    ],
)
def test_what_is_wrong_with_a_reference(reference, said):
    found = problem_with(reference)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_modules_are_found_as_python_finds_them():
    import importlib.util

    for module in ("json", "json.decoder", "xml.dom.minidom", "sys", "cnnlab.pluginhost.references"):
        found, expected = spec_of(module), importlib.util.find_spec(module)
        assert (found.name, found.origin) == (expected.name, expected.origin)
    assert spec_of("nothing_like_this") is None
