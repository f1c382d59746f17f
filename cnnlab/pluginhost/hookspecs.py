"""The six hooks. Five return frozen, typed declarations and touch neither parser nor framework; one gives commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from cnnlab.pluginhost.declarations import Analysis, Architecture, DatasetSource, Recipe, Section

if TYPE_CHECKING:
    import click

PROJECT = "cnnlab"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as its answer to the hook of that name.

The hooks are ``cnnlab_analyses``, ``cnnlab_datasets``, ``cnnlab_architectures``, ``cnnlab_recipes`` and
``cnnlab_report_sections``, which return declarations, and ``cnnlab_commands``, which returns commands; they take no
arguments. The marker is pluggy's (https://pluggy.readthedocs.io) and leaves the function as it is. A marked function
that has the name of no hook makes the plugin a broken one, so that a misspelt name is found.

Example:
    >>> from cnnlab.plugin import Analysis
    >>> @hookimpl
    ... def cnnlab_analyses() -> list[Analysis]:
    ...     return []
    >>> cnnlab_analyses()
    []
"""


@hookspec
def cnnlab_analyses() -> Iterable[Analysis]:  # type: ignore[empty-body]
    """Return the analyses that this plugin provides."""


@hookspec
def cnnlab_datasets() -> Iterable[DatasetSource]:  # type: ignore[empty-body]
    """Return the datasets that this plugin provides."""


@hookspec
def cnnlab_architectures() -> Iterable[Architecture]:  # type: ignore[empty-body]
    """Return the network architectures that this plugin provides."""


@hookspec
def cnnlab_recipes() -> Iterable[Recipe]:  # type: ignore[empty-body]
    """Return the recipes for training that this plugin provides."""


@hookspec
def cnnlab_report_sections() -> Iterable[Section]:  # type: ignore[empty-body]
    """Return the sections that this plugin adds to ``cnnlab report``."""


@hookspec
def cnnlab_commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Return the commands that this plugin adds to ``cnnlab``."""
