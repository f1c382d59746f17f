"""What a name means to ``cnnlab plugins show`` and ``check``: a plugin, a distribution, or what one provides."""

from __future__ import annotations

from cnnlab.errors import CnnlabError, UsageError, did_you_mean
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Declaration
from cnnlab.pluginhost.registry import Plugin


def called(name: str) -> list[tuple[Plugin, Declaration]]:
    """Find what is called ``name``, and all that a plugin or a distribution of that name provides.

    Args:
        name: As ``cnnlab plugins list`` shows them: of a plugin, of a distribution, of an analysis, a dataset, an
            architecture, a recipe, a section or a command; or ``DISTRIBUTION:NAME``.

    Returns:
        One at least, each with its plugin.

    Raises:
        CnnlabError: A plugin of that name, or of that distribution, cannot be used.
        UsageError: There is nothing of that name.
    """
    found: list[tuple[Plugin, Declaration]] = []
    distribution, _, bare = name.rpartition(":")
    for plugin in registry.plugins():
        whole = plugin.answers_to(name)
        if whole and not plugin.usable:
            if registry.mended(name):
                return called(name)
            raise CnnlabError(f"plugin {plugin.name!r} is {plugin.state}: {plugin.error}")
        if plugin.usable:
            spoken = {name, bare} if plugin.source.is_of(distribution) else {name}
            meant = [each for each in plugin.offers if whole or each.name in spoken]
            found += [(plugin, registry.declared(each)) for each in meant]
    if not found:
        raise UsageError(f"there is no plugin {name!r}. {did_you_mean(name, names())}")
    return found


def names() -> list[str]:
    """List every name that :func:`called` takes, once each, but for those that need their distribution said."""
    known = [name for plugin in registry.plugins() for name in (plugin.name, plugin.distribution)]
    offered = [plugin.spoken(each) for plugin in registry.plugins() if plugin.usable for each in plugin.offers]
    return sorted({*known, *offered})
