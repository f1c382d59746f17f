"""Freezing gives the graph that TensorFlow's own does, node for node, and so a model keeps its digest."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

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
