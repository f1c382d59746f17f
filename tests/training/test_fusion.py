"""The network that is trained in the place of another: the same loss, gradients and running statistics as Keras'."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cnnlab.errors import CnnlabError
from cnnlab.training.fusion import fuse
from cnnlab.training.network import build_network

SHAPE = (13, 15, 2)


def chain(*made, inputs=SHAPE):
    """A network of these layers, a dense one at its end."""
    images = x = keras.Input(inputs)
    for layer in made:
        x = layer(x)
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(x)))


def branches():
    """A map that a pooling and a sum look at, and a layer that is called twice."""
    images = keras.Input(SHAPE)
    twice = layers.Conv2D(2, 3, padding="same", activation="relu")
    x = twice(images)
    y = layers.MaxPooling2D(2)(twice(x))
    z = layers.MaxPooling2D(2)(keras.ops.add(x, images))
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(layers.Concatenate()([y, z]))))


def normalized(**options):
    return [layers.Conv2D(4, 3), layers.BatchNormalization(**options), layers.ReLU(), layers.MaxPooling2D(2)]


def frozen():
    model = chain(*normalized())
    model.layers[2].trainable = False
    return model


class Own(keras.Model):
    """A network that is no graph of layers."""

    def __init__(self):
        super().__init__()
        self.convolution, self.dense = layers.Conv2D(4, 3, activation="relu"), layers.Dense(3)
        self.build((None, *SHAPE))

    def build(self, shape):
        self.convolution.build(shape)
        self.dense.build((None, 4))
        self.built = True

    def call(self, images):
        return self.dense(tf.reduce_mean(self.convolution(images), axis=(1, 2)))


NETWORKS = {
    "mnist-cnn": lambda: build_network("mnist-cnn", (28, 28, 1), 10, seed=0),
    "mnist-cnn, batch norm": lambda: build_network("mnist-cnn", (28, 28, 1), 10, batch_norm=True, seed=0),
    "same, odd": lambda: chain(layers.Conv2D(4, 3, padding="same", activation="relu"), layers.MaxPooling2D(2)),
    "valid, strides, dilation": lambda: chain(
        layers.Conv2D(4, 2, strides=2, activation="relu"),
        layers.MaxPooling2D(2, strides=1, padding="same"),
        layers.Conv2D(4, 2, dilation_rate=2, activation="relu"),
        layers.MaxPooling2D(2),
    ),
    "groups, no bias": lambda: chain(
        layers.Conv2D(4, 3, groups=2, use_bias=False), layers.ReLU(), layers.MaxPooling2D((3, 2))
    ),
    "no bias": lambda: chain(layers.Conv2D(4, 3, use_bias=False, activation="relu"), layers.MaxPooling2D(2)),
    "dense": lambda: chain(
        layers.Flatten(),
        layers.Dense(6, activation="gelu", use_bias=False),
        layers.Dense(5, activation="relu", bias_initializer="random_normal"),
    ),
    "dense on maps": lambda: chain(layers.Dense(6, activation="relu")),
    "bias alone": lambda: chain(layers.Conv2D(4, 3, bias_initializer="random_normal"), layers.MaxPooling2D(2)),
    "other activations": lambda: chain(
        layers.Conv2D(4, 3, activation="gelu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(4, 3),
        layers.LeakyReLU(0.2),
        layers.MaxPooling2D(2),
    ),
    "ReLU6 of a layer": lambda: chain(layers.Conv2D(4, 3), layers.ReLU(max_value=0.2), layers.MaxPooling2D(2)),
    "ReLU that is none": lambda: chain(layers.ReLU(negative_slope=0.5, threshold=0.5), layers.MaxPooling2D(2)),
    "average": lambda: chain(layers.Conv2D(4, 3, activation="relu"), layers.AveragePooling2D(2)),
    "branches": branches,
    "batch norm": lambda: chain(*normalized()),
    "batch norm, no scale": lambda: chain(*normalized(scale=False, momentum=0.5)),
    "batch norm, negative scale": lambda: chain(*normalized(center=False, gamma_initializer="random_normal")),
    "batch norm behind ReLU": lambda: chain(
        layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(2)
    ),
    "batch norm of other axes": lambda: chain(layers.Conv2D(4, 3), layers.BatchNormalization(axis=1)),
    "batch norm of vectors": lambda: chain(layers.Flatten(), layers.Dense(6), layers.BatchNormalization()),
    "frozen batch norm": frozen,
    "penalties": lambda: chain(
        layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2", activity_regularizer="l1"),
        layers.MaxPooling2D(2),
        layers.Conv2D(4, 2, activation="relu", kernel_regularizer="l2"),
        layers.MaxPooling2D(2),
    ),
    "sequential": lambda: keras.Sequential(
        [keras.Input(SHAPE), *normalized(), layers.Flatten(), layers.Dense(3)],
    ),
    "inside": lambda: chain(keras.Sequential([keras.Input(SHAPE), *normalized()]), layers.ReLU()),
    "of one's own": Own,
}


def taken(model, called, images, labels, compiled=True):
    """Loss, logits and gradients of a step, and the running statistics after it."""

    def step():
        with tf.GradientTape() as tape:
            logits = tf.cast(called(images, training=True), tf.float32)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            loss += tf.add_n(called.losses) if called.losses else 0.0
        gradients = tape.gradient(loss, model.trainable_variables)
        return (
            loss,
            logits,
            [tf.zeros(w.shape) if g is None else g for g, w in zip(gradients, model.trainable_variables, strict=True)],
        )

    loss, logits, gradients = tf.function(step)() if compiled else step()
    return [
        loss.numpy(),
        logits.numpy(),
        *(g.numpy() for g in gradients),
        *(v.numpy() for v in model.non_trainable_variables),
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_is_that_of_keras(name):
    keras.utils.set_random_seed(3)
    model = NETWORKS[name]()
    start = model.get_weights()
    rng = np.random.default_rng(0)
    sides = SHAPE if isinstance(model, Own) else model.input_shape[1:]
    images, labels = tf.constant(rng.uniform(size=(8, *sides)), tf.float32), tf.constant(rng.integers(0, 3, 8))
    theirs = taken(model, model, images, labels, compiled=False)
    model.set_weights(start)
    fused = fuse(model)
    ours = taken(model, fused, images, labels)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)
    assert (fused is model) == isinstance(model, Own)
    assert {id(variable) for variable in fused.variables} == {id(variable) for variable in model.variables}


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_network_itself_stays_as_it_is(batch_norm, tmp_path):
    model = build_network("mnist-cnn", (8, 8, 1), 3, batch_norm, seed=0)
    before = model.to_json()
    fused = fuse(model)
    assert model.to_json() == before
    kinds = {type(layer) for layer in fused.layers} & {layers.Conv2D, layers.BatchNormalization}
    assert not kinds, "nothing was put in the place of these layers"
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").to_json() == before


def test_gradients_of_bias_and_relu_are_of_the_pooled_map():
    model = NETWORKS["mnist-cnn"]()
    fused = fuse(model)

    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(fused(images, training=True))
        return tape.gradient(loss, model.trainable_variables)

    sides = {kind: [] for kind in ("Conv2D", "ReluGrad", "BiasAddGrad")}
    for operation in tf.function(step).get_concrete_function(tf.zeros((1, 28, 28, 1))).graph.get_operations():
        shape = operation.inputs[0].shape if operation.type in sides else []
        if len(shape) == 4:
            sides[operation.type].append(shape[1])
    assert sides == {"Conv2D": [28, 14], "ReluGrad": [7, 14], "BiasAddGrad": [7, 14]}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_short_floats_are_those_of_keras_but_for_rounding(precision, batch_norm):
    model = build_network("mnist-cnn", (28, 28, 1), 10, batch_norm, precision=precision, seed=0)
    start = model.get_weights()
    rng = np.random.default_rng(0)
    images, labels = tf.constant(rng.uniform(size=(32, 28, 28, 1)), tf.float32), tf.constant(rng.integers(0, 10, 32))
    theirs = taken(model, model, images, labels)
    model.set_weights(start)
    ours = taken(model, fuse(model), images, labels)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=0.05 * max(1.0, np.abs(b).max()))


def subclassed():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.normal, self.last = layers.BatchNormalization(name="inner"), layers.Dense(3)

        def call(self, images):
            return self.last(layers.Flatten()(self.normal(images)))

    model = Own()
    model.build((None, 8, 8, 1))
    return model


def nested():
    inner = keras.Sequential([keras.Input((8, 8, 1)), layers.BatchNormalization(name="inner")])
    return keras.Sequential([keras.Input((8, 8, 1)), inner, layers.Flatten(), layers.Dense(3)])


def over_rows():
    normal = layers.BatchNormalization(axis=1, name="inner")
    return keras.Sequential([keras.Input((8, 8, 1)), normal, layers.Flatten(), layers.Dense(3)])


@pytest.mark.parametrize("build", [subclassed, nested, over_rows])
def test_what_cannot_be_synchronised_is_said(build):
    fuse(build())
    with pytest.raises(CnnlabError, match="the batch normalisation 'inner' cannot be synchronised"):
        fuse(build(), synchronized=True)


def test_what_does_not_learn_need_not_be_synchronised():
    model = over_rows()
    model.layers[0].trainable = False
    fuse(model, synchronized=True)
