"""What plugin authors test with: one contract class for each kind of plugin, tiny models, a fake one, and images.

Five lines hold an analysis to every promise that users rely on::

    from cnnlab.testing import AnalysisContract

    class TestSharpness(AnalysisContract):
        analysis = "sharpness"

The fixtures come from a pytest plugin that is active wherever cnnlab is installed. ``cnnlab plugins check NAME`` runs
the same contract on an installed plugin.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.testing.analysis import AnalysisContract
    from cnnlab.testing.architecture import ArchitectureContract
    from cnnlab.testing.bounds import invalid_values
    from cnnlab.testing.dataset import DatasetContract
    from cnnlab.testing.fakes import FakeClassifier
    from cnnlab.testing.models import TinyModels
    from cnnlab.testing.recipe import RecipeContract
    from cnnlab.testing.section import SectionContract

# Looked up when first used: pytest imports this package in every session, also in those that test no plugin.
_HOMES = {
    "AnalysisContract": "analysis",
    "ArchitectureContract": "architecture",
    "DatasetContract": "dataset",
    "FakeClassifier": "fakes",
    "RecipeContract": "recipe",
    "SectionContract": "section",
    "TinyModels": "models",
    "invalid_values": "bounds",
}

__all__ = [
    "AnalysisContract",
    "ArchitectureContract",
    "DatasetContract",
    "FakeClassifier",
    "RecipeContract",
    "SectionContract",
    "TinyModels",
    "invalid_values",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
