"""The recipes that come with cnnlab, and what a run records of the one that it was trained by."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Declaration, Recipe
from cnnlab.pluginhost.hookspecs import hookimpl

SETTABLE = ("epochs", "batch_size", "learning_rate", "precision")
"""What a recipe says that a setting may say otherwise."""


@hookimpl
def cnnlab_recipes() -> Iterable[Recipe]:
    """Those that docs/measurements/training.md compares, seed by seed; there, too, is how their numbers were chosen."""
    return [
        # At a constant rate the test accuracy of the last epoch is a draw: it wanders by some tenths of a percent from
        # epoch to epoch. The fall of the rate settles it.
        Recipe(
            name="classic",
            summary="10 epochs of batch 64; the learning rate is constant, and falls over the last 30% of the steps.",
            decay=0.3,
        ),
        Recipe(name="constant", summary="10 epochs of batch 64; the learning rate is constant."),
        Recipe(
            name="fast",
            summary="2 epochs of batch 256; the learning rate rises and falls, and images are moved by a pixel.",
            epochs=2,
            batch_size=256,
            learning_rate=9e-3,
            precision="auto",
            warm_up=0.2,
            decay=0.8,
            beta_2=0.99,
            label_smoothing=0.05,
            shift=1,
            he_normal=True,
        ),
        Recipe(
            name="best",
            summary="10 epochs of batch 128; the learning rate rises and falls, and images are moved by two pixels.",
            batch_size=128,
            learning_rate=3e-3,
            precision="auto",
            warm_up=0.1,
            decay=0.9,
            beta_1=0.85,
            beta_2=0.99,
            label_smoothing=0.1,
            shift=2,
            he_normal=True,
        ),
    ]


def decided(name: str) -> dict[str, Any]:
    """Return what the recipe of that name decides and no setting does, as a run records it.

    Raises:
        UsageError: There is no such recipe.
    """
    recipe = registry.find_recipe(name)
    others = {field.name for field in dataclasses.fields(Declaration)} | {*SETTABLE}
    return {key: value for key, value in dataclasses.asdict(recipe).items() if key not in others}
