"""The guarded loader: every plugin is found, imported and asked on its own, and none can break another's command.

pluggy's own entry-point loader stops at the first import error, skips duplicate names without a word and loses every
result when one implementation raises. So each plugin here gets a plugin manager of its own, for the hook specifications
and the check for misspelt hooks, and whatever goes wrong becomes that plugin's state instead of everybody's traceback.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

import pluggy

from cnnlab.errors import CnnlabError, UsageError, did_you_mean
from cnnlab.pluginhost import hookspecs
from cnnlab.pluginhost.declarations import (
    API_VERSION,
    Analysis,
    Architecture,
    DatasetSource,
    Declaration,
    ProfileName,
    RequiredName,
    Section,
)
from cnnlab.pluginhost.params import fields_of

GROUP = "cnnlab"
HOST = "cnnlab"
"""The distribution whose plugins are built in."""

HOST_OPTIONS = frozenset(
    {"model", "signature", "output", "input-range", "class-names", "layout", "memory"}
    | {"trust", "limit-seconds", "limit-memory"}
    | {"image", "label", "fit", "invert", "strict", "dataset", "split", "index", "limit"}
    | {"mistakes", "least-certain", "one-per-class"}
    | {"out", "force", "format", "dpi", "seed", "device", "json", "fail-under", "help"}
)
"""Command-line options that belong to the host: no plugin's parameter may take their names.

``--class``, which chooses images, is not among them: it makes way for a parameter of that name.
"""

State = Literal["active", "disabled", "broken", "incompatible", "clashing"]
D = TypeVar("D", bound=Declaration)

_HOOKS: dict[str, type[Declaration]] = {
    "cnnlab_analyses": Analysis,
    "cnnlab_datasets": DatasetSource,
    "cnnlab_architectures": Architecture,
    "cnnlab_report_sections": Section,
}
_KINDS: dict[type[Declaration], str] = {
    Analysis: "analysis",
    DatasetSource: "dataset",
    Architecture: "architecture",
    Section: "section",
}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass
class Plugin:
    """One entry point, and what became of it.

    Attributes:
        name: The entry point's name.
        module: The module that it names.
        distribution: The distribution that ships it.
        version: That distribution's version.
        state: ``active``, ``disabled`` (by ``CNNLAB_PLUGINS`` or ``CNNLAB_DISABLE``), ``broken``, ``incompatible`` or
            ``clashing`` with another distribution.
        error: Why it is not active, in one sentence.
        declarations: What it provides. Only those of active plugins are offered.
        seconds: How long importing and asking it took.
    """

    name: str
    module: str
    distribution: str
    version: str
    state: State = "active"
    error: str = ""
    declarations: tuple[Declaration, ...] = ()
    seconds: float = 0.0
    exception: BaseException | None = field(default=None, repr=False)

    @property
    def built_in(self) -> bool:
        """Whether cnnlab itself ships it."""
        return self.distribution == HOST

    @property
    def provides(self) -> tuple[str, ...]:
        """What it provides, as ``analysis occlusion``."""
        return tuple(f"{kind_of(declaration)} {declaration.name}" for declaration in self.declarations)

    def fail(self, state: State, error: str, exception: BaseException | None = None) -> None:
        """Record why this plugin is not active."""
        self.state, self.error, self.exception = state, error, exception


def kind_of(declaration: Declaration) -> str:
    """Return the noun for a declaration: ``analysis``, ``dataset``, ``architecture`` or ``section``."""
    return next(noun for kind, noun in _KINDS.items() if isinstance(declaration, kind))


@functools.cache
def plugins() -> tuple[Plugin, ...]:
    """Find and load every plugin once, built-in ones first, then by distribution and name.

    Raises:
        CnnlabError: A plugin is broken, incompatible or clashing and ``CNNLAB_STRICT=1`` is set.
    """
    found = [_load(entry_point) for entry_point in _entry_points()]
    _settle_clashes(found)
    if os.environ.get("CNNLAB_STRICT") == "1":
        for plugin in found:
            if plugin.state not in ("active", "disabled"):
                raise CnnlabError(f"{plugin.error} (CNNLAB_STRICT=1)") from plugin.exception
    return tuple(found)


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    found = importlib.metadata.entry_points(group=GROUP)
    return sorted(found, key=lambda point: (_distribution(point) != HOST, _distribution(point), point.name))


def _distribution(entry_point: importlib.metadata.EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else "unknown"


def _load(entry_point: importlib.metadata.EntryPoint) -> Plugin:
    plugin = Plugin(
        name=entry_point.name,
        module=entry_point.value,
        distribution=_distribution(entry_point),
        version=entry_point.dist.version if entry_point.dist else "?",
    )
    if reason := _disabled(plugin.name):
        plugin.fail("disabled", reason)
        return plugin
    started = time.perf_counter()
    try:
        # What a plugin prints while it is imported must not end up in the output that scripts parse.
        with contextlib.redirect_stdout(sys.stderr):
            plugin.declarations = tuple(_ask(entry_point.load()))
    except _IncompatibleError as error:
        plugin.fail("incompatible", f"{_title(plugin)} {error}", error)
    except (Exception, SystemExit) as error:
        what = str(error) if isinstance(error, _ContractError) else f"{type(error).__name__}: {error}"
        plugin.fail("broken", f"{_title(plugin)} could not be loaded: {what}", error)
    plugin.seconds = time.perf_counter() - started
    return plugin


def _disabled(name: str) -> str:
    only = os.environ.get("CNNLAB_PLUGINS")
    if only is not None and name not in _names(only):
        return "left out by CNNLAB_PLUGINS"
    if name in _names(os.environ.get("CNNLAB_DISABLE", "")):
        return "named in CNNLAB_DISABLE"
    return ""


def _names(value: str) -> set[str]:
    return {name.strip() for name in value.split(",") if name.strip()}


class _ContractError(Exception):
    """A plugin breaks the interface; the message says how."""


class _IncompatibleError(Exception):
    """A plugin was written for another version of the interface."""


def _ask(module: Any) -> Iterator[Declaration]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _ContractError(f"{error}. {did_you_mean(_misspelt(manager), _HOOKS)}") from error
    if not manager.get_hookcallers(module):
        raise _ContractError(f"it implements none of the hooks: mark {', '.join(_HOOKS)} with @hookimpl.")
    for hook, kind in _HOOKS.items():
        for answer in getattr(manager.hook, hook)():
            if isinstance(answer, (str, Declaration)) or not isinstance(answer, Iterable):
                raise _ContractError(
                    f"its {hook}() must return a list of {kind.__name__}, not {type(answer).__name__}."
                )
            for declaration in answer:
                _check_declaration(hook, kind, declaration)
                yield declaration


def _misspelt(manager: pluggy.PluginManager) -> str:
    known = vars(manager.hook)
    return next((name for name in known if name.startswith("cnnlab_") and name not in _HOOKS), "")


def _check_declaration(hook: str, kind: type[Declaration], declaration: object) -> None:
    if not isinstance(declaration, kind):
        raise _ContractError(f"its {hook}() must give {kind.__name__} objects, not {type(declaration).__name__}.")
    if declaration.api != API_VERSION:
        raise _IncompatibleError(
            f"was written for version {declaration.api} of the plugin interface and this cnnlab speaks version "
            f"{API_VERSION}: {'upgrade cnnlab' if declaration.api > API_VERSION else 'upgrade the plugin'}."
        )
    if not is_name(declaration.name):
        raise _ContractError(
            f"the {kind.__name__} name {declaration.name!r} must be lower-case words joined by hyphens."
        )
    if isinstance(declaration, Analysis):
        taken = sorted({f.option[2:] for f in fields_of(declaration.params)} & HOST_OPTIONS)
        if taken:
            raise _ContractError(f"its parameter {taken[0]!r} would redefine the host's option --{taken[0]}.")
    if isinstance(declaration, Section):
        _check_words(declaration, "profiles", declaration.profiles, get_args(ProfileName))
        _check_words(declaration, "requires", declaration.requires, get_args(RequiredName))


def _check_words(section: Section, field: str, words: object, known: tuple[str, ...]) -> None:
    if not isinstance(words, tuple | list):
        raise _ContractError(
            f"`{field}` of its section {section.name!r} must be a tuple of names, not {type(words).__name__} {words!r}."
        )
    for word in words:
        if word not in known:
            raise _ContractError(
                f"`{field}` of its section {section.name!r} holds {word!r}. {did_you_mean(str(word), known)}"
            )


def is_name(name: str) -> bool:
    """Whether ``name`` can name an analysis, a dataset, an architecture, a section or a plugin."""
    return _NAME.fullmatch(name) is not None


def _title(plugin: Plugin) -> str:
    return f"plugin {plugin.name!r} ({plugin.distribution} {plugin.version})"


def _settle_clashes(found: list[Plugin]) -> None:
    """Keep the first owner of every name; the order of ``found`` puts built-in plugins first."""
    owners: dict[tuple[str, str], Plugin] = {}
    for plugin in found:
        if plugin.state != "active":
            continue
        claims = [("plugin", plugin.name)]
        claims += [(kind_of(declaration), declaration.name) for declaration in plugin.declarations]
        for claim in claims:
            owner = owners.get(claim)
            if owner is not None:
                plugin.fail(
                    "clashing",
                    f"{_title(plugin)} is not used: the {claim[0]} name {claim[1]!r} is taken by "
                    f"{_title(owner)}{', which is built in' if owner.built_in else ''}.",
                )
                break
        else:
            owners.update(dict.fromkeys(claims, plugin))


def _active(kind: type[D]) -> dict[str, D]:
    return {
        declaration.name: declaration
        for plugin in plugins()
        if plugin.state == "active"
        for declaration in plugin.declarations
        if isinstance(declaration, kind)
    }


def analyses() -> dict[str, Analysis]:
    """Every active plugin's analyses, by name."""
    return _active(Analysis)


def datasets() -> dict[str, DatasetSource]:
    """Every active plugin's datasets, by name."""
    return _active(DatasetSource)


def architectures() -> dict[str, Architecture]:
    """Every active plugin's architectures, by name."""
    return _active(Architecture)


def sections() -> dict[str, Section]:
    """Every active plugin's sections of the report, by name."""
    return _active(Section)


def provider(declaration: Declaration) -> Plugin:
    """Return the plugin that provides ``declaration``.

    Raises:
        CnnlabError: No loaded plugin does.
    """
    for plugin in plugins():
        if any(declaration is own for own in plugin.declarations):
            return plugin
    raise CnnlabError(f"{kind_of(declaration)} {declaration.name!r} was provided by no plugin.")


def find_analysis(name: str) -> Analysis:
    """Return the analysis of that name, or raise :class:`UsageError` with the nearest."""
    return _find(name, analyses, "analysis")


def find_dataset(name: str) -> DatasetSource:
    """Return the dataset of that name, or raise :class:`UsageError` with the nearest."""
    return _find(name, datasets, "dataset")


def find_architecture(name: str) -> Architecture:
    """Return the architecture of that name, or raise :class:`UsageError` with the nearest."""
    return _find(name, architectures, "architecture")


def find_section(name: str) -> Section:
    """Return the section of that name, or raise :class:`UsageError` with the nearest."""
    return _find(name, sections, "section")


def _find(name: str, known: Callable[[], dict[str, D]], noun: str) -> D:
    declarations = known()
    if name in declarations:
        return declarations[name]
    for plugin in plugins():
        # A name that a failed plugin would have provided deserves the plugin's reason, not "unknown".
        if plugin.state != "active" and (plugin.name == name or f"{noun} {name}" in plugin.provides):
            raise UsageError(f"{noun} {name!r} is not available: {plugin.error or plugin.state}")
    raise UsageError(f"there is no {noun} {name!r}. {did_you_mean(name, declarations)}")
