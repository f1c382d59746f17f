"""Checking a plugin, as ``cnnlab plugins check`` does: a line per promise, kept or broken."""

from __future__ import annotations

import importlib.machinery
import re
import subprocess
import sys
import types

import pytest

from cnnlab.errors import UsageError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis
from cnnlab.pluginhost.offers import Subcommand
from cnnlab.pluginhost.params import Params
from cnnlab.pluginhost.registry import Plugin
from cnnlab.pluginhost.scaffold import create
from cnnlab.testing import checking
from cnnlab.testing.__main__ import main

LAME = """
from cnnlab.plugin import DatasetSource, hookimpl

def load():
    raise RuntimeError("the tap is dry")

@hookimpl
def cnnlab_datasets():
    return [
        DatasetSource(
            name="lame", summary="Nothing.", load="cnnlab_lame:load", shape=(4, 4, 1), class_names=("a", "b"),
            train_size=2, test_size=2, provenance="Made up.", licence="CC0",
        )
    ]
"""


@pytest.fixture
def check(capsys):
    """Do in this process what ``cnnlab plugins check`` does in another: ``check("mnist") -> (status, out, err)``."""
    return lambda *words: (main([*words]), *capsys.readouterr())


@pytest.fixture
def install(install_plugin, plugins_anew, monkeypatch, tmp_path):
    """Install a plugin for this process and those that it starts."""
    before = {*sys.modules}
    site = tmp_path / "site-packages"

    def installed(distribution, source):
        install_plugin(distribution, source)
        monkeypatch.syspath_prepend(site)
        return site

    yield installed
    for name in {*sys.modules} - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(site)):
            del sys.modules[name]


def test_every_declaration_of_a_plugin_is_checked(check):
    status, out, _ = check("mnist")
    assert status == 0, out
    dataset, _, architecture = out.partition("architecture mnist-cnn\n")
    assert dataset.startswith("dataset mnist\n  kept")
    assert "  kept     it ends in logits" in architecture
    assert "broken" not in out


def test_a_broken_promise_is_named_with_its_reason(check, install):
    install("cnnlab-lame", LAME)
    status, out, _ = check("lame")
    assert status == 1
    lines = out.splitlines()
    assert lines[0] == "dataset lame"
    assert "  kept     it says where it comes from" in lines
    broken = lines.index("  broken   it is as large as declared")
    assert re.fullmatch(r" {11}/.*/cnnlab_lame\.py:\d+: RuntimeError: the tap is dry", lines[broken + 1])


MODEST = """
from typing import Annotated
from dataclasses import dataclass
from annotated_types import Ge
from cnnlab.plugin import Analysis, Array, Doc, Params, Result, UsageError, hookimpl

@dataclass(frozen=True, kw_only=True)
class ModestParams(Params):
    steps: Annotated[int, Ge(1), Doc("How many.")]
    scales: Annotated[tuple[float, ...], Doc("How large.")] = ()

def run(classifier, inputs, params, context):
    if (params.steps, params.scales) != (2, (0.5, 2.0)) or (inputs.labels < 0).any():
        raise UsageError(f"steps is {params.steps} and scales is {params.scales}.")
    return Result(arrays={"mean": inputs.images.mean(axis=(1, 2, 3))})

@hookimpl
def cnnlab_analyses():
    arrays = {"mean": Array("mean of the pixels", axes=("N",))}
    return [Analysis(name="modest", summary="Mean.", params=ModestParams, run="cnnlab_modest:run", arrays=arrays)]
"""

OWN = """
from cnnlab.testing import AnalysisContract

class Shared(AnalysisContract):
    expected_failures = {"test_images_without_labels": "it needs labels"}

class ModestContract(Shared):
    analysis = "modest"
    params = {"steps": 2}

    def test_something_of_its_own(self):
        pass
"""


@pytest.fixture
def modest(install):
    """Install a plugin whose package ships a module ``testing``: ``modest(source)`` gives the folder."""

    def with_testing(testing):
        site = install("cnnlab-modest", MODEST)
        (site / "cnnlab_modest").mkdir()
        (site / "cnnlab_modest.py").rename(site / "cnnlab_modest" / "__init__.py")
        (site / "cnnlab_modest" / "testing.py").write_text(testing)
        return site

    return with_testing


def test_a_contract_class_of_the_package_is_taken_and_parameters_come_on_top(modest, check):
    modest(OWN)
    status, out, _ = check("modest", "--param", "scales=0.5", "--param", "scales=2")
    assert status == 0, out
    heads = [line for line in out.splitlines() if not line.startswith(" ")]
    assert heads == ["analysis modest, as cnnlab_modest.testing.ModestContract has it"]
    assert "  kept     something of its own\n" in out
    assert "  excused  images without labels\n           it needs labels\n" in out
    assert "  skipped  the numbers follow from the saved arrays\n           it declares no sum_up" in out


@pytest.fixture
def begun(install, tmp_path):
    """Install what ``cnnlab plugins new`` writes: ``begun(name, kind)`` gives the folder of its package."""

    def new(name, kind):
        written, module = create(name, kind, tmp_path), f"cnnlab_{name}"
        site = install(written.name, "")
        (site / f"{module}.py").unlink()
        registry.plugins.cache_clear()  # which were looked at, that none has its name
        return (written / module).rename(site / module)

    return new


def test_what_is_begun_is_checked_with_its_own_class_and_what_is_broken_then_is_named(begun, check):
    run = begun("sharpness", "analysis") / "run.py"
    run.write_text(run.read_text().replace('return {"map": ', 'return {"other": gradient, "map": '))
    status, out, _ = check("cnnlab-sharpness", "--param", "blur=1")
    lines = out.splitlines()
    assert (status, lines[0]) == (1, "analysis sharpness, as cnnlab_sharpness.testing.SharpnessContract has it")
    assert len([line for line in lines if line.startswith("  kept")]) >= 6
    assert any("broken" in line for line in lines)
    assert any("which it does not declare" in line for line in lines)


def test_an_attack_that_is_begun_keeps_its_contract(begun, check):
    begun("nudge", "attack")
    status, out, _ = check("nudge")
    assert status == 0, out
    assert out.startswith("analysis nudge, as cnnlab_nudge.testing.")


MISTAKEN = {
    "from nowhere import nothing": (
        "cnnlab_modest.testing (cnnlab-modest 1.0) cannot be imported: ModuleNotFoundError: No module named"
    ),
    "import sys; sys.exit(3)": "cnnlab_modest.testing (cnnlab-modest 1.0) cannot be imported: SystemExit: 3.",
    "raise BaseException": "cnnlab_modest.testing (cnnlab-modest 1.0) cannot be imported: BaseException.",
    OWN.replace('"modest"', '"modesty"'): (
        "cnnlab_modest.testing.ModestContract is about the analysis 'modesty', which its package does not provide. "
        "Did you mean 'modest'?"
    ),
}


@pytest.mark.parametrize("testing", MISTAKEN, ids=["import", "leaves", "no Exception", "name"])
def test_a_module_testing_that_is_wrong_is_one_sentence(modest, check, testing):
    modest(testing)
    status, out, err = check("modest")
    assert (status, out) == (1, "")
    assert err.startswith(f"Error: {MISTAKEN[testing]}")


def test_the_command_ends_as_the_process_that_checks(modest, cnnlab_command):
    testing, said = next(iter(MISTAKEN.items()))
    done = cnnlab_command("plugins", "check", "modest", env={"PYTHONPATH": str(modest(testing))})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {said}")


def test_each_class_of_the_package_is_taken_or_else_the_plain_one(monkeypatch):
    parent, module = types.ModuleType("cnnlab_two"), types.ModuleType("cnnlab_two.testing")
    parent.__path__ = []
    code = OWN + "class Once(ModestContract):\n    pass\nclass Other(AnalysisContract):\n    analysis = 'other'\n"
    exec(code, vars(module))
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
    monkeypatch.setitem(sys.modules, "cnnlab_two", parent)
    monkeypatch.setitem(sys.modules, "cnnlab_two.testing", module)
    names = ("modest", "other", "third")
    declared = [Analysis(name=name, summary="", params=Params, run="nowhere:run") for name in names]
    plugin = Plugin("two", "cnnlab_two", "cnnlab-two", "1.0", declarations=declared)
    taken = [[each.__name__ for each in checking.contracts(plugin, one)] for one in declared]
    assert taken == [["ModestContract", "Once"], ["Other"], ["AnalysisContract"]]
    (other,) = checking.contracts(plugin, declared[1])
    assert checking.source(other, plugin, declared[1], {"steps": 3, "path": "a'b"}).splitlines()[1:] == [
        "from cnnlab_two.testing import Other",
        "",
        "class TestContract(Other):",
        "    analysis = 'other'",
        """    params = {**Other.params, **{'steps': 3, 'path': "a'b"}}""",
    ]


PROMISES = """
from cnnlab.testing.contract import Contract

class TestContract(Contract):
    def test_a_sentence(self):
        assert False, "it is so: change it"

    def test_a_comparison(self):
        assert [1] == [2]

    def test_an_error(self):
        raise KeyError("missing")
"""


def test_what_is_said_of_a_broken_promise_is_one_line(capsys):
    assert not checking._holds(PROMISES)
    said = capsys.readouterr().out.splitlines()
    assert said[::2] == ["  broken   a sentence", "  broken   a comparison", "  broken   an error"]
    assert said[1] == "           it is so: change it"
    assert said[3].endswith(".py:9: assert [1] == [2]")
    assert re.fullmatch(r" {11}/.*test_contract\w+\.py:12: KeyError: 'missing'", said[5])


def test_what_has_no_contract_is_said_to_have_none(monkeypatch, capsys):
    offer = Subcommand(name="own", summary="", command=None)
    plugin = Plugin("own", "own", "cnnlab-own", "1.0", declarations=(offer,))
    monkeypatch.setattr(checking, "called", lambda name: [(plugin, offer)])
    assert checking.check("own")
    assert capsys.readouterr().out == "command own\n  no contract: nothing is promised of it\n"


REFUSED = {
    "steps": "a parameter is given as NAME=VALUE, such as steps=5; received 'steps'.",
    "=5": "a parameter is given as NAME=VALUE, such as steps=5; received '=5'.",
    "pitch=5": "there is no parameter 'pitch'. Did you mean 'patch'?",
    "patch=0": "patch must be an integer of at least 1; received 0.",
}


@pytest.mark.parametrize("word", REFUSED)
def test_a_parameter_that_is_none_is_refused(word):
    with pytest.raises(UsageError) as refused:
        checking.parameters([registry.find_analysis("occlusion")], [word])
    assert str(refused.value) == REFUSED[word]


def test_parameters_are_for_those_that_have_them():
    both = [registry.find_analysis("occlusion"), registry.find_analysis("fgsm-untargeted")]
    given = checking.parameters(both, ["step-size=0.5", "steps=7", "patch=2"])
    assert given["fgsm-untargeted"] == {"step_size": 0.5, "steps": 7}
    assert given["occlusion"]["patch"] == 2
    assert "step_size" not in given["occlusion"]
    with pytest.raises(UsageError, match="the parameter 'patch' takes one value; received 2"):
        checking.parameters(both, ["patch=2", "patch=3"])
    with pytest.raises(UsageError, match="there is none among what is checked"):
        checking.parameters([registry.find_dataset("mnist")], ["patch=2"])


def test_what_is_not_installed_cannot_be_checked():
    done = subprocess.run([sys.executable, "-m", "cnnlab.testing", "oclusion"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: there is no plugin 'oclusion'. Did you mean 'occlusion'")
