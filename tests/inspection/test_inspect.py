"""``cnnlab inspect``, and what a user says of a model: taken, remembered, refused."""

from __future__ import annotations

import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import cnnlab
from cnnlab.classifier import hints as about
from cnnlab.classifier.classifier import BATCH
from cnnlab.classifier.preprocessing import CAFFE_MEAN, IMAGENET_MEAN, IMAGENET_STD
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.inspection.facts import facts_of
from cnnlab.inspection.inspect import inspect
from cnnlab.inspection.origin import Origin, find_origin


@pytest.fixture
def run(command_line, monkeypatch, tmp_path):
    """Run the command line in this process: ``run("inspect", path) -> (status, out, err)``."""
    monkeypatch.chdir(tmp_path)
    return command_line


def network(channels: int = 3, last: str | None = "softmax", classes: int = 4) -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((8, 8, channels)),
            keras.layers.Conv2D(3, 3, activation="relu", name="look"),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation=last, name="decide"),
        ]
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "exported"
    network().export(path, verbose=False)
    return path


@pytest.fixture
def colour():
    return np.random.default_rng(0).random((5, 8, 8, 3), np.float32)


def test_it_tells_of_a_run_what_is_to_be_told(run, trained_run):
    status, out, _ = run("inspect", trained_run.path, "--json")
    assert status == 0
    told = json.loads(out)
    assert told["origin"]["writer"] == "cnnlab train, through Keras 3 `export`"
    assert told["origin"]["version"] == f"TensorFlow {tf.__version__}"
    assert set(told["signatures"]) == {"serving_default", "logits"}
    assert told["input"]["range"] == [0, 1]
    assert "trained on" in told["input"]["range_reason"]
    assert told["output"]["kind"] == "probabilities"
    assert 0 <= told["output"]["softmax_error"] < 1e-5
    assert told["gradients"]["sample"] == "mnist/test"
    assert told["gradients"]["preflight"]["zero_gradients"] == 0
    low, middle, high = told["gradients"]["margins"]
    assert 0 <= low <= middle <= high
    assert told["totals"]["parameters"] == 799_078
    assert told["analyses"]["occlusion"] == {"runs": True, "reason": None}
    _, out, _ = run("inspect", trained_run.path)
    for words in ("written by", "softmax equals the output", "conv1", "fc2", "occlusion"):
        assert words in out


def writers(folder):
    network().save(folder / "three.keras")
    network().save(folder / "three.h5")
    network().export(folder / "three", verbose=False)
    two = tf_keras.Sequential([tf_keras.Input((8, 8, 1)), tf_keras.layers.Flatten(), tf_keras.layers.Dense(3)])
    two.save(folder / "two", save_format="tf")
    two.save(folder / "two.h5")
    two.export(folder / "two-export")
    module = tf.Module()
    spec = tf.TensorSpec((None, 8, 8, 1))
    module.call = tf.function(lambda images: tf.reshape(images, (-1, 64)), input_signature=[spec])
    tf.saved_model.save(module, str(folder / "plain"), signatures=module.call)


def test_it_tells_who_wrote_a_model(tmp_path):
    writers(tmp_path)
    expected = {
        "three.keras": ("Keras `save`, a .keras file", f"Keras {keras.__version__}"),
        "three.h5": ("Keras `save`, an HDF5 file", f"Keras {keras.__version__}"),
        "three": ("Keras 3 `export`", f"TensorFlow {tf.__version__}"),
        "two": ("Keras 2 `save`", f"TensorFlow {tf.__version__}"),
        "two.h5": ("Keras `save`, an HDF5 file", f"Keras {tf_keras.__version__}"),
        "two-export": ("Keras 2 `export`", f"TensorFlow {tf.__version__}"),
        "plain": ("plain TensorFlow", f"TensorFlow {tf.__version__}"),
    }
    for name, (writer, version) in expected.items():
        origin = inspect(cnnlab.load(tmp_path / name)).origin
        assert (origin.writer, origin.version) == (writer, version), name


def test_it_says_which_analyses_cannot_run_and_why(tiny_models):
    found = inspect(tiny_models.linear((8, 8, 1))).analyses
    assert found["occlusion"] is None
    assert "convolutional layers" in found["filters"]
    flat = inspect(tiny_models.constant((8, 8, 1)))
    assert "exactly zero" in flat.analyses["fgsm-untargeted"]
    assert flat.health.preflight.zero == flat.health.preflight.images


def test_the_range_that_was_said_is_the_range(exported):
    assert cnnlab.load(exported).bounds == (0, 1)
    assert "was assumed" in cnnlab.load(exported).notes[0]
    for said in ("-1,1", (-1, 1), [-1.0, 1.0]):
        opened = cnnlab.load(exported, input_range=said)
        assert opened.bounds == (-1, 1)
        assert opened.notes == ()


def test_imagenet_and_caffe_prepare_images_as_the_frameworks_do(exported, colour):
    model = network()
    by_hand = (colour - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_STD)
    np.testing.assert_allclose(
        cnnlab.load(exported, input_range="imagenet").probabilities(colour),
        model.predict(by_hand, verbose=0),
        atol=1e-6,
    )
    by_hand = (255 * colour)[..., ::-1] - np.float32(CAFFE_MEAN)
    opened = cnnlab.load(exported, input_range="caffe")
    assert opened.bounds == (0, 255)
    np.testing.assert_allclose(opened.probabilities(255 * colour), model.predict(by_hand, verbose=0), atol=1e-5)
    keras_way = keras.applications.resnet50.preprocess_input(255 * colour.copy())
    np.testing.assert_allclose(by_hand, keras_way, atol=1e-3)


def test_gradients_come_back_through_the_preparation(exported, colour):
    model, opened = network(), cnnlab.load(exported, input_range="imagenet")
    images = tf.constant(colour)
    with tf.GradientTape() as tape:
        tape.watch(images)
        prepared = (images - tf.constant(IMAGENET_MEAN)) / tf.constant(IMAGENET_STD)
        logits = tf.math.log(model(prepared))
        loss = tf.keras.losses.sparse_categorical_crossentropy(tf.zeros(5), logits, from_logits=True)
    expected = tape.gradient(loss, images).numpy()
    np.testing.assert_allclose(opened.input_gradient(colour, np.zeros(5, int)), expected, rtol=1e-3, atol=1e-6)


def test_what_was_said_is_remembered_beside_the_model(run, tmp_path):
    for name in ("m.keras", "m.h5"):
        network().save(tmp_path / name)
    network().export(tmp_path / "m", verbose=False)
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\n\ndog\n")
    for name in ("m", "m.keras", "m.h5"):
        words = ["inspect", name, "--input-range", "0,255", "--class-names", "names.txt"]
        assert run(*words)[0] == 0
        assert cnnlab.load(tmp_path / name).bounds == (0, 1), "nothing is remembered that nobody asked to"
        status, _, err = run(*words, "--remember")
        assert status == 0
        assert "Remembered in" in err
        opened = cnnlab.load(tmp_path / name)
        assert opened.bounds == (0, 255)
        assert opened.class_names == ("ant", "bee", "cat", "dog")
        assert cnnlab.load(tmp_path / name, input_range=(0, 1)).bounds == (0, 1), "what is said now wins"
    about.sidecar(tmp_path / "m").write_text('{"input_range": "wide"}')
    with pytest.raises(CnnlabError, match=r"cnnlab\.json cannot be understood: the input range must be two numbers"):
        cnnlab.load(tmp_path / "m")


def test_a_result_says_how_the_model_was_opened_and_verifies_with_it(run, exported, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(1).random((8, 8, 3), np.float32))
    words = ["--model", exported, "--image", "x.npy", "--input-range", "-1,1", "--epsilon", "0.5", "--out", "out"]
    status, _, err = run("analyze", "fgsm-untargeted", *words)
    assert status == 0, err
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["model"]["about"] == {"input_range": [-1.0, 1.0]}
    status, out, err = run("verify", "out")
    assert status == 0, out + err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_range": "1,0"}, "the smaller first"),
        ({"input_range": "wide"}, "two numbers"),
        ({"input_range": (0, float("inf"))}, "two numbers"),
        ({"signature": "serve_default"}, "Did you mean 'serving_default'"),
        ({"output": "nothing"}, "no output 'nothing'"),
        ({"class_names": ["a", "b"]}, "2 class names, and the model has 4"),
        ({"class_names": "ab"}, "a list of texts"),
        ({"layout": "sideways"}, "channels_last or channels_first"),
    ],
)
def test_what_does_not_fit_is_refused(exported, options, message):
    with pytest.raises(UsageError, match=message):
        cnnlab.load(exported, **options)


def test_imagenet_needs_three_channels(tmp_path):
    network(channels=1).export(tmp_path / "grey", verbose=False)
    with pytest.raises(UsageError, match="three channels; the model takes 1"):
        cnnlab.load(tmp_path / "grey", input_range="imagenet")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--memory", "much"], 2, "512M or 2G"),
        (["--class-names", "none.txt"], 1, "there is no file none.txt"),
        (["--input-range", "9"], 2, "two numbers"),
    ],
)
def test_bad_options_get_one_sentence(run, exported, words, status, message):
    code, out, err = run("inspect", exported, *words)
    assert (code, out) == (status, "")
    assert message in err


def test_memory_decides_how_many_images_go_together(exported):
    assert cnnlab.load(exported, memory=1 << 14).batch_size < cnnlab.load(exported, memory=1 << 20).batch_size <= BATCH
    assert cnnlab.load(exported, memory=1).batch_size == 1


def test_a_model_that_no_gradient_leads_through_is_told_of(capsys):
    stack = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3), keras.layers.Lambda(tf.round)]
    found = inspect(keras.Sequential(stack))
    assert found.health.preflight is None
    assert dict(facts_of(found))["gradients"] == "none: nothing differentiable leads from the image to the logits"
    assert found.analyses["fgsm-untargeted"] == "nothing differentiable leads from the image to the logits"
    assert found.analyses["occlusion"] is None


def test_logits_that_are_not_finite_tell_nothing_of_gradients():
    stack = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, kernel_initializer="ones")]
    broken = keras.Sequential(stack)
    broken.layers[-1].set_weights([np.full((16, 3), np.nan, np.float32), np.zeros(3, np.float32)])
    found = inspect(broken)
    assert dict(facts_of(found))["gradients"] == "unknown: the logits are not finite"


def test_who_wrote_a_file_that_does_not_say(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert find_origin(tmp_path, "savedmodel") == Origin("an unknown writer")
    graph = tf.compat.v1.saved_model.Builder(str(tmp_path / "old"))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph.add_meta_graph_and_variables(session, ["serve"])
    graph.save()
    assert find_origin(tmp_path / "old", "savedmodel") == Origin("TensorFlow 1", f"TensorFlow {tf.__version__}")
    (tmp_path / "it.keras").write_bytes(b"no archive")
    assert find_origin(tmp_path / "it.keras", "keras").version is None
    h5py.File(tmp_path / "it.h5", "w").close()
    assert find_origin(tmp_path / "it.h5", "h5").version is None
