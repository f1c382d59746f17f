"""Freezing gives the graph that TensorFlow's own does, node for node, and so a model keeps its digest."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from cnnlab.classifier import freeze as freezing
from cnnlab.classifier.freeze import digest, freeze


@pytest.fixture(scope="module")
def model() -> keras.Model:
    image = keras.Input((8, 8, 2))
    maps = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(image))
    maps = layers.Dropout(0.5)(layers.DepthwiseConv2D(2, dilation_rate=2)(maps))
    logits = layers.Dense(3)(layers.Flatten()(maps))
    return keras.Model(image, [logits, layers.Softmax()(logits)])


@pytest.fixture(scope="module", params=["live", "exported"])
def concrete(request, model, tmp_path_factory):
    if request.param == "live":
        spec = tf.TensorSpec((None, 8, 8, 2))
        return tf.function(lambda images: model(images, training=False)).get_concrete_function(spec)
    folder = tmp_path_factory.mktemp("exported")
    model.export(folder, verbose=False)
    loaded = tf.saved_model.load(folder)
    function = loaded.signatures["serving_default"]
    function.kept = loaded
    return function


def test_a_frozen_model_has_the_digest_that_tensorflows_own_freezing_gives_it(concrete):
    expected = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    found = freeze(concrete)
    assert found.input.name == expected.inputs[0].name
    assert [tensor.name for tensor in found.outputs.values()] == [tensor.name for tensor in expected.outputs]
    assert digest(found.definition) == digest(expected.graph.as_graph_def())


def test_it_computes_what_the_model_computes(concrete, model):
    images = tf.random.stateless_uniform((3, 8, 8, 2), (0, 0))
    frozen = freeze(concrete)
    for mine, own in zip(frozen.prune(list(frozen.outputs.values()))(images), model(images), strict=True):
        tf.debugging.assert_near(mine, own, 1e-5, 1e-5)


def test_functions_share_the_large_weights_and_compute_the_same(concrete, monkeypatch):
    images = tf.random.stateless_uniform((3, 8, 8, 2), (0, 0))
    frozen = freeze(concrete)
    expected = [gradient_and_values(frozen.prune([output]), images) for output in frozen.outputs.values()]
    monkeypatch.setattr(freezing, "SHARED", 256)
    frozen = freeze(concrete)
    functions = [frozen.prune([output]) for output in frozen.outputs.values()]
    one, other = ([id(weight) for weight in function.captured_inputs] for function in functions)
    assert one == other
    assert len(one) == 2
    for function, wanted in zip(functions, expected, strict=True):
        for mine, own in zip(gradient_and_values(function, images), wanted, strict=True):
            tf.debugging.assert_near(mine, own, 1e-5, 1e-5)


def gradient_and_values(function, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        (values,) = function(images)
    return tape.gradient(values, images), values
