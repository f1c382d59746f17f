"""What an opened model says, against Keras' own values, float64 finite differences and plain TensorFlow."""

from __future__ import annotations

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import cnnlab
from cnnlab.classifier import Classifier
from cnnlab.classifier.classifier import BATCH
from cnnlab.classifier.opening import looks_like_model
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.training import build
from cnnlab.training.export import save_savedmodel

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def shaken(model, seed: int = 0):
    """Give every weight, bias and moving statistic a value of its own; variances stay positive."""
    rng = np.random.default_rng(seed)
    values = []
    for value in model.get_weights():
        fan = max(1, int(np.prod(value.shape[:-1])))
        values.append(rng.normal(0, 0.5 if value.ndim == 1 else fan**-0.5, value.shape).astype(np.float32))
    model.set_weights(values)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            shape = layer.moving_variance.shape
            layer.moving_variance.assign(rng.uniform(0.3, 2, shape))
            layer.gamma.assign(rng.uniform(0.5, 1.5, shape))
    return model


def pictures(count: int, *shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((count, *shape), dtype=np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def keras_gradient(model, images: np.ndarray, labels: np.ndarray, of: str) -> np.ndarray:
    pixels = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        logits = model(pixels, training=False)
        chosen = tf.reduce_sum(logits * tf.one_hot(labels, logits.shape[-1]), axis=1)
        value = chosen if of == "logit" else tf.reduce_logsumexp(logits, axis=1) - chosen
    return tape.gradient(value, pixels).numpy()


def inside(library, model, names, images: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of Keras' own layers, by Keras' own functional model."""
    outputs = [model.get_layer(name).output for name in names]
    values = library.Model(model.inputs[0], outputs)(images)
    return {name: value.numpy() for name, value in zip(names, values, strict=True)}


def assert_same(found: np.ndarray, variable) -> None:
    np.testing.assert_array_equal(found, variable.numpy())


# --- mnist-cnn, with and without batch normalisation, opened in four ways ---


# Normalisation in models of Keras is in test_foreign_models.py too, with the same comparisons.
@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=pytest.mark.full)], ids=["plain", "batch_norm"])
def network(request, tmp_path_factory):
    """A network with random weights, in a folder that holds it in every format."""
    model = shaken(build("mnist-cnn", (28, 28, 1), 10, request.param))
    folder = tmp_path_factory.mktemp("formats")
    model.save(folder / "model.keras")
    save_savedmodel(model, folder / "savedmodel")
    model.export(str(folder / "export"), verbose=False)
    return model, folder


@pytest.fixture(scope="module", params=["live", "model.keras", "savedmodel", "export"])
def opened(request, network):
    model, folder = network
    return model, cnnlab.load(model if request.param == "live" else folder / request.param)


IMAGES = pictures(6, 28, 28, 1)
LABELS = np.array([3, 1, 4, 1, 5, 9])


def test_logits_probabilities_and_predictions_are_those_of_keras(opened):
    model, classifier = opened
    wanted = model(IMAGES, training=False).numpy()
    assert np.ptp(wanted) > 0.1
    np.testing.assert_allclose(classifier.logits(IMAGES), wanted, **CLOSE)
    np.testing.assert_allclose(classifier.probabilities(IMAGES), softmax(wanted), **CLOSE)
    np.testing.assert_array_equal(classifier.predict(IMAGES), wanted.argmax(axis=1))
    assert classifier.logits(IMAGES).dtype == classifier.probabilities(IMAGES).dtype == np.float32


def test_layers_have_the_names_shapes_and_weights_of_keras(opened):
    model, classifier = opened
    own = [layer for layer in model.layers if layer.name != "images"]
    assert [layer.name for layer in classifier.layers] == [layer.name for layer in own]
    for layer, wanted in zip(classifier.layers, own, strict=True):
        assert layer.output_shape == tuple(wanted.output.shape[1:])
        assert layer.input_shape == tuple(wanted.input.shape[1:])
        assert layer.parameters == wanted.count_params()
        if isinstance(wanted, keras.layers.Conv2D | keras.layers.Dense):
            assert_same(layer.kernel, wanted.kernel)
            assert_same(layer.bias, wanted.bias)
        else:
            assert layer.kernel is None
            assert layer.bias is None
    kinds = {"conv1": "Conv2D", "pool1": "MaxPool", "flatten": "Flatten", "fc1": "Dense", "bn1": "BatchNorm"}
    assert all(layer.kind == kinds.get(layer.name, layer.kind) for layer in classifier.layers)


def test_activations_of_every_layer_are_those_of_keras(opened):
    model, classifier = opened
    names = [layer.name for layer in model.layers if layer.name != "images"]
    found = classifier.activations(IMAGES)
    assert list(found) == names
    for name, wanted in inside(keras, model, names, IMAGES).items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], wanted, err_msg=name, **CLOSE)


@pytest.mark.parametrize("of", ["cross_entropy", "logit"])
def test_input_gradients_are_those_of_keras(opened, of):
    model, classifier = opened
    wanted = keras_gradient(model, IMAGES, LABELS, of)
    assert np.abs(wanted).max() > 1e-3
    np.testing.assert_allclose(classifier.input_gradient(IMAGES, LABELS, of), wanted, **CLOSE)


def test_facts_of_a_model_without_a_dataset(opened):
    _, classifier = opened
    kinds = {"model.keras": "keras", "savedmodel": "savedmodel", "export": "savedmodel"}
    assert classifier.kind == (kinds[classifier.path.name] if classifier.path else "live")
    assert classifier.input_shape == (28, 28, 1)
    assert classifier.num_classes == 10
    assert classifier.bounds == (0.0, 1.0)
    assert classifier.class_names == tuple("0123456789")
    assert classifier.dataset_name is None
    assert cnnlab.load(classifier) is classifier


def test_the_digest_tells_models_apart_and_knows_one_again(network, tmp_path):
    model, folder = network
    for source in (model, folder / "savedmodel"):
        digest = cnnlab.load(source).digest
        assert re.fullmatch("[0-9a-f]{64}", digest)
        assert cnnlab.load(source).digest == digest
    changed = keras.models.clone_model(model)
    changed.set_weights(model.get_weights())
    changed.get_layer("fc2").bias.assign_add(np.eye(10, dtype=np.float32)[0] * 1e-3)
    save_savedmodel(changed, tmp_path / "savedmodel")
    assert cnnlab.load(tmp_path / "savedmodel").digest != cnnlab.load(folder / "savedmodel").digest


def test_graph_functions_are_differentiable_inside_a_tf_function(network):
    model, folder = network
    classifier = cnnlab.load(folder / "savedmodel")
    function = classifier.graph_function("conv2", "logits")

    @tf.function
    def gradient(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            activation, logits = function(images)
            value = tf.reduce_sum(activation) + tf.reduce_sum(logits)
        return tape.gradient(value, images)

    own = keras.Model(model.inputs[0], [model.get_layer("conv2").output, model.output])
    with tf.GradientTape() as tape:
        pixels = tf.constant(IMAGES)
        tape.watch(pixels)
        activation, logits = own(pixels, training=False)
        value = tf.reduce_sum(activation) + tf.reduce_sum(logits)
    wanted = tape.gradient(value, pixels)
    np.testing.assert_allclose(gradient(tf.constant(IMAGES)), wanted, rtol=1e-4, atol=1e-4)


# --- other people's models ---


@pytest.fixture(scope="module", params=["its first blocks", pytest.param("whole", marks=pytest.mark.full)])
def mobilenet(request, tmp_path_factory):
    model = keras.applications.MobileNetV2((96, 96, 3), weights=None, alpha=0.35, classes=20)
    if request.param != "whole":
        pooled = keras.layers.GlobalAveragePooling2D()(model.get_layer("block_2_add").output)
        scores = keras.layers.Dense(20, activation="softmax", name="predictions")(pooled)
        model = keras.Model(model.inputs, scores)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.05, 0.2, layer.moving_mean.shape))
            layer.beta.assign(rng.normal(0, 0.3, layer.moving_mean.shape))
    folder = tmp_path_factory.mktemp("mobilenet") / "export"
    model.export(str(folder), verbose=False)
    return model, cnnlab.load(folder)


def test_mobilenet_is_listed_layer_by_layer(mobilenet):
    model, classifier = mobilenet
    own = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert {layer.name for layer in classifier.layers} == {layer.name for layer in own}
    for wanted in own:
        layer = classifier.layer(wanted.name)
        assert layer.output_shape == tuple(wanted.output.shape[1:])
        assert layer.parameters == wanted.count_params()
        if isinstance(wanted, keras.layers.DepthwiseConv2D):
            assert layer.kind == "DepthwiseConv2D"
            assert_same(layer.kernel, wanted.kernel)
        elif isinstance(wanted, keras.layers.Conv2D):
            assert layer.kind == "Conv2D"
            assert layer.bias is None
            assert_same(layer.kernel, wanted.kernel)
    kinds = {name: classifier.layer(name).kind for name in ("Conv1_relu", "block_1_pad", "block_2_add", "predictions")}
    assert kinds == {
        "Conv1_relu": "ReLU6",
        "block_1_pad": "ZeroPadding",
        "block_2_add": "Add",
        "predictions": "Dense",
    }


def test_mobilenet_gives_what_keras_gives(mobilenet):
    model, classifier = mobilenet
    images = pictures(3, 96, 96, 3)
    pooled = next(layer.name for layer in model.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D))
    names = ["Conv1", "bn_Conv1", "block_1_pad", "block_2_add", "block_2_depthwise_relu", pooled]
    found = classifier.activations(images, names)
    for name, wanted in inside(keras, model, names, images).items():
        assert np.ptp(wanted) > 0
        np.testing.assert_allclose(found[name], wanted, err_msg=name, rtol=1e-3, atol=1e-4)
    probabilities = model(images, training=False).numpy()
    assert np.ptp(probabilities) > 1e-3
    np.testing.assert_allclose(classifier.probabilities(images), probabilities, rtol=1e-3, atol=1e-6)
    last = model.get_layer("predictions")
    logits = found[pooled] @ last.kernel.numpy() + last.bias.numpy()
    np.testing.assert_allclose(classifier.logits(images), logits, rtol=1e-3, atol=1e-4)


def test_a_savedmodel_written_by_keras_2(tmp_path):
    layers = tf_keras.layers
    image = tf_keras.Input((12, 12, 2), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="edges")(image)
    x = layers.DepthwiseConv2D(3, name="each")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    x = layers.Dense(7, activation="tanh", name="hidden")(x)
    model = shaken(tf_keras.Model(image, layers.Dense(3, activation="softmax", name="scores")(x)))
    tf.saved_model.save(model, str(tmp_path / "keras2"))

    images = pictures(5, 12, 12, 2)
    for classifier in (cnnlab.load(tmp_path / "keras2"), cnnlab.load(model)):
        names = ["edges", "each", "norm", "gap", "hidden", "scores"]
        assert [layer.name for layer in classifier.layers] == names  # dropout does nothing outside training
        for name in ("edges", "hidden", "scores"):
            assert_same(classifier.layer(name).kernel, model.get_layer(name).kernel)
            assert_same(classifier.layer(name).bias, model.get_layer(name).bias)
        assert_same(classifier.layer("each").kernel, model.get_layer("each").depthwise_kernel)
        assert_same(classifier.layer("each").bias, model.get_layer("each").bias)
        assert [classifier.layer(name).parameters for name in names] == [
            model.get_layer(name).count_params() for name in names
        ]
        found = classifier.activations(images)
        for name, wanted in inside(tf_keras, model, names[:-1], images).items():
            np.testing.assert_allclose(found[name], wanted, err_msg=name, **CLOSE)
        np.testing.assert_allclose(classifier.probabilities(images), model(images), **CLOSE)
        np.testing.assert_allclose(found["scores"], classifier.logits(images), **CLOSE)


class Plain(tf.Module):
    """TensorFlow without Keras, and without a single name scope."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.kernel = tf.Variable(rng.normal(0, 0.5, (3, 3, 1, 4)).astype(np.float32))
        self.bias = tf.Variable(rng.normal(0, 0.5, 4).astype(np.float32))
        self.weights = tf.Variable(rng.normal(0, 2, (4, 3)).astype(np.float32))

    def features(self, images):
        return tf.nn.relu(tf.nn.conv2d(tf.cast(images, tf.float32), self.kernel, 1, "SAME") + self.bias)

    def logits(self, images):
        return tf.reduce_mean(self.features(images), [1, 2]) @ self.weights


def write_module(path: Path, call, *specs: tf.TensorSpec, signature: str = "serving_default") -> Path:
    """Save a plain module whose one signature computes ``call(module, *tensors)``."""
    module = Plain()
    concrete = tf.function(lambda *tensors: call(module, *tensors)).get_concrete_function(*specs)
    tf.saved_model.save(module, str(path), signatures={signature: concrete})
    return path


SMALL = tf.TensorSpec((None, 8, 8, 1), tf.float32)


def test_a_plain_module_with_one_signature_of_any_name(tmp_path):
    path = write_module(tmp_path / "m", lambda module, x: tf.nn.softmax(module.logits(x)), SMALL, signature="classify")
    classifier, module, images = cnnlab.load(path), Plain(), pictures(5, 8, 8, 1)
    np.testing.assert_allclose(classifier.logits(images), module.logits(images), **CLOSE)
    assert [layer.kind for layer in classifier.layers] == ["Conv2D", "ReLU", "GlobalAveragePool", "Dense"]
    conv, relu, mean, dense = classifier.layers
    assert_same(conv.kernel, module.kernel)
    assert_same(conv.bias, module.bias)
    assert_same(dense.kernel, module.weights)
    assert (conv.parameters, relu.parameters, dense.parameters) == (40, 0, 12)
    found = classifier.activations(images)
    np.testing.assert_allclose(found[relu.name], module.features(images), **CLOSE)
    np.testing.assert_allclose(found[mean.name], np.mean(module.features(images), (1, 2)), **CLOSE)
    wanted = keras_gradient(lambda x, training: module.logits(x), images, np.array([0, 1, 2, 0, 1]), "cross_entropy")
    np.testing.assert_allclose(classifier.input_gradient(images, [0, 1, 2, 0, 1]), wanted, **CLOSE)


FIXED = [
    pytest.param(shape, dtype, id=f"{shape}-{dtype.name}", marks=[pytest.mark.full] * (dtype != among))
    for shape, among in (((4, 8, 8, 1), tf.float16), ((1, 8, 8, 1), tf.float32), ((None, None, None, 1), tf.float64))
    for dtype in (tf.float32, tf.float64, tf.float16)
]


@pytest.mark.parametrize(("shape", "dtype"), FIXED)
def test_fixed_batches_open_sides_and_other_precisions(tmp_path, shape, dtype):
    spec = tf.TensorSpec(shape, dtype)
    classifier = cnnlab.load(write_module(tmp_path / "m", Plain.logits, spec))
    assert classifier.input_shape == tuple(spec.shape[1:])
    images, labels = pictures(7, 8, 8, 1), np.array([0, 1, 2, 0, 1, 2, 0])
    if dtype == tf.float16:
        images = images.astype(np.float16).astype(np.float32)
    module = Plain()
    np.testing.assert_allclose(classifier.logits(images), module.logits(images), **CLOSE)
    relu = classifier.layers[1].name
    np.testing.assert_allclose(classifier.activations(images, [relu])[relu], module.features(images), **CLOSE)
    wanted = keras_gradient(lambda x, training: module.logits(x), images, labels, "cross_entropy")
    gradient = classifier.input_gradient(images, labels)
    assert gradient.dtype == np.float32
    rough = {"rtol": 2e-3, "atol": 1e-4} if dtype == tf.float16 else CLOSE
    np.testing.assert_allclose(gradient, wanted, **rough)


def test_logits_and_probabilities_side_by_side_are_one_classifier(tmp_path):
    def both(module, x):
        logits = module.logits(x)
        return {"probabilities": tf.nn.softmax(logits), "logits": logits, "label": tf.argmax(logits, 1)}

    images = pictures(3, 8, 8, 1)
    classifier = cnnlab.load(write_module(tmp_path / "m", both, SMALL))
    np.testing.assert_allclose(classifier.logits(images), Plain().logits(images), **CLOSE)


def test_nested_models_inner_scopes_and_mixed_precision_keep_their_names():
    backbone = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="gelu", name="a"),
            keras.layers.Conv2D(4, 3, activation="swish", name="b"),
        ],
        name="back",
    )
    model = shaken(
        keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Rescaling(2.0, name="scale"),
                backbone,
                keras.layers.SeparableConv2D(5, 3, name="sep"),
                keras.layers.Flatten(name="flat"),
                keras.layers.Dense(3, name="out"),
                keras.layers.Softmax(name="softmax"),
            ]
        )
    )
    classifier, images = cnnlab.load(model), pictures(4, 8, 8, 3)
    names = ["scale", "back/a", "back/b", "sep", "flat", "out"]
    assert [layer.name for layer in classifier.layers] == names
    found = classifier.activations(images)
    scaled = model.get_layer("scale")(images)
    np.testing.assert_allclose(found["back/a"], backbone.get_layer("a")(scaled), **CLOSE)
    np.testing.assert_allclose(found["back/b"], backbone(scaled), **CLOSE)
    assert classifier.layer("sep").parameters == model.get_layer("sep").count_params()
    np.testing.assert_allclose(found["sep"], model.get_layer("sep")(backbone(scaled)), **CLOSE)
    np.testing.assert_allclose(classifier.probabilities(images), model(images), **CLOSE)

    logits = keras.Model(model.inputs[0], model.get_layer("out").output)
    wanted = keras_gradient(logits, images, np.array([0, 1, 2, 0]), "logit")
    np.testing.assert_allclose(classifier.input_gradient(images, [0, 1, 2, 0], "logit"), wanted, **CLOSE)


def test_a_model_in_mixed_precision_answers_in_float32():
    with_policy = {"dtype": "mixed_bfloat16"}
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="a", **with_policy),
            keras.layers.Flatten(name="flat", **with_policy),
            keras.layers.Dense(3, name="out", **with_policy),
        ]
    )
    classifier, images = cnnlab.load(shaken(model)), pictures(4, 8, 8, 3)
    assert [layer.name for layer in classifier.layers] == ["a", "flat", "out"]
    wanted = tf.cast(model(images), tf.float32)
    np.testing.assert_allclose(classifier.logits(images), wanted, rtol=0.02, atol=0.02)
    answers = [classifier.logits(images), classifier.input_gradient(images, [0, 1, 2, 0])]
    answers += classifier.activations(images).values()
    assert {answer.dtype for answer in answers} == {np.dtype(np.float32)}


def test_an_hdf5_file_of_keras(tmp_path):
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="a"), keras.layers.Flatten()]
    model = shaken(keras.Sequential([*layers, keras.layers.Dense(3, name="b")]))
    model.save(tmp_path / "old.h5")
    classifier, images = cnnlab.load(tmp_path / "old.h5"), pictures(3, 8, 8, 3)
    assert classifier.kind == "h5"
    np.testing.assert_allclose(classifier.logits(images), model(images), **CLOSE)


# --- gradients against float64 finite differences ---


def convolved(images: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(images, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nijchw,hwco->nijo", windows, kernel) + bias


def smooth_logits(weights: list[np.ndarray], images: np.ndarray) -> np.ndarray:
    """A float64 forward pass written out: softplus and tanh convolutions, then a dense layer."""
    x = np.logaddexp(0, convolved(images, weights[0], weights[1]))
    x = np.tanh(convolved(x, weights[2], weights[3]))
    return x.reshape(len(x), -1) @ weights[4] + weights[5]


@pytest.mark.parametrize("of", ["cross_entropy", "logit"])
def test_input_gradients_match_central_finite_differences_in_float64(tmp_path, of):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, activation="softplus"),
            keras.layers.Conv2D(3, 2, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    shaken(model).export(str(tmp_path / "smooth"), verbose=False)
    classifier = cnnlab.load(tmp_path / "smooth")
    weights = [value.astype(np.float64) for value in model.get_weights()]
    images, labels = pictures(3, 6, 6, 2), np.array([2, 0, 1])
    np.testing.assert_allclose(classifier.logits(images), smooth_logits(weights, images.astype(np.float64)), **CLOSE)

    def value(pixels: np.ndarray, label: int) -> np.ndarray:
        logits = smooth_logits(weights, pixels)
        chosen = logits[:, label]
        return chosen if of == "logit" else np.log(np.exp(logits).sum(axis=1)) - chosen

    step = 1e-5
    steps = step * np.eye(72).reshape(72, 6, 6, 2)
    found = classifier.input_gradient(images, labels, of)
    for image, label, gradient in zip(images.astype(np.float64), labels, found, strict=True):
        wanted = (value(image + steps, label) - value(image - steps, label)) / (2 * step)
        assert np.abs(wanted).max() > 1e-2
        np.testing.assert_allclose(gradient.reshape(-1), wanted, rtol=1e-4, atol=1e-6)


# --- the logits behind a softmax ---


@pytest.mark.parametrize("separate", [False, pytest.param(True, marks=pytest.mark.full)], ids=["activation", "layer"])
def test_logits_behind_a_saturated_softmax_still_give_gradients(tmp_path, separate):
    image = keras.Input((28, 28, 1))
    logits = build("mnist-cnn", (28, 28, 1), 10)
    shaken(logits)
    dense = logits.get_layer("fc2")
    dense.kernel.assign(dense.kernel * 1000)
    dense.bias.assign(dense.bias * 1000)
    output = keras.layers.Softmax()(logits(image)) if separate else keras.activations.softmax(logits(image))
    model = keras.Model(image, output)
    model.export(str(tmp_path / "saturated"), verbose=False)
    classifier = cnnlab.load(tmp_path / "saturated")

    wanted = logits(IMAGES).numpy()
    np.testing.assert_allclose(classifier.logits(IMAGES), wanted, rtol=1e-4, atol=1e-2)
    labels = wanted.argmax(axis=1)
    sure = softmax(wanted)[np.arange(6), labels] > 1 - 1e-9
    assert sure.sum() >= 3
    images, labels = IMAGES[sure], labels[sure]
    dead = keras_gradient(model, images, labels, "logit")  # of the probability itself, as the file gives it
    assert np.abs(dead).max() < 1e-5
    alive = classifier.input_gradient(images, labels, "logit")
    assert np.abs(alive).max(axis=(1, 2, 3)).min() > 1
    np.testing.assert_allclose(alive, keras_gradient(logits, images, labels, "logit"), rtol=1e-4, atol=1e-3)
    other = (labels + 1) % 10
    pushed = classifier.input_gradient(images, other)
    assert np.abs(pushed).max(axis=(1, 2, 3)).min() > 1
    np.testing.assert_allclose(pushed, keras_gradient(logits, images, other, "cross_entropy"), rtol=1e-4, atol=1e-3)


# --- any number of images ---


@pytest.fixture(scope="module")
def small():
    return cnnlab.load(
        shaken(
            keras.Sequential(
                [
                    keras.Input((6, 6, 2)),
                    keras.layers.Conv2D(3, 3, activation="relu", name="conv"),
                    keras.layers.Flatten(name="flat"),
                    keras.layers.Dense(4, name="dense"),
                ]
            )
        )
    )


@pytest.mark.parametrize("count", [1, 2, 7, BATCH, BATCH + 3])
def test_any_number_of_images_gives_what_each_gives_alone(small, count):
    images, labels = pictures(count, 6, 6, 2), np.arange(count) % 4
    checked = sorted({0, count // 2, max(0, count - 4), count - 1})
    ones = [images[i : i + 1] for i in checked]
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(small.logits(images)[checked], np.concatenate([small.logits(x) for x in ones]), **close)
    gradients = small.input_gradient(images, labels)
    assert gradients.shape == images.shape
    alone = [small.input_gradient(x, labels[i : i + 1]) for i, x in zip(checked, ones, strict=True)]
    np.testing.assert_allclose(gradients[checked], np.concatenate(alone), **close)
    activations = small.activations(images)["conv"]
    assert activations.shape == (count, 4, 4, 3)
    alone = [small.activations(x, ["conv"])["conv"] for x in ones]
    np.testing.assert_allclose(activations[checked], np.concatenate(alone), **close)
    np.testing.assert_array_equal(small.predict(images), small.logits(images).argmax(axis=1))


def test_no_images_give_empty_arrays(small):
    none = np.zeros((0, 6, 6, 2), np.float32)
    assert small.logits(none).shape == small.probabilities(none).shape == (0, 4)
    assert small.predict(none).shape == (0,)
    assert small.input_gradient(none, []).shape == (0, 6, 6, 2)
    shapes = {name: value.shape for name, value in small.activations(none, ["conv", "flat", "logits"]).items()}
    assert shapes == {"conv": (0, 4, 4, 3), "flat": (0, 48), "logits": (0, 4)}


def test_large_sets_are_streamed(small, monkeypatch):
    sizes: list[int] = []

    def watched(function):
        def call(batch, *rest):
            if batch.shape[0] is not None:  # else it is being compiled
                sizes.append(batch.shape[0])
            return function(batch, *rest)

        return call

    monkeypatch.setitem(vars(small), "logits_function", watched(small.logits_function))
    monkeypatch.setattr(small, "compiled", lambda key, make: watched(make()), raising=False)
    graph_function = small.graph_function
    monkeypatch.setattr(small, "graph_function", lambda *names: watched(graph_function(*names)), raising=False)
    images = pictures(2 * BATCH + 1, 6, 6, 2)
    for ask in (small.logits, small.activations, lambda x: small.input_gradient(x, np.zeros(len(x), int))):
        sizes.clear()
        ask(images)
        assert sorted(sizes) == [16] + [BATCH // 2] * 4, "two at a time, in any order, and the last one filled up"


# --- a trained run ---


def test_a_run_knows_its_dataset(classifier, trained_run, digits):
    images, labels = digits
    assert isinstance(classifier, Classifier)
    assert (classifier.kind, classifier.path, classifier.dataset_name) == ("run", trained_run.path, "mnist")
    assert classifier.class_names == tuple("0123456789")
    assert classifier.bounds == (0.0, 1.0)
    assert (classifier.predict(images) == labels).mean() > 0.8
    for path in (trained_run.keras_path, trained_run.model_path):
        np.testing.assert_allclose(cnnlab.load(path).logits(images), classifier.logits(images), **CLOSE)


# --- what goes wrong ---


def refused(source, error: type[CnnlabError] = CnnlabError) -> str:
    with pytest.raises(CnnlabError) as caught:
        cnnlab.load(source)
    assert type(caught.value) is error
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


def test_paths_without_a_model_are_refused(tmp_path):
    assert "there is no model at" in refused(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "saved_model.pb" in refused(tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("no model")
    assert "ending in .txt" in refused(tmp_path / "notes.txt")
    (tmp_path / "notes.keras").write_text("no model")
    assert "zip" in refused(tmp_path / "notes.keras")
    (tmp_path / "notes.h5").write_text("no model")
    assert "cannot be read as a Keras model" in refused(tmp_path / "notes.h5")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "saved_model.pb").write_bytes(b"\x00broken")
    assert "cannot be read" in refused(tmp_path / "broken")
    for nonsense in (None, 3, Plain()):
        assert type(nonsense).__name__ in refused(nonsense, UsageError)


def test_models_are_told_by_their_names_and_files(tmp_path, trained_run):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    for path in ("x.keras", "x.h5", tmp_path / "saved", trained_run.path):
        assert looks_like_model(path)
    for path in ("x.png", "x", tmp_path, trained_run.path / "run.json"):
        assert not looks_like_model(path)


def test_unfinished_and_damaged_runs_are_refused(tmp_path):
    run = tmp_path / "half done"
    (run / "checkpoint").mkdir(parents=True)
    (run / "checkpoint" / "settings.json").write_text(json.dumps({"dataset": {"name": "mnist"}}))
    message = refused(run)
    assert "is not finished" in message
    assert f"--out '{run}' --resume" in message
    (run / "run.json").write_text("{}")
    assert "model" in refused(run)
    for damage in ("[1]", "{", '{"dataset": 3}'):
        (run / "run.json").write_text(damage)
        assert "is damaged" in refused(run)


@pytest.mark.parametrize(
    ("call", "specs", "message"),
    [
        (lambda m, x, y: m.logits(x + y), [SMALL, SMALL], "2 inputs"),
        (lambda m, x: x @ m.weights, [tf.TensorSpec((None, 4))], "images"),
        (lambda m, x: m.logits(tf.ones((2, 8, 8, 1))), [tf.TensorSpec((None, 8, 8, 1), tf.string)], "string"),
        (lambda m, x: m.logits(x), [tf.TensorSpec(None)], "any rank"),
        (lambda m, x: m.features(x), [SMALL], "no classifier"),
        (lambda m, x: m.logits(x)[:, :1], [SMALL], "no classifier"),
        (lambda m, x: tf.argmax(m.logits(x), 1), [SMALL], "no classifier"),
        (lambda m, x: {"a": m.logits(x), "b": 2 * m.logits(x)}, [SMALL], "`output=`"),
    ],
)
def test_models_that_are_no_image_classifiers_are_refused(tmp_path, call, specs, message):
    assert message in refused(write_module(tmp_path / "m", call, *specs))


def test_models_that_say_too_little_are_refused(tmp_path):
    assert "model.export" in refused(keras.Sequential([keras.layers.Dense(3)]))
    tf.saved_model.save(Plain(), str(tmp_path / "silent"))
    assert "no signature" in refused(tmp_path / "silent")
    classifier = cnnlab.load(write_module(tmp_path / "m", lambda m, x: m.logits(tf.round(x) * 0 + 1), SMALL))
    with pytest.raises(CnnlabError, match="no differentiable path"):
        classifier.input_gradient(pictures(2, 8, 8, 1), [0, 1])


@pytest.mark.parametrize("shape", [(6, 6, 2), (3, 6, 6, 1), (3, 5, 6, 2), (3, 6, 6), (1, 3, 6, 6, 2), ()])
def test_images_of_another_shape_are_refused(small, shape):
    images = np.zeros(shape, np.float32)
    for ask in (small.logits, small.probabilities, small.activations, lambda x: small.input_gradient(x, [0])):
        with pytest.raises(UsageError, match=re.escape(f"shape [N, 6, 6, 2]; received {list(shape)}")):
            ask(images)


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2, 3], [0, 1, 4], [0, -1, 2], [0.5, 1, 2], 0, [[0, 1, 2]]])
def test_labels_that_are_not_one_class_for_each_image_are_refused(small, labels):
    with pytest.raises(UsageError, match=r"labels must be"):
        small.input_gradient(pictures(3, 6, 6, 2), labels)


def test_an_unknown_layer_or_gradient_names_what_there_is(small):
    for ask in (small.layer, small.graph_function, lambda name: small.activations(pictures(1, 6, 6, 2), [name])):
        with pytest.raises(UsageError, match=re.escape("there is no layer 'conf'. Did you mean 'conv'?")):
            ask("conf")
    with pytest.raises(UsageError, match="'cross_entropy' or 'logit'; received 'loss'"):
        small.input_gradient(pictures(1, 6, 6, 2), [0], "loss")


def test_a_layer_that_counts_on_in_a_variable_can_be_frozen(tmp_path):
    """RandomFlip keeps a seed, and Keras exports it switched on: what is frozen is the answer to the first call."""
    keras.utils.set_random_seed(5)
    layers = [keras.layers.RandomFlip(seed=1), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    keras.Sequential([keras.Input((6, 6, 1)), *layers]).export(tmp_path / "m", verbose=False)
    images = np.random.default_rng(0).random((9, 6, 6, 1), np.float32)
    signature = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    (first,) = signature(tf.constant(images)).values()
    opened = cnnlab.load(tmp_path / "m")
    np.testing.assert_allclose(opened.probabilities(images), first.numpy(), atol=1e-6)
    np.testing.assert_array_equal(opened.logits(images), opened.logits(images))
    assert any("random numbers" in note for note in opened.notes)


def test_a_model_that_keeps_a_table_is_refused_in_one_sentence(tmp_path):
    class Table(tf.Module):
        def __init__(self):
            keys, values = tf.constant([0, 1], tf.int64), tf.constant([2.0, 3.0])
            start = tf.lookup.KeyValueTensorInitializer(keys, values)
            self.table = tf.lookup.StaticHashTable(start, 0.0)

        @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 1))])
        def __call__(self, images):
            looked_up = self.table.lookup(tf.cast(images[:, 0, :, 0], tf.int64))
            return tf.nn.softmax(tf.reduce_mean(images, axis=(1, 2)) + looked_up)

    module = Table()
    tf.saved_model.save(module, str(tmp_path / "t"), signatures=module.__call__)
    with pytest.raises(CnnlabError) as refusal:
        cnnlab.load(tmp_path / "t")
    assert "\n" not in str(refusal.value)
