"""Whose a name is: a built-in's, or the only distribution's that has it. Where several have it, it is nobody's."""

from __future__ import annotations

from collections.abc import Sequence

from cnnlab.pluginhost.found import Plugin
from cnnlab.pluginhost.sources import command

ENTRY = "plugin"
"""The noun of the names of plugins themselves, which clash as well."""


def settle(plugins: Sequence[Plugin], of_host: Sequence[str]) -> None:
    """Mark the plugins whose names clash, and say of each name how it is asked for.

    Who comes first in the alphabet, or was installed first, has no better right to a name: what a command does must not
    change because something else was installed.

    Args:
        plugins: All of them.
        of_host: The names of cnnlab's own commands.
    """
    claims: dict[tuple[str, str], list[Plugin]] = {}
    for plugin in plugins:
        if plugin.usable:
            for claim in [(ENTRY, plugin.name), *((offer.noun, offer.name) for offer in plugin.offers)]:
                claims.setdefault(claim, []).append(plugin)
    said: dict[int, list[str]] = {}
    for claim, claimants in claims.items():
        owner = next((each for each in claimants if each.built_in), None)
        taken = claim[0] == "command" and claim[1] in of_host
        if len(claimants) == 1 and not taken:
            continue
        for plugin in claimants:
            if plugin is not owner:
                others = [each for each in claimants if each is not plugin]
                said.setdefault(id(plugin), []).append(_sentence(claim, plugin, others, owner, taken))
                plugin.contested |= {claim}
    for plugin in plugins:
        if id(plugin) in said:
            plugin.fail("clashing", f"{plugin.source.title}: {' '.join(said[id(plugin)])}")


def _sentence(
    claim: tuple[str, str], plugin: Plugin, others: Sequence[Plugin], owner: Plugin | None, taken: bool
) -> str:
    noun, name = claim
    if taken:
        whose = "is that of a command of cnnlab itself"
    elif owner is not None:
        whose = f"is taken by {owner.source.title}, which is built in"
    else:
        whose = f"is also that of {' and '.join(each.source.title for each in others)}"
    if noun == ENTRY:
        return f"the plugin name {name!r} {whose}; CNNLAB_PLUGINS and CNNLAB_DISABLE mean all of that name."
    return f"the {noun} name {name!r} {whose}; say `{ways(noun, plugin, name)}` for this one."


def ways(noun: str, plugin: Plugin, name: str) -> str:
    """Return what is typed to ask for something by its full name."""
    full = f"{plugin.distribution}:{name}"
    typed = {"analysis": command("analyze", full), "command": command(full), "dataset": f"--dataset {full}"}
    return typed.get(noun, full)
