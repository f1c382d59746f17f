"""How the interface grows, as docs/plugins/hooks.md promises it, held by a package that was written for cnnlab 0.1.

It is installed as its author's users have it, beside this cnnlab and beside one that is changed as a later one may be.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

from cnnlab import plugin
from cnnlab.pluginhost.deprecations import Deprecation

OLD = Path(__file__).parent / "cnnlab-from-0-1"
PROVIDED = ["analysis light", "dataset halves", "architecture one-layer", "section light"]

LATER = '''
"""cnnlab as a later minor version may be: imported before all else, it changes what plugins and loader then import."""

from dataclasses import dataclass

import pluggy

from cnnlab import plugin
from cnnlab.pluginhost import declarations, hookspecs
from cnnlab.pluginhost.deprecations import Deprecation


def grown(kind):
    @dataclass(frozen=True, kw_only=True)
    class Grown(kind):
        difficulty: str = "easy"

    Grown.__name__ = Grown.__qualname__ = kind.__name__
    return Grown


for name in ("Analysis", "DatasetSource", "Architecture", "Recipe", "Section"):
    setattr(declarations, name, grown(getattr(declarations, name)))

marker = pluggy.HookspecMarker(hookspecs.PROJECT)
going = Deprecation(what="the hook cnnlab_datasets()", since="0.2", gone="0.3", instead="cnnlab_sources()")


@marker(warn_on_impl=going.warning())
def cnnlab_datasets():
    pass


@marker
def cnnlab_sources():
    pass


hookspecs.cnnlab_datasets, hookspecs.cnnlab_sources = cnnlab_datasets, cnnlab_sources
plugin.GOING["Chapter"] = Deprecation(what="cnnlab.plugin.Chapter", since="0.2", gone="1.0", instead="Part")
'''

# The next interface, which it takes no more than a number to be.
NEXT = """
from cnnlab.pluginhost import declarations

declarations.API_VERSION = 2
"""

COMMAND = "import {}, sys; from cnnlab.__main__ import main; sys.exit(main())"


@pytest.fixture(scope="module")
def author(shared_environment):
    """The environment of the package's author: cnnlab, the package, and the later cnnlabs to try."""
    folder = shared_environment.folder
    package = shutil.copytree(OLD, folder / OLD.name, ignore=shutil.ignore_patterns("__pycache__"))
    shared_environment.install(package)
    (folder / "later.py").write_text(LATER)
    (folder / "next_interface.py").write_text(NEXT)
    return shared_environment


@pytest.mark.full
@pytest.mark.parametrize("later", [(), ("-p", "later")], ids=["now", "later"])
def test_a_package_written_for_0_1_keeps_its_contract(author, later):
    assert " passed" in author.run("-m", "pytest", "-q", *later, f"{OLD.name}/contract.py")


def test_in_a_later_cnnlab_it_works_and_its_author_is_warned_and_no_user(author, save_model):
    def typed(*words: str) -> str:
        command = [author.python, "-c", COMMAND.format("later"), *words]
        env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONWARNINGS")}
        done = subprocess.run(command, cwd=author.folder, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "deprecated" not in (done.stdout + done.stderr)
        return done.stdout

    rows = {row["name"]: row for row in json.loads(typed("plugins", "list", "--json"))}
    assert rows["from-0-1"]["provides"] == PROVIDED, rows["from-0-1"]["error"]
    save_model(author.folder / "model.keras", seed=1, classes=2)
    asked = ("--model", "model.keras", "--trust", "--dataset", "halves", "--limit", "4", "--border", "1")
    typed("analyze", "light", *asked, "--out", "out")
    metrics = json.loads((author.folder / "out" / "result.json").read_text())["metrics"]
    assert 0.4 < metrics["mean"] < 0.6  # half of an image is bright

    some = "where_it_comes_from or as_large or logits or rule"
    told = author.run("-m", "pytest", "-q", "-p", "later", f"{OLD.name}/contract.py", "-k", some)
    assert " passed" in told
    for going, instead in (("the hook cnnlab_datasets()", "cnnlab_sources()"), ("cnnlab.plugin.Chapter", "Part")):
        assert re.search(
            rf"DeprecationWarning: {re.escape(going)} is deprecated .*: use {re.escape(instead)}\.", told
        ), told


def test_the_next_interface_names_both_versions_and_what_to_do(author):
    def found(*python: str) -> dict[str, object]:
        rows = json.loads(author.run(*python, "plugins", "list", "--json"))
        return next(row for row in rows if row["name"] == "from-0-1")

    assert found("-m", "cnnlab")["state"] == "active"
    row = found("-c", COMMAND.format("next_interface"))
    assert row["state"] == "incompatible"
    assert row["error"] == (
        "plugin 'from-0-1' (cnnlab-from-0-1 1.0) was written for version 1 of the plugin interface and this cnnlab "
        "speaks version 2: upgrade the plugin."
    )


@pytest.mark.parametrize(("since", "gone"), [("0.2", "0.2"), ("0.2", "0.1"), ("1.4", "0.5")])
def test_nothing_goes_without_a_minor_version_that_warned(since, gone):
    with pytest.raises(ValueError, match=f"cannot go in {gone} when it is announced in {since}"):
        Deprecation(what="a hook", since=since, gone=gone, instead="another")


def test_a_name_that_is_to_go_is_given_with_a_warning_that_says_what_to_use(monkeypatch):
    going = Deprecation(what="cnnlab.plugin.percent", since="0.9", gone="0.10", instead="cnnlab.plugin.share")
    monkeypatch.setitem(plugin.GOING, "percent", going)
    said = "cnnlab.plugin.percent is deprecated since cnnlab 0.9 and goes in 0.10: use cnnlab.plugin.share."
    with pytest.warns(DeprecationWarning, match="use cnnlab.plugin.share") as caught:
        from cnnlab.plugin import percent
    assert [str(each.message) for each in caught] == [said]
    assert caught[0].filename == __file__
    assert percent(0.5) == "50.0%"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from cnnlab.plugin import few  # noqa: F401
