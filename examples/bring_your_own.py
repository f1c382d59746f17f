"""Somebody else's model, in colour: plain Keras, nothing of cnnlab's, exported as a SavedModel. About a minute.

Digits in ten colours. While it learns, almost every digit has the colour of its class, so that the colour is all that
a network needs to look at; whether it looks at more is for docs/bring-your-own-model.md to find out.
"""

from __future__ import annotations

import colorsys
from pathlib import Path

import keras
import numpy as np
from PIL import Image

import cnnlab  # for its MNIST

COLOURS = np.array([colorsys.hsv_to_rgb(hue / 10, 1.0, 1.0) for hue in range(10)], np.float32)
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def painted(split, count: int, own: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The first digits of a split as uint8 [N, 28, 28, 3]; a share ``own`` in the colour of their class."""
    rng = np.random.default_rng(seed)
    labels = split.labels[:count]
    other = (labels + rng.integers(1, 10, count)) % 10
    hue = np.where(rng.random(count) < own, labels, other)
    return np.rint(255 * split.batch(range(count)) * COLOURS[hue][:, None, None, :]).astype(np.uint8), labels


def network() -> keras.Model:
    """A small network of the usual kind, which takes 0 to 255 and scales inside."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="colours"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu", name="strokes"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu", name="shapes"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ]
    )


def main() -> None:
    """Train it, export it, and leave beside it what to ask it about."""
    keras.utils.set_random_seed(0)
    digits = cnnlab.datasets.load("mnist")
    images, labels = painted(digits.train, 12_000, own=0.99, seed=0)
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=64, epochs=3, verbose=2)
    model.export("colourful", verbose=False)
    Path("names.txt").write_text("\n".join(NAMES) + "\n")
    for name, own in (("own-colours", 1.0), ("other-colours", 0.0)):
        x_test, y_test = painted(digits.test, 1000, own, seed=1)
        np.savez_compressed(f"{name}.npz", x_train=x_test[:0], y_train=y_test[:0], x_test=x_test, y_test=y_test)
    seven = digits.test.batch([0])[0]
    for name, hue in (("seven", 7), ("seven-in-the-colour-of-two", 2)):
        Image.fromarray(np.rint(255 * seven * COLOURS[hue]).astype(np.uint8)).save(f"{name}.png")
    print("wrote colourful/, names.txt, two datasets and two images")


if __name__ == "__main__":
    main()
