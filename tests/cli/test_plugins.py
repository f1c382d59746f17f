"""``cnnlab plugins``: what one shows, what it refuses, and what checking one says."""

from __future__ import annotations

import importlib.util
import json

import pytest

from cnnlab.cli.commands.plugins import _names
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.registry import Plugin


@pytest.fixture
def odd(monkeypatch):
    """A plugin that is broken, before those that are built in."""
    broken = Plugin("odd", "odd", "cnnlab-odd", "1.0", state="broken", error="plugin 'odd' raised KeyError.")
    found = (broken, *registry.plugins())
    monkeypatch.setattr(registry, "plugins", lambda: found)


@pytest.mark.parametrize("command", ["show", "check"])
@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("odd", 1, "plugin 'odd' is broken: plugin 'odd' raised KeyError."),
        ("oclusion", 2, "there is no plugin 'oclusion'. Did you mean 'occlusion'"),
    ],
)
def test_what_cannot_be_shown_or_checked_is_one_sentence(command_line, odd, command, name, status, said):
    found, out, err = command_line("plugins", command, name)
    assert (found, out) == (status, "")
    assert err.startswith(f"Error: {said}")


def test_a_broken_plugin_hides_no_other(command_line, odd):
    status, out, _ = command_line("plugins", "show", "mnist-cnn")
    assert (status, "mnist-cnn" in out) == (0, True)


def test_a_distribution_shows_all_that_it_provides(command_line, monkeypatch):
    ours = [plugin for plugin in registry.plugins() if plugin.name in ("mnist", "occlusion")]
    monkeypatch.setattr(registry, "plugins", lambda: tuple(ours))
    status, out, _ = command_line("plugins", "show", "cnnlab", "--json")
    shown = [f"{each['kind']} {each['name']}" for each in json.loads(out)]
    assert status == 0
    assert sorted(shown) == sorted(name for plugin in ours for name in plugin.provides)
    assert {"dataset mnist", "architecture mnist-cnn", "analysis occlusion"} <= {*shown}


def test_completion_knows_plugins_distributions_and_what_they_provide():
    known = [each.value for each in _names(None, None, "m")]
    assert all(name.startswith("m") for name in known)
    assert {"mnist", "mnist-cnn"} <= {*known}
    assert "cnnlab" in [each.value for each in _names(None, None, "cn")]


def test_checking_needs_pytest(command_line, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    status, _, err = command_line("plugins", "check", "mnist")
    assert status == 1
    assert err == "Error: checking a plugin needs pytest: `pip install pytest`.\n"


def test_help_of_analyze_where_there_is_none_lists_none(command_line, monkeypatch):
    assert "Analyses:" in command_line("analyze", "--help")[1]
    monkeypatch.setattr(registry, "plugins", tuple)
    status, out, _ = command_line("analyze", "--help")
    assert (status, "Analyses:" in out, "Usage: cnnlab analyze" in out) == (0, False, True)
