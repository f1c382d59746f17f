"""``cnnlab plugins new``: what it writes is installable, tested, and runs, in an environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.pluginhost.scaffold import KINDS, create

ROOT = Path(__file__).resolve().parents[2]


def test_an_analysis_from_nothing_to_a_result(environment, tmp_path, trained_run):
    environment.cnnlab("plugins", "new", "sharpness")
    environment.install(tmp_path / "cnnlab-sharpness")
    assert "analysis sharpness" in environment.cnnlab("plugins", "list")
    assert "--blur" in environment.cnnlab("plugins", "show", "sharpness")
    assert " passed" in environment.run("-m", "pytest", "-q", cwd=tmp_path / "cnnlab-sharpness")
    image = ROOT / "examples" / "7.png"
    out = tmp_path / "out"
    words = ["analyze", "sharpness", "--model", trained_run.path, "--image", image, "--out", out, "--blur", "1"]
    environment.cnnlab(*words)
    assert {path.name for path in out.iterdir()} == {"result.json", "arrays.npz", "drawings.json", "figure.png"}


def test_checking_prints_a_line_per_promise(environment, tmp_path):
    environment.cnnlab("plugins", "new", "sharpness")
    environment.install(tmp_path / "cnnlab-sharpness")
    run = tmp_path / "cnnlab-sharpness" / "cnnlab_sharpness" / "run.py"
    run.write_text(run.read_text().replace('return {"map": ', 'return {"other": gradient, "map": '))
    lines = environment.cnnlab("plugins", "check", "sharpness", status=1).splitlines()
    assert lines[0] == "analysis sharpness"
    assert len([line for line in lines if line.startswith("  kept")]) >= 6
    assert any("broken" in line for line in lines)
    assert any("which it does not declare" in line for line in lines)


@pytest.mark.parametrize("kind", ["dataset", "architecture"])
def test_the_other_kinds_keep_their_contract(environment, tmp_path, kind):
    environment.cnnlab("plugins", "new", "my-own", "--kind", kind)
    environment.install(tmp_path / "cnnlab-my-own")
    assert f"{kind} my-own" in environment.cnnlab("plugins", "list")
    assert " passed" in environment.run("-m", "pytest", "-q", cwd=tmp_path / "cnnlab-my-own")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_template_is_left_unfilled(tmp_path, kind):
    folder = create("two-words", kind, tmp_path)
    for path in folder.rglob("*"):
        assert "{{" not in path.name
        if path.is_file():
            text = path.read_text()
            assert "{{" not in text
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
    assert create("mnist", "dataset", tmp_path, force=True) == folder
    assert (folder / "pyproject.toml").is_file()


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "cnnlab-sharpness").mkdir()
    with pytest.raises(CnnlabError, match="exists already"):
        create("sharpness", "analysis", tmp_path)
    assert list((tmp_path / "cnnlab-sharpness").iterdir()) == []


def test_a_kind_that_is_none_is_refused(tmp_path):
    with pytest.raises(UsageError, match="kind must be one of analysis, dataset, architecture; received 'model'"):
        create("own", "model", tmp_path)
    assert list(tmp_path.iterdir()) == []
