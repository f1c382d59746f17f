"""Writing the trained network: ``model.keras`` for Keras, and a SavedModel for everything else."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from cnnlab.files.writing import write_beside


def save_keras(model: keras.Model, path: Path) -> None:
    """Write ``model`` as a ``.keras`` file that ends in logits."""
    with write_beside(path) as beside:
        model.save(beside)


def save_savedmodel(model: keras.Model, path: Path) -> None:
    """Write ``model`` as a SavedModel folder, for any number of images [N, H, W, C] float32.

    Its signatures are ``serving_default``, which gives probabilities [N, K], and ``logits``, which gives the logits.
    """
    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="images")

    def logits(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    def probabilities(images: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(model(images, training=False))

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", probabilities, input_signature=[images])
    archive.add_endpoint("logits", logits, input_signature=[images])
    with write_beside(path) as beside, _quiet():
        archive.write_out(str(beside), verbose=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the remark that assets were written out of the terminal, and of notebooks, where TensorFlow says it too."""
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
