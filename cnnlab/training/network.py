"""Building a network by the name of its architecture."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from cnnlab.pluginhost import registry
from cnnlab.pluginhost.blaming import answer_of, blame, guarded
from cnnlab.pluginhost.declarations import resolve

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Keras' name for computing in a precision while the weights stay float32."""


def build_network(
    architecture: str,
    input_shape: Sequence[int],
    classes: int,
    batch_norm: bool = False,
    *,
    precision: str = "float32",
    seed: int | None = None,
    he_normal: bool = False,
) -> keras.Model:
    """Build a network.

    Args:
        architecture: The name of an installed architecture.
        input_shape: Height, width and channels.
        classes: How many logits it gives.
        batch_norm: Whether to put batch normalisation before each activation.
        precision: ``float32``, ``bfloat16`` or ``float16``: what it computes in. Its weights are float32.
        seed: Seeds the initial weights; None leaves them to Keras' present state.
        he_normal: Whether to draw the kernels of all convolutions and dense layers but the last anew, from He et al.'s
            normal distributions (2015).

    Returns:
        A model from images [N, H, W, C] to logits [N, classes].

    Raises:
        UsageError: There is no such architecture.
        CnnlabError: It cannot be built for such images.
        FailedError: Its code failed, or gives no such logits.
    """
    declaration = registry.find_architecture(architecture)
    shape = (int(input_shape[0]), int(input_shape[1]), int(input_shape[2]))
    options = {"batch_norm": True} if batch_norm else {}
    images = f"images of {'x'.join(map(str, shape))} and {classes} classes"
    failed = f"could not be built for {images}"

    def build() -> Any:
        return resolve(declaration.build)(shape, classes, **options)

    with _seeded(seed), _policy(POLICIES[precision]):
        model = answer_of(declaration, build, keras.Model, "keras.Model", failed)
        with guarded(declaration, failed):  # what is built late calls the plugin's layers now
            if not model.built:
                model.build((None, *shape))
            outputs = tuple(model.output_shape)
        if outputs != (None, classes):
            raise blame(declaration, f"gave outputs of shape {list(outputs)} for {images}; expected [None, {classes}]")
        if he_normal:
            _draw_he_normal(model)
    return model


def _draw_he_normal(model: keras.Model) -> None:
    """Draw kernels, from Keras' global seed."""
    convolutions = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
    *drawn, _last = [layer for layer in _all_layers(model) if isinstance(layer, (*convolutions, layers.Dense))]
    for layer in drawn:
        layer.kernel.assign(keras.initializers.HeNormal()(layer.kernel.shape, "float32"))


def _all_layers(model: keras.Model) -> Iterator[layers.Layer]:
    """The layers of a network in their order, those of networks inside it too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)
        else:
            yield layer


@contextlib.contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed Keras, and give Python's and NumPy's global generators back as they were."""
    if seed is None:
        yield
        return
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - Keras seeds the global ones
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@contextlib.contextmanager
def _policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
