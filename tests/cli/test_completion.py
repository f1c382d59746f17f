"""What the shell offers: commands, analyses, choices, and the classes and layers of the model that was named."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from cnnlab.cli import COMMANDS, cli


def offered(*words: object) -> list[str]:
    """What is offered for the last word, after the others."""
    *before, incomplete = map(str, words)
    complete = ShellComplete(cli, {}, "cnnlab", "_CNNLAB_COMPLETE")
    return [item.value for item in complete.get_completions(before, incomplete)]


def test_commands_and_analyses():
    assert set(offered("")) == set(COMMANDS)
    assert offered("analyze", "occ") == ["occlusion"]
    assert offered("plugins", "show", "calib") == ["calibration"]  # a section


@pytest.mark.parametrize("option", ["--model={}", "--model {}"])
def test_layers_and_classes_of_the_model_that_was_named(trained_run, option):
    named = option.format(trained_run.path).split(" ")
    assert offered("analyze", "activations", *named, "--layer", "conv") == ["conv1", "conv2"]
    assert offered("analyze", "saliency", *named, "--target", "") == list("0123456789")


def test_words_that_mean_something_else_come_too(trained_run):
    found = offered("analyze", "targeted", "--model", trained_run.path, "--target", "")
    assert found == ["all", *"0123456789"]


def test_choices():
    assert offered("analyze", "occlusion", "--fill", "m") == ["min", "mean", "max"]


def test_without_a_model_nothing_is_offered_and_nothing_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert offered("analyze", "activations", "--layer", "") == []
    assert offered("analyze", "activations", "--model", "nowhere", "--layer", "") == []


def test_datasets_architectures_and_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert offered("train", "--architecture", "mnist") == ["mnist-cnn"]
    assert offered("train", "--recipe", "c") == ["classic", "constant"]
    assert offered("train", "--dataset", "mn") == ["mnist"]
    assert offered("evaluate", "--model", "runs/") == ["runs/"]  # none is there, so the shell completes paths
    Path("runs/first").mkdir(parents=True)
    Path("runs/first/run.json").touch()
    assert offered("evaluate", "--model", "runs/") == ["runs/first"]
    assert offered("summary", "") == ["mnist-cnn", "runs/first"]


@pytest.mark.parametrize(
    "words", [("nonsense", ""), ("analyze", "nonsense", "--"), ("analyze", "occlusion,nonsense", ""), ("--", "-x", "")]
)
def test_a_wrong_word_before_is_no_error_in_the_prompt(words):
    assert "--fill" not in offered(*words)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(command_line, shell, tmp_path):
    status, script, _ = command_line("completion", shell)
    assert (status, "_CNNLAB_COMPLETE" in script, f"{shell}_complete" in script) == (0, True, True)
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", tmp_path / "script"], check=True, capture_output=True, timeout=60)


def pressed_tab(command_line, line: str, words: str, cnnlab: str) -> subprocess.CompletedProcess[str]:
    """What bash is offered where a line ends, which it takes for ``words``; ``cnnlab`` is the body of a function."""
    _, script, _ = command_line("completion", "bash")
    text = f"""
        ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || exit 77
        cnnlab() {{ {cnnlab}; }}
        {script}
        complete -p cnnlab > /dev/null || exit
        COMP_LINE={shlex.quote(line)} COMP_WORDS=({words})
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _cnnlab_completion cnnlab
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("click completes in bash from 4.4 on, and this one is older, as that of macOS")
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    ("line", "words", "asked", "offered"),
    [
        ("cnnlab ana", "cnnlab ana", "cnnlab|ana 1", "ana..."),
        ("cnnlab analyze ", "cnnlab analyze ''", "cnnlab|analyze| 2", "..."),
        ("cnnlab x --fill m", "cnnlab x --fill m", "cnnlab|x|--fill|m 3", "m..."),
        ("cnnlab x --fill=m", "cnnlab x --fill = m", "cnnlab|x|--fill=m 2", "m..."),
        ("cnnlab x --fill=", "cnnlab x --fill =", "cnnlab|x|--fill= 2", "..."),
        ("cnnlab x  --model=a --fill=", "cnnlab x --model = a --fill =", "cnnlab|x|--model=a|--fill= 3", "..."),
        ("cnnlab analyze a:sh", "cnnlab analyze a : sh", "cnnlab|analyze|a:sh 2", "sh..."),
        ("cnnlab analyze a:sharp -", "cnnlab analyze a : sharp -", "cnnlab|analyze|a:sharp|- 3", "-..."),
    ],
)
def test_what_bash_takes_for_several_words_is_one(command_line, line, words, asked, offered):
    """It splits at ``:`` and ``=``, and puts what is offered behind them."""
    told = """echo "${COMP_WORDS//$'\\n'/|} $COMP_CWORD" >&2; echo "plain,${COMP_WORDS##*$'\\n'}..." """
    done = pressed_tab(command_line, line, words, told)
    assert (done.stderr.strip(), done.stdout.strip()) == (asked, offered)


def test_bash_completes_by_its_script(command_line):
    line, words = "cnnlab analyze occlusion --fill=m", "cnnlab analyze occlusion --fill = m"
    done = pressed_tab(command_line, line, words, f'{shlex.quote(sys.executable)} -m cnnlab "$@"')
    assert done.stdout.split() == ["min", "mean", "max"]
