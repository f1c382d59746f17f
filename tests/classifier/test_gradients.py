"""The gradients of a frozen graph are those that TensorFlow finds in the live model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import cnnlab
from cnnlab.classifier import gradients

CASES = [
    ((28, 28, 1), (3, 3), "same"),
    ((28, 28, 1), (5, 5), "valid"),
    ((7, 9, 3), (4, 3), "same"),
    ((7, 9, 3), (2, 2), "valid"),
    ((6, 5, 2), (1, 1), "same"),
    ((6, 6, 3), (5, 5), "same"),
]


def of_outputs(functions: Any, images: np.ndarray) -> np.ndarray:
    """The gradient in the images of the sum of squares of everything that is computed of them."""
    with tf.GradientTape() as tape:
        watched = tf.constant(images)
        tape.watch(watched)
        value = sum(tf.reduce_sum(tf.square(output)) for output in tf.nest.flatten(functions(watched)))
    return np.asarray(tape.gradient(value, watched))


def rules(classifier: Any) -> list[str]:
    """The rules that the operations of the function to the logits are differentiated by."""
    graph = classifier._frozen.prune([classifier._output.logits]).graph
    marked = [op for op in graph.get_operations() if "_gradient_op_type" in op.node_def.attr]
    return [op.get_attr("_gradient_op_type").decode().removeprefix(gradients.PREFIX) for op in marked]


@pytest.mark.parametrize(("shape", "kernel", "padding"), CASES)
def test_the_gradient_of_a_first_convolution_is_the_models(shape, kernel, padding):
    model = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(6, kernel, padding=padding, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    classifier = cnnlab.load(model)
    images = np.random.default_rng(0).random((5, *shape), dtype=np.float32)
    assert rules(classifier) == ["FirstConvolution"]
    np.testing.assert_allclose(
        of_outputs(classifier.logits_function, images), of_outputs(model, images), rtol=1e-5, atol=1e-5
    )


def _network() -> keras.Model:
    """Overlapping pools of rectified convolutions, with pixels that are zero all over."""
    keras.utils.set_random_seed(0)
    image = keras.Input((9, 8, 1))
    first = keras.layers.Conv2D(6, 3, activation="relu", name="first")(image)
    pooled = keras.layers.MaxPooling2D(3, strides=2, name="pool")(first)
    second = keras.layers.Conv2D(5, 2, activation="relu", name="second")(pooled)
    last = keras.layers.MaxPooling2D(2, strides=1, padding="same", name="last")(second)
    return keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(last)))


def test_the_gradient_of_pooled_rectifiers_is_the_models():
    model = _network()
    classifier = cnnlab.load(model)
    images = np.random.default_rng(1).normal(size=(40, 9, 8, 1)).clip(0, 1).astype(np.float32)
    assert sorted(rules(classifier)) == ["FirstConvolution", *["PoolOfRelu"] * 2, *["PooledRelu"] * 2]
    np.testing.assert_allclose(
        of_outputs(classifier.logits_function, images), of_outputs(model, images), rtol=1e-5, atol=1e-5
    )


def test_a_rectifier_that_is_looked_at_itself_keeps_its_gradient():
    model = _network()
    classifier = cnnlab.load(model)
    images = np.random.default_rng(2).random((20, 9, 8, 1), dtype=np.float32)
    names = ("first", "pool", "second", "last")
    parts = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    np.testing.assert_allclose(
        of_outputs(classifier.graph_function(*names), images), of_outputs(parts, images), rtol=1e-5, atol=1e-4
    )


def test_what_the_rules_do_not_fit_is_left_alone():
    """Strides, many channels, sides that are open: TensorFlow's own rules. (Keras cuts images up for dilation.)"""
    for shape, options, expected in (
        ((8, 8, 1), {"strides": 2}, []),
        ((8, 8, 1), {"dilation_rate": 2}, ["FirstConvolution"]),
        ((8, 8, 5), {}, []),
        ((None, None, 1), {}, []),
    ):
        pool = keras.layers.GlobalAveragePooling2D()
        model = keras.Sequential(
            [keras.Input(shape), keras.layers.Conv2D(4, 3, **options), pool, keras.layers.Dense(2)]
        )
        classifier = cnnlab.load(model)
        assert rules(classifier) == expected
        images = np.random.default_rng(3).random((3, 8, 8, shape[-1]), dtype=np.float32)
        found = of_outputs(classifier.logits_function, images)
        np.testing.assert_allclose(found, of_outputs(model, images), rtol=1e-5, atol=1e-6)


def test_products_and_sums_of_what_is_as_large_as_they_are_have_the_models_gradients():
    image = keras.Input((5, 4, 1))
    scaled = keras.layers.Rescaling(2.0, offset=-1.0)(image)
    swished = keras.layers.Activation("silu")(2.0 + scaled)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(swished)))
    classifier = cnnlab.load(model)
    images = np.random.default_rng(4).random((6, 5, 4, 1), dtype=np.float32)
    expected = ["ProductOfBoth", "ProductOfFirst", "ProductOfSecond", "SumOfFirst", "SumOfSecond"]
    assert sorted(rules(classifier)) == expected
    np.testing.assert_allclose(
        of_outputs(classifier.logits_function, images), of_outputs(model, images), rtol=1e-5, atol=1e-5
    )


def test_what_grows_by_a_product_or_a_sum_is_left_to_tensorflow():
    """A grey image times three colours, an image times a number of each image, a constant less an image."""
    image = keras.Input((5, 4, 1))
    coloured = image * np.arange(1, 4, dtype=np.float32) + np.ones((5, 4, 3), np.float32)
    weighed = (1.0 - coloured) * keras.ops.mean(image, axis=(1, 2, 3), keepdims=True)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(weighed)))
    classifier = cnnlab.load(model)
    images = np.random.default_rng(5).random((6, 5, 4, 1), dtype=np.float32)
    assert rules(classifier) == ["SumOfFirst"]
    np.testing.assert_allclose(
        of_outputs(classifier.logits_function, images), of_outputs(model, images), rtol=1e-5, atol=1e-5
    )
