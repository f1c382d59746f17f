"""Models of other makers, built with their own libraries: what is opened equals what those libraries compute."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

import cnnlab
from cnnlab.classifier.hints import make_about, recall, remember
from cnnlab.errors import CnnlabError, UsageError

layers = keras.layers
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def shaken(model, seed: int = 0):
    """Give every weight, bias and statistic a value of its own; variances and the scale next to them stay positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        name = weight.path if hasattr(weight, "path") else weight.name
        shape = tuple(weight.shape)
        if not tf.as_dtype(weight.dtype).is_floating or "normalization/count" in name:
            continue
        if "variance" in name or "gamma" in name:
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.normal(0, 0.5 if len(shape) == 1 else max(1, np.prod(shape[:-1])) ** -0.5, shape)
        weight.assign(value.astype(np.float32))
    return model


def pictures(count: int, *shape: int, seed: int = 1, high: float = 1.0) -> np.ndarray:
    return high * np.random.default_rng(seed).random((count, *shape), dtype=np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def gradient_of(call, images: np.ndarray, labels: np.ndarray, of: str = "cross_entropy") -> np.ndarray:
    """The gradient, in the pixels, of what ``call`` (images to logits) gives."""
    pixels = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        logits = tf.cast(call(pixels), tf.float32)
        chosen = tf.reduce_sum(logits * tf.one_hot(labels, logits.shape[-1]), axis=1)
        value = chosen if of == "logit" else tf.reduce_logsumexp(logits, axis=1) - chosen
    return tape.gradient(value, pixels).numpy()


def with_layers(model, prefix: str = "") -> dict[str, object]:
    """The layers of a Keras model that compute something, by their path of names through nested models."""
    found: dict[str, object] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= with_layers(layer, f"{prefix}{layer.name}/")
        elif not isinstance(layer, layers.InputLayer | layers.Dropout):
            found[prefix + layer.name] = layer
    return found


def recorded(model, images: np.ndarray) -> dict[str, np.ndarray]:
    """What each layer gives when Keras itself runs the model, operation by operation."""
    outputs: dict[str, np.ndarray] = {}

    def watched(name, call):
        def run(*args, **options):
            value = call(*args, **options)
            outputs[name] = np.asarray(tf.cast(value, tf.float32))
            return value

        return run

    own = with_layers(model)
    with pytest.MonkeyPatch.context() as patch:
        for name, layer in own.items():
            patch.setitem(layer.__dict__, "call", watched(name, layer.call))
        model(tf.constant(images), training=False)
    return outputs


def opened(model, folder: Path, form: str = "export", **said):
    """Write a Keras model as ``export`` or ``keras`` does, and open the file."""
    if form == "live":
        return cnnlab.load(model, **said)
    if form == "export":
        model.export(str(folder / "export"), verbose=False)
        return cnnlab.load(folder / "export", **said)
    model.save(folder / f"model.{form}")
    return cnnlab.load(folder / f"model.{form}", **said)


# --- networks of every shape, in the files that Keras 3 writes ---


def block(x, name: str, channels: int):
    side = layers.Conv2D(channels, 1, name=f"{name}_side")(x)
    x = layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    return layers.Add(name=f"{name}_add")([x, side])


def branches():
    image = keras.Input((12, 12, 3))
    x = block(image, "first", 4)
    left = layers.AveragePooling2D(2, name="left")(x)
    right = layers.Conv2D(4, 3, strides=2, padding="same", activation="swish", name="right")(x)
    x = layers.Concatenate(name="both")([left, right])
    x = layers.Multiply(name="gate")([x, layers.Conv2D(8, 1, activation="sigmoid", name="squeeze")(x)])
    x = layers.Flatten(name="flat")(block(x, "last", 3))
    return image, layers.Dense(4, name="scores")(x)


def nested():
    inner = keras.Sequential(
        [keras.Input((12, 12, 4)), layers.Conv2D(4, 3, name="conv"), layers.ReLU(name="relu")], name="inner"
    )
    middle_image = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(middle_image)
    middle = keras.Model(middle_image, layers.MaxPooling2D(name="pool")(inner(x)), name="middle")
    image = keras.Input((12, 12, 3))
    x = layers.Dropout(0.5)(layers.Flatten(name="flat")(middle(image)))
    return image, layers.Dense(4, name="scores")(x)


def depthwise():
    image = keras.Input((12, 12, 3))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="each")(image)
    x = layers.SeparableConv2D(4, 3, name="separable")(x)
    x = layers.Conv2DTranspose(3, 3, strides=2, name="back")(x)
    return image, layers.Dense(4, name="scores")(layers.GlobalMaxPooling2D(name="top")(x))


def grouped():
    image = keras.Input((12, 12, 4))
    x = layers.Conv2D(8, 3, groups=2, activation="relu", name="pairs")(image)
    x = layers.Conv2D(8, 3, groups=8, use_bias=False, name="singles")(x)
    return image, layers.Dense(4, name="scores")(layers.GlobalAveragePooling2D(name="mean")(x))


def no_dense():
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, activation="leaky_relu", name="features")(image)
    x = layers.Conv2D(4, 1, name="classes")(x)
    return image, layers.GlobalAveragePooling2D(name="mean")(x)


def called_names():
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, name="convolution")(image)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.ReLU(name="dropout")(x)
    return image, layers.Dense(4, name="moments")(layers.Flatten(name="batchnorm")(x))


NETWORKS = {
    "branches": branches,
    "nested": nested,
    "depthwise": depthwise,
    "grouped": grouped,
    "no dense": no_dense,
    "names of TensorFlow's own": called_names,
}


def keras_model(network):
    """A network with random weights: one model that gives its probabilities, and one of the same layers its logits."""
    image, logits = network()
    model = keras.Model(image, layers.Softmax(name="softmax")(logits))
    return shaken(model), keras.Model(image, logits)


def assert_same_as_keras(classifier, model, logits_model, images) -> None:
    """Logits, probabilities, names, shapes, weights, activations and gradients are those of Keras."""
    wanted = logits_model(images, training=False).numpy()
    labels = np.arange(len(images)) % wanted.shape[1]
    assert np.ptp(wanted) > 1e-2
    np.testing.assert_allclose(classifier.logits(images), wanted, **CLOSE)
    np.testing.assert_allclose(classifier.probabilities(images), model(images, training=False), **CLOSE)
    own = {name: layer for name, layer in with_layers(model).items() if not isinstance(layer, layers.Softmax)}
    assert sorted(layer.name for layer in classifier.layers) == sorted(own)
    found = classifier.activations(images)
    for name, value in recorded(logits_model, images).items():
        np.testing.assert_allclose(found[name], value, err_msg=name, **CLOSE)
        layer = classifier.layer(name)
        assert layer.parameters == own[name].count_params(), name
        if isinstance(own[name], layers.Conv2D | layers.Dense | layers.Conv2DTranspose):
            turned = (0, 1, 3, 2) if isinstance(own[name], layers.Conv2DTranspose) else None
            wanted = own[name].kernel.numpy()
            np.testing.assert_array_equal(layer.kernel, wanted.transpose(turned) if turned else wanted, err_msg=name)
            assert layer.kind == type(own[name]).__name__
        if isinstance(own[name], layers.DepthwiseConv2D):
            np.testing.assert_array_equal(layer.kernel, own[name].kernel, err_msg=name)
            assert layer.kind == "DepthwiseConv2D"
    for of in ("cross_entropy", "logit"):
        gradient = gradient_of(lambda x: logits_model(x, training=False), images, labels, of)
        assert np.abs(gradient).max() > 1e-5
        np.testing.assert_allclose(classifier.input_gradient(images, labels, of), gradient, **CLOSE)


FORMS = [
    pytest.param(network, form, id=f"{name}-{form}", marks=[pytest.mark.full] * (form == "keras" and name != "nested"))
    for name, network in NETWORKS.items()
    for form in ("export", "keras")
]


@pytest.mark.parametrize(("network", "form"), FORMS)
def test_networks_of_every_shape(tmp_path, network, form):
    model, logits_model = keras_model(network)
    images = pictures(3, *model.input_shape[1:])
    assert_same_as_keras(opened(model, tmp_path, form), model, logits_model, images)


def test_a_layer_called_twice_has_two_names_and_the_same_weights(tmp_path):
    for library in (keras, tf_keras):
        image = library.Input((12, 12, 3))
        conv = library.layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")
        pool = library.layers.MaxPooling2D(name="pool")
        x = pool(conv(pool(conv(conv(image)))))
        flat = library.layers.Flatten(name="flat")(x)
        model = shaken(library.Model(image, library.layers.Dense(4, name="scores")(flat)))
        folder = tmp_path / library.__name__
        tf.saved_model.save(model, folder) if library is tf_keras else model.export(str(folder), verbose=False)
        classifier, images = cnnlab.load(folder), pictures(2, 12, 12, 3)
        assert [layer.name for layer in classifier.layers] == [
            *("conv", "conv_2", "pool", "conv_3", "pool_2", "flat", "scores")
        ]
        found = classifier.activations(images)
        steps = [("conv", conv), ("conv_2", conv), ("pool", pool), ("conv_3", conv), ("pool_2", pool)]
        value = images
        for name, layer in steps:
            value = layer(value)
            np.testing.assert_allclose(found[name], value, err_msg=name, **CLOSE)
            if layer is conv:
                np.testing.assert_array_equal(classifier.layer(name).kernel, conv.kernel)


def test_names_that_keras_chooses_itself(tmp_path):
    keras.utils.clear_session()
    stack = [layers.Conv2D(2, 3), layers.ReLU(), layers.Conv2D(2, 3), layers.ReLU(), layers.Conv2D(2, 3)]
    model = keras.Sequential([keras.Input((12, 12, 1)), *stack, layers.Flatten(), layers.Dense(3), layers.Dense(3)])
    names = ["conv2d", "re_lu", "conv2d_1", "re_lu_1", "conv2d_2", "flatten", "dense", "dense_1"]
    assert [layer.name for layer in model.layers] == names
    for form in ("live", "export", "keras"):
        assert [layer.name for layer in opened(model, tmp_path, form).layers] == names


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_what_a_model_computes_between_its_layers_gets_names_of_its_own(tmp_path, library):
    class Block(library.layers.Layer):
        def __init__(self, name):
            super().__init__(name=name)
            self.conv = library.layers.Conv2D(3, 3, padding="same", name="conv")

        def call(self, x):
            return tf.nn.relu(self.conv(x) + x)

    class Network(library.Model):
        def __init__(self):
            super().__init__(name="network")
            self.one, self.two, self.out = Block("one"), Block("two"), library.layers.Dense(3, name="out")

        def call(self, x):
            x = tf.tanh(self.one(x))
            return self.out(tf.reduce_mean(tf.tanh(self.two(x)), [1, 2]))

    model, images = Network(), pictures(2, 8, 8, 3)
    wanted = model(images)
    call = tf.function(model.call).get_concrete_function(tf.TensorSpec((None, 8, 8, 3)))
    tf.saved_model.save(model, str(tmp_path / "m"), signatures={"serving_default": call})
    classifier = cnnlab.load(tmp_path / "m")
    names = ["one/conv", "one", "tanh_1", "two/conv", "two", "tanh_2", "globalaveragepool_1", "out"]
    assert [layer.name for layer in classifier.layers] == names
    found = classifier.activations(images)
    np.testing.assert_allclose(found["one"], model.one(images), **CLOSE)
    np.testing.assert_allclose(found["tanh_1"], tf.tanh(model.one(images)), **CLOSE)
    np.testing.assert_allclose(classifier.logits(images), wanted, **CLOSE)


# --- what a model gives: softmax as a layer or an activation, logits, a sigmoid, something computed by hand ---


def features(library=keras):
    image = library.Input((10, 10, 3), name="image")
    x = library.layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    return image, library.layers.Flatten(name="flat")(x)


IMAGES = pictures(4, 10, 10, 3)
LABELS = np.array([0, 1, 2, 0])


def probabilities_by_hand(logits):
    powers = keras.ops.exp(logits - keras.ops.max(logits, axis=1, keepdims=True))
    return powers / keras.ops.sum(powers, axis=1, keepdims=True)


ENDS = {
    "a Softmax layer": (lambda x: layers.Softmax(name="softmax")(x), "probabilities"),
    "an Activation layer": (lambda x: layers.Activation("softmax", name="softmax")(x), "probabilities"),
    "logits": (lambda x: x, "logits"),
    "by hand": (probabilities_by_hand, "untraced probabilities"),
}


@pytest.mark.parametrize(("end", "kind"), ENDS.values(), ids=ENDS)
def test_probabilities_and_logits_of_every_ending(tmp_path, end, kind):
    image, flat = features()
    logits = layers.Dense(3, name="scores")(flat)
    model, logits_model = shaken(keras.Model(image, end(logits))), keras.Model(image, logits)
    classifier = opened(model, tmp_path)
    assert classifier.output_kind == kind
    wanted = logits_model(IMAGES).numpy()
    np.testing.assert_allclose(classifier.probabilities(IMAGES), softmax(wanted), **CLOSE)
    gradient = gradient_of(logits_model, IMAGES, LABELS)
    np.testing.assert_allclose(classifier.input_gradient(IMAGES, LABELS), gradient, rtol=1e-3, atol=1e-5)
    if kind == "untraced probabilities":
        assert any("logarithms" in note for note in classifier.notes)
        np.testing.assert_allclose(classifier.logits(IMAGES), np.log(softmax(wanted)), **CLOSE)
    else:
        assert not any("logarithms" in note for note in classifier.notes)
        np.testing.assert_allclose(classifier.logits(IMAGES), wanted, **CLOSE)


def test_softmax_as_the_activation_of_the_last_layer(tmp_path):
    image, flat = features()
    model = shaken(keras.Model(image, layers.Dense(3, activation="softmax", name="scores")(flat)))
    classifier = opened(model, tmp_path)
    dense = model.get_layer("scores")
    wanted = keras.Model(image, flat)(IMAGES).numpy() @ dense.kernel.numpy() + dense.bias.numpy()
    np.testing.assert_allclose(classifier.logits(IMAGES), wanted, **CLOSE)
    np.testing.assert_allclose(classifier.probabilities(IMAGES), model(IMAGES), **CLOSE)


def test_saturated_probabilities_without_a_softmax_are_refused(tmp_path):
    image, flat = features()
    logits = layers.Dense(3, name="scores")(flat)
    model = shaken(keras.Model(image, probabilities_by_hand(1000 * logits)))
    assert (model(IMAGES).numpy() == 1).any()
    with pytest.raises(CnnlabError, match=r"saturated.*Export the model with its logits"):
        opened(model, tmp_path)


@pytest.mark.parametrize(
    ("library", "separate"),
    [
        pytest.param(keras, False, id="keras-activation", marks=pytest.mark.full),
        pytest.param(keras, True, id="keras-layer"),
        pytest.param(tf_keras, False, id="tf_keras-activation"),
        pytest.param(tf_keras, True, id="tf_keras-layer", marks=pytest.mark.full),
    ],
)
def test_a_sigmoid_is_two_classes(tmp_path, library, separate):
    image, flat = features(library)
    number = library.layers.Dense(1, name="score", activation=None if separate else "sigmoid")(flat)
    if separate:
        number = library.layers.Activation("sigmoid", name="sure")(number)
    model = shaken(library.Model(image, number))
    folder = tmp_path / "m"
    model.export(str(folder), verbose=False) if library is keras else model.save(folder)
    classifier = cnnlab.load(folder)
    assert (classifier.output_kind, classifier.num_classes) == ("sigmoid", 2)
    sure = model(IMAGES).numpy()
    np.testing.assert_allclose(classifier.probabilities(IMAGES), np.hstack([1 - sure, sure]), **CLOSE)
    np.testing.assert_allclose(classifier.own_probabilities(IMAGES), np.hstack([1 - sure, sure]), **CLOSE)
    np.testing.assert_array_equal(classifier.predict(IMAGES), (sure[:, 0] > 0.5).astype(int))

    def two_logits(x):  # the log of the odds, and 0
        score = model(x)
        odds = tf.math.log(score) - tf.math.log1p(-score)
        return tf.concat([tf.zeros_like(odds), odds], 1)

    labels = np.array([0, 1, 1, 0])
    wanted = gradient_of(two_logits, IMAGES, labels)
    np.testing.assert_allclose(classifier.input_gradient(IMAGES, labels), wanted, rtol=1e-3, atol=1e-5)


def multi_label(ending: str, precision: str = "float32"):
    """A model of five classes with a sigmoid each, and the same layers' logits."""
    image, flat = features()
    dense = layers.Dense(5, name="scores", dtype=precision)
    logits = dense(flat)
    number = layers.Activation("sigmoid", name="sure", dtype=precision)
    if ending == "reshape":
        end = layers.Reshape((5,), name="back")(number(layers.Reshape((1, 5), name="apart")(logits)))
    elif ending == "activation":
        end = layers.Dense(5, name="scores", activation="sigmoid")
        model = shaken(keras.Model(image, end(flat)))
        return model, lambda x: keras.Model(image, flat)(x) @ end.kernel + end.bias
    else:
        end = number(logits)
    if precision != "float32":
        end = layers.Activation("linear", name="wide", dtype="float32")(end)
    return shaken(keras.Model(image, end)), keras.Model(image, logits)


MULTI = [("layer", "float32"), ("activation", "float32"), ("reshape", "float32")]
MULTI += [("layer", "float16"), ("layer", "bfloat16")]


@pytest.mark.parametrize(
    ("ending", "precision", "form"),
    [
        *((*case, "export") for case in MULTI),
        (*MULTI[0], "keras"),
        *(pytest.param(*case, "keras", marks=pytest.mark.full) for case in MULTI[1:]),
    ],
)
def test_sigmoids_of_several_classes_are_independent_probabilities(tmp_path, ending, precision, form):
    model, logits_model = multi_label(ending, precision)
    classifier = opened(model, tmp_path, form)
    assert (classifier.output_kind, classifier.num_classes, classifier.exclusive) == ("sigmoids", 5, False)
    wanted = model(IMAGES, training=False).numpy()
    assert (np.abs(wanted.sum(axis=1) - 1) > 0.1).all()
    close = CLOSE if precision == "float32" else {"atol": 0.01}
    np.testing.assert_allclose(classifier.own_probabilities(IMAGES), wanted, **close)
    np.testing.assert_allclose(classifier.probabilities(IMAGES), wanted, **close)
    np.testing.assert_array_equal(classifier.predict(IMAGES), classifier.probabilities(IMAGES).argmax(axis=1))
    if precision == "float32":
        np.testing.assert_allclose(classifier.logits(IMAGES), logits_model(IMAGES), **CLOSE)
        gradient = gradient_of(logits_model, IMAGES, LABELS, "logit")
        np.testing.assert_allclose(classifier.input_gradient(IMAGES, LABELS, "logit"), gradient, **CLOSE)


@pytest.fixture(scope="module")
def several():
    """A model of several labels, and the same opened."""
    model, _ = multi_label("layer")
    return model, cnnlab.load(model)


def test_what_looks_at_one_class_works_on_sigmoids(several):
    model, classifier = several
    wanted = model(IMAGES, training=False).numpy()
    (first, *_) = cnnlab.predict(classifier, IMAGES).rows(top=5)
    assert [each["class"] for each in first["top"]] == [str(k) for k in np.argsort(-wanted[0])]
    assert first["top"][0]["probability"] == pytest.approx(wanted[0].max(), rel=1e-4)
    covered = cnnlab.analyze("occlusion", classifier, IMAGES, target="3", patch=5, stride=5)
    np.testing.assert_allclose(covered.arrays["baseline"], wanted[:, 3], **CLOSE)
    for name in ("saliency", "activations"):
        cnnlab.analyze(name, classifier, IMAGES)
    cnnlab.analyze("filters", classifier)
    health = cnnlab.inspect(classifier, IMAGES).health
    assert health.softmax_error < 1e-5


@pytest.mark.parametrize("name", ["fgsm-untargeted", "targeted", "noise-addition", "robustness", "fooling"])
def test_what_takes_one_class_for_granted_is_refused_of_sigmoids(several, name):
    params = {"target": "1"} if name in ("targeted", "noise-addition") else {}
    with pytest.raises(CnnlabError, match=rf"{name} takes every image to have exactly one class.* 5 probabilities"):
        cnnlab.analyze(name, several[1], IMAGES, LABELS, **params)


def test_accuracy_and_cross_entropy_of_sigmoids_are_refused(several):
    from cnnlab.adversarial.measure import measure

    classifier = several[1]
    for ask in (
        lambda: cnnlab.evaluate(classifier, cnnlab.datasets.Split(IMAGES, LABELS)),
        lambda: classifier.input_gradient(IMAGES, LABELS),
        lambda: measure(classifier, IMAGES, IMAGES, LABELS),
    ):
        with pytest.raises(CnnlabError, match="exactly one class"):
            ask()


def test_a_sigmoid_computed_by_hand_is_asked_about(tmp_path):
    image, flat = features()
    logits = layers.Dense(5, name="scores")(flat)
    model = shaken(keras.Model(image, 1 / (1 + keras.ops.exp(-logits))))
    (note,) = [note for note in opened(model, tmp_path, "live").notes if "between 0 and 1" in note]
    assert "exclude each other" in note


# --- preprocessing inside, and values in other ranges ---


def test_a_rescaling_inside_tells_the_value_range(tmp_path):
    image, images = keras.Input((10, 10, 3)), pictures(4, 10, 10, 3, high=255)
    for number, first in enumerate((layers.Rescaling(1 / 255), layers.Rescaling(1 / 127.5, offset=-1))):
        x = layers.Conv2D(4, 3, activation="relu")(first(image))
        model = shaken(keras.Model(image, layers.Dense(3)(layers.Flatten()(x))))
        folder = tmp_path / str(number)
        folder.mkdir()
        classifier = opened(model, folder)
        assert classifier.bounds == (0.0, 255.0)
        assert "multiply" in classifier.preparation.reason
        assert not classifier.notes
        np.testing.assert_allclose(classifier.logits(images), model(images), rtol=1e-4, atol=1e-4)
        wanted = gradient_of(model, images, LABELS, "logit")
        np.testing.assert_allclose(classifier.input_gradient(images, LABELS, "logit"), wanted, rtol=1e-3, atol=1e-6)


def test_normalisation_and_resizing_inside(tmp_path):
    image, images = keras.Input((14, 11, 3)), pictures(4, 14, 11, 3, high=255)
    x = layers.Resizing(10, 10, name="resize")(image)
    x = layers.Normalization(mean=[120.0, 110, 100], variance=[3600.0, 3500, 3400], name="normalise")(x)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    model = shaken(keras.Model(image, layers.Dense(3, name="scores")(layers.Flatten(name="flat")(x))))
    for form in ("export", "keras"):
        classifier = opened(model, tmp_path, form)
        assert classifier.bounds == (0.0, 255.0)
        assert "off its images" in classifier.preparation.reason
        assert [layer.name for layer in classifier.layers] == ["resize", "normalise", "conv", "flat", "scores"]
        np.testing.assert_allclose(classifier.logits(images), model(images), **CLOSE)
        found = classifier.activations(images)
        for name, value in recorded(model, images).items():
            np.testing.assert_allclose(found[name], value, err_msg=name, rtol=1e-4, atol=1e-3)
        wanted = gradient_of(model, images, LABELS)
        np.testing.assert_allclose(classifier.input_gradient(images, LABELS), wanted, rtol=1e-3, atol=1e-6)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A network that says nothing of its images, and the folder it is exported to."""
    image, flat = features()
    model = shaken(keras.Model(image, layers.Dense(3, activation="softmax", name="scores")(flat)))
    folder = tmp_path_factory.mktemp("plain") / "export"
    model.export(str(folder), verbose=False)
    return model, folder


RANGES = {
    "0,255": ((0.0, 255.0), lambda x: x),
    "-1,1": ((-1.0, 1.0), lambda x: x),
    "imagenet": ((0.0, 1.0), lambda x: keras.applications.imagenet_utils.preprocess_input(255 * x, mode="torch")),
    "caffe": ((0.0, 255.0), lambda x: keras.applications.imagenet_utils.preprocess_input(x + 0, mode="caffe")),
}


@pytest.mark.parametrize("said", RANGES)
def test_ranges_that_are_said(plain, said):
    """What goes into the graph is what Keras' own ``preprocess_input`` makes of the images."""
    (model, folder), ((low, high), by_hand) = plain, RANGES[said]
    classifier = cnnlab.load(folder, input_range=said)
    assert classifier.bounds == (low, high)
    assert "said" in classifier.preparation.reason
    assert not classifier.notes
    images = low + (high - low) * IMAGES
    logits = keras.Model(model.input, model.get_layer("flat").output)
    dense = model.get_layer("scores")

    def wanted(x):
        return tf.matmul(logits(by_hand(x)), dense.kernel) + dense.bias

    np.testing.assert_allclose(classifier.probabilities(images), model(by_hand(images)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(classifier.logits(images), wanted(images), rtol=1e-4, atol=1e-3)
    gradient = gradient_of(wanted, images.astype(np.float32), LABELS, "logit")
    np.testing.assert_allclose(classifier.input_gradient(images, LABELS, "logit"), gradient, rtol=1e-3, atol=1e-5)


def test_a_range_that_nobody_said_is_noted(plain):
    classifier = cnnlab.load(plain[1])
    assert classifier.bounds == (0.0, 1.0)
    assert any("`input_range=`" in note for note in classifier.notes)


@pytest.mark.parametrize("said", ["1,0", "0", "0,inf", "a,b", "tensorflow", (0, 1, 2), "nan,1"])
def test_ranges_that_are_none(plain, said):
    with pytest.raises(UsageError, match="the input range must be two numbers"):
        cnnlab.load(plain[1], input_range=said)


def test_a_range_for_colours_is_refused_for_grey(tmp_path):
    path = write_module(tmp_path / "m", Plain.logits, GREY)
    with pytest.raises(UsageError, match="three channels; the model takes 1"):
        cnnlab.load(path, input_range="caffe")


# --- what is remembered beside a model ---


def test_what_is_said_is_remembered_beside_the_model(plain, tmp_path):
    folder = shutil.copytree(plain[1], tmp_path / "model")
    plain[0].save(tmp_path / "model.keras")
    about = make_about(input_range=(-1, 1), class_names=["a", "b", "c"], layout="channels_last")
    assert remember(folder, about) == folder / "cnnlab.json"
    assert remember(tmp_path / "model.keras", about) == tmp_path / "model.keras.cnnlab.json"
    for path in (folder, tmp_path / "model.keras"):
        assert recall(path) == about
        classifier = cnnlab.load(path)
        assert (classifier.bounds, classifier.class_names) == ((-1.0, 1.0), ("a", "b", "c"))
        classifier = cnnlab.load(path, input_range="0,255")  # said now, over what was remembered
        assert (classifier.bounds, classifier.class_names) == ((0.0, 255.0), ("a", "b", "c"))
    assert json.loads((folder / "cnnlab.json").read_text())["input_range"] == [-1.0, 1.0]


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"colour": 1}', '{"input_range": "no"}', '{"layout": "sideways"}', '{"class_names": 3}']
)
def test_a_damaged_memory_is_refused(plain, tmp_path, damage):
    folder = shutil.copytree(plain[1], tmp_path / "model")
    (folder / "cnnlab.json").write_text(damage)
    with pytest.raises(CnnlabError, match=r"cnnlab\.json cannot be understood: .*Mend or delete it"):
        cnnlab.load(folder)


def test_class_names_of_another_number_are_refused(plain):
    with pytest.raises(UsageError, match="2 class names, and the model has 3 classes"):
        cnnlab.load(plain[1], class_names=["a", "b"])


# --- other precisions, open and fixed sizes ---


def test_mixed_precision(tmp_path):
    policy = {"dtype": "mixed_float16"}
    image = keras.Input((10, 10, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv", **policy)(image)
    x = layers.GlobalAveragePooling2D(name="mean", **policy)(x)
    logits = layers.Dense(3, name="scores", **policy)(x)
    model = shaken(keras.Model(image, layers.Activation("softmax", dtype="float32", name="softmax")(logits)))
    logits_model = keras.Model(image, logits)
    classifier = opened(model, tmp_path)
    np.testing.assert_array_equal(
        classifier.layer("conv").kernel, model.get_layer("conv").kernel.numpy().astype(np.float16)
    )
    np.testing.assert_allclose(classifier.logits(IMAGES), logits_model(IMAGES), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(classifier.probabilities(IMAGES), model(IMAGES), rtol=2e-3, atol=2e-3)
    wanted = gradient_of(logits_model, IMAGES, LABELS)
    assert np.abs(wanted).max() > 1e-3
    np.testing.assert_allclose(classifier.input_gradient(IMAGES, LABELS), wanted, rtol=2e-2, atol=2e-4)


def test_any_height_and_width(tmp_path):
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    model = shaken(keras.Model(image, layers.Dense(3, name="scores")(layers.GlobalAveragePooling2D(name="mean")(x))))
    classifier = opened(model, tmp_path)
    assert classifier.input_shape == (None, None, 3)
    for shape in ((9, 14, 3), (20, 6, 3)):
        images = pictures(4, *shape)
        np.testing.assert_allclose(classifier.logits(images), model(images), **CLOSE)
        found = classifier.activations(images, ["conv"])["conv"]
        np.testing.assert_allclose(found, model.get_layer("conv")(images), **CLOSE)
        wanted = gradient_of(model, images, LABELS)
        np.testing.assert_allclose(classifier.input_gradient(images, LABELS), wanted, **CLOSE)


def test_a_batch_fixed_to_one_answers_as_any_batch_does_also_in_analyses(tmp_path):
    image, flat = features()
    model = shaken(keras.Model(image, layers.Dense(3, activation="softmax", name="scores")(flat)))
    archive = keras.export.ExportArchive()
    archive.track(model)
    one = [tf.TensorSpec((1, 10, 10, 3), tf.float32)]
    archive.add_endpoint("serve", lambda x: model(x, training=False), input_signature=one)
    archive.write_out(str(tmp_path / "one"), verbose=False)
    fixed, free = cnnlab.load(tmp_path / "one"), cnnlab.load(model)
    assert (fixed.fixed_batch, free.fixed_batch) == (1, None)
    np.testing.assert_allclose(fixed.input_gradient(IMAGES, LABELS), free.input_gradient(IMAGES, LABELS), **CLOSE)
    for name, options in (("occlusion", {"patch": 4, "stride": 3}), ("fgsm-untargeted", {"epsilon": 0.05})):
        found, wanted = (cnnlab.analyze(name, one, IMAGES[:2], labels=LABELS[:2], **options) for one in (fixed, free))
        assert found.arrays.keys() == wanted.arrays.keys()
        for array in wanted.arrays:
            np.testing.assert_allclose(found.arrays[array], wanted.arrays[array], err_msg=array, **CLOSE)


# --- Keras 2 ---


@pytest.mark.parametrize("form", ["savedmodel", "h5"])
def test_what_keras_2_writes(tmp_path, form):
    image = tf_keras.Input((12, 12, 3), name="image")
    x = tf_keras.layers.Conv2D(4, 3, activation="relu", name="edges")(image)
    x = tf_keras.layers.BatchNormalization(name="norm")(x)
    side = tf_keras.layers.Conv2D(4, 1, name="side")(x)
    x = tf_keras.layers.Add(name="both")([x, side])
    logits = tf_keras.layers.Dense(3, name="scores")(tf_keras.layers.GlobalAveragePooling2D(name="mean")(x))
    model = shaken(tf_keras.Model(image, tf_keras.layers.Softmax(name="softmax")(logits)))
    logits_model = tf_keras.Model(image, logits)
    path = tmp_path / ("model" if form == "savedmodel" else "model.h5")
    model.save(path)
    classifier, images = cnnlab.load(path), pictures(4, 12, 12, 3)
    assert classifier.kind == form
    names = ["edges", "norm", "side", "both", "mean", "scores"]
    assert [layer.name for layer in classifier.layers] == names
    np.testing.assert_allclose(classifier.logits(images), logits_model(images), **CLOSE)
    np.testing.assert_allclose(classifier.probabilities(images), model(images), **CLOSE)
    inside = tf_keras.Model(image, [model.get_layer(name).output for name in names])(images)
    found = classifier.activations(images)
    for name, value in zip(names, inside, strict=True):
        np.testing.assert_allclose(found[name], value, err_msg=name, **CLOSE)
        assert classifier.layer(name).parameters == model.get_layer(name).count_params()
    np.testing.assert_array_equal(classifier.layer("edges").kernel, model.get_layer("edges").kernel)
    wanted = gradient_of(lambda x: logits_model(x, training=False), images, LABELS)
    np.testing.assert_allclose(classifier.input_gradient(images, LABELS), wanted, **CLOSE)


# --- plain TensorFlow: signatures, outputs, integers, channels first ---


class Plain(tf.Module):
    """TensorFlow without Keras."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.kernel = tf.Variable(rng.normal(0, 0.5, (3, 3, channels, 4)).astype(np.float32))
        self.weights = tf.Variable(rng.normal(0, 2, (4, 3)).astype(np.float32))

    def logits(self, images):
        x = tf.nn.relu(tf.nn.conv2d(images, self.kernel, 1, "SAME"))
        return tf.reduce_mean(x, [1, 2]) @ self.weights


GREY = tf.TensorSpec((None, 8, 8, 1), tf.float32)
SMALL = pictures(4, 8, 8, 1)


def write_module(path: Path, call, *specs: tf.TensorSpec, channels: int = 1, **others) -> Path:
    """Save a plain module whose signature computes ``call(module, *tensors)``; others by their names."""
    module = Plain(channels)
    calls = {"serving_default": call, **others}
    signatures = {
        name: tf.function(lambda *tensors, call=call: call(module, *tensors)).get_concrete_function(*specs)
        for name, call in calls.items()
    }
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


def test_one_of_several_signatures(tmp_path):
    twice, thrice = (lambda m, x: 2 * m.logits(x)), (lambda m, x: 3 * m.logits(x))
    path = write_module(tmp_path / "m", Plain.logits, GREY, double=twice, triple=thrice)
    logits = Plain().logits(SMALL).numpy()
    for name, factor in ((None, 1), ("serving_default", 1), ("double", 2), ("triple", 3)):
        np.testing.assert_allclose(cnnlab.load(path, signature=name).logits(SMALL), factor * logits, **CLOSE)
    with pytest.raises(UsageError, match=r"no signature 'tripel'\. Did you mean 'triple'"):
        cnnlab.load(path, signature="tripel")


def test_several_signatures_of_which_none_serves_are_asked_about(tmp_path):
    module = Plain(1)
    call = tf.function(module.logits).get_concrete_function(GREY)
    half = tf.function(lambda x: module.logits(x) / 2).get_concrete_function(GREY)
    tf.saved_model.save(module, str(tmp_path / "two"), signatures={"b": call, "a": half})
    with pytest.raises(CnnlabError, match=r"the signatures 'a', 'b' and no 'serving_default'.*`signature=`"):
        cnnlab.load(tmp_path / "two")
    logits = Plain().logits(SMALL).numpy()
    np.testing.assert_allclose(cnnlab.load(tmp_path / "two", signature="b").logits(SMALL), logits, **CLOSE)
    tf.saved_model.save(module, str(tmp_path / "one"), signatures={"a": half})
    np.testing.assert_allclose(cnnlab.load(tmp_path / "one").logits(SMALL), logits / 2, **CLOSE)


def test_a_folder_whose_name_tensorflow_takes_for_a_pattern_is_said(tmp_path):
    for name in ("ü f", "b*", "c?x"):
        assert cnnlab.load(write_module(tmp_path / name, Plain.logits, GREY)).num_classes == 3
    with pytest.raises(CnnlabError, match=r"takes the \[ in its path for a pattern; rename the folder"):
        cnnlab.load(write_module(tmp_path / "a[1]", Plain.logits, GREY))


def test_one_of_several_outputs(tmp_path):
    def call(module, x):
        logits = module.logits(x)
        return {"whole": logits, "halved": logits / 2, "chances": tf.nn.softmax(logits / 4)}

    path = write_module(tmp_path / "m", call, GREY)
    logits = Plain().logits(SMALL).numpy()
    for name, factor in (("whole", 1), ("halved", 0.5), ("chances", 0.25)):
        np.testing.assert_allclose(cnnlab.load(path, output=name).logits(SMALL), factor * logits, **CLOSE)
    with pytest.raises(CnnlabError, match=r"3 different vectors.*whole.*`output=`"):
        cnnlab.load(path)
    with pytest.raises(UsageError, match=r"no output 'hole'\. Did you mean 'whole'"):
        cnnlab.load(path, output="hole")


def test_one_of_the_outputs_of_a_keras_model(tmp_path):
    image, flat = features()
    colour = layers.Dense(3, activation="softmax", name="colour")(flat)
    shape = layers.Dense(5, activation="softmax", name="shape")(flat)
    model = shaken(keras.Model(image, {"colour": colour, "shape": shape}))
    for form in ("export", "keras", "live"):
        for name, classes in (("colour", 3), ("shape", 5)):
            classifier = opened(model, tmp_path, form, output=name)
            assert classifier.num_classes == classes
            np.testing.assert_allclose(classifier.probabilities(IMAGES), model(IMAGES)[name], **CLOSE)


def test_integers_have_the_gradients_of_the_numbers_they_become(tmp_path):
    spec = tf.TensorSpec((None, 8, 8, 1), tf.uint8)

    def call(module, x):
        return module.logits(tf.cast(x, tf.float32) / 255)

    classifier = cnnlab.load(write_module(tmp_path / "m", call, spec))
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype(np.float32)
    assert classifier.bounds == (0.0, 255.0)
    assert "integers" in classifier.preparation.reason
    module = Plain()
    np.testing.assert_allclose(classifier.logits(images), module.logits(images / 255), **CLOSE)
    wanted = gradient_of(lambda x: module.logits(x / 255), images, LABELS)
    assert np.abs(wanted).max() > 1e-6
    np.testing.assert_allclose(classifier.input_gradient(images, LABELS), wanted, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("side", [8, None], ids=["known by its sides", "said"])
def test_channels_first(tmp_path, side):
    spec = tf.TensorSpec((None, 3, side, side), tf.float32)

    def call(module, x):
        return module.logits(tf.transpose(x, (0, 2, 3, 1)))

    path = write_module(tmp_path / "m", call, spec, channels=3)
    classifier = cnnlab.load(path, layout="channels_first")
    assert classifier.input_shape == (side, side, 3)
    if side:
        assert cnnlab.load(path).input_shape == (8, 8, 3)
    module, images = Plain(3), pictures(4, 8, 8, 3)
    np.testing.assert_allclose(classifier.logits(images), module.logits(images), **CLOSE)
    wanted = gradient_of(module.logits, images, LABELS)
    np.testing.assert_allclose(classifier.input_gradient(images, LABELS), wanted, **CLOSE)


# --- what cannot be done is refused, with the reason and the way out ---


def test_several_images_and_texts_are_refused(tmp_path):
    one, two = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    x = layers.Flatten()(layers.Subtract()([one, two]))
    model = keras.Model([one, two], layers.Dense(3)(x))
    for form in ("export", "keras", "live"):
        with pytest.raises(CnnlabError, match=r"takes 2 inputs; cnnlab opens models of one image"):
            opened(model, tmp_path, form)
    words = tf.TensorSpec((None,), tf.string)
    path = write_module(tmp_path / "m", lambda m, x: m.logits(tf.zeros((tf.size(x), 8, 8, 1))), words)
    with pytest.raises(CnnlabError, match=r"takes string \[\?\]; cnnlab opens models of images"):
        cnnlab.load(path)


def test_without_a_differentiable_path_gradients_refuse_and_occlusion_works(tmp_path):
    def call(module, x):
        return module.logits(tf.round(4 * x) * 0 + tf.cast(tf.cast(4 * x, tf.int32), tf.float32))

    classifier = cnnlab.load(write_module(tmp_path / "m", call, GREY))
    np.testing.assert_allclose(classifier.logits(SMALL), Plain().logits(np.floor(4 * SMALL)), **CLOSE)
    with pytest.raises(CnnlabError, match="no differentiable path"):
        classifier.input_gradient(SMALL, LABELS)
    with pytest.raises(CnnlabError, match="differentiable"):
        cnnlab.analyze("fgsm-untargeted", classifier, SMALL[:1], labels=LABELS[:1])
    found = cnnlab.analyze("occlusion", classifier, SMALL[:1], labels=LABELS[:1])
    assert all(np.isfinite(value).all() for value in found.arrays.values() if value.dtype.kind == "f")


def test_operations_that_are_not_registered_are_refused(tmp_path):
    path = write_module(tmp_path / "m", lambda m, x: m.logits(tf.nn.relu(x)), GREY)
    found = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graph = found.meta_graphs[0].graph_def
    changed = [n for f in graph.library.function for n in f.node_def if n.op == "Relu"]
    assert changed
    for node in changed:
        node.op = "HouseMadeRelu"
    found.meta_graphs[0].meta_info_def.stripped_op_list.Clear()
    (path / "saved_model.pb").write_bytes(found.SerializeToString())
    with pytest.raises(CnnlabError, match="HouseMadeRelu"):
        cnnlab.load(path)


def test_a_savedmodel_without_signatures_is_refused(tmp_path):
    tf.saved_model.save(Plain(), str(tmp_path / "m"))
    with pytest.raises(CnnlabError, match=r"no signature to call; export it with one"):
        cnnlab.load(tmp_path / "m")


@pytest.mark.parametrize("kept", [0, 0.5])
def test_truncated_variables_are_refused(plain, tmp_path, kept):
    folder = shutil.copytree(plain[1], tmp_path / "model")
    (data,) = (folder / "variables").glob("variables.data-*")
    content = data.read_bytes()
    data.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(CnnlabError, match=f"the SavedModel in {re.escape(str(folder))} cannot be read") as caught:
        cnnlab.load(folder)
    assert "\n" not in str(caught.value)


def test_corrupted_and_missing_variables_are_refused(plain, tmp_path):
    folder = shutil.copytree(plain[1], tmp_path / "model")
    (data,) = (folder / "variables").glob("variables.data-*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(bytes(content))
    with pytest.raises(CnnlabError, match="cannot be read"):
        cnnlab.load(folder)
    shutil.rmtree(folder / "variables")
    with pytest.raises(CnnlabError, match="cannot be read"):
        cnnlab.load(folder)


def test_a_misspelt_layer_finds_the_nearest(plain):
    with pytest.raises(UsageError, match=r"there is no layer 'con'\. Did you mean 'conv'\?"):
        cnnlab.load(plain[1]).layer("con")


# --- analyses on foreign models ---


def foreign(kind: str, folder: Path):
    """A model of somebody else's, and a picture it takes."""
    match kind:
        case "nested":
            model, _ = keras_model(nested)
            return opened(model, folder), pictures(1, 12, 12, 3)
        case "grouped":
            model, _ = keras_model(grouped)
            return opened(model, folder), pictures(1, 12, 12, 4)
        case "keras 2 sigmoid":
            image, flat = features(tf_keras)
            model = shaken(tf_keras.Model(image, tf_keras.layers.Dense(1, activation="sigmoid", name="score")(flat)))
            model.save(folder / "m")
            return cnnlab.load(folder / "m"), IMAGES[:1]
        case "channels first":
            spec = tf.TensorSpec((None, 3, 8, 8), tf.float32)
            path = write_module(folder / "m", lambda m, x: m.logits(tf.transpose(x, (0, 2, 3, 1))), spec, channels=3)
            return cnnlab.load(path, input_range="imagenet"), pictures(1, 8, 8, 3)
        case _:
            spec = tf.TensorSpec((None, 8, 8, 1), tf.uint8)
            path = write_module(folder / "m", lambda m, x: m.logits(tf.cast(x, tf.float32) / 255), spec)
            return cnnlab.load(path), np.round(pictures(1, 8, 8, 1, high=255))


KINDS = [*(pytest.param(kind, marks=pytest.mark.full) for kind in ("nested", "grouped"))]
KINDS += ["keras 2 sigmoid", "channels first", "integers"]


@pytest.mark.parametrize("kind", KINDS)
def test_analyses_run_on_foreign_models(tmp_path, kind):
    classifier, images = foreign(kind, tmp_path)
    label = classifier.predict(images)
    low, high = classifier.bounds

    grey = (low + high) / 2
    occlusion = cnnlab.analyze("occlusion", classifier, images, labels=label, patch=4, stride=2, fill=str(grey)).arrays
    for row, top in enumerate(occlusion["rows"]):
        for column, left in enumerate(occlusion["cols"]):
            hidden = images.copy()
            hidden[:, top : top + 4, left : left + 4] = grey
            wanted = classifier.probabilities(hidden)[0, label[0]]
            np.testing.assert_allclose(occlusion["score"][0, row, column], wanted, **CLOSE)

    activations = cnnlab.analyze("activations", classifier, images).arrays
    for name, value in classifier.activations(images).items():
        np.testing.assert_allclose(activations[f"activation/{name}"], value, err_msg=name, **CLOSE)

    filters = cnnlab.analyze("filters", classifier, images).arrays
    kernels = {layer.name: layer.kernel for layer in classifier.layers if layer.kind == "Conv2D"}
    assert kernels
    for name, kernel in kernels.items():
        np.testing.assert_array_equal(filters[f"kernel/{name}"], kernel)

    gradient = classifier.input_gradient(images, label, "logit")
    assert np.abs(gradient).max() > 0
    saliency = cnnlab.analyze("saliency", classifier, images, labels=label, method="vanilla").arrays
    np.testing.assert_allclose(saliency["map"], np.abs(gradient).max(axis=-1), rtol=1e-4, atol=1e-7)

    epsilon = (high - low) * 0.01
    attack = cnnlab.analyze("fgsm-untargeted", classifier, images, labels=label, epsilon=epsilon).arrays
    moved = attack["adversarial"].reshape(images.shape) - images
    assert 0 < np.abs(moved).max() <= epsilon * 1.001
    loss = classifier.probabilities(images + moved)[0, label[0]]
    np.testing.assert_allclose(attack["confidence_before"].ravel(), classifier.probabilities(images).max(), **CLOSE)
    assert loss < classifier.probabilities(images)[0, label[0]]


# --- networks that people have, with random weights ---


def application(name: str, side: int):
    """A network of ``keras.applications`` with random weights and twenty classes, and the same up to its logits."""
    model = getattr(keras.applications, name)(input_shape=(side, side, 3), weights=None, classes=20)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(rng.normal(0, 0.1, shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, shape))
            layer.beta.assign(rng.normal(0, 0.3, shape))
    dense = model.layers[-1]
    dense.kernel.assign(rng.normal(0, 0.1, dense.kernel.shape))
    last = keras.Model(model.input, dense.input)
    return model, lambda x: tf.matmul(last(x, training=False), dense.kernel) + dense.bias


def check_application(name: str, side: int, folder: Path, high: float, form: str) -> None:
    model, logits = application(name, side)
    classifier = opened(model, folder, form)
    assert classifier.bounds == (0.0, high)
    images, labels = pictures(2, side, side, 3, high=high), np.array([3, 7])
    wanted = logits(images).numpy()
    assert np.ptp(wanted) > 1e-2
    close = {"rtol": 1e-3, "atol": 1e-4 * np.abs(wanted).max()}
    np.testing.assert_allclose(classifier.logits(images), wanted, **close)
    np.testing.assert_allclose(classifier.probabilities(images), model(images, training=False), rtol=5e-3, atol=1e-5)
    own = {name: layer for name, layer in with_layers(model).items() if layer.name in classifier_names(classifier)}
    nothing = (layers.Dropout, layers.InputLayer, layers.Activation)
    missing = {layer.name for layer in model.layers if not isinstance(layer, nothing)} - set(own)
    assert not missing
    # A Normalization also counts, in an integer, what it has seen: that is in no graph.
    counted = [weight for weight in model.weights if "float" in weight.dtype]
    assert sum(layer.parameters for layer in classifier.layers) == sum(weight.numpy().size for weight in counted)
    for layer in classifier.layers:
        assert layer.output_shape == tuple(own[layer.name].output.shape[1:]), layer.name
        if isinstance(own[layer.name], layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
            np.testing.assert_array_equal(layer.kernel, own[layer.name].kernel, err_msg=layer.name)
    some = [layer.name for layer in classifier.layers[:-1]][::12]  # the last ends in the softmax
    inside = keras.Model(model.input, [model.get_layer(name).output for name in some])(images, training=False)
    found = classifier.activations(images, some)
    for layer_name, value in zip(some, inside, strict=True):
        scale = float(np.abs(value).max())
        np.testing.assert_allclose(found[layer_name], value, err_msg=layer_name, rtol=1e-3, atol=1e-4 * scale)
    gradient = gradient_of(logits, images, labels, "logit")
    atol = 1e-3 * np.abs(gradient).max()
    assert atol > 0
    np.testing.assert_allclose(classifier.input_gradient(images, labels, "logit"), gradient, rtol=1e-2, atol=atol)


def classifier_names(classifier) -> set[str]:
    return {layer.name for layer in classifier.layers}


@pytest.mark.full
def test_efficientnet_at_a_small_size(tmp_path):
    check_application("EfficientNetB0", 64, tmp_path, 255.0, "live")


@pytest.mark.full
@pytest.mark.parametrize(("name", "high"), [("EfficientNetB0", 255.0), ("ResNet50", 1.0), ("MobileNetV2", 1.0)])
def test_applications_at_their_usual_size(tmp_path, name, high):
    check_application(name, 224, tmp_path, high, "export")


OCCLUSION = """
import resource, sys
import numpy as np
import cnnlab

classifier = cnnlab.load(sys.argv[1])
image = np.random.default_rng(0).random((1, 224, 224, 3), dtype=np.float32)
classifier.logits(image)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = cnnlab.analyze("occlusion", classifier, image, patch=32, stride=16)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(classifier.batch_size, result.arrays["score"].size, before // 1024, after // 1024)
"""


@pytest.mark.full
def test_occlusion_of_a_large_image_stays_within_its_memory(tmp_path):
    """ResNet50 at 224x224: opened, it takes 3.1 GiB (TensorFlow copies the weights as it compiles), and 4.4 at most."""
    model, _ = application("ResNet50", 224)
    model.export(str(tmp_path / "resnet"), verbose=False)
    words = [sys.executable, "-c", OCCLUSION, str(tmp_path / "resnet")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    batch, positions, before, after = map(int, done.stdout.split()[-4:])
    assert batch < positions
    assert after - before < 2000, (batch, positions, before, after)  # MiB
    assert after < 5500
