"""A forward pass over the MNIST test images: the frozen graph beside Keras."""

from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf
from side_by_side import race, rounds_from_command_line

import cnnlab
from cnnlab.training import build
from cnnlab.training.export import save_savedmodel

BATCH = 500


def main() -> None:
    images = cnnlab.datasets.load("mnist").test.images
    model = build("mnist-cnn", (28, 28, 1), 10)
    with tempfile.TemporaryDirectory() as folder:
        save_savedmodel(model, Path(folder) / "model")
        classifier = cnnlab.load(Path(folder) / "model")
    compiled = tf.function(lambda batch: model(batch, training=False))

    def by_function() -> None:
        for start in range(0, len(images), BATCH):
            compiled(tf.constant(images[start : start + BATCH])).numpy()

    race(
        "forward",
        "Forward pass: mnist-cnn, 10,000 images, batch 500",
        {
            "cnnlab, a SavedModel opened by `cnnlab.load`": lambda: classifier.logits(images),
            "`tf.function` over the live Keras model": by_function,
            "Keras `model.predict`": lambda: model.predict(images, batch_size=BATCH, verbose=0),
        },
        rounds=rounds_from_command_line(15, __doc__),
        packages=["cnnlab", "tensorflow", "keras"],
    )


if __name__ == "__main__":
    main()
