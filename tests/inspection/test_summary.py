"""``cnnlab summary``: each count against Keras' own, a closed form by hand, or a model that counts for itself."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from keras import layers

import cnnlab
from cnnlab import training
from cnnlab.classifier.freeze import freeze
from cnnlab.classifier.graph import read_layers
from cnnlab.cli import cli
from cnnlab.errors import UsageError
from cnnlab.inspection.summary import summarize


def summary_of(*stack, shape=(9, 8, 6)):
    return summarize(cnnlab.load(keras.Sequential([keras.Input(shape), *stack])))


@pytest.fixture(scope="module")
def classic():
    return summarize(cnnlab.load(training.build("mnist-cnn", (28, 28, 1), 10)))


@pytest.fixture(scope="module")
def normalised_network():
    return training.build("mnist-cnn", (28, 28, 1), 10, batch_norm=True)


@pytest.fixture(scope="module")
def mobile():
    """Two blocks of a MobileNetV2: depthwise convolutions, padding, and batch normalisation after each convolution."""

    def normalised(name, convolution, values):
        return layers.BatchNormalization(name=f"{name}_BN")(convolution(values))

    inputs = values = keras.Input((32, 32, 3))
    for name, stride, padding in (("block_1", 2, "valid"), ("block_2", 1, "same")):
        plain = {"padding": "same", "use_bias": False}
        values = normalised(f"{name}_expand", layers.Conv2D(24, 1, **plain, name=f"{name}_expand"), values)
        wide = values = layers.ReLU(6.0, name=f"{name}_expand_relu")(values)
        if padding == "valid":
            values = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(values)
        depthwise = layers.DepthwiseConv2D(3, stride, padding, use_bias=False, name=f"{name}_depthwise")
        values = normalised(f"{name}_depthwise", depthwise, values)
        values = layers.Add(name=f"{name}_add")([wide, values]) if stride == 1 else values
        values = normalised(f"{name}_project", layers.Conv2D(8, 1, **plain, name=f"{name}_project"), values)
    values = layers.GlobalAveragePooling2D()(values)
    return keras.Model(inputs, layers.Dense(7, activation="softmax", name="predictions")(values))


@pytest.fixture(scope="module")
def normalised_summary(normalised_network):
    return summarize(cnnlab.load(normalised_network))


@pytest.fixture(scope="module")
def mobile_summary(mobile):
    return summarize(cnnlab.load(mobile))


def rows(summary):
    return {layer.name: layer for layer in summary.layers}


def test_the_classic_network_by_hand(classic):
    found = rows(classic)
    kernels = [layer for layer in classic.layers if layer.kernel]
    assert [layer.name for layer in kernels] == ["conv1", "conv2", "fc1", "fc2"]
    assert [layer.weights for layer in kernels] == [288, 9216, 784_000, 5000]
    assert [layer.biases for layer in kernels] == [32, 32, 500, 10]
    assert [layer.parameters for layer in kernels] == [320, 9248, 784_500, 5010]
    assert [layer.output_units for layer in kernels] == [25_088, 6272, 500, 10]
    assert [layer.kernel_taps for layer in kernels] == [288, 9216, 500, 10]
    assert [layer.multiply_adds for layer in kernels] == [
        28 * 28 * 3 * 3 * 1 * 32,
        14 * 14 * 3 * 3 * 32 * 32,
        7 * 7 * 32 * 500,
        500 * 10,
    ]
    assert found["conv1"].input_size == (28, 28, 1)
    assert found["conv2"].kernel == (3, 3, 32, 32)
    assert found["pool2"].output_size == (7, 7, 32)
    assert found["pool2"].multiply_adds == 0


def test_the_sums_of_the_classic_network(classic):
    assert classic.parameters == 799_078
    assert classic.trainable == 799_078
    assert classic.convolutional == 9568
    assert classic.dense == 789_510
    assert classic.dense_to_convolutional == pytest.approx(82.5, abs=0.05)
    assert classic.kernel_taps == 10_014
    assert classic.output_units == 31_870
    assert classic.multiply_adds == 2_821_128


def test_batch_normalisation_has_rows_of_its_own(classic, normalised_network, normalised_summary):
    found = normalised_summary
    normalisations = [layer for layer in found.layers if layer.kind == "BatchNorm"]
    assert [(n.name, n.weights, n.statistics, n.parameters) for n in normalisations] == [
        ("bn1", 64, 64, 128),
        ("bn2", 64, 64, 128),
        ("bn3", 1000, 1000, 2000),
    ]
    assert found.parameters == normalised_network.count_params() == 799_078 + 2256
    assert found.multiply_adds == classic.multiply_adds
    assert found.convolutional == classic.convolutional


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_a_network_with_depthwise_convolutions_has_keras_own_counts(mobile, mobile_summary):
    found = mobile_summary
    assert found.parameters == mobile.count_params()
    assert found.trainable == trainable(mobile)
    for name, layer in rows(found).items():
        own = mobile.get_layer(name)
        assert layer.parameters == own.count_params(), name
        assert layer.output_size == tuple(own.output.shape[1:]), name
    depthwise = rows(found)["block_1_depthwise"]
    assert depthwise.multiply_adds == np.prod(depthwise.output_size) * 3 * 3
    assert depthwise.kernel_taps == 3 * 3 * depthwise.input_size[-1]


@pytest.mark.parametrize(
    ("scale", "center", "fused"),
    [
        *((scale, center, False) for scale in (True, False) for center in (True, False)),
        *((both, both, True) for both in (True, False)),
        *(pytest.param(scale, not scale, True, marks=pytest.mark.full) for scale in (True, False)),
    ],
)
def test_the_statistics_are_those_of_keras(scale, center, fused, tmp_path):
    shape = (9, 8, 6) if fused else (30,)
    before = [] if fused else [layers.Flatten(), layers.Dense(30)]
    normalisation = layers.BatchNormalization(scale=scale, center=center, name="bn")
    normalisation.build((None, *shape))
    drawn = np.random.default_rng(0)
    normalisation.set_weights([drawn.random(weight.shape) + 0.5 for weight in normalisation.weights])
    model = keras.Sequential([keras.Input((9, 8, 6)), *before, normalisation, layers.Flatten(), layers.Dense(3)])
    model.export(tmp_path / "saved", verbose=False)
    for source in (model, tmp_path / "saved"):
        layer = rows(summarize(cnnlab.load(source)))["bn"]
        assert layer.statistics == 2 * shape[-1]
        assert layer.weights == (scale + center) * shape[-1]


def test_one_fused_operation_is_told_apart_too():
    scale, offset, mean, variance = (tf.Variable(tf.random.uniform((4,)) + 0.5) for _ in range(4))
    kernel = tf.Variable(tf.random.normal((2 * 2 * 4, 3)))

    class Plain(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 2, 2, 4))])
        def serve(self, images):
            normal, _, _ = tf.compat.v1.nn.fused_batch_norm(images, scale, offset, mean, variance, is_training=False)
            return tf.reshape(normal, (-1, 16)) @ kernel

    frozen = freeze(Plain().serve.get_concrete_function())
    found = read_layers(frozen, frozen.outputs["output_0"])
    (normalisation,) = (layer for layer in found if layer.kind == "BatchNorm")
    assert (normalisation.parameters, normalisation.statistics) == (16, 8)


ONES = {"kernel_initializer": "ones", "use_bias": False}
COUNTING = {
    "valid": [layers.Conv2D(5, (3, 2), **ONES)],
    "strided": [layers.Conv2D(5, 3, strides=2, **ONES)],
    "dilated": [layers.Conv2D(5, 3, dilation_rate=2, **ONES)],
    "depthwise": [layers.DepthwiseConv2D((2, 3), depth_multiplier=2, depthwise_initializer="ones", use_bias=False)],
    "transposed": [layers.Conv2DTranspose(5, 3, strides=2, **ONES)],
    "dense": [layers.Flatten(), layers.Dense(7, **ONES)],
    "dense over a map": [layers.Dense(7, **ONES)],
}


@pytest.mark.parametrize("case", COUNTING)
def test_multiply_adds_are_those_that_a_model_of_ones_adds_up(case):
    """Where every image value and every weight is one, each product is one, and the outputs add up to their number."""
    stack = [type(layer).from_config(layer.get_config()) for layer in COUNTING[case]]
    model = keras.Sequential([keras.Input((9, 8, 6)), *stack])
    counted = int(np.sum(model(np.ones((1, 9, 8, 6), np.float32))))
    found = summary_of(*stack, layers.Flatten(), layers.Activation("relu"))
    assert found.multiply_adds == counted > 0


def test_groups_divide_the_multiply_adds():
    kernel = tf.Variable(tf.ones((3, 3, 3, 4)))

    @tf.function(input_signature=[tf.TensorSpec((None, 9, 8, 6))])
    def grouped(images):
        return tf.nn.conv2d(images, kernel, 1, "VALID")

    frozen = freeze(grouped.get_concrete_function())
    (layer,) = read_layers(frozen, frozen.outputs["output_0"])
    counted = int(np.sum(layers.Conv2D(4, 3, groups=2, **ONES)(np.ones((1, 9, 8, 6), np.float32))))
    assert layer.multiply_adds == counted == 7 * 6 * 3 * 3 * 6 * 4 // 2


def test_what_a_compiled_function_computes_counts():
    kernel = tf.Variable(tf.ones((3, 3, 3, 4)))

    @tf.function(jit_compile=True)
    def compiled(images, kernel):
        return tf.nn.conv2d(images, kernel, 1, "VALID")

    @tf.function(input_signature=[tf.TensorSpec((None, 9, 8, 3))])
    def model(images):
        return compiled(images, kernel)

    frozen = freeze(model.get_concrete_function())
    (layer,) = read_layers(frozen, frozen.outputs["output_0"])
    assert (layer.parameters, layer.multiply_adds) == (3 * 3 * 3 * 4, 7 * 6 * 3 * 3 * 3 * 4)


def test_what_a_loop_hides_is_unknown_and_not_zero():
    kernel = tf.Variable(tf.ones((3, 3, 3, 3)))

    @tf.function(input_signature=[tf.TensorSpec((None, 9, 8, 3))])
    def model(images):
        for _ in tf.range(3):
            images = tf.nn.conv2d(images, kernel, 1, "SAME")
        return images

    frozen = freeze(model.get_concrete_function())
    (layer,) = read_layers(frozen, frozen.outputs["output_0"])
    assert (layer.parameters, layer.multiply_adds) == (3 * 3 * 3 * 3, None)


def test_products_with_padding_count():
    found = summary_of(layers.Conv2D(3, (3, 2), strides=(2, 1), padding="same"), layers.Flatten())
    height, width = 5, 8
    steps = itertools.product(range(height), range(width), range(3), range(2), range(6), range(3))
    assert found.multiply_adds == sum(1 for _ in steps)


def test_a_separable_convolution_counts_both_its_kernels():
    separable = layers.SeparableConv2D(5, 3, name="separable")
    found = rows(summary_of(separable, layers.Flatten(), layers.Dense(3)))["separable"]
    assert found.parameters == separable.count_params()
    assert found.kernel_taps == 3 * 3 * 6 + 6 * 5
    assert found.multiply_adds == 7 * 6 * (3 * 3 * 6 + 6 * 5)


def test_an_open_size_is_unknown_and_not_zero():
    found = summary_of(layers.Conv2D(5, 3), layers.GlobalAveragePooling2D(), layers.Dense(4), shape=(None, None, 3))
    assert found.multiply_adds is None
    assert found.output_units is None
    assert found.parameters == 3 * 3 * 3 * 5 + 5 + 5 * 4 + 4
    assert found.to_json()["totals"]["multiply_adds"] is None


def test_without_convolutions_there_is_no_ratio():
    found = summary_of(layers.Flatten(), layers.Dense(4))
    assert found.dense_to_convolutional is None
    assert found.kernel_taps == 4


def test_a_run_has_the_same_summary_as_its_architecture(classifier, classic):
    assert summarize(classifier) == classic


# The command


def run(*words, columns=100, status=0):
    result = CliRunner().invoke(cli, ["summary", *map(str, words)], env={"COLUMNS": str(columns)})
    assert result.exit_code == status, (result.output, result.exception)
    return result.stdout


@pytest.fixture(scope="module")
def saved(mobile, normalised_network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    mobile.save(folder / "mobile.keras")
    normalised_network.save(folder / "normalised.keras")
    return folder


def test_the_command_tells_all_numbers_in_one_table():
    out = run("mnist-cnn")
    for number in ("28×28×32", "3×3×32×32", "799,078", "9,568", "789,510", "82.5", "10,014", "2,821,128", "25,088"):
        assert number in out
    assert out.count("conv1") == 1
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize(("model", "columns"), [("mobile", 100), ("normalised", 100), ("normalised", 80)])
def test_nothing_is_cut_or_broken_in_a_narrow_terminal(saved, request, model, columns):
    expected = request.getfixturevalue(f"{model}_summary")
    path = saved / f"{model}.keras"
    out = run(path, columns=columns)
    words = set(out.split())
    for layer in expected.layers:
        assert {layer.name, layer.kind} <= words
        assert not layer.parameters or f"{layer.parameters:,}" in words
    assert "…" not in out
    body = [line for line in out.splitlines() if str(path) not in line]
    assert max(map(len, body)) <= columns


def test_json_has_what_the_library_gives(classic):
    facts = json.loads(run("mnist-cnn", "--json"))
    assert facts["model"] == "mnist-cnn"
    assert {key: facts[key] for key in classic.to_json()} == json.loads(json.dumps(classic.to_json()))


def test_batch_norm_builds_that_variant():
    facts = json.loads(run("mnist-cnn", "--batch-norm", "--json"))
    assert facts["totals"]["statistics"] == 1128


def test_the_newest_run_is_the_default(trained_run, tmp_path, monkeypatch):
    shutil.copytree(trained_run.path, tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    assert json.loads(run("--json"))["model"] == "runs/mine"
    assert json.loads(run("mine", "--json"))["kind"] == "run"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mnist-cn"], "Did you mean 'mnist-cnn'?"),
        (["zzz"], "There is: 'mnist-cnn'"),
        (["--batch-norm"], "--batch-norm is for architectures"),
    ],
)
def test_words_that_make_no_sense(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no model and no architecture|--batch-norm") as error:
        cli(["summary", *words], standalone_mode=False)
    assert message in str(error.value)


def test_help_imports_no_framework():
    code = (
        "import sys, click\nfrom cnnlab.cli import cli\n"
        "for command in ('summary', 'evaluate'):\n"
        "    cli([command, '--help'], standalone_mode=False)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not set(done.stdout.splitlines()[-1].split()) & {"numpy", "tensorflow", "keras", "rich.table", "pydantic"}
