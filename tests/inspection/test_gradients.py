"""The look at the gradients before an analysis follows them: what is zero, why, and whom it concerns."""

from __future__ import annotations

import numpy as np
import pytest

import cnnlab
from cnnlab.errors import CnnlabError
from cnnlab.inspection.gradients import preflight
from cnnlab.results.result import Result


def test_a_model_without_gradients_is_told_of(analysis, tiny_models):
    analysis(lambda *_: Result(), requires=("gradients",))
    result = cnnlab.analyze("one", tiny_models.constant((8, 8, 1)), *tiny_models.images((8, 8, 1), 3))
    assert result.record["preflight"]["zero_gradients"] == 1
    assert any("3 of 3 images" in warning and "whatever the image" in warning for warning in result.warnings)


def test_a_model_without_a_differentiable_path_is_refused(analysis):
    import keras

    cut = keras_model([keras.layers.Lambda(keras.ops.stop_gradient)])
    analysis(lambda *_: Result(), requires=("gradients",))
    with pytest.raises(CnnlabError, match="one follows gradients, and cannot here: this model has no differentiable"):
        cnnlab.analyze("one", cut, np.ones((1, 2, 2, 1), np.float32))


def test_no_preflight_without_gradients_or_images(analysis, tiny_models):
    analysis(lambda *_: Result(), inputs="optional")
    assert cnnlab.analyze("one", tiny_models.linear((8, 8, 1))).record["preflight"] is None
    analysis(lambda *_: Result(), inputs="optional", requires=("gradients",))
    assert cnnlab.analyze("one", tiny_models.linear((8, 8, 1))).record["preflight"] is None


def keras_model(last, *, scale=1.0, first=()):
    """A dense layer of known weights, and what comes after it."""
    import keras

    dense = keras.layers.Dense(3, use_bias=False)
    layers = [keras.Input((2, 2, 1)), *first, keras.layers.Flatten(), dense, *last]
    model = keras.Sequential(layers)
    dense.set_weights([scale * np.arange(12, dtype=np.float32).reshape(4, 3) ** 2 / 50])
    return cnnlab.load(model)


def test_a_saturated_softmax_is_counted_and_is_no_reason_to_warn():
    import keras

    images, labels = np.ones((2, 2, 2, 1), np.float32), np.array([2, -1])
    sure = keras_model([keras.layers.Softmax()], scale=100)
    found = preflight(sure, [(images, labels)])
    assert (found.zero, found.saturated, found.warning) == (0, 2, None)
    # The oracle: the cross-entropy's own gradient is exactly zero there, and is not on the unscaled model.
    assert not sure.input_gradient(images, np.array([2, 2])).any()
    calm = keras_model([keras.layers.Softmax()])
    assert preflight(calm, [(images, labels)]).saturated == 0
    assert calm.input_gradient(images, np.array([2, 2])).any()


def test_probabilities_that_hide_their_softmax_are_a_reason():
    import keras

    def softmax(x):
        powers = keras.ops.exp(x - keras.ops.max(x, axis=1, keepdims=True))
        return powers / keras.ops.sum(powers, axis=1, keepdims=True)

    with pytest.raises(CnnlabError, match="saturated: 1 to the last digit"):
        keras_model([keras.layers.Lambda(softmax)], scale=100)
    # Sure to the last digit on white images, and not on the noise that it is opened with.
    steep = keras.layers.Lambda(lambda x: x**40)
    hidden = keras_model([keras.layers.Lambda(softmax)], scale=110, first=[steep])
    found = preflight(hidden, [(np.ones((2, 2, 2, 1), np.float32), np.array([-1, -1]))])
    assert found.zero == 2
    assert found.warning is not None
    assert "gives probabilities without a softmax to take off" in found.warning


def test_dead_units_are_a_reason():
    import keras

    dead = keras_model([keras.layers.Lambda(lambda x: keras.ops.relu(x - 2))])
    images = np.stack([np.zeros((2, 2, 1)), np.ones((2, 2, 1))]).astype(np.float32)
    found = preflight(dead, [(images, np.array([0, 2]))])
    assert found.images == 2
    assert found.zero == 1
    assert found.to_json()["zero_gradients"] == 0.5
    assert found.warning is not None
    assert "1 of 2 images" in found.warning
