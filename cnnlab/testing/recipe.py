"""The contract of a recipe."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Recipe
from cnnlab.testing.contract import Contract, assert_no_framework

if TYPE_CHECKING:
    from cnnlab.datasets import Dataset


LEARNED = 0.95
"""The share of the images that a network must read correctly that was trained by the recipe."""


class RecipeContract(Contract):
    """Derive from it, name the recipe, and pytest trains a network by it.

    Attributes:
        recipe: The name of the recipe.
        architecture: The network, by the name of its plugin; it must take images of 8x8 pixels in grey.
        images: How many images it learns from: enough for some steps of the recipe's batches.

    Example:
        >>> from cnnlab.testing import RecipeContract
        >>> class TestFast(RecipeContract):
        ...     recipe = "fast"
        >>> TestFast().declaration.epochs
        2
    """

    recipe: ClassVar[str]
    architecture: ClassVar[str] = "mnist-cnn"
    images: ClassVar[int] = 2048

    @cached_property
    def declaration(self) -> Recipe:
        """The recipe, as its plugin declares it."""
        return registry.find_recipe(self.recipe)

    def dataset(self) -> Dataset:
        """Return images [N, 8, 8, 1] of two classes, which a straight line tells apart: bright above, or below."""
        import numpy as np

        from cnnlab.datasets import Dataset, Split

        generator = np.random.default_rng(0)
        pixels = generator.integers(0, 128, (self.images, 8, 8, 1), np.uint8)
        labels = generator.integers(0, 2, self.images)
        pixels[labels == 0, :4] += 128
        pixels[labels == 1, 4:] += 128
        split = Split(pixels, labels)
        return Dataset(name="halves", train=split, test=split[:256], class_names=("above", "below"))

    def test_the_plugin_imports_without_a_framework(self) -> None:
        """Importing the plugin's declaration costs no TensorFlow, so that --help stays quick."""
        assert_no_framework(registry.provider(self.declaration).module)

    def test_a_network_learns_by_it(self, tmp_path: Path) -> None:
        """What a straight line can tell apart is told apart, but for one image in twenty, and the loss stays finite."""
        import cnnlab

        where = tmp_path / "run"
        run = cnnlab.train(
            self.dataset(), architecture=self.architecture, recipe=self.recipe, out=where, progress=False
        )
        read = run.metrics["test_accuracy"]
        assert read >= LEARNED, f"{read:.1%} of the images are read correctly; expected {LEARNED:.0%} at least"
