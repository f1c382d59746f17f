"""What users and plugin authors may import: what there is, what it costs, and that every example of it runs."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import sys
from pathlib import Path

import pytest

import cnnlab
from cnnlab import plugin, testing
from cnnlab.testing.contract import FRAMEWORKS, run_python

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))  # where the reference is written from the docstrings
import surface  # noqa: E402

REFERENCE = ROOT / "docs" / "reference"
EXPORTS = {name: module for homes in plugin.GROUPS.values() for module, names in homes.items() for name in names}
WITH_EXAMPLES = sorted(path for path in (ROOT / "cnnlab").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


def test_each_name_is_there_once():
    names = [name for homes in plugin.GROUPS.values() for each in homes.values() for name in each]
    assert dir(plugin) == sorted(names)
    assert len(set(names)) == len(names)
    assert not [name for name in EXPORTS if not hasattr(plugin, name)]


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = plugin.nothing


def test_type_checkers_see_the_same_names_from_the_same_modules():
    tree = ast.parse(Path(plugin.__file__).read_text(encoding="utf-8"))
    static = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in static.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(static.body)
    assert {alias.asname: node.module for node in imports for alias in node.names} == EXPORTS
    assert not [alias.name for node in imports for alias in node.names if alias.name != alias.asname]


def test_declaring_costs_no_framework():
    spread = ("MapTestParams", "MAP_TEST_ARRAYS", "MAP_TEST_METRICS")
    names = [*spread, *(name for each in plugin.GROUPS["Declaring"].values() for name in each)]
    done = run_python(f"import sys\nfrom cnnlab.plugin import {', '.join(names)}\nprint(*sys.modules)")
    assert done.returncode == 0, done.stderr
    assert not {*FRAMEWORKS, "numpy", "pydantic"} & {module.partition(".")[0] for module in done.stdout.split()}


def test_every_name_has_an_entry():
    """On the pages of the reference, each name has the line that the site's generator replaces by its docstring."""
    entries = [
        name for page in REFERENCE.iterdir() for name in re.findall(r"^::: (.+)$", page.read_text(), re.MULTILINE)
    ]
    assert sorted(entries) == sorted(surface.public())
    assert {name.rpartition(".")[2] for name in entries} >= {*EXPORTS, *testing.__all__, *cnnlab.__all__} - {"datasets"}


@pytest.mark.parametrize("name", surface.public())
def test_every_example_of_the_reference_runs_by_itself(name):
    report: list[str] = []
    for text in surface.examples(name):
        example = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, name, None, 0)
        doctest.DocTestRunner().run(example, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_other_examples_in_the_code_run(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
    in_reference = tuple(surface.found(name).path for name in surface.public())
    # As typed by a reader, whose session does not begin with the `from __future__ import annotations` of the module.
    for example in doctest.DocTestFinder().find(module, extraglobs={"annotations": None}):
        if not any(f"{example.name}.".startswith(f"{path}.") for path in in_reference):
            assert doctest.DocTestRunner().run(example).failed == 0
