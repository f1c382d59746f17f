"""A plugin in one file, to try an idea without a package; and what CNNLAB_TRACE tells."""

from __future__ import annotations

import json
import os
import sys

import pytest

from cnnlab.analysis.command import command_of
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.analysis.request import Request
from cnnlab.pluginhost import clashes, registry, sources
from cnnlab.reports import of_results
from cnnlab.reports.sections import training
from cnnlab.training import run_choice

IDEA = """
from cnnlab.plugin import Analysis, Array, Params, Result, hookimpl

def run(classifier, inputs, params, context):
    return Result(arrays={"mean": inputs.images.mean(axis=(1, 2, 3))}, metrics={"mean": float(inputs.images.mean())})

@hookimpl
def cnnlab_analyses():
    return [
        Analysis(
            name="bright-idea", summary="Measure how bright each image is.", params=Params, run="my_idea:run",
            arrays={"mean": Array("mean of the pixels", axes=("N",))}, metrics={"mean": "mean of all pixels"},
        )
    ]
"""


@pytest.fixture
def idea(tmp_path):
    """The file, as somebody has it who is trying an idea."""
    path = tmp_path / "my_idea.py"
    path.write_text(IDEA)
    yield path
    sys.modules.pop("my_idea", None)


@pytest.fixture
def cnnlab(cnnlab_here, tmp_path):
    """Run cnnlab in the folder that the file is in."""
    return lambda *words, **env: cnnlab_here(
        *words, env={"XDG_CACHE_HOME": str(tmp_path / "cache"), **env}, cwd=tmp_path
    )


def test_an_idea_runs_without_a_package(cnnlab, idea, model, tmp_path):
    image = os.path.abspath("examples/7.png")
    of_image = ("--model", model, "--trust", "--image", image, "--fit", "stretch")
    done = cnnlab("analyze", "bright-idea", *of_image, "--plugin", "my_idea.py", "--out", "out")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["plugin"] == {"distribution": "my_idea.py", "version": ""}
    assert 0 < record["metrics"]["mean"] < 1


def test_an_idea_that_fails_is_told_by_its_file(cnnlab, idea, model):
    idea.write_text(IDEA.replace("    return Result(", "    raise KeyError('lost')\n    return Result("))
    image = os.path.abspath("examples/7.png")
    of_image = ("--model", model, "--trust", "--image", image, "--fit", "crop")
    done = cnnlab("analyze", "bright-idea", "--plugin", "my_idea.py", *of_image)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "Error: the analysis 'bright-idea' of my_idea.py failed: KeyError: 'lost'. CNNLAB_DEBUG=1 shows where it "
        "happened.\n"
    )


def test_it_is_found_wherever_the_option_stands_and_by_the_variable(cnnlab, idea):
    for words in (
        ("--plugin", "my_idea.py", "analyze", "bright-idea", "--help"),
        ("analyze", "--plugin", "my_idea.py", "bright-idea", "--help"),
        ("analyze", "bright-idea", "--help", "--plugin=my_idea.py"),
        ("--plugin", idea, "analyze", "bright-idea", "--help"),
        ("--plugin", "my_idea.py", "analyze", "my_idea.py:bright-idea", "--help"),
    ):
        done = cnnlab(*words)
        assert (done.returncode, "Measure how bright" in done.stdout) == (0, True), (words, done.stderr)
    assert "bright-idea" in cnnlab("analyze", "--help", CNNLAB_PLUGIN_FILES="my_idea.py").stdout
    assert "bright-idea" not in cnnlab("analyze", "--help").stdout
    listed = json.loads(cnnlab("--plugin", "my_idea.py", "plugins", "list", "--json", CNNLAB_PLUGINS="mnist").stdout)
    assert [(row["distribution"], row["provides"]) for row in listed if row["state"] == "active"] == [
        ("cnnlab", ["dataset mnist", "architecture mnist-cnn"]),
        ("my_idea.py", ["analysis bright-idea"]),
    ]
    complete = {"_CNNLAB_COMPLETE": "bash_complete", "COMP_WORDS": "cnnlab --plugin my_idea.py analyze br"}
    assert cnnlab(**complete, COMP_CWORD="4").stdout == "plain,bright-idea\n"


def test_other_commands_say_where_the_option_stands(cnnlab, idea):
    done = cnnlab("report", "runs/one", "--plugin", "my_idea.py")
    assert done.returncode == 2
    assert done.stderr == ("Error: --plugin FILE is said before the command: `cnnlab --plugin FILE report ...`.\n")


def test_a_file_that_changes_is_asked_anew(cnnlab, idea):
    env = {"CNNLAB_PLUGIN_FILES": "my_idea.py"}
    assert "Measure how bright" in cnnlab("analyze", "--help", **env).stdout
    idea.write_text(IDEA.replace("bright each", "dark each"))
    assert "Measure how dark" in cnnlab("analyze", "--help", **env).stdout


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("my_idea.py", "import nothing_like_this", "No module named 'nothing_like_this'"),
        ("my_idea.py", "def (", "SyntaxError"),
        ("ideas/colorsys.py", IDEA, "there is another module 'colorsys' already; give the file another name."),
        ("my-idea.py", IDEA, "the file's name must be one that Python can import, such as my_idea.py."),
        ("my_idea.txt", IDEA, "the file's name must be one that Python can import, such as my_idea.py."),
        ("my_idea.py", IDEA.replace("my_idea:run", "my_idea:ran"), "the module 'my_idea' has no 'ran'"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_to_whoever_asks_for_it_and_harms_nobody(cnnlab, tmp_path, name, text, said):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    done = cnnlab("--plugin", name, "analyze", "bright-idea", "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"({name}) could not be loaded: " in done.stderr
    assert said in done.stderr
    assert cnnlab("--plugin", name, "analyze", "occlusion", "--help").returncode == 0


def test_a_file_that_is_not_there_is_a_usage_error_and_in_the_variable_a_broken_plugin(cnnlab, tmp_path):
    done = cnnlab("analyze", "bright-idea", "--plugin", "nothing.py")
    assert done.returncode == 2
    assert done.stderr == "Error: --plugin must be the path of a Python file; received nothing.py.\n"
    told = cnnlab("plugins", "list", CNNLAB_PLUGIN_FILES="nothing.py")
    assert told.returncode == 0
    assert "there is no file nothing.py." in told.stdout


def test_two_files_of_one_idea_clash(cnnlab, idea, tmp_path):
    (tmp_path / "other.py").write_text(IDEA.replace("my_idea:run", "other:run"))
    env = {"CNNLAB_PLUGIN_FILES": os.pathsep.join(["my_idea.py", "other.py"])}
    asked = cnnlab("analyze", "bright-idea", **env)
    assert asked.returncode == 2
    assert "`cnnlab analyze my_idea.py:bright-idea` or `cnnlab analyze other.py:bright-idea`" in asked.stderr
    assert cnnlab("analyze", "other.py:bright-idea", "--help", **env).returncode == 0


def test_the_option_lasts_as_long_as_its_command(command_line, idea, plugins_anew, monkeypatch):
    monkeypatch.setenv(sources.FILES, "other.py")
    status, out, _ = command_line("--plugin", idea, "analyze", "--help")
    assert (status, "bright-idea" in out) == (0, True)
    assert (os.environ[sources.FILES], sources.ASKED in os.environ) == ("other.py", False)
    status, out, _ = command_line("analyze", "--help")
    assert (status, "bright-idea" in out) == (0, False)


def test_commands_that_are_told_name_the_files_that_the_option_named(monkeypatch, idea, plugins_anew, tmp_path):
    monkeypatch.setenv(sources.FILES, "of-the-shell.py")
    told = "cnnlab --plugin 'b c.py' --plugin {} ".format
    monkeypatch.setenv(sources.ASKED, os.pathsep.join(["b c.py", str(idea)]))
    assert sources.named_files() == ["of-the-shell.py", "b c.py", str(idea)]
    request = Request(analysis=registry.find_analysis("bright-idea"), model=ModelChoice(model="m.keras"))
    assert command_of(request) == told(idea) + "analyze bright-idea --model m.keras"
    assert run_choice.command_to_resume(tmp_path) == told(idea) + f"train --out {tmp_path} --resume"
    assert of_results.command(["out"]) == told(idea) + "report --result out"
    assert training.command_of({"epochs": 3}) == told(idea) + "train --epochs 3"
    (plugin,) = [each for each in registry.plugins() if each.name == "my-idea"]
    assert clashes.ways("analysis", plugin, "bright-idea") == told(idea) + f"analyze {idea}:bright-idea"


def test_the_host_tells_what_it_asks(cnnlab, idea):
    first = cnnlab("--plugin", "my_idea.py", "analyze", "--help", CNNLAB_TRACE="1")
    assert [line.split(" ms  ")[1] for line in first.stderr.splitlines()][-2:] == [
        "import of my_idea (my_idea.py)",
        "cnnlab_analyses() of my_idea",
    ]
    assert all(float(line.removeprefix("cnnlab:").split(" ms ")[0]) >= 0 for line in first.stderr.splitlines())
    second = cnnlab("--plugin", "my_idea.py", "analyze", "--help", CNNLAB_TRACE="1")
    assert " ms  what is remembered of my_idea (my_idea.py)" in second.stderr
    assert "import of" not in second.stderr
    idea.write_text("raise KeyError('lost')")
    third = cnnlab("--plugin", "my_idea.py", "analyze", "--help", CNNLAB_TRACE="1")
    assert "import of my_idea (my_idea.py) raised KeyError" in third.stderr
    assert (cnnlab("--help").stderr, first.stdout) == ("", second.stdout)
