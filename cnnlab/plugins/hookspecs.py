"""The three hooks. Each returns frozen, typed declarations and touches neither parser nor framework."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from cnnlab.plugins.declarations import Analysis, Architecture, DatasetSource

PROJECT = "cnnlab"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def cnnlab_analyses() -> Iterable[Analysis]:  # type: ignore[empty-body]
    """Return the analyses that this plugin provides."""


@hookspec
def cnnlab_datasets() -> Iterable[DatasetSource]:  # type: ignore[empty-body]
    """Return the datasets that this plugin provides."""


@hookspec
def cnnlab_architectures() -> Iterable[Architecture]:  # type: ignore[empty-body]
    """Return the network architectures that this plugin provides."""
