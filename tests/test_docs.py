"""The docs say what the code does: reference pages are compared with it, and the commands in every page are run."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cnnlab.cli import COMMANDS, cli
from cnnlab.pluginhost import declarations, hookspecs
from cnnlab.pluginhost.scaffold import create

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("plugins/*/README.md"))]

# What a page may tell a reader to type that is not a cnnlab command; each is run by another test.
ELSEWHERE = {
    "make": "CI runs them on a clean clone",
    "pip": "test_packaging and test_plugin_scaffold install into empty environments",
    "python": "test_plugin_scaffold runs the generated package's tests",
    "git": "fetching the source is how this file came here",
    "cd": "goes with git clone",
    "pytest": "test_plugin_scaffold runs the generated package's tests",
}
# Checked in a process of its own by test_plugin_scaffold: the plugin they are about must be installed first.
NEEDS_SHARPNESS = re.compile(r"cnnlab (analyze|plugins (check|show)) sharpness")


def commands_in(page: Path) -> list[str]:
    """The lines that begin with ``$`` in console blocks, continued lines joined."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        joined = block.replace("\\\n", " ")
        found += [line[2:].strip() for line in joined.splitlines() if line.startswith("$ ")]
    return found


def quick(words: list[str]) -> list[str]:
    """Training as documented takes minutes; in the quick tests it sees two thousand digits once."""
    if words[1] == "train":
        kept, skip = [], False
        for word in words:
            if skip or word.partition("=")[0] in ("--epochs", "--limit"):
                skip = not skip and "=" not in word
                continue
            kept.append(word)
        return [*kept, "--epochs", "1", "--limit", "2000"]
    return words


def run_page(page: Path, folder: Path, trained_run, monkeypatch: pytest.MonkeyPatch, shorten: bool) -> None:
    """Run a page's commands one after the other, in a folder with the examples and, where it trains none, a run."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    if not any(line.startswith("cnnlab train") for line in commands_in(page)):
        shutil.copytree(trained_run.path, folder / "runs" / "classic")
    monkeypatch.chdir(folder)
    for line in commands_in(page):
        words = shlex.split(line, comments=True)
        if words[:1] == ["python"] and words[1].startswith("examples/"):
            subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True, timeout=300)
            continue
        if words[0] in ELSEWHERE or NEEDS_SHARPNESS.match(line):
            continue
        assert words[0] == "cnnlab", f"{page.name}: {line} is run by no test"
        result = CliRunner().invoke(cli, (quick(words) if shorten else words)[1:], catch_exceptions=True)
        detail = f"{page.name}: {line}\n{result.output}\n{result.exception!r}"
        assert result.exit_code == 0, detail


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_run(page, tmp_path, trained_run, monkeypatch):
    run_page(page, tmp_path, trained_run, monkeypatch, shorten=True)


@pytest.mark.full
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_run_as_written(page, tmp_path, trained_run, monkeypatch):
    run_page(page, tmp_path, trained_run, monkeypatch, shorten=False)


def test_the_generated_pages_are_those_of_the_code():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_every_built_in_command_is_documented():
    text = (ROOT / "docs" / "cli.md").read_text()
    for command in COMMANDS:
        assert f"## `cnnlab {command}`" in text


HOOKS = {
    name: function
    for name, function in vars(hookspecs).items()
    if inspect.isfunction(function) and name.startswith("cnnlab_")
}
DECLARED = {
    "cnnlab_analyses": declarations.Analysis,
    "cnnlab_datasets": declarations.DatasetSource,
    "cnnlab_architectures": declarations.Architecture,
}


def test_every_hook_has_a_section_and_a_declaration():
    text = (ROOT / "docs" / "plugins" / "hooks.md").read_text()
    documented = set(re.findall(r"## `(cnnlab_\w+)\((.*?)\)`", text))
    actual = {(name, ", ".join(inspect.signature(function).parameters)) for name, function in HOOKS.items()}
    assert documented == actual
    assert set(HOOKS) == set(DECLARED)


@pytest.mark.parametrize("hook", DECLARED)
def test_every_field_of_a_declaration_is_documented(hook):
    text = (ROOT / "docs" / "plugins" / "hooks.md").read_text()
    section = text.partition(f"## `{hook}(")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(documented) == sorted(field.name for field in dataclasses.fields(DECLARED[hook]))


def test_the_first_plugin_is_the_one_that_is_generated(tmp_path):
    """Every piece of code on the page, and every file in its table, is in what ``cnnlab plugins new`` writes."""
    text = (ROOT / "docs" / "plugins" / "first-plugin.md").read_text(encoding="utf-8")
    folder = create("sharpness", "analysis", tmp_path)
    files = [path for path in folder.rglob("*") if path.is_file()]
    documented = re.findall(r"^\| `([\w./]+)` \|", text, re.MULTILINE)
    assert sorted(documented) == sorted(path.relative_to(folder).as_posix() for path in files)
    written = ["".join(path.read_text(encoding="utf-8").split()) for path in files]
    shown = [part for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) for part in block.split("\n\n")]
    code = ["".join(part.removesuffix(" ...\n").split()) for part in shown]
    assert not [part for part in code if not any(part in file for file in written)]


def test_every_promise_of_the_contract_is_documented():
    from cnnlab.testing import AnalysisContract

    text = (ROOT / "docs" / "plugins" / "contract.md").read_text()
    promises = text.partition("## The promises of an analysis")[2].partition("\n## ")[0]
    tests = [name for name in vars(AnalysisContract) if name.startswith("test_")]
    assert promises.count("\n- **") == len(tests)
