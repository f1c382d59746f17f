"""The contract of a dataset."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import DatasetSource
from cnnlab.testing.contract import Guest, assert_no_framework, assert_same
from cnnlab.testing.footprint import Footprint, footprint


class DatasetContract(Guest):
    """Derive from it, name the dataset, and pytest holds it to what it declares.

    Attributes:
        dataset: The name of the dataset.

    Example:
        >>> from cnnlab.testing import DatasetContract
        >>> class TestMnist(DatasetContract):
        ...     dataset = "mnist"
        >>> TestMnist().declaration.test_size
        10000
    """

    dataset: ClassVar[str]

    @cached_property
    def declaration(self) -> DatasetSource:
        """The dataset, as its plugin declares it."""
        return registry.find_dataset(self.dataset)

    def load(self) -> Any:
        """Load it as a library user would."""
        from cnnlab import datasets

        return datasets.load(self.dataset)

    def footprint(self) -> Footprint:
        """What it printed and changed, loaded in a process of its own."""
        return footprint(self.declaration)

    def test_the_plugin_imports_without_a_framework(self) -> None:
        """Importing the plugin's declaration costs no TensorFlow."""
        assert_no_framework(registry.provider(self.declaration).module)

    def test_it_says_where_it_comes_from(self) -> None:
        """Provenance and licence are given."""
        assert self.declaration.provenance.strip()
        assert self.declaration.licence.strip()

    def test_it_is_as_large_as_declared(self) -> None:
        """Sizes, shape and classes are the declared ones."""
        dataset = self.load()
        assert (len(dataset.train), len(dataset.test)) == (
            self.declaration.train_size,
            self.declaration.test_size,
        )
        assert tuple(dataset.class_names) == self.declaration.class_names
        for split in (dataset.train, dataset.test):
            assert tuple(split.shape) == self.declaration.shape

    def test_images_and_labels_are_usable(self) -> None:
        """Images are finite float32 in the value range; labels are int64 and each names a class."""
        import numpy as np

        dataset = self.load()
        low, high = dataset.value_range
        for split in (dataset.train, dataset.test):
            images = split.batch(range(min(len(split), 256)))
            assert images.dtype == np.float32
            assert np.isfinite(images).all()
            assert low <= images.min() <= images.max() <= high
            assert split.labels.dtype == np.int64
            assert split.labels.shape == (len(split),)
            assert split.labels.min() >= 0
            assert split.labels.max() < len(dataset.class_names)

    def test_loading_twice_gives_the_same(self) -> None:
        """The same images in the same order, and the same digest."""
        first, second = self.load(), self.load()
        assert first.digest == second.digest
        assert_same(first.test.batch([0]), second.test.batch([0]), "the first test image")
