"""The docs say what the code does: reference pages are compared with it, and the commands in every page are run.

The README and the tutorial are one story, told in one folder that is empty before ``make demo``.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import os
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
from cnnlab.reports.profiles import PROFILES
from cnnlab.testing.processes import python_m, run_process
from cnnlab.training.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
STORY = [ROOT / "README.md", ROOT / "docs" / "tutorial.md"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("plugins/*/README.md"))]
OTHERS = [page for page in PAGES if page not in STORY]

# What a page may tell a reader to type that is not a cnnlab command; each is run by another test.
ELSEWHERE = {
    "make": "CI runs them on a clean clone",
    "pip": "test_packaging and test_plugin_scaffold install into empty environments",
    "python": "test_plugin_scaffold runs the generated package's tests",
    "git": "fetching the source is how this file came here",
    "cd": "goes with git clone",
    "source": "activates what make demo installed",
    "pytest": "test_plugin_scaffold runs the generated package's tests",
}
# Checked in a process of its own by test_plugin_scaffold: the plugin they are about must be installed first.
NEEDS_SHARPNESS = re.compile(r"cnnlab (analyze|plugins (check|show)) sharpness")

# What goes on for hundreds of steps unless told otherwise.
ITERATED = re.compile("cnnlab analyze (fooling|noise-addition|targeted)")

# The options that all analyses have are the same ones.
HOST = {"--dataset", "--devices", "--fail-under", "--image", "--index", "--label", "--limit", "--model"}


def blocks_in(page: Path) -> list[tuple[str, str]]:
    """The blocks of a page, in order: ``console``, ``python`` or ``text``, and what is in it."""
    return re.findall(r"```(console|python|text)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def lines_in(block: str) -> list[str]:
    """The lines of a console block that begin with ``$``, continued lines joined."""
    joined = block.replace("\\\n", " ")
    return [line[2:].strip() for line in joined.splitlines() if line.startswith("$ ")]


def commands_in(page: Path) -> list[str]:
    """The lines of all console blocks of a page."""
    return [line for kind, block in blocks_in(page) if kind == "console" for line in lines_in(block)]


def takes_long(line: str) -> bool:
    """Whether a line trains or analyses, and another one of its kind may do for it."""
    return line.startswith(("cnnlab analyze", "cnnlab train")) and not NEEDS_SHARPNESS.match(line)


def kinds_in(line: str) -> set[str]:
    """What a line shows: training or an analysis, its options, and words that these take, such as a method's name."""
    words = shlex.split(line, comments=True)[1:]
    name, option = words[1] if words[0] == "analyze" else "train", ""
    found = {name}
    for word in words[1:]:
        if word.startswith("--"):
            option = word if word in HOST and name != "train" else f"{name} {word}"
            found.add(option)
        elif option.startswith(name) and re.fullmatch(r"[a-z][\w+-]*", word):
            found.add(f"{option} {word}")
    return found


def one_of_each() -> set[tuple[Path, str]]:
    """On which pages the quick tests run which lines: those with most options first, while they show anything new.

    What later lines need is run too. What the others have that these lack are other numbers and files.
    """
    pages = {page: [line for line in commands_in(page) if takes_long(line)] for page in PAGES}
    first = {line: page for page in reversed(PAGES) for line in pages[page]}
    chosen: set[tuple[Path, str]] = set()
    known: set[str] = set()
    for line in sorted(first, key=lambda line: (-len(kinds_in(line)), line)):
        if not kinds_in(line) <= known or is_needed(line, first[line]):
            chosen.add((first[line], line))
            known |= kinds_in(line)
    return chosen


def is_needed(line: str, page: Path) -> bool:
    """Whether other lines of its page, or of the story, name what it writes."""
    story = STORY if page in STORY else [page]
    others = [other for each in story for other in commands_in(each) if other != line]
    return any(out in other for out in re.findall(r"--out (\S+)", line) for other in others)


CHOSEN = one_of_each()


def lines_of_make_demo() -> list[str]:
    """What ``make demo`` runs once cnnlab is installed."""
    installed = "--assume-old=.venv/.installed"
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    words = ["make", "--dry-run", installed, "demo"]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.replace("\\\n", " ").splitlines()


def quick(words: list[str]) -> list[str]:
    """Training as documented takes minutes; in the quick tests it sees some hundred digits once.

    Whole reports are made by the tests of the notebook, and of reports.
    """
    if words[1] == "report":
        return [*words, "--profile", "quick"]
    if words[1] == "train":
        kept, skip = [], False
        for word in words:
            if skip or word.partition("=")[0] in ("--epochs", "--limit"):
                skip = not skip and "=" not in word
                continue
            kept.append(word)
        return [*kept, "--epochs", "1", "--limit", "600"]
    return words


def brief(line: str) -> str:
    """An analysis of a page by fewer images and steps, and fewer devices: as written, the full tests run it."""
    line = line.replace("cpu:4", "cpu:2")
    if not line.startswith("cnnlab analyze"):
        return line
    if ITERATED.match(line) and "--steps" not in line and "--apply" not in line:
        line = line.partition(" #")[0] + " --steps 2"
    # Each of ten classes is asked for by targeted, and by the tests of these two.
    line = re.sub("(noise-addition .*)--target all", r"\1--target 3", line)
    line += " --classes 3" if line.startswith("cnnlab analyze fooling") and "--classes" not in line else ""
    return re.sub(r"--(limit|[\w-]*steps) (\d+)", lambda found: f"--{found[1]} {min(int(found[2]), 2)}", line)


def run_line(line: str, page: Path, shorten: bool) -> str:
    """Run a line as a reader who types it, and return what it prints on a terminal of 80 columns.

    Of those that another one does for in the quick tests, the words are read and judged, and no more.
    """
    if shorten and takes_long(line) and (page, line) not in CHOSEN:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cnnlab.cli.commands.analyze.answer", lambda *_: None)
            patch.setattr("cnnlab.cli.commands.train._train", lambda given, values: Settings.from_public(dict(given)))
            return invoked(line, shlex.split(line, comments=True))
    line = brief(line) if shorten else line
    words = shlex.split(line.removeprefix(".venv/bin/"), comments=True)
    if words[0] in ("echo", "ls"):
        shell = ["bash", "-o", "pipefail", "-c", line]
        return subprocess.run(shell, capture_output=True, text=True, check=True, timeout=60).stdout
    if words[:1] == ["python"] and words[1].startswith("examples/"):
        source = Path(words[1]).read_text(encoding="utf-8")
        source = re.sub(r"epochs=\d+", "epochs=1", source).replace("12_000", "600") if shorten else source
        exec(compile(source, words[1], "exec"), {"__name__": "__main__"})
        return ""
    if words[0] in ELSEWHERE or NEEDS_SHARPNESS.match(line):
        return ""
    assert words[0] == "cnnlab", f"{line} is run by no test"
    if shorten and words[1] == "launch":  # tests/devices starts several processes
        words = words[words.index("--") + 1 :]
    words = quick(words) if shorten else words
    if "--devices" in words or words[1] == "launch":  # TensorFlow is told of its devices before it begins
        done = run_process(python_m, *words, timeout=600)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        return done.stdout
    return invoked(line, words)


def invoked(line: str, words: list[str]) -> str:
    """What a command prints, which must end well."""
    result = CliRunner().invoke(cli, words[1:], env={"COLUMNS": "80"})
    assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
    return result.output


def run_page(page: Path, folder: Path, trained_run, monkeypatch: pytest.MonkeyPatch, shorten: bool) -> None:
    """Run a page's commands one after the other, in a folder with the examples and, where it trains none, a run."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    if not any(line.startswith("cnnlab train") for line in commands_in(page)):
        shutil.copytree(trained_run.path, folder / "runs" / "classic")
    monkeypatch.chdir(folder)
    for line in commands_in(page):
        run_line(line, page, shorten)


def said(text: str) -> str:
    """The words of a text, in one line."""
    return " ".join(re.sub("[─━]+", " ", text).split())


def run_story(folder: Path, monkeypatch: pytest.MonkeyPatch, shorten: bool) -> None:
    """Follow the README and then the tutorial, line by line, from an empty folder on.

    There is no ``cnnlab`` before the environment is activated. A line that is shown must have been printed, but for its
    numbers and pictures.
    """
    shutil.copytree(ROOT / "examples", folder / "examples")
    monkeypatch.chdir(folder)
    printed, active = "", False
    for page, (kind, block) in [(told, block) for told in STORY for block in blocks_in(told)]:
        if kind == "text":
            shown = [said(line) for line in block.splitlines() if re.fullmatch(r"\D*[a-z]{3}\D*", line)]
            assert not [line for line in shown if line not in printed], f"{page.name}: {printed[-3000:]}"
        if kind == "python":
            exec(compile(block, page.name, "exec"), {})
        for line in lines_in(block) if kind == "console" else []:
            active = active or line.startswith("source .venv/bin/activate")
            assert active or not line.startswith("cnnlab"), f"{page.name}: there is no cnnlab yet for {line}"
            steps = lines_of_make_demo() if line.startswith("make demo") else [line]
            printed += said("\n".join(run_line(step, page, shorten) for step in steps)) + " "
            assert not line.startswith("make demo") or "source .venv/bin/activate" in printed


def test_the_readme_and_the_tutorial_are_one_story(tmp_path, monkeypatch, capsys, few_digits):
    run_story(tmp_path, monkeypatch, shorten=True)
    assert "(2, 28, 28)" in capsys.readouterr().out, "what the README's Python prints"
    assert (tmp_path / "results" / "two-digits" / "result.json").exists()


@pytest.mark.full
def test_the_story_as_written(tmp_path, monkeypatch):
    run_story(tmp_path, monkeypatch, shorten=False)


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_run(page, tmp_path, trained_run, monkeypatch, few_digits):
    run_page(page, tmp_path, trained_run, monkeypatch, shorten=True)


@pytest.mark.full
@pytest.mark.parametrize("page", OTHERS, ids=lambda page: str(page.relative_to(ROOT)))
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


def figures():
    """The script that draws the pictures of the docs."""
    found = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    return script


def test_every_picture_is_drawn_by_a_command_and_shown_on_a_page():
    drawn = figures().names()
    there = {picture.stem for picture in (ROOT / "docs" / "pictures").iterdir()}
    shown = {name for page in PAGES for name in re.findall(r"pictures/([\w-]+)\.png", page.read_text(encoding="utf-8"))}
    assert drawn == there == shown
    large = [picture.name for picture in (ROOT / "docs" / "pictures").iterdir() if picture.stat().st_size > 400_000]
    assert large == []


def test_the_tutorial_quotes_the_report_section_by_section():
    quoted = figures().SAID.findall((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    assert tuple(name for _, name, _, _ in quoted) == PROFILES["assignment"].sections
    assert [name for _, name, said, _ in quoted if not re.match("> - [✓✗–] ", said)] == []


def test_what_a_report_concludes_is_quoted_where_the_tutorial_says():
    conclusion = {"says": "Most of *them* are fooled.", "holds": False, "rule": "Hardly any."}
    section = {"name": "fooling", "left_out": None, "conclusions": [conclusion]}
    page = "before\n<!-- report: fooling -->\n> - old\n<!-- report ends -->\nafter\n"
    told = figures().told(page, [section])
    assert re.sub(r"\*not.*?\*", "VERDICT", told) == page.replace(
        "> - old", r"> - ✗ VERDICT Most of \*them\* are fooled."
    )
    assert figures().told(told, [section]) == told
    with pytest.raises(SystemExit, match="no section fooling: there is none"):
        figures().told(page, [{**section, "left_out": "there is none"}])


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
    "cnnlab_recipes": declarations.Recipe,
    "cnnlab_report_sections": declarations.Section,
}


def test_every_hook_has_a_section_and_a_declaration():
    text = (ROOT / "docs" / "plugins" / "hooks.md").read_text()
    documented = set(re.findall(r"## `(cnnlab_\w+)\((.*?)\)`", text))
    actual = {(name, ", ".join(inspect.signature(function).parameters)) for name, function in HOOKS.items()}
    assert documented == actual
    assert set(HOOKS) == {*DECLARED, "cnnlab_commands"}  # which gives commands of click


@pytest.mark.parametrize("hook", DECLARED)
def test_every_field_of_a_declaration_is_documented(hook):
    text = (ROOT / "docs" / "plugins" / "hooks.md").read_text()
    section = text.partition(f"## `{hook}(")[2].partition("\n## ")[0]
    documented = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)))
    assert sorted(documented) == sorted(field.name for field in dataclasses.fields(DECLARED[hook]))


SECTION = "## 5. Add a section to the report"
ATTACK = "## An attack"


def test_the_section_of_the_first_plugin_keeps_its_promises(tmp_path, install_plugin):
    """The two blocks of the page, added to what ``cnnlab plugins new`` writes, in a distribution of its own."""
    page = (ROOT / "docs" / "plugins" / "first-plugin.md").read_text(encoding="utf-8")
    declared, written = python_in(page.partition(SECTION)[2].partition(ATTACK)[0])
    env = install_plugin("cnnlab-sharpness", "")
    (module,) = tmp_path.rglob("cnnlab_sharpness.py")
    module.unlink()
    package = shutil.copytree(create("sharpness", "analysis", tmp_path) / "cnnlab_sharpness", module.with_suffix(""))
    with (package / "__init__.py").open("a", encoding="utf-8") as file:
        file.write(declared)
    (package / "report.py").write_text(written, encoding="utf-8")
    done = run_process(python_m, "cnnlab.testing", "sharpest-pixel", env=os.environ | env)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("section sharpest-pixel\n")
    assert "kept     every conclusion has a rule" in done.stdout


def test_the_first_plugin_is_the_one_that_is_generated(tmp_path):
    """Every piece of code on the page, and every file in its table, is in what ``cnnlab plugins new`` writes."""
    text = (ROOT / "docs" / "plugins" / "first-plugin.md").read_text(encoding="utf-8")
    folder = create("sharpness", "analysis", tmp_path)
    files = [path for path in folder.rglob("*") if path.is_file()]
    documented = re.findall(r"^\| `([\w./]+)` \|", text, re.MULTILINE)
    assert sorted(documented) == sorted(path.relative_to(folder).as_posix() for path in files)
    assert missing(text.partition(SECTION)[0], folder) == []


def test_the_attack_of_that_page_is_the_one_that_is_generated(tmp_path):
    text = (ROOT / "docs" / "plugins" / "first-plugin.md").read_text(encoding="utf-8").partition(ATTACK)[2]
    assert len(python_in(text)) == 1
    assert missing(text, create("nudge", "attack", tmp_path)) == []


def python_in(text: str) -> list[str]:
    """The blocks of Python in a part of a page."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def missing(text: str, folder: Path) -> list[str]:
    """The pieces of code in a part of a page that no file of a package holds."""
    written = ["".join(path.read_text(encoding="utf-8").split()) for path in folder.rglob("*") if path.is_file()]
    shown = [part for block in python_in(text) for part in block.split("\n\n")]
    code = ["".join(part.removesuffix(" ...\n").split()) for part in shown]
    return [part for part in code if not any(part in file for file in written)]


@pytest.mark.parametrize("noun", ["analysis", "recipe", "section", "guest"])
def test_every_promise_of_the_contract_is_documented(noun):
    from cnnlab.testing import AnalysisContract, RecipeContract, SectionContract
    from cnnlab.testing.contract import Guest

    contract = {
        "analysis": AnalysisContract,
        "recipe": RecipeContract,
        "section": SectionContract,
        "guest": Guest,
    }[noun]
    text = (ROOT / "docs" / "plugins" / "contract.md").read_text()
    promises = re.split(rf"## The promises of an? {noun}\n", text)[1].partition("\n## ")[0]
    tests = [name for name in vars(contract) if name.startswith("test_")]
    assert promises.count("\n- **") == len(tests)
