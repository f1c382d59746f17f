"""Widgets that plugins bring along: which there are, at which addresses, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cnnlab.errors import CnnlabError
from cnnlab.lab.errors import unknown
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis
from cnnlab.pluginhost.registry import Plugin
from cnnlab.pluginhost.widgets import named


def address(plugin: Plugin, file: str) -> str:
    """Return where a file of a plugin is served: its version is in it, so that no browser takes it for an older one.

    Args:
        plugin: Whose it is.
        file: Its name in the package.
    """
    # A plugin that is a single file has its path for a distribution, which no browser needs to know.
    whose = Path(plugin.distribution).stem if plugin.distribution.endswith(".py") else plugin.distribution
    return f"/plugins/{_word(whose)}/{_word(plugin.version)}/{file}"


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".") or "0"


def of_drawings(analysis: Analysis) -> dict[str, str]:
    """Return where the widgets of an analysis' drawings are served, by the drawings' names.

    Args:
        analysis: Which.
    """
    plugin = registry.provider(analysis)
    return {drawing: address(plugin, file) for drawing, file in analysis.widgets.items()}


def content(asked: str) -> bytes:
    """Return what is served at an address: a file that an analysis declares, and no other.

    Args:
        asked: The address.

    Raises:
        RefusedError: No installed analysis declares such a file, or it is there no longer.
    """
    for own, path in _served():
        if own == asked and path is not None and path.is_file():
            return path.read_bytes()
    raise unknown("widget", asked.removeprefix("/plugins/"))


def _served() -> Iterator[tuple[str, Path | None]]:
    for name in registry.listed(Analysis.noun):
        try:
            analysis = registry.find_analysis(name)
            plugin = registry.provider(analysis)
        except CnnlabError:
            continue  # a plugin that cannot be used is `cnnlab plugins list`'s to tell
        yield from ((address(plugin, widget.file), widget.path) for widget in named(analysis))
