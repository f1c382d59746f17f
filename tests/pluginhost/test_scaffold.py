"""``cnnlab plugins new``: what it writes is installable, tested, and runs, in an environment of its own."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import cnnlab
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.pluginhost.scaffold import KINDS, LICENCES, create, next_major

ROOT = Path(__file__).resolve().parents[2]


def test_an_analysis_from_nothing_to_a_result(shared_environment, tmp_path, trained_run):
    environment = shared_environment
    environment.cnnlab("plugins", "new", "sharpness")
    environment.install(environment.folder / "cnnlab-sharpness")
    assert "analysis sharpness" in environment.cnnlab("plugins", "list")
    assert "--blur" in environment.cnnlab("plugins", "show", "sharpness")
    image = ROOT / "examples" / "7.png"
    out = tmp_path / "out"
    words = ["analyze", "sharpness", "--model", trained_run.path, "--image", image, "--out", out, "--blur", "1"]
    environment.cnnlab(*words)
    assert {path.name for path in out.iterdir()} == {"result.json", "arrays.npz", "drawings.json", "figure.png"}


def test_an_attack_from_nothing_to_a_verified_result(shared_environment, trained_run):
    environment, folder = shared_environment, shared_environment.folder
    words = ("--licence", "bsd-3-clause", "--author", "Ada <ada@example.org>", "--url", "https://example.org/nudge")
    said = environment.cnnlab("plugins", "new", "nudge", "--kind", "attack", *words)
    for name in ("LICENSE", ".gitignore", ".github/workflows/test.yml"):  # which the wheel must hold, too
        assert f"cnnlab-nudge/{name}\n" in said
        assert (folder / "cnnlab-nudge" / name).is_file()
    environment.install(folder / "cnnlab-nudge")
    of_twenty = ["--dataset", "mnist", "--limit", "20", "--epsilon", "0.3", "--fail-under", "success=0.9"]
    environment.cnnlab("analyze", "nudge", "--model", trained_run.path, *of_twenty, "--out", "out")
    record = json.loads((folder / "out" / "result.json").read_text())
    assert record["plugin"] == {"distribution": "cnnlab-nudge", "version": "0.1.0"}
    assert record["claims"]["epsilons"] == [0.3]
    assert re.fullmatch(r"\d+ of \d+ images misread after the attack", record["headline"])
    assert len(record["images"]) == 20
    verdict = json.loads(environment.cnnlab("verify", "out", "--rerun", "--json"))
    assert (verdict["verdict"][:5], verdict["failed"]) == ("holds", [])
    code = (folder / "cnnlab-nudge" / "cnnlab_nudge" / "run.py").read_text().splitlines()
    assert len([line for line in code if line.strip()]) < 40, "an attack of about thirty lines"


@pytest.mark.full
@pytest.mark.parametrize("kind", ["attack", "dataset", "architecture"])
def test_its_own_tests_pass(environment, tmp_path, kind):
    environment.cnnlab("plugins", "new", "my-own", "--kind", kind)
    environment.install(tmp_path / "cnnlab-my-own")
    assert f"{'analysis' if kind == 'attack' else kind} my-own" in environment.cnnlab("plugins", "list")
    assert " passed" in environment.run("-m", "pytest", "-q", cwd=tmp_path / "cnnlab-my-own")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_template_is_left_unfilled(tmp_path, kind):
    folder = create("two-words", kind, tmp_path)
    for path in folder.rglob("*"):
        assert "{{" not in path.name
        if path.is_file():
            text = path.read_text()
            assert not re.search(r"\{\{\w", text)
            if path.suffix == ".py":
                compile(text, str(path), "exec")


@pytest.mark.parametrize("name", ["Sharp", "sharp ness", "../x", "", "9lives", "a--b"])
def test_a_name_that_nobody_could_type_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="lower-case words"):
        create(name, "analysis", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind", "taken"),
    [
        ("mnist", "analysis", "the plugin 'mnist' of cnnlab"),
        ("mnist", "dataset", "the plugin 'mnist' of cnnlab"),
        ("occlusion", "architecture", "the plugin 'occlusion' of cnnlab"),
        ("mnist-cnn", "architecture", "the architecture 'mnist-cnn' of cnnlab"),
        ("cnnlab", "analysis", "cnnlab itself"),
    ],
)
def test_a_name_that_is_taken_is_refused(tmp_path, name, kind, taken):
    with pytest.raises(UsageError) as refused:
        create(name, kind, tmp_path)
    assert str(refused.value) == f"the name {name} is taken by {taken}; choose another."
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_installed_can_be_written_anew_where_it_lies(tmp_path):
    folder = tmp_path / "cnnlab-mnist"
    folder.mkdir()
    (folder / ".gitignore").write_text("old")
    (folder / "notes").write_text("of the author")
    assert create("mnist", "dataset", tmp_path, force=True) == folder
    assert (folder / "pyproject.toml").is_file()
    assert (folder / ".github" / "workflows" / "test.yml").is_file()
    assert "__pycache__" in (folder / ".gitignore").read_text()
    assert (folder / "notes").read_text() == "of the author"


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "cnnlab-sharpness").mkdir()
    with pytest.raises(CnnlabError, match="exists already"):
        create("sharpness", "analysis", tmp_path)
    assert list((tmp_path / "cnnlab-sharpness").iterdir()) == []


def test_a_kind_that_is_none_is_refused(tmp_path):
    with pytest.raises(
        UsageError, match="kind must be one of analysis, attack, dataset, architecture; received 'model'"
    ):
        create("own", "model", tmp_path)
    assert list(tmp_path.iterdir()) == []


def run(*words: object, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_what_strangers_copy_is_clean(kind, tmp_path, tmp_path_factory):
    folder = create("two-more-words", kind, tmp_path)
    run("ruff", "check", "--no-cache", cwd=folder)
    run("ruff", "format", "--check", "--no-cache", cwd=folder)
    if kind == "analysis" and Version(np.__version__) < Version("2.2"):
        pytest.skip("for mypy, NumPy before 2.2 has every ndarray say what it holds")
    kept = tmp_path_factory.getbasetemp() / "mypy"  # cnnlab's own types are read once
    run("mypy", "--cache-dir", kept, cwd=folder)


def test_the_workflow_is_as_github_reads_it(tmp_path):
    workflow = create("own", "attack", tmp_path) / ".github" / "workflows" / "test.yml"
    run("check_jsonschema", "--builtin-schema", "vendor.github-workflows", workflow, cwd=tmp_path)
    steps = re.findall(r"- run: (.*)", workflow.read_text(encoding="utf-8"))
    assert steps[-4:] == ["ruff check", "ruff format --check", "mypy", "pytest"]
    ours = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    for action in re.findall(r"uses: (\S+)", workflow.read_text(encoding="utf-8")):
        assert action in ours, "as cnnlab's own workflow, which dependabot keeps new"


def test_what_the_author_says_stands_in_the_metadata(tmp_path):
    authors = ["Ada Lovelace <ada@example.org>", 'Bob "B" \\ {{name}}']
    url = "https://example.org/ada/nudge/"
    folder = create("nudge", "attack", tmp_path, "0.3.1", licence="apache-2.0", authors=authors, url=url)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["authors"] == [{"name": "Ada Lovelace", "email": "ada@example.org"}, {"name": authors[1]}]
    assert project["urls"] == {
        "Homepage": "https://example.org/ada/nudge",
        "Issues": "https://example.org/ada/nudge/issues",
    }
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert "cnnlab-plugin" in project["keywords"]
    assert project["dependencies"][0] == "cnnlab>=0.3.1,<1"


def test_what_the_author_leaves_out_is_left_to_be_filled_in(tmp_path):
    folder = create("nudge", "dataset", tmp_path)
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    assert project["authors"] == [{"name": "The cnnlab-nudge authors"}]
    assert "urls" not in project
    filled = tomllib.loads(re.sub(r'^# (\[project.urls\]|\w+ = ")', r"\1", text, flags=re.MULTILINE))["project"]
    assert filled["urls"]["Issues"] == "https://github.com/OWNER/cnnlab-nudge/issues"


@pytest.mark.parametrize("licence", LICENCES)
def test_the_licence_is_that_of_choice(tmp_path, licence):
    folder = create("nudge", "analysis", tmp_path, licence=licence, authors=["Ada <ada@example.org>"])
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project.get("license", "") == LICENCES[licence]
    file, readme = folder / "LICENSE", (folder / "README.md").read_text(encoding="utf-8")
    if licence == "none":
        assert not file.exists()
        assert "There is no licence yet" in readme
        return
    text = file.read_text(encoding="utf-8")
    assert f"under the [{LICENCES[licence]} licence](LICENSE)" in readme
    first = {"mit": "MIT License", "apache-2.0": "Apache License", "bsd-3-clause": "BSD 3-Clause License"}[licence]
    assert text.split("\n\n")[0].strip().startswith(first)
    if licence != "apache-2.0":  # which names nobody
        assert re.search(rf"Copyright \(c\) {datetime.date.today().year},? Ada\n", text)


REFUSED = {
    "licence must be one of mit, apache-2.0, bsd-3-clause, none; received 'gpl'.": {"licence": "gpl"},
    "an author must be NAME or NAME <EMAIL>; received ''.": {"authors": [""]},
    "an author must be NAME or NAME <EMAIL>; received 'Ada <ada>'.": {"authors": ["Bob", "Ada <ada>"]},
    "an author must be NAME or NAME <EMAIL>; received 'Ada\\nBob'.": {"authors": ["Ada\nBob"]},
    "the address must be one of a page, such as https://github.com/OWNER/x; received 'example.org'.": {
        "url": "example.org"
    },
    "the address must be one of a page, such as https://github.com/OWNER/x; received 'https://a\"b'.": {
        "url": 'https://a"b'
    },
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_an_author_cannot_mean_is_refused(tmp_path, sentence):
    with pytest.raises(UsageError) as refused:
        create("own", "analysis", tmp_path, **REFUSED[sentence])
    assert str(refused.value) == sentence
    assert list(tmp_path.iterdir()) == []


def test_a_package_is_for_every_cnnlab_until_the_interface_may_change():
    assert [next_major(version) for version in ("0.1.0", "0.12.3", "1.0.0", "3.2.1.dev0")] == ["1", "1", "2", "4"]
    wanted = SpecifierSet(f">={cnnlab.__version__},<{next_major(cnnlab.__version__)}")
    assert cnnlab.__version__ in wanted


def test_what_is_built_of_it_holds_what_it_should(tmp_path):
    folder = create("nudge", "attack", tmp_path)
    (folder / "runs").mkdir()
    (folder / "runs" / "large").write_text("what cnnlab wrote there")
    run("build", "--no-isolation", "--outdir", tmp_path / "dist", folder, cwd=tmp_path)
    (wheel,), (sdist,) = ([*(tmp_path / "dist").glob(f"*{suffix}")] for suffix in (".whl", ".tar.gz"))
    info = "cnnlab_nudge-0.1.0.dist-info"
    assert {*zipfile.ZipFile(wheel).namelist()} == {
        *(f"cnnlab_nudge/{name}.py" for name in ("__init__", "run", "testing")),
        *(f"{info}/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt", "licenses/LICENSE", "RECORD")),
    }
    with tarfile.open(sdist) as archive:
        held = {name.removeprefix("cnnlab_nudge-0.1.0/") for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "tests/test_contract.py", "cnnlab_nudge/testing.py"} <= held
    assert not [name for name in held if name.startswith("runs")], "what .gitignore names is not shipped"
