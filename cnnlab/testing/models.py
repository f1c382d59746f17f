"""Tiny models with known behaviour, and images for them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset

Shape = tuple[int, int, int]
Bounds = tuple[float, float]

FOREIGN: tuple[Shape, Bounds] = ((9, 6, 3), (0.0, 255.0))
"""A shape and a value range of images. One model has both: that an analysis compiles its work for each model anew takes
most of the time."""


class TinyModels:
    """Opened models of a few hundred weights, built once for each shape.

    All have :attr:`classes` classes, take images [N, H, W, C], in [0, 1] unless said otherwise, and end in logits.
    Their weights are drawn with a fixed seed and are large enough for predictions to differ from image to image. The
    fixture ``tiny_models`` gives one to tests.

    Attributes:
        classes: How many classes the models have.

    Example:
        >>> tiny = TinyModels()
        >>> images, labels = tiny.images((8, 8, 1), 3)
        >>> tiny.linear((8, 8, 1)).logits(images).shape
        (3, 4)
    """

    classes = 4

    @cache  # noqa: B019 - one object serves a whole test session
    def linear(self, shape: Shape) -> Classifier:
        """Logits are a linear function of the pixels.

        Args:
            shape: Height, width and channels of its images.
        """
        import keras

        return self._opened(keras.Input(shape), [keras.layers.Flatten(name="flatten"), self._dense("scores")])

    @cache  # noqa: B019
    def convolutional(self, shape: Shape, bounds: Bounds = (0.0, 1.0), fixed_batch: int | None = None) -> Classifier:
        """One convolution with ReLU, pooling, and a dense layer.

        Args:
            shape: Height, width and channels of its images.
            bounds: Their value range, which it scales to [0, 1] itself.
            fixed_batch: How many images it takes at once, where it takes no other number.
        """
        import keras

        low, high = bounds
        scale = [] if bounds == (0.0, 1.0) else [keras.layers.Rescaling(1 / (high - low), -low / (high - low))]
        return self._opened(
            keras.Input(shape, batch_size=fixed_batch),
            [
                *scale,
                keras.layers.Conv2D(
                    3, 3, padding="same", activation="relu", name="conv1", kernel_initializer=_drawn(1)
                ),
                keras.layers.MaxPooling2D(2, name="pool1"),
                keras.layers.Flatten(name="flatten"),
                self._dense("scores"),
            ],
            bounds,
        )

    @cache  # noqa: B019
    def of_any_size(self, channels: int = 1) -> Classifier:
        """One convolution with ReLU, the mean of each map, and a dense layer: height and width are open.

        Args:
            channels: Channels of its images.
        """
        import keras

        convolution = keras.layers.Conv2D(3, 3, activation="relu", name="conv1", kernel_initializer=_drawn(1))
        pooled = keras.layers.GlobalAveragePooling2D(name="pool1")
        return self._opened(keras.Input((None, None, channels)), [convolution, pooled, self._dense("scores")])

    @cache  # noqa: B019
    def constant(self, shape: Shape) -> Classifier:
        """The same logits whatever the image: nothing in it can matter.

        Args:
            shape: Height, width and channels of its images.
        """
        import keras

        return self._opened(
            keras.Input(shape),
            [
                keras.layers.Conv2D(2, 3, padding="same", name="conv1", kernel_initializer="zeros"),
                keras.layers.Flatten(name="flatten"),
                keras.layers.Dense(
                    self.classes,
                    name="scores",
                    kernel_initializer="zeros",
                    bias_initializer=keras.initializers.RandomNormal(seed=3),
                ),
            ],
        )

    def images(
        self, shape: Shape, count: int, seed: int = 0, bounds: Bounds = (0.0, 1.0)
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw images and labels.

        Args:
            shape: Height, width and channels of an image.
            count: How many.
            seed: Another one gives others.
            bounds: The value range of the images.

        Returns:
            Random images float32 [count, H, W, C] and random labels int64 [count].
        """
        import numpy as np

        low, high = (np.float32(end) for end in bounds)
        rng = np.random.default_rng(seed)
        images = low + (high - low) * rng.random((count, *shape), dtype=np.float32)
        return images, rng.integers(0, self.classes, count)

    def dataset(self, shape: Shape, bounds: Bounds = (0.0, 1.0)) -> Dataset:
        """Draw a dataset of twelve images to learn and twelve to test with.

        Args:
            shape: Height, width and channels.
            bounds: The value range of the images.
        """
        from cnnlab.datasets import Dataset, Split

        train, test = (Split(*self.images(shape, 12, seed, bounds)) for seed in (1, 2))
        names = tuple(map(str, range(self.classes)))
        return Dataset(name="tiny", train=train, test=test, class_names=names, value_range=bounds)

    def saved(self, classifier: Classifier, folder: Path) -> Path:
        """Save one of these models as a SavedModel, for what takes the path of one.

        Args:
            classifier: One that this object made.
            folder: An empty folder, or one that is not there yet.

        Returns:
            The folder.
        """
        classifier._keep.export(str(folder), verbose=False)
        return folder

    def _dense(self, name: str) -> object:
        import keras

        return keras.layers.Dense(self.classes, name=name, kernel_initializer=_drawn(2))

    def _opened(self, image: object, layers: list[object], bounds: Bounds = (0.0, 1.0)) -> Classifier:
        import keras

        from cnnlab.classifier import load

        return load(keras.Sequential([image, *layers]), input_range=bounds)


def _drawn(seed: int) -> object:
    import keras

    return keras.initializers.RandomNormal(stddev=0.5, seed=seed)
