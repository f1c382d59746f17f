"""The part of a model after a layer, and models that have forgotten what some of their layers learned."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import cnnlab
from cnnlab.errors import UsageError

IMAGES = np.random.default_rng(0).random((3, 8, 8, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def model():
    """A residual network, so that the logits depend on the image also past the layer ``inner``."""
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 1))
    first = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="first")(image)
    inner = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="inner")(first)
    normed = keras.layers.BatchNormalization(name="norm")(inner)
    added = keras.layers.Add(name="added")([first, normed])
    flat = keras.layers.Flatten(name="flat")(added)
    return keras.Model(image, keras.layers.Dense(4, activation="softmax", name="scores")(flat))


@pytest.fixture(scope="module")
def classifier(model):
    return cnnlab.load(model)


@pytest.mark.parametrize("layer", ["first", "inner", "norm", "added", "flat", "scores"])
def test_a_head_takes_a_layers_output_to_the_logits(classifier, layer):
    output = classifier.activations(IMAGES, [layer])[layer]
    found = classifier.head_function(layer)(IMAGES, output).numpy()
    np.testing.assert_allclose(found, classifier.logits(IMAGES), rtol=1e-6)


def test_a_head_takes_any_output_as_given_and_computes_what_goes_around_the_layer(classifier, model):
    given = np.random.default_rng(1).random((3, 8, 8, 3), dtype=np.float32)
    first = keras.Model(model.input, model.get_layer("first").output)(IMAGES).numpy()
    flat = (first + model.get_layer("norm")(given).numpy()).reshape(3, -1)
    kernel, bias = model.get_layer("scores").get_weights()
    np.testing.assert_allclose(
        classifier.head_function("inner")(IMAGES, given), flat @ kernel + bias, rtol=1e-5, atol=1e-5
    )


def test_a_head_can_be_differentiated(classifier, model):
    """The last sum is followed by a dense layer alone: the gradient is its kernel."""
    with tf.GradientTape() as tape:
        output = tf.constant(classifier.activations(IMAGES, ["added"])["added"])
        tape.watch(output)
        logit = classifier.head_function("added")(IMAGES, output)[:, 2]
    gradient = tape.gradient(logit, output).numpy().reshape(3, -1)
    np.testing.assert_allclose(gradient, np.tile(model.get_layer("scores").get_weights()[0][:, 2], (3, 1)), rtol=1e-6)


def test_a_head_of_no_layer_is_refused(classifier):
    with pytest.raises(UsageError, match="no layer 'frist'"):
        classifier.head_function("frist")


def test_randomized_layers_hold_the_same_values_elsewhere_and_others_stay(classifier):
    other = classifier.randomized(["inner"], seed=3)
    for before, after in zip(classifier.layers, other.layers, strict=True):
        assert before.name == after.name
        if before.kernel is None:
            continue
        assert (before.kernel != after.kernel).any() == (before.name == "inner")
        np.testing.assert_array_equal(np.sort(before.kernel.ravel()), np.sort(after.kernel.ravel()))
    assert other.digest != classifier.digest
    assert np.abs(other.logits(IMAGES) - classifier.logits(IMAGES)).max() > 1e-3


def test_a_randomized_model_equals_keras_with_the_same_weights(classifier, model):
    other = classifier.randomized(["first", "scores"], seed=0)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for name in ("first", "scores"):
        copy.get_layer(name).set_weights([other.layer(name).kernel, other.layer(name).bias])
    np.testing.assert_allclose(other.probabilities(IMAGES), copy(IMAGES).numpy(), rtol=1e-5, atol=1e-6)


def test_a_layer_is_randomized_alike_whatever_else_is(classifier):
    alone, together = classifier.randomized(["inner"], 5), classifier.randomized(["scores", "inner"], 5)
    np.testing.assert_array_equal(alone.layer("inner").kernel, together.layer("inner").kernel)
    assert (classifier.randomized(["inner"], 6).layer("inner").kernel != alone.layer("inner").kernel).any()


def test_the_constants_of_the_layers_are_all_the_numbers_of_the_model(classifier, model):
    assert [len(classifier.layer(name).constants) for name in ("first", "norm", "added")] == [2, 4, 0]
    assert sum(layer.parameters for layer in classifier.layers) == model.count_params()
