"""What a training run is told, declared once: Python and the command line refuse the same values alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from cnnlab.errors import UsageError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Precision
from cnnlab.pluginhost.params import Doc, Params
from cnnlab.training.recipes import SETTABLE


@dataclass(frozen=True, kw_only=True)
class Settings(Params):
    """Everything that decides what a training run computes: two runs with equal settings and data are the same run.

    :meth:`filled` puts in what the recipe says where nothing was given.
    """

    dataset: Annotated[
        str, Doc("What to learn: a name that `cnnlab datasets` lists, a path, keras:NAME or tfds:NAME.")
    ] = "mnist"
    architecture: Annotated[str, Doc("The network, by the name of its plugin.")] = "mnist-cnn"
    batch_norm: Annotated[bool, Doc("Put batch normalisation before each ReLU.")] = False
    sync_batch_norm: Annotated[
        bool,
        Doc("On several devices, take the mean and variance of the whole batch, not of each device's part of it."),
    ] = False
    recipe: Annotated[
        str,
        Doc(
            "How to train, by a recipe's name. classic: Adam, batch 64, 10 epochs, the learning rate constant and over "
            "the last 30% of the steps falling to 0. constant: the same without the fall. fast: 2 epochs, batch 256; "
            "best: 10 epochs, batch 128; both with a learning rate that rises and falls, smoothed labels and images "
            "moved by a pixel or two."
        ),
    ] = "classic"
    epochs: Annotated[
        int | None, Ge(1), Doc("How often to go through the training images. The recipe says 10; fast: 2.")
    ] = None
    batch_size: Annotated[
        int | None, Ge(1), Le(1_000_000), Doc("Images per step. The recipe says 64; fast: 256, best: 128.")
    ] = None
    learning_rate: Annotated[
        float | None,
        Gt(0),
        Le(1_000_000),
        Doc("The largest learning rate. The recipe says 0.001; fast: 0.009, best: 0.003."),
    ] = None
    validation: Annotated[
        int,
        Ge(0),
        Doc(
            "Hold out so many training images, drawn by the seed, and evaluate those after every epoch; the test "
            "images are then evaluated once, at the end."
        ),
    ] = 0
    limit: Annotated[int | None, Ge(1), Doc("Take only the first so many training images.")] = None
    precision: Annotated[
        Precision | None,
        Doc(
            "What to compute in while training. auto: bfloat16 where the processor is faster in it, else float32. The "
            "recipe says float32; fast and best: auto. Weights are kept, evaluated and saved in float32."
        ),
    ] = None
    seed: Annotated[
        int,
        Ge(0),
        Le(2**32 - 1),
        Doc("Seeds the initial weights, the order of the images and the held-out ones."),
    ] = 0

    def check(self) -> None:
        """Refuse what no plugin gives, and batch normalisation where the architecture has none."""
        architecture = registry.find_architecture(self.architecture)
        if self.batch_norm and not architecture.batch_norm:
            raise UsageError(f"the architecture {self.architecture!r} has no variant with batch normalisation.")
        registry.find_recipe(self.recipe)
        if self.limit is not None:
            self.check_against(self.limit)

    def filled(self) -> Settings:
        """Return the settings with the recipe's values where none were given."""
        recipe = registry.find_recipe(self.recipe)
        return dataclasses.replace(
            self, **{name: getattr(recipe, name) for name in SETTABLE if getattr(self, name) is None}
        )

    def check_against(self, images: int) -> None:
        """Refuse to hold out more training images than there are.

        Raises:
            UsageError: Nothing would be left to train on.
        """
        used = min(images, self.limit or images)
        if self.validation >= used:
            raise UsageError(
                f"validation must leave images to train on: received validation {self.validation} of {used} images."
            )


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say how two records of settings differ, ``seed 1 (not 0), epochs 10 (not 20)``; empty where they agree."""
    keys = [key for key in before if key in now and before[key] != now[key]]
    return ", ".join(f"{key} {_shown(before[key])} (not {_shown(now[key])})" for key in keys)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unset" if value is None else str(value)
