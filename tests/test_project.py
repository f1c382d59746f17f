"""What a public project has beside its code: the files that GitHub, PyPI and contributors read say what is so."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import cnnlab
from cnnlab.cli import cli

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMS = ("bug.yml", "idea.yml", "plugin.yml")
SCHEMAS = {
    "CITATION.cff": "vendor.citation-file-format",
    ".github/dependabot.yml": "vendor.dependabot",
    ".github/workflows/ci.yml": "vendor.github-workflows",
    ".github/workflows/libraries.yml": "vendor.github-workflows",
    ".github/workflows/release.yml": "vendor.github-workflows",
    ".github/ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
    **{f".github/ISSUE_TEMPLATE/{form}": "vendor.github-issue-forms" for form in FORMS},
}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def loaded(name: str):
    # YAML 1.1 reads the key `on` of a workflow as a truth value.
    return yaml.load(text(name), yaml.BaseLoader)


@pytest.mark.parametrize("name", SCHEMAS)
def test_files_for_github_are_as_it_reads_them(name):
    words = ["check_jsonschema", "--builtin-schema", SCHEMAS[name], "--force-filetype", "yaml", ROOT / name]
    done = subprocess.run([sys.executable, "-m", *map(str, words)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_every_file_for_github_has_a_schema():
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / ".github").rglob("*.yml")}
    assert files | {"CITATION.cff"} == set(SCHEMAS)


def test_ci_runs_what_a_newcomer_types_wherever_cnnlab_says_that_it_runs():
    job = loaded(".github/workflows/ci.yml")["jobs"]["run"]
    matrix = job["strategy"]["matrix"]
    classifiers = "\n".join(PROJECT["classifiers"])
    assert matrix["python"] == re.findall(r"Python :: (3\.\d+)$", classifiers, re.MULTILINE) == ["3.11", "3.12", "3.13"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest"]
    assert {"Operating System :: MacOS", "Operating System :: POSIX :: Linux"} <= set(PROJECT["classifiers"])
    setup, run = job["steps"][-2:]
    assert setup["with"]["python-version"] == "${{ matrix.python }}"
    assert run == {"run": ".ci/run", "env": {"PYTHON": "python"}}
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    # The Makefile makes its environment with the Python that the workflow has set up.
    told = subprocess.run(
        ["make", "--dry-run", "VENV=nowhere", "nowhere/bin/python"],
        cwd=ROOT,
        env={**os.environ, "MAKEFLAGS": "", "PYTHON": "python"},  # whatever `make` runs the tests with
        capture_output=True,
        text=True,
    )
    assert "\npython -m venv nowhere" in "\n" + told.stdout


def test_the_oldest_and_the_newest_libraries_are_tried_every_week():
    flow = loaded(".github/workflows/libraries.yml")
    assert flow["on"]["schedule"]
    targets = {each["target"] for each in flow["jobs"]["run"]["strategy"]["matrix"]["include"]}
    assert targets == set(re.findall(r"^(test-(?:lowest|newest)):", text("Makefile"), re.MULTILINE))
    assert flow["jobs"]["run"]["steps"][-1]["run"] == "make ${{ matrix.target }}"


def test_a_release_is_tried_by_who_cannot_publish_and_published_by_who_runs_nothing():
    jobs = loaded(".github/workflows/release.yml")["jobs"]
    build, publish = jobs["build"], jobs["publish"]
    ran = [step["run"] for step in build["steps"] if "run" in step]
    assert "make release-check RELEASE=--publish" in ran
    assert "permissions" not in build
    assert publish["needs"] == "build"
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    assert all("run" not in step for step in publish["steps"])
    assert all("password" not in step.get("with", {}) for step in publish["steps"])
    assert "secrets." not in text(".github/workflows/release.yml")


@pytest.mark.parametrize(("tag", "status"), [(f"v{cnnlab.__version__}", 0), ("v99.0.0", 1), ("main", 1)])
def test_a_tag_is_compared_with_the_version(tag, status):
    steps = loaded(".github/workflows/release.yml")["jobs"]["build"]["steps"]
    (script,) = (step["run"] for step in steps if step.get("name") == "The tag is the version")
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=os.environ | {"GITHUB_REF_NAME": tag})
    assert done.returncode == status


@pytest.mark.parametrize("form", FORMS)
def test_issues_ask_for_the_plugins_and_the_model(form):
    fields = loaded(f".github/ISSUE_TEMPLATE/{form}")["body"]
    asked = " ".join(field["attributes"].get("label", "") for field in fields)
    for command in ("cnnlab plugins list --json", "cnnlab inspect --json MODEL"):
        assert command in asked
        _, *words, option = command.removesuffix(" MODEL").split()
        found = cli
        for word in words:
            found = found.get_command(None, word)
        assert option in {name for parameter in found.params for name in parameter.opts}


def test_contributing_is_one_screen_and_names_what_there_is():
    page = text("CONTRIBUTING.md")
    assert len(page.splitlines()) <= 60
    targets = set(re.findall(r"^([a-z][a-z-]*):", text("Makefile"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", page.replace("# makes", "")))
    assert {"check", "test", "docs", "format", "release-check"} <= named <= targets
    rooms = re.findall(r"`(\w+)`", re.search(r"\n\|---\|---\|\n(.*?)\n\n", page, re.DOTALL)[1])
    packages = {path.parent.name for path in (ROOT / "cnnlab").glob("*/__init__.py")}
    assert packages <= set(rooms) <= {path.stem for path in (ROOT / "cnnlab").iterdir()}
    for folder in re.findall(r"`([a-z]+)/`", page):
        assert (ROOT / folder).is_dir(), folder


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name):
    for link in re.findall(r"\]\(([^)#]+)", text(name)):
        assert link.startswith("https://") or (ROOT / link).exists(), link


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/security.md"])
def test_every_promise_of_safety_is_defended_by_a_test(name):
    cells = [line.strip("| ").split(" | ") for line in text(name).splitlines() if line.startswith("| ")]
    promises = [each for each in cells if each[-1] != "defended by"]
    assert len(promises) >= 7
    for *_, defended in promises:
        named = re.findall(r"`((?:tests/)?[\w/]+(?:\.py)?)`", defended)
        assert named or defended == "the tests of its room, and `make fuzz`", defended
        for test in named:
            (found,) = [ROOT / test] if "/" in test else ROOT.glob(f"tests/*/{test}")
            files = [found] if found.is_file() else list(found.rglob("test_*.py"))
            assert any("def test_" in file.read_text(encoding="utf-8") for file in files), test


def test_people_and_version_are_the_same_everywhere_and_nobody_is_invented():
    cited = yaml.safe_load(text("CITATION.cff"))
    (holder,) = re.findall(r"^Copyright \(c\) \d+ (.+)$", text("LICENSE"), re.MULTILINE)
    assert cited["authors"] == [{"name": holder}]
    assert PROJECT["authors"] == [{"name": holder}]
    assert cited["version"] == cnnlab.__version__
    assert cited["title"] == PROJECT["name"]
    assert cited["keywords"] == PROJECT["keywords"]


def test_the_version_is_written_in_one_place():
    version = cnnlab.__version__
    assert PROJECT["dynamic"] == ["version"]
    written = [
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "cnnlab").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value == version
    ]
    assert written == ["cnnlab/__init__.py"]
    assert importlib.metadata.version("cnnlab") == version, (
        "`make check` installs cnnlab with the version that it has now"
    )


def test_the_changelog_has_the_version_below_what_is_not_released():
    headings = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(cnnlab.__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])
    kinds = set(re.findall(r"^### (.+)$", text("CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


# --- pre-commit ------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with our hooks, and the tools that `make check` puts into .venv."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "kept"))
    folder = tmp_path / "repository"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for tool in ("ruff",):
        (folder / ".venv" / "bin" / tool).symlink_to(Path(sys.executable).parent / tool)
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(
    ("hook", "before", "status", "after"),
    [
        ("ruff-format", '"""A."""\n\nx=1\n', 1, '"""A."""\n\nx = 1\n'),
        ("ruff-check", '"""A."""\n\nimport os\n\nx = 1\n', 1, '"""A."""\n\n\nx = 1\n'),
        ("ruff-check", '"""A."""\n\nx = 1\n', 0, '"""A."""\n\nx = 1\n'),
    ],
)
def test_what_is_not_as_it_should_be_is_not_committed(repository, hook, before, status, after):
    (repository / "file.py").write_text(before)
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", hook], cwd=repository, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert (repository / "file.py").read_text() == after


def test_hooks_run_what_make_check_runs():
    (ours,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    tools = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in ours["hooks"]}
    checked = text("Makefile").partition("\ncheck:")[2].partition("\n\n")[0]
    assert tools == {*re.findall(r"\$\(BIN\)/(ruff|mypy|lint-imports)", checked), "python"}


# --- make release-check -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def release_check():
    spec = importlib.util.spec_from_file_location("release_check", ROOT / ".ci" / "release_check.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


GOOD = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-01-31\n\n### Added\n\n- All.\n"


@pytest.fixture
def source(tmp_path):
    """What is about to be released: version 1.2.0, and nothing wrong with it."""
    (tmp_path / "cnnlab").mkdir()
    (tmp_path / "cnnlab" / "__init__.py").write_text('"""cnnlab."""\n\n__version__ = "1.2.0"\n')
    (tmp_path / "CITATION.cff").write_text("version: 1.2.0\n")
    (tmp_path / "CHANGELOG.md").write_text(GOOD)
    return tmp_path


def test_what_is_named_alike_may_be_released(release_check, source):
    notes = []
    assert release_check.named_alike(source, notes) == "1.2.0"
    assert not notes


@pytest.mark.parametrize(
    ("file", "written", "said"),
    [
        ("cnnlab/__init__.py", "__version__ = VERSION\n", "has no line `__version__"),
        ("CITATION.cff", "version: 1.1.0\n", "cnnlab/__init__.py says 1.2.0, and CITATION.cff 1.1.0"),
        ("CHANGELOG.md", GOOD.replace("1.2.0", "1.1.0"), r"needs a heading `## \[1.2.0\] - YYYY-MM-DD`"),
        ("CHANGELOG.md", GOOD.replace(" - 2026-01-31", ""), "says nothing of 1.2.0"),
        ("CHANGELOG.md", GOOD.partition("### Added")[0], "says nothing of 1.2.0"),
        ("CHANGELOG.md", "", "no heading"),
    ],
)
def test_what_is_not_named_alike_is_not_released(release_check, source, file, written, said):
    (source / file).write_text(written)
    with pytest.raises(release_check.NotReadyError, match=said):
        release_check.named_alike(source, [])


def test_lines_that_belong_to_no_version_are_noted(release_check, source):
    (source / "CHANGELOG.md").write_text(GOOD.replace("[Unreleased]\n", "[Unreleased]\n\n- More.\n"))
    notes = []
    release_check.named_alike(source, notes)
    assert [note for note in notes if "lines under [Unreleased]" in note]


@pytest.mark.parametrize(
    ("readme", "noted"),
    [
        ("# A\n\n[there](https://example.org/there) and [here](#a)\n", None),
        ("# A\n\n[there](docs/there.md)\n", "1 links and pictures of the README, docs/there.md the first"),
        ("# A\n\n![a picture](docs/a.png)\n", "docs/a.png"),
    ],
)
def test_links_that_lead_nowhere_on_pypi_are_noted(release_check, readme, noted):
    notes = []
    release_check.shown(readme, notes)
    assert noted in notes[0] if noted else not notes


def test_a_readme_that_shows_nothing_is_not_released(release_check):
    with pytest.raises(release_check.NotReadyError, match="cannot be rendered"):
        release_check.shown("<script>alert(1)</script>", [])


def test_what_pypi_shows_of_our_readme(release_check):
    """Its headings, blocks and tables are all there."""
    readme = text("README.md")
    page = release_check.markdown.render(readme, variant="GFM")
    outside = re.sub(r"```.*?```", "", readme, flags=re.DOTALL)
    assert page.count("<h2") == len(re.findall(r"^## ", outside, re.MULTILINE)) >= 1
    assert page.count("<pre") == readme.count("\n```") / 2
    assert page.count("<img") == outside.count("![") >= 1


def test_a_command_that_fails_says_what_it_said(release_check, tmp_path):
    with pytest.raises(release_check.NotReadyError, match="ended with status 3: no luck"):
        release_check.run(
            [sys.executable, "-c", "import sys; print('no luck', file=sys.stderr); sys.exit(3)"], tmp_path
        )


def test_nothing_of_ours_is_lent_to_an_empty_environment(release_check, tmp_path, monkeypatch):
    for name in ("PYTHONPATH", "CNNLAB_PLUGINS", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "ours")
    seen = json.loads(
        release_check.run([sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"], tmp_path)
    )
    assert "PATH" in seen
    assert not {"PYTHONPATH", "CNNLAB_PLUGINS", "VIRTUAL_ENV"} & set(seen)


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--publish"], 1)])
def test_what_is_noted_here_is_a_mistake_where_it_is_published(release_check, monkeypatch, capsys, options, status):
    def release(root, notes):
        notes.append("a link leads nowhere.")
        yield "all is well"

    monkeypatch.setattr(release_check, "release", release)
    monkeypatch.setattr(sys, "argv", ["release_check.py", *options])
    assert release_check.main() == status
    printed = capsys.readouterr()
    assert "all is well" in printed.out
    said = "This is not ready to be released" if options else "Before it is published"
    assert f"{said}: a link leads nowhere." in printed.out + printed.err
