"""Recipes: the settings that belong together, under a name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained, where nothing else was asked for. The optimizer is Adam.

    Attributes:
        epochs: How often to go through the training images.
        batch_size: Images per step.
        learning_rate: The learning rate of the first step.
        decay: The fraction of all steps, the last ones, over which the learning rate falls linearly to zero.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 1e-3
    decay: float = 0.0


RECIPES = {
    # At a constant rate the test accuracy of the last epoch is a draw: it wanders by some tenths of a percent from
    # epoch to epoch. The fall of the rate settles it. docs/measurements/training.md has both, seed by seed.
    "classic": Recipe(decay=0.3),
    "constant": Recipe(),
}
