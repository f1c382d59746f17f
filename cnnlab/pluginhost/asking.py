"""Importing a plugin and asking its hooks: whatever it does wrong is an error of its own, with a sentence.

pluggy's own entry-point loader stops at the first import error, skips duplicate names without a word and loses every
result when one implementation raises. So each plugin has a plugin manager of its own here, for the hook specifications
and the check for misspelt hooks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from cnnlab.errors import did_you_mean
from cnnlab.pluginhost import declarations as declaring, hookspecs
from cnnlab.pluginhost.checks import ContractError, IncompatibleError
from cnnlab.pluginhost.declarations import Analysis, Architecture, DatasetSource, Declaration, Recipe, Section
from cnnlab.pluginhost.offers import Subcommand
from cnnlab.pluginhost.prints import speaking
from cnnlab.pluginhost.references import spec_of
from cnnlab.pluginhost.sources import GROUP, HOST, Source, host_version
from cnnlab.pluginhost.tracing import traced

HOOKS: dict[str, type[Declaration]] = {
    "cnnlab_analyses": Analysis,
    "cnnlab_datasets": DatasetSource,
    "cnnlab_architectures": Architecture,
    "cnnlab_recipes": Recipe,
    "cnnlab_report_sections": Section,
    "cnnlab_commands": Subcommand,
}
"""What each hook gives."""

SURFACE = "cnnlab.plugin"

_UNKNOWN_FIELD = re.compile(r"(?P<type>\w+)\.__init__\(\) got an unexpected keyword argument '(?P<field>\w+)'")
_UNKNOWN_NAME = re.compile(r"cannot import name '(?P<name>\w+)'")


def ask(source: Source) -> tuple[Declaration, ...]:
    """Import a plugin and return what it declares.

    Args:
        source: Where it is.

    Raises:
        IncompatibleError: It was written for another cnnlab.
        ContractError: It breaks the interface.
        Exception: Whatever its own code raised.
    """
    _check_requirement(source)
    with speaking(source.owner), _newer_names_told():
        return tuple(_asked(_imported(source)))


def _imported(source: Source) -> Any:
    with traced(f"import of {source.module} ({source.owner})"):
        if source.file is not None:
            return _imported_file(source.file, source.module)
        return EntryPoint(source.name, source.module, GROUP).load()


def _imported_file(path: Path, name: str) -> ModuleType:
    """Import a file as the module of its name, which no other may have."""
    if not path.is_file():
        raise ContractError(f"there is no file {path}.")
    if not (name.isidentifier() and path.suffix == ".py"):
        raise ContractError("the file's name must be one that Python can import, such as my_idea.py.")
    known = spec_of(name)
    if known is not None and (known.origin is None or Path(known.origin).resolve() != path.resolve()):
        raise ContractError(f"there is another module {name!r} already; give the file another name.")
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _asked(module: Any) -> Iterator[Declaration]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise ContractError(f"{error}. {did_you_mean(_misspelt(manager), HOOKS)}") from error
    answering = {caller.name for caller in manager.get_hookcallers(module) or ()}
    if not answering:
        raise ContractError(f"it implements none of the hooks: mark {', '.join(HOOKS)} with @hookimpl.")
    for hook, kind in HOOKS.items():
        if hook in answering:
            with traced(f"{hook}() of {getattr(module, '__name__', module)}"):
                answers = [_listed(hook, kind, answer) for answer in getattr(manager.hook, hook)() or [None]]
            for answer in answers:
                yield from answer


def _listed(hook: str, kind: type[Declaration], answer: object) -> list[Declaration]:
    """What one hook gave, as a list of declarations; pluggy leaves an answer of None out."""
    wanted = "click.Command" if kind is Subcommand else kind.__name__
    if isinstance(answer, str | Declaration) or not isinstance(answer, Iterable):
        forgot = "; is there a `return`?" if answer is None else "."
        said = "None" if answer is None else type(answer).__name__
        raise ContractError(f"its {hook}() must return a list of {wanted}, not {said}{forgot}")
    return [_of_kind(hook, kind, wanted, each) for each in answer]


def _of_kind(hook: str, kind: type[Declaration], wanted: str, given: Any) -> Declaration:
    if kind is Subcommand:
        import click

        if isinstance(given, click.Command):
            return Subcommand(name=given.name or "", summary=given.get_short_help_str(1000), command=given)
    elif isinstance(given, kind):
        return given
    raise ContractError(f"its {hook}() must give {wanted} objects, not {type(given).__name__}.")


def _misspelt(manager: pluggy.PluginManager) -> str:
    known = vars(manager.hook)
    return next((name for name in known if name.startswith("cnnlab_") and name not in HOOKS), "")


@contextlib.contextmanager
def _newer_names_told() -> Iterator[None]:
    """Say of a field or a name that this cnnlab does not have, that a newer one may.

    Raises:
        IncompatibleError: The block uses such a one.
    """
    try:
        yield
    except TypeError as error:
        found = _UNKNOWN_FIELD.search(str(error))
        kind = getattr(declaring, found["type"], None) if found else None
        if found is None or not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            raise
        known = [field.name for field in dataclasses.fields(kind)]
        raise IncompatibleError(
            _newer(f"field `{found['field']}` of {found['type']}", found["field"], known)
        ) from error
    except ImportError as error:
        found = _UNKNOWN_NAME.search(str(error))
        if found is None or error.name != SURFACE:
            raise
        known = dir(sys.modules[SURFACE])
        raise IncompatibleError(_newer(f"{found['name']!r} in {SURFACE}", found["name"], known)) from error


def _newer(lacked: str, name: str, known: Iterable[str]) -> str:
    near = did_you_mean(name, known)
    return (
        f"needs a newer cnnlab: {host_version()}, which is installed, has no {lacked}. Upgrade cnnlab, or correct the "
        f"name.{f' {near}' if near.startswith('Did') else ''}"
    )


def _check_requirement(source: Source) -> None:
    """Refuse what asks for another version of cnnlab, before it is imported."""
    if not source.requires:
        return
    from packaging.requirements import InvalidRequirement, Requirement

    for text in source.requires:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue  # somebody else's affair
        applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if wanted.name.lower() != HOST or not applies or wanted.specifier.contains(host_version(), prereleases=True):
            continue
        raise IncompatibleError(
            f"needs cnnlab {wanted.specifier}, and {host_version()} is installed: upgrade cnnlab, or install a version "
            "of the plugin for this one."
        )
