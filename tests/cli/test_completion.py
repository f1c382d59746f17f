"""What the shell offers: commands, analyses, choices, and the classes and layers of the model that was named."""

from __future__ import annotations

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
