"""What plugin authors may import: what there is, what it costs, and that every example of it runs."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

from cnnlab import plugin
from cnnlab.testing.contract import FRAMEWORKS, run_python

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "plugin.md"
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


def examples_of(page: Path) -> list[tuple[str, str, int]]:
    """The heading above each example of a page, its text, and the line that it begins in."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in re.finditer(r"```python\n(>>> .*?)```", text, re.DOTALL):
        heading = re.findall(r"^#+ `(.+)`$", text[: block.start()], re.MULTILINE)[-1]
        found.append((heading, block[1], text.count("\n", 0, block.start(1))))
    return found


def test_every_name_has_an_entry_with_an_example():
    entries = re.findall(r"^### `(\w+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(entries) == sorted(EXPORTS)
    assert {heading for heading, _, _ in examples_of(PAGE)} >= set(EXPORTS)


def test_every_example_on_the_page_runs_by_itself():
    report: list[str] = []
    for heading, text, line in examples_of(PAGE):
        example = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, heading, str(PAGE), line)
        doctest.DocTestRunner().run(example, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_examples_in_the_code_run(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
    # As typed by a reader, whose session does not begin with the `from __future__ import annotations` of the module.
    assert doctest.testmod(module, extraglobs={"annotations": None}).failed == 0
