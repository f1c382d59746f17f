"""Tiny models with known behaviour, and images for them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from cnnlab.classifier import Classifier

Shape = tuple[int, int, int]


class TinyModels:
    """Opened models of a few hundred weights, built once for each shape.

    All have :attr:`classes` classes, take images [N, H, W, C] in [0, 1] and end in logits. Their weights are drawn with
    a fixed seed and are large enough for predictions to differ from image to image.
    """

    classes = 4

    @cache  # noqa: B019 - one object serves a whole test session
    def linear(self, shape: Shape) -> Classifier:
        """Logits are a linear function of the pixels."""
        import keras

        return self._opened(shape, [keras.layers.Flatten(), self._dense("scores")])

    @cache  # noqa: B019
    def convolutional(self, shape: Shape) -> Classifier:
        """One convolution with ReLU, pooling, and a dense layer."""
        import keras

        return self._opened(
            shape,
            [
                keras.layers.Conv2D(
                    3, 3, padding="same", activation="relu", name="conv1", kernel_initializer=_drawn(1)
                ),
                keras.layers.MaxPooling2D(2, name="pool1"),
                keras.layers.Flatten(),
                self._dense("scores"),
            ],
        )

    @cache  # noqa: B019
    def constant(self, shape: Shape) -> Classifier:
        """The same logits whatever the image: nothing in it can matter."""
        import keras

        return self._opened(
            shape,
            [
                keras.layers.Conv2D(2, 3, padding="same", name="conv1", kernel_initializer="zeros"),
                keras.layers.Flatten(),
                keras.layers.Dense(
                    self.classes,
                    name="scores",
                    kernel_initializer="zeros",
                    bias_initializer=keras.initializers.RandomNormal(seed=3),
                ),
            ],
        )

    def images(self, shape: Shape, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return random images float32 [count, H, W, C] in [0, 1] and random labels int64 [count]."""
        import numpy as np

        rng = np.random.default_rng(seed)
        return rng.random((count, *shape), dtype=np.float32), rng.integers(0, self.classes, count)

    def _dense(self, name: str) -> object:
        import keras

        return keras.layers.Dense(self.classes, name=name, kernel_initializer=_drawn(2))

    def _opened(self, shape: Shape, layers: list[object]) -> Classifier:
        import keras

        from cnnlab.classifier import load

        return load(keras.Sequential([keras.Input(shape), *layers]), input_range=(0, 1))


def _drawn(seed: int) -> object:
    import keras

    return keras.initializers.RandomNormal(stddev=0.5, seed=seed)
