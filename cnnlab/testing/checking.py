"""``cnnlab plugins check``: every promise of what is installed, a line each.

A package may ship contract classes of its own, with the parameters that its analyses are to be checked with, failures
that are expected, and whatever else it tests them by: in a module called ``testing`` beside its hooks
(``cnnlab_sharpness.testing``). Its own tests derive from the same classes, so that both say the same. What has none
there is held to the plain contract.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cnnlab.cli.echo import echo
from cnnlab.errors import CnnlabError, FailedError, UsageError, did_you_mean, told
from cnnlab.interrupts import STOPS
from cnnlab.pluginhost.declarations import Analysis, Architecture, DatasetSource, Declaration, Recipe, Section
from cnnlab.pluginhost.lookup import called
from cnnlab.pluginhost.params import fields_of
from cnnlab.pluginhost.registry import Plugin
from cnnlab.testing.analysis import AnalysisContract
from cnnlab.testing.architecture import ArchitectureContract
from cnnlab.testing.contract import Contract
from cnnlab.testing.dataset import DatasetContract
from cnnlab.testing.recipe import RecipeContract
from cnnlab.testing.section import SectionContract

CONTRACTS: dict[str, type[Contract]] = {
    Analysis.noun: AnalysisContract,
    DatasetSource.noun: DatasetContract,
    Architecture.noun: ArchitectureContract,
    Recipe.noun: RecipeContract,
    Section.noun: SectionContract,
}
"""The contract of each kind of declaration, by its noun: so is the attribute called that names what is held to it."""

MODULE = "testing"
"""Where a package has contract classes of its own, beside its hooks."""

SOURCE = """
from {module} import {contract}

class TestContract({contract}):
    {noun} = {name!r}
"""
OF_PARAMS = "    params = {{**{contract}.params, **{params!r}}}\n"

BLAMED = f"{FailedError.__module__}.{FailedError.__qualname__}: "
"""How pytest begins to tell of what the host said of a plugin."""


def check(name: str, params: Iterable[str] = ()) -> bool:
    """Hold what is called ``name`` to its contracts, and print a line per promise.

    Args:
        name: What :func:`cnnlab.pluginhost.lookup.called` takes.
        params: Parameters for the analyses among it, each as ``NAME=VALUE``.

    Returns:
        Whether all were kept.

    Raises:
        UsageError: There is nothing of that name, or a parameter is none of its.
        CnnlabError: What is called so cannot be used, or its module ``testing`` cannot.
    """
    found = called(name)
    given = parameters([each for _, each in found], params)
    kept = True
    for plugin, declaration in found:
        if plugin.source.file is not None:  # its own process imports it, too
            sys.path.insert(0, str(plugin.source.file.resolve().parent))
        if declaration.noun not in CONTRACTS:
            echo(f"{declaration.noun} {declaration.name}\n  no contract: nothing is promised of it")
            continue
        for contract in contracts(plugin, declaration):
            own = "" if contract in CONTRACTS.values() else f", as {contract.__module__}.{contract.__name__} has it"
            echo(f"{declaration.noun} {declaration.name}{own}")
            of_it = given.get(declaration.name, {}) if isinstance(declaration, Analysis) else {}
            kept &= _holds(source(contract, plugin, declaration, of_it))
    return kept


def parameters(declarations: Iterable[Declaration], words: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read parameters off words, each for the analyses that have one of its name.

    Returns:
        By the analysis' name, values by the parameters' names.

    Raises:
        UsageError: No analysis has a parameter of that name, or the value is refused.
    """
    analyses = [each for each in declarations if isinstance(each, Analysis)]
    texts: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise UsageError(f"a parameter is given as NAME=VALUE, such as steps=5; received {word!r}.")
        texts.setdefault(name.replace("-", "_"), []).append(value)
    if texts and not analyses:
        raise UsageError("`param=` is for analyses, and there is none among what is checked.")
    fields = {each.name: {field.public: field for field in fields_of(each.params)} for each in analyses}
    known = {public for own in fields.values() for public in own}
    for name in texts:
        if name not in known:
            raise UsageError(f"there is no parameter {name!r}. {did_you_mean(name, sorted(known))}")
    return {
        analysis: {name: _value(own[name], texts[name]) for name in texts if name in own}
        for analysis, own in fields.items()
    }


def _value(field: Any, texts: list[str]) -> Any:
    if len(texts) > 1 and not field.multiple:
        raise UsageError(f"the parameter {field.public!r} takes one value; received {len(texts)}.")
    value = field.validate(tuple(texts) if field.multiple else texts[0])
    return str(value) if isinstance(value, Path) else value


def contracts(plugin: Plugin, declaration: Declaration) -> list[type[Contract]]:
    """List the package's own contract classes for what it declares, or the plain one where it has none.

    Raises:
        CnnlabError: The package's module ``testing`` cannot be imported, or has a class for what it does not declare.
    """
    plain, noun = CONTRACTS[declaration.noun], declaration.noun
    module = _testing(plugin)
    if module is None:
        return [plain]
    own = [each for each in _classes(module) if issubclass(each, plain) and hasattr(each, noun)]
    declared = [each.name for each in plugin.declarations if each.noun == noun]
    for each in own:
        about = getattr(each, noun)
        if about not in declared:
            raise CnnlabError(
                f"{module.__name__}.{each.__name__} is about the {noun} {about!r}, which its package does not provide. "
                f"{did_you_mean(str(about), declared)}"
            )
    return [each for each in own if getattr(each, noun) == declaration.name] or [plain]


def _testing(plugin: Plugin) -> ModuleType | None:
    """Import the module ``testing`` of a plugin's package, if it has one."""
    name = f"{plugin.module.partition(':')[0]}.{MODULE}"
    try:
        if importlib.util.find_spec(name) is None:
            return None
    except ModuleNotFoundError:  # its hooks are in a module, not a package
        return None
    try:
        return importlib.import_module(name)
    except STOPS:
        raise
    except BaseException as error:
        raise CnnlabError(f"{name} ({plugin.source.owner}) cannot be imported: {told(error)}.") from error


def _classes(module: ModuleType) -> Iterator[type[Contract]]:
    """The contract classes that a module defines itself, in order."""
    for each in vars(module).values():
        if inspect.isclass(each) and issubclass(each, Contract) and each.__module__ == module.__name__:
            yield each


def source(contract: type[Contract], plugin: Plugin, declaration: Declaration, params: Mapping[str, Any]) -> str:
    """Return the test module that holds a declaration to a contract."""
    words = {
        "module": contract.__module__,
        "contract": contract.__name__,
        "noun": declaration.noun,
        "name": plugin.spoken(declaration),
    }
    of_params = OF_PARAMS.format(contract=contract.__name__, params=dict(params)) if params else ""
    return SOURCE.format(**words) + of_params


class Lines:
    """A pytest plugin that prints one line per promise, and counts them.

    Attributes:
        broken: How many were broken.
    """

    def __init__(self) -> None:
        self.broken = 0

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Print why the promises cannot even be read."""
        if report.failed:
            self._say("broken", str(report.longrepr))

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print a promise and whether it was kept."""
        if report.when != "call" and report.passed:
            return
        promise = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        excuse = getattr(report, "wasxfail", None)
        if report.failed:
            self._say("broken", promise, _crash(report.longrepr))
        elif excuse is not None:
            self._say("excused", promise, excuse)
        elif report.skipped:
            self._say("skipped", promise, _reason(report.longrepr))
        else:
            self._say("kept", promise)

    def _say(self, state: str, promise: str, reason: str = "") -> None:
        self.broken += state == "broken"
        echo(f"  {state:7}  {promise}")
        if reason:
            echo(f"           {reason}")


def _crash(longrepr: Any) -> str:
    """Why a promise was broken: what it says of that, or else what was raised, and where."""
    crash = getattr(longrepr, "reprcrash", None)
    if crash is not None and crash.message.startswith(BLAMED):
        crash = longrepr.chain[0][1] or crash  # where the author's own code raised, if it did
    said = crash.message.removeprefix("AssertionError: ") if crash is not None else str(longrepr)
    where = "" if crash is None or said != crash.message else f"{crash.path}:{crash.lineno}: "
    return where + str(said).splitlines()[0]


def _reason(longrepr: Any) -> str:
    """Why a promise was skipped, as pytest keeps it: file, line and reason."""
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(text).removeprefix("Skipped: ")


def _holds(text: str) -> bool:
    lines = Lines()
    with tempfile.TemporaryDirectory() as folder:
        # A name of its own each: pytest refuses a second module of the same name in one process.
        path = Path(folder) / f"test_contract_{Path(folder).name}.py"
        path.write_text(text, encoding="utf-8")
        options = ["-p", "no:terminal", "-p", "no:cacheprovider", "--rootdir", folder, "--noconftest"]
        status = pytest.main([*options, "-c", "/dev/null", str(path)], plugins=[lines])
    return status == pytest.ExitCode.OK and not lines.broken
