"""Commands that plugins add: listed without importing them, run in the host's style, and blamed rightly."""

from __future__ import annotations

import json

import pytest

TOOL = """
print("imported")

import sys, click
from cnnlab.plugin import CnnlabError, UsageError, hookimpl

@click.command()
@click.argument("how", type=click.Choice("well error usage bug panic status leave say number".split()))
@click.option("--deep", is_flag=True, help="Look deeper.")
@click.pass_context
def gather(context, how, deep):
    '''Gather results of many machines. This goes on.'''
    click.echo(f"gathering {how}")
    if how == "error":
        raise CnnlabError("there are no results: name a folder with `images=`.")
    if how == "usage":
        raise UsageError("deep and shallow exclude each other.")
    if how == "bug":
        raise KeyError("lost")
    if how == "panic":
        raise BaseException("lost")
    if how == "status":
        context.exit(3)
    if how == "leave":
        sys.exit(4)
    if how == "say":
        sys.exit("Nothing was gathered.")
    return 7 if how == "number" else None

@click.group()
def train():
    '''Train otherwise.'''

@train.command()
def quickly():
    '''Train quickly.'''
    click.echo("quick")

@hookimpl
def cnnlab_commands():
    return [gather, train]
"""


@pytest.fixture
def env(install_plugin, tmp_path):
    """The environment of those who have the plugin."""
    url = "Project-URL: Issues, https://example.org/tool/issues\n"
    env = install_plugin("cnnlab-tool", TOOL, version="2.5", metadata=url)
    return env | {"XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def tool(env, cnnlab_here):
    """Run cnnlab with the plugin; it is known already."""
    assert "imported" in cnnlab_here("--help", env=env).stderr
    return lambda *words, **more: cnnlab_here(*words, env=env | more)


def test_they_are_listed_below_the_hosts_own_without_being_imported(tool):
    told = tool("--help")
    assert (told.returncode, told.stderr) == (0, "")
    own, _, others = told.stdout.partition("Commands of plugins:\n")
    assert "\n  train " in own
    assert "  gather             Gather results of many machines.\n" in others
    assert "  cnnlab-tool:train  Train otherwise.\n" in others
    complete = {"_CNNLAB_COMPLETE": "bash_complete", "COMP_WORDS": "cnnlab gat", "COMP_CWORD": "1"}
    done = tool(**complete)
    assert (done.stdout, done.stderr) == ("plain,gather\n", "")
    for words in (("train", "--help"), ("datasets",), ("analyze", "--help")):
        assert "imported" not in tool(*words).stderr


def test_what_they_are_is_shown(tool):
    (told,) = json.loads(tool("plugins", "show", "gather", "--json").stdout)
    assert (told["kind"], told["name"], told["summary"]) == ("command", "gather", "Gather results of many machines.")
    assert "object" not in tool("plugins", "show", "gather").stdout


def test_their_help_is_as_the_hosts(tool):
    told = tool("gather", "-h").stdout
    assert told.startswith("Usage: cnnlab gather [OPTIONS] ")
    assert "  --deep      Look deeper.\n" in told
    assert "  -h, --help  Show this message and exit.\n" in told
    told = tool("cnnlab-tool:train", "--help").stdout
    assert "  quickly  Train quickly.\n" in told
    assert tool("cnnlab-tool:train", "quickly").stdout == "quick\n"


REPORT = "Please report it at https://example.org/tool/issues. CNNLAB_DEBUG=1 shows where it happened.\n"


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("well", 0, ""),
        ("error", 1, "Error: there are no results: name a folder with --image.\n"),
        ("usage", 2, "Error: deep and shallow exclude each other.\n"),
        ("bug", 1, f"Error: the command 'gather' of cnnlab-tool 2.5 failed: KeyError: 'lost'. {REPORT}"),
        ("panic", 1, f"Error: the command 'gather' of cnnlab-tool 2.5 failed: BaseException: lost. {REPORT}"),
        ("status", 3, ""),
        ("leave", 4, ""),
        ("say", 1, "Error: Nothing was gathered.\n"),
        ("number", 0, ""),
    ],
)
def test_what_they_end_with_is_told_as_the_host_tells_it(tool, how, status, said):
    done = tool("gather", how)
    assert (done.returncode, done.stdout) == (status, f"gathering {how}\n")
    assert done.stderr == f"cnnlab-tool 2.5: imported\n{said}"


def test_wrong_words_are_usage_errors_and_debugging_shows_the_traceback(tool, env, cnnlab_command):
    wrong = tool("gather", "otherwise")
    assert wrong.returncode == 2
    assert "'otherwise' is not one of" in wrong.stderr
    near = tool("gathr")
    assert near.returncode == 2
    assert "There is no command 'gathr'. Did you mean 'gather'?" in near.stderr
    shown = cnnlab_command("gather", "bug", env=env | {"CNNLAB_DEBUG": "1"})
    assert "KeyError: 'lost'" in shown.stderr.partition("Traceback")[2]


def test_a_broken_one_is_told_when_it_is_asked_for(cnnlab_here, install_plugin):
    env = install_plugin("cnnlab-gather", "import nothing_like_this")
    done = cnnlab_here("gather", env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "command 'gather' is not available: plugin 'gather' (cnnlab-gather 1.0) could not be loaded" in done.stderr
    assert cnnlab_here("--help", env=env).returncode == 0
