"""What plugins provide, by name. Each is found and asked in its own guard, and none can break another's command.

A plugin is imported when something of it runs, or when nothing is remembered of it
(:mod:`cnnlab.pluginhost.records`): listing, completing and ``--help`` do with what is remembered.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from cnnlab.errors import CnnlabError, UsageError, did_you_mean
from cnnlab.pluginhost import clashes, sources
from cnnlab.pluginhost.checks import HOST_OPTIONS as HOST_OPTIONS, is_name as is_name
from cnnlab.pluginhost.declarations import Analysis, Architecture, DatasetSource, Declaration, Recipe, Section
from cnnlab.pluginhost.found import Plugin as Plugin, found
from cnnlab.pluginhost.offers import Subcommand
from cnnlab.pluginhost.sources import HOST as HOST

HOST_COMMANDS = (
    *("train", "predict", "evaluate", "summary", "inspect", "runs", "compare", "analyze", "report", "lab", "verify"),
    *("datasets", "plugins", "devices", "launch", "completion"),
)
"""The names of cnnlab's own commands, in the order that ``--help`` shows them."""

D = TypeVar("D", bound=Declaration)


def strict() -> bool:
    """Whether ``CNNLAB_STRICT=1`` makes an error of whatever a plugin does wrong, also where the rest could be used."""
    return os.environ.get("CNNLAB_STRICT") == "1"


@functools.cache
def plugins() -> tuple[Plugin, ...]:
    """Find every plugin once: built-in ones first, then by distribution and name, then files.

    Raises:
        CnnlabError: A plugin is broken, incompatible or clashing and ``CNNLAB_STRICT=1`` is set.
    """
    everyone = []
    for source in sources.sources():
        if reason := sources.left_out(source):
            everyone.append(Plugin.of(source))
            everyone[-1].fail("disabled", reason)
        else:
            everyone.append(found(source, doubted=strict()))
    clashes.settle(everyone, HOST_COMMANDS)
    for plugin in everyone:
        if strict() and plugin.failed:
            raise CnnlabError(f"{plugin.error} (CNNLAB_STRICT=1)") from plugin.exception
    return tuple(everyone)


def listed(noun: str) -> dict[str, Declaration]:
    """List what usable plugins provide of a kind, as far as listings need it, by the name that asks for it.

    Of analyses and commands it is the name, the summary and what is required; of others the whole. Nothing is imported.

    Args:
        noun: ``analysis``, ``dataset``, ``architecture``, ``recipe``, ``section`` or ``command``.
    """
    return {name: offer for name, (_, offer) in _offers(noun).items()}


def _offers(noun: str) -> dict[str, tuple[Plugin, Declaration]]:
    return {
        plugin.spoken(offer): (plugin, offer)
        for plugin in plugins()
        if plugin.usable
        for offer in plugin.offers
        if offer.noun == noun
    }


class _Analyses(Mapping[str, Analysis]):
    """The analyses by name; each plugin is imported when one of its own is looked up."""

    def __iter__(self) -> Iterator[str]:
        return iter(listed(Analysis.noun))

    def __len__(self) -> int:
        return len(listed(Analysis.noun))

    def __contains__(self, name: object) -> bool:  # which Mapping would look up
        return name in listed(Analysis.noun)

    def __getitem__(self, name: str) -> Analysis:
        try:
            return find_analysis(name)
        except UsageError as error:
            raise KeyError(str(error)) from error


def analyses() -> Mapping[str, Analysis]:
    """Every usable plugin's analyses, by name; looking one up imports its plugin."""
    return _Analyses()


def datasets() -> dict[str, DatasetSource]:
    """Every usable plugin's datasets, by name, as listings tell them."""
    return cast("dict[str, DatasetSource]", listed(DatasetSource.noun))


def architectures() -> dict[str, Architecture]:
    """Every usable plugin's architectures, by name, as listings tell them."""
    return cast("dict[str, Architecture]", listed(Architecture.noun))


def recipes() -> dict[str, Recipe]:
    """Every usable plugin's recipes, by name, as listings tell them."""
    return cast("dict[str, Recipe]", listed(Recipe.noun))


def sections() -> dict[str, Section]:
    """Every usable plugin's sections of the report, by name, as listings tell them."""
    return cast("dict[str, Section]", listed(Section.noun))


def provider(declaration: Declaration) -> Plugin:
    """Return the plugin that provides ``declaration``.

    Raises:
        CnnlabError: No loaded plugin does.
    """
    owner = _provider(declaration)
    if owner is None:
        raise CnnlabError(f"{declaration.noun} {declaration.name!r} was provided by no plugin.")
    return owner


def _provider(declaration: Declaration) -> Plugin | None:
    return next((plugin for plugin in plugins() if plugin.gave(declaration)), None)


def spoken(declaration: Declaration) -> str:
    """Return the name by which ``declaration`` is asked for: its own, or with its distribution where names clash."""
    owner = _provider(declaration)
    return declaration.name if owner is None else owner.spoken(declaration)


def declared(offer: D) -> D:
    """Return what a plugin itself declares, imported, for what a listing told of it: this is what runs.

    Raises:
        UsageError: The plugin cannot be used, or does not give it.
    """
    owner = _provider(offer)
    return offer if owner is None else cast("D", _declared(owner, offer))


def _declared(plugin: Plugin, offer: Declaration) -> Declaration:
    own = plugin.declared(offer)
    if own is None:
        raise UsageError(f"{offer.noun} {offer.name!r} is not available: {plugin.error or plugin.source.title}")
    return own


def find_analysis(name: str) -> Analysis:
    """Return the analysis of that name, or raise :class:`UsageError` with the nearest."""
    return cast("Analysis", _find(name, Analysis.noun))


def analysis_of(record: Mapping[str, Any]) -> Analysis | None:
    """Return the analysis that a result is of; None where it is not given here.

    What another distribution calls by the same name is another analysis.

    Args:
        record: ``result.json``. Where it names no distribution, the name alone tells.
    """
    made = record.get("plugin")
    try:
        return find_analysis(f"{made['distribution']}:{record['analysis']}" if made else record["analysis"])
    except UsageError:
        return None


def find_dataset(name: str) -> DatasetSource:
    """Return the dataset of that name, or raise :class:`UsageError` with the nearest."""
    return cast("DatasetSource", _find(name, DatasetSource.noun))


def find_architecture(name: str) -> Architecture:
    """Return the architecture of that name, or raise :class:`UsageError` with the nearest."""
    return cast("Architecture", _find(name, Architecture.noun))


def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name, or raise :class:`UsageError` with the nearest."""
    return cast("Recipe", _find(name, Recipe.noun))


def find_section(name: str) -> Section:
    """Return the section of that name, or raise :class:`UsageError` with the nearest."""
    return cast("Section", _find(name, Section.noun))


def find_command(name: str) -> Subcommand:
    """Return the command of that name that a plugin adds, or raise :class:`UsageError` with the nearest."""
    return cast("Subcommand", _find(name, Subcommand.noun))


def is_full(name: str) -> bool:
    """Whether ``name`` is ``DISTRIBUTION:NAME``, of a distribution that has plugins here."""
    distribution, colon, bare = name.rpartition(":")
    return bool(colon) and is_name(bare) and any(each.source.is_of(distribution) for each in plugins())


def is_offered(name: str, noun: str) -> bool:
    """Whether a usable plugin gives something of that kind by that name, alone or in full; nothing is imported."""
    return name in _offers(noun) or bool(_in_full(name, noun))


def means(name: str, recorded: str) -> bool:
    """Whether a full name may mean what was recorded: called the same, and by the same distribution, if it was told.

    Args:
        name: What somebody says.
        recorded: What a record calls it, which may be the name alone: nothing else had it then.
    """
    distribution, _, bare = name.rpartition(":")
    given_by, _, called = recorded.rpartition(":")
    if bare != called or not is_full(name):
        return False
    return not given_by or any(each.source.is_of(given_by) and each.source.is_of(distribution) for each in plugins())


def _find(name: str, noun: str) -> Declaration:
    """Find something by its name, or by ``DISTRIBUTION:NAME``, and import its plugin."""
    offered = _offers(noun)
    if name in offered:
        return _declared(*offered[name])
    if named := _in_full(name, noun):
        return _declared(*named[0])
    if mended(name) or mended(name.rpartition(":")[0]):
        return _find(name, noun)
    raise UsageError(_why_not(name, noun, offered))


def mended(name: str) -> bool:
    """Try the plugins again that are asked for by name and failed in an earlier process: no file shows every cause.

    Args:
        name: Of a plugin or a distribution.

    Returns:
        Whether one of them can be used now; all plugins are found anew then.
    """
    failed = [each for each in plugins() if each.failed_before and each.answers_to(name)]
    for plugin in failed:
        plugin.load()
    if any(plugin.usable for plugin in failed):
        plugins.cache_clear()
        return True
    return False


def _in_full(name: str, noun: str) -> list[tuple[Plugin, Declaration]]:
    distribution, _, bare = name.rpartition(":")
    return [(plugin, offer) for plugin, offer in _all_called(bare, noun) if plugin.source.is_of(distribution)]


def _all_called(name: str, noun: str) -> list[tuple[Plugin, Declaration]]:
    return [
        (plugin, offer)
        for plugin in plugins()
        if plugin.usable
        for offer in plugin.offers
        if (offer.noun, offer.name) == (noun, name)
    ]


def _why_not(name: str, noun: str, offered: Mapping[str, object]) -> str:
    several = _all_called(name, noun)
    if several:
        whose = " and ".join(plugin.source.owner for plugin, _ in several)
        how = " or ".join(f"`{clashes.ways(noun, plugin, name)}`" for plugin, _ in several)
        return f"the {noun} name {name!r} is that of {whose}. Say which: {how}."
    for plugin in plugins():
        # A name that a failed plugin would have provided deserves the plugin's reason, not "unknown".
        if not plugin.usable and plugin.answers_to(name):
            return f"{noun} {name!r} is not available: {plugin.error or plugin.state}"
    # So does any name, where a file that the user named for it failed.
    failed = [plugin.error for plugin in plugins() if plugin.source.file is not None and not plugin.usable]
    errors = [f"{error[:1].upper()}{error[1:]}" for error in failed]
    return " ".join([f"there is no {noun} {name!r}. {did_you_mean(name, offered)}", *errors])
