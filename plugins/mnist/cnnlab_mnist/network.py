"""The architecture ``mnist-cnn``: two convolutions, two dense layers, 799,078 parameters on MNIST."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from cnnlab.plugin import UsageError

Shape = tuple[int, int, int]

MOMENTUM = 0.9
"""How much of the running mean and variance stays at each step. Keras' 0.99 still remembers the initial values after a
few hundred steps: trained for two epochs on 6,000 digits, the network is then right on 11% of the test images, and with
0.9 on 98%, its weights being the same."""


def build(input_shape: Shape, classes: int, batch_norm: bool = False) -> keras.Model:
    """Build conv 32, pool, conv 32, pool, dense 500, dense ``classes``.

    Both convolutions are 3x3, stride 1, zero-padded to the size of their input; both max-poolings are 2x2, stride
    2, and drop the last row or column of an odd size. ReLU follows every layer but the pools and the last. The
    layers are named conv1, pool1, conv2, pool2, flatten, fc1 and fc2; ReLU is part of conv1, conv2 and fc1.

    Args:
        input_shape: Height, width and channels; height and width of at least 4, for what the pools leave.
        classes: How many logits there are.
        batch_norm: Put batch normalisation (bn1, bn2, bn3) before each ReLU, which then has a layer of its own
            (relu1, relu2, relu3). Biases before a normalisation change nothing; they stay, so that conv1 to fc2
            have the same parameters in both networks.

    Returns:
        A model from images [N, H, W, C] to logits [N, classes]. Kernels are drawn from Keras' global seed (Glorot
        uniform), biases are zero.

    Raises:
        UsageError: The images are smaller than 4x4.
    """
    height, width, _ = input_shape
    if min(height, width) < 4:
        raise UsageError(f"mnist-cnn halves its images twice: they must be 4x4 or larger; received {height}x{width}.")

    def activated(x: Any, layer: type[layers.Layer], name: str, number: int, *size: int, **options: Any) -> Any:
        if not batch_norm:
            return layer(*size, activation="relu", name=name, **options)(x)
        x = layer(*size, name=name, **options)(x)
        x = layers.BatchNormalization(momentum=MOMENTUM, name=f"bn{number}")(x)
        return layers.ReLU(name=f"relu{number}")(x)

    images = keras.Input(input_shape, name="images")
    x = activated(images, layers.Conv2D, "conv1", 1, 32, 3, padding="same")
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = activated(x, layers.Conv2D, "conv2", 2, 32, 3, padding="same")
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = activated(x, layers.Dense, "fc1", 3, 500)
    logits = layers.Dense(classes, name="fc2")(x)
    return keras.Model(images, logits, name="mnist_cnn_bn" if batch_norm else "mnist_cnn")
