"""A name is a built-in's or the only distribution's that has it; what two have is asked for by its full name."""

from __future__ import annotations

import json
import os

import pytest

from cnnlab.pluginhost.clashes import ENTRY, settle
from cnnlab.pluginhost.found import Plugin
from cnnlab.pluginhost.offers import Told
from cnnlab.testing.processes import python_m, run_process

ANALYSIS = """
import numpy as np
from cnnlab.plugin import Analysis, Array, Params, Result, hookimpl

def run(classifier, inputs, params, context):
    return Result(arrays={"value": np.asarray(VALUE)}, metrics={"value": VALUE})

def of(name):
    return Analysis(
        name=name, summary="Say VALUE.", params=Params, run=f"{__name__}:run", inputs="none",
        arrays={"value": Array("a value", axes=())}, metrics={"value": "a value"},
    )

@hookimpl
def cnnlab_analyses():
    return [of(name) for name in NAMES]
"""

DATASET = """
import numpy as np
from cnnlab.plugin import Dataset, DatasetSource, Split, hookimpl

def load():
    split = Split(np.full((2, 4, 4, 1), 0.5, np.float32), np.array([0, 1]))
    return Dataset(name="dots", train=split, test=split, class_names=("a", "b"))

@hookimpl
def cnnlab_datasets():
    return [
        DatasetSource(
            name="dots", summary="Dots.", load=f"{__name__}:load", shape=(4, 4, 1), class_names=("a", "b"),
            train_size=2, test_size=2, provenance="Nobody.", licence="CC0-1.0",
        )
    ]
"""


def analysis(value: float, *names: str) -> str:
    return ANALYSIS.replace("VALUE", str(value)).replace("NAMES", repr(names))


@pytest.fixture
def clashing(install_plugin, tmp_path):
    """Two distributions that have the analysis ``same``, and one that takes a built-in's name."""
    install_plugin("cnnlab-alpha", analysis(0.25, "same", "first"))
    install_plugin("cnnlab-gamma", analysis(0.75, "occlusion"))
    return install_plugin("cnnlab-beta", analysis(0.5, "same")) | {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_both_are_listed_as_clashing_and_neither_has_the_name(cnnlab_here, clashing):
    found = {row["name"]: row for row in json.loads(cnnlab_here("plugins", "list", "--json", env=clashing).stdout)}
    assert found["alpha"]["state"] == found["beta"]["state"] == found["gamma"]["state"] == "clashing"
    assert found["alpha"]["provides"] == ["analysis cnnlab-alpha:same", "analysis first"]
    assert found["occlusion"]["state"] == "active"
    assert found["beta"]["error"] == (
        "plugin 'beta' (cnnlab-beta 1.0): the analysis name 'same' is also that of plugin 'alpha' (cnnlab-alpha 1.0); "
        "say `cnnlab analyze cnnlab-beta:same` for this one."
    )
    for words in (("analyze", "same"), ("analyze", "same", "--help"), ("analyze", "first,same")):
        bare = cnnlab_here(*words, env=clashing)
        assert (bare.returncode, bare.stdout) == (2, "")
        assert bare.stderr == (
            "Error: the analysis name 'same' is that of cnnlab-alpha 1.0 and cnnlab-beta 1.0. Say which: "
            "`cnnlab analyze cnnlab-alpha:same` or `cnnlab analyze cnnlab-beta:same`.\n"
        )
    for name in ("cnnlab-alpha:same", "cnnlab-beta:same", "CNNLab_Beta:same", "first", "cnnlab-alpha:first"):
        assert cnnlab_here("analyze", name, "--help", env=clashing).returncode == 0, name
    unknown = cnnlab_here("analyze", "cnnlab-delta:same", env=clashing)
    assert unknown.returncode == 2
    assert "there is no analysis 'cnnlab-delta:same'. Did you mean 'cnnlab-beta:same'" in unknown.stderr


def test_lists_completion_and_show_know_the_full_names(cnnlab_here, clashing):
    told = cnnlab_here("analyze", "--help", env=clashing).stdout
    assert "  cnnlab-alpha:same " in told
    assert "  cnnlab-gamma:occlusion " in told
    assert "\n  same " not in told
    for line in ("cnnlab analyze cnnlab-b", "cnnlab plugins show cnnlab-beta:"):
        complete = {"_CNNLAB_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        assert "plain,cnnlab-beta:same" in cnnlab_here(env=clashing | complete).stdout.split()
    for name, summary in (("cnnlab-beta:same", "Say 0.5."), ("cnnlab.alpha:first", "Say 0.25.")):
        (shown,) = json.loads(cnnlab_here("plugins", "show", name, "--json", env=clashing).stdout)
        assert shown["summary"] == summary
    assert [each["distribution"] for each in json.loads(
        cnnlab_here("plugins", "show", "same", "--json", env=clashing).stdout
    )] == ["cnnlab-alpha", "cnnlab-beta"]  # fmt: skip


PYTHON = """
import sys, cnnlab, cnnlab.cli
from cnnlab.analysis.command import command_of
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.analysis.request import Request
from cnnlab.pluginhost import registry

opened = cnnlab.load(MODEL, trust=True)
values = [cnnlab.analyze(f"cnnlab-{name}:same", opened).metrics["value"] for name in ("alpha", "beta")]
assert values == [0.25, 0.5], values
assert "patch" in dir(registry.find_analysis("occlusion").params)
request = Request(analysis=registry.find_analysis("cnnlab-beta:same"), model=ModelChoice(model=MODEL))
assert command_of(request).startswith("cnnlab analyze cnnlab-beta:same --model "), command_of(request)
for words in (
    ["analyze", "cnnlab-beta:same", "--model", MODEL, "--trust", "--out", "of-beta"],
    ["analyze", "first", "--model", MODEL, "--trust", "--out", "first"],
    ["verify", "of-beta", "--model", MODEL, "--trust"],
    ["datasets", "export", "cnnlab-dots:dots", "dot.png", "--index", "test:0"],
):
    sys.argv = ["cnnlab", *words]
    try:
        cnnlab.cli.main()
    except SystemExit as stop:
        assert not stop.code, words
"""


def test_either_runs_under_its_full_name_and_its_result_verifies(clashing, install_plugin, model, tmp_path):
    install_plugin("cnnlab-dots", DATASET)
    (tmp_path / "either.py").write_text(PYTHON.replace("MODEL", repr(str(model))))
    done = run_process(python_m, "either", env=os.environ | clashing, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "of-beta" / "result.json").read_text())
    assert (record["analysis"], record["plugin"]["distribution"]) == ("same", "cnnlab-beta")
    assert "is not installed here" not in done.stdout
    assert (tmp_path / "dot.png").exists()


def test_both_are_asked_at_once(cnnlab_here, clashing, model, tmp_path):
    asked = ("--model", model, "--trust", "--out", "both", "--json")
    done = cnnlab_here(
        "analyze", "cnnlab-alpha:same,first,cnnlab-beta:same", *asked, "--fail-under", "cnnlab-beta:same.value=0.5",
        env=clashing,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {name: record["metrics"]["value"] for name, record in json.loads(done.stdout).items()}
    assert found == {"cnnlab-alpha:same": 0.25, "first": 0.25, "cnnlab-beta:same": 0.5}
    folders = sorted(each.parent.name for each in (tmp_path / "both").glob("*/result.json"))
    assert folders == ["cnnlab-alpha-same", "cnnlab-beta-same", "first"]
    twice = cnnlab_here("analyze", "cnnlab-beta:same,CNNLab.Beta:same", *asked, env=clashing)
    assert (twice.returncode, twice.stderr) == (2, "Error: each analysis is asked once; received same,same.\n")


def test_two_that_have_one_dataset_are_told_apart(cnnlab_here, install_plugin):
    install_plugin("cnnlab-dots", DATASET)
    env = install_plugin("cnnlab-more", DATASET)
    listed = json.loads(cnnlab_here("datasets", "--json", env=env).stdout)
    assert [row["distribution"] for row in listed if row["name"] == "dots"] == ["cnnlab-dots", "cnnlab-more"]
    asked = cnnlab_here("datasets", "export", "dots", "dot.png", "--index", "test:0", env=env)
    assert asked.returncode == 2
    assert "Say which: `--dataset cnnlab-dots:dots` or `--dataset cnnlab-more:dots`." in asked.stderr


def one(distribution: str, *claims: tuple[str, str]) -> Plugin:
    offers = [Told(noun=noun, name=name, summary="Something.") for noun, name in claims]
    return Plugin(distribution, "module", distribution, "1.0", declarations=offers)


def test_what_clashes_is_decided_by_no_order():
    plugins = [one(name, ("analysis", "same"), ("command", name)) for name in ("alpha", "beta", "gamma")]
    for order in (plugins, plugins[::-1]):
        for plugin in plugins:
            plugin.contested = frozenset()
        settle(order, of_host=["train"])
        assert all(plugin.contested == {("analysis", "same")} for plugin in order)


def test_what_the_host_has_is_the_hosts_and_what_cannot_be_used_claims_nothing():
    own, other, broken = one("cnnlab", ("analysis", "same")), one("other", ("analysis", "same")), one("broken")
    broken.fail("broken", "It is broken.")
    broken.offers = (Told(noun="analysis", name="train", summary="Something."),)
    tool = one("tool", ("command", "train"), ("analysis", "train"))
    settle([own, other, broken, tool], of_host=["train"])
    assert (own.state, own.contested) == ("active", frozenset())
    assert other.contested == {("analysis", "same")}
    assert tool.contested == {("command", "train")}
    assert broken.state == "broken"
    twins = [one("twin"), one("twin")]
    settle(twins, of_host=[])
    assert all(twin.contested == {(ENTRY, "twin")} for twin in twins)
