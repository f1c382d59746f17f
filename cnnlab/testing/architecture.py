"""The contract of an architecture."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Architecture, resolve
from cnnlab.testing.contract import Guest, assert_no_framework, assert_same
from cnnlab.testing.footprint import Footprint, footprint


class ArchitectureContract(Guest):
    """Derive from it, name the architecture, and pytest holds it to what training and analyses rely on.

    Attributes:
        architecture: The name of the architecture.
        shapes: Input shapes (H, W, C) that it must build for, beside the one it was made for.

    Example:
        >>> from cnnlab.testing import ArchitectureContract
        >>> class TestClassic(ArchitectureContract):
        ...     architecture = "mnist-cnn"
        >>> TestClassic().declaration.classes
        10
    """

    architecture: ClassVar[str]
    shapes: ClassVar[tuple[tuple[int, int, int], ...]] = ()
    draws: ClassVar[bool] = True  # Keras draws the seeds of weights from Python's

    @cached_property
    def declaration(self) -> Architecture:
        """The architecture, as its plugin declares it."""
        return registry.find_architecture(self.architecture)

    def build(self, shape: tuple[int, int, int], classes: int, **options: bool) -> Any:
        """Build it for images of that ``shape`` and so many ``classes``, with ``options``, as training does."""
        return resolve(self.declaration.build)(shape, classes, **options)

    def footprint(self) -> Footprint:
        """What it printed and changed, built in a process of its own."""
        return footprint(self.declaration)

    def test_the_plugin_imports_without_a_framework(self) -> None:
        """Importing the plugin's declaration costs no TensorFlow."""
        assert_no_framework(registry.provider(self.declaration).module)

    @pytest.mark.parametrize("batch_norm", [False, True])
    def test_it_ends_in_logits(self, batch_norm: bool) -> None:
        """From images [N, H, W, C] to [N, classes], for every shape, and not through a softmax."""
        import numpy as np

        if batch_norm and not self.declaration.batch_norm:
            pytest.skip("the architecture declares no variant with batch normalisation")
        options = {"batch_norm": True} if batch_norm else {}
        for shape in (self.declaration.input_shape, *self.shapes):
            for classes in (self.declaration.classes, 3):
                model = self.build(shape, classes, **options)
                images = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
                outputs = np.asarray(model(images))
                assert outputs.shape == (2, classes)
                assert not np.allclose(outputs.sum(axis=1), 1.0), "the outputs look like probabilities, not logits"

    def test_it_opens_saved(self, tmp_path: Path) -> None:
        """Saved as .keras and opened again, it gives the same logits, and its layers can be listed."""
        import numpy as np

        from cnnlab.classifier import load
        from cnnlab.trust import trial

        shape = self.declaration.input_shape
        model = self.build(shape, self.declaration.classes)
        images = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
        expected = np.asarray(model(images))
        model.save(tmp_path / "model.keras")
        trial.vouch(tmp_path / "model.keras")  # what a trial would run in another process has run in this one
        opened = load(tmp_path / "model.keras")
        np.testing.assert_allclose(opened.logits(images), expected, rtol=1e-4, atol=1e-5)
        assert opened.layers

    def test_building_takes_its_weights_from_the_seed(self) -> None:
        """The same seed gives the same initial weights."""
        import keras

        drawn = []
        for _ in range(2):
            keras.utils.set_random_seed(5)
            drawn.append(self.build(self.declaration.input_shape, self.declaration.classes).get_weights())
        for first, second in zip(*drawn, strict=True):
            assert_same(first, second, "a weight")
