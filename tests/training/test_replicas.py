"""Training on several devices and in several processes: what one device learns, and the same everywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import cnnlab
from cnnlab.devices.cluster import Cluster
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.runs.folder import STATE
from cnnlab.testing.processes import python_m, run_process

BATCH = 17
"""54 images make three batches that no number of replicas divides, and one of three images."""


@pytest.fixture(scope="module")
def corners(tmp_path_factory):
    """The path of 54 training images and 21 test images: noise with a bright square in one of three corners."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 75)
    images = rng.integers(0, 120, (75, 8, 8)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 120
    path = tmp_path_factory.mktemp("corners") / "corners.npz"
    np.savez(path, x_train=images[:54], y_train=labels[:54], x_test=images[54:], y_test=labels[54:])
    return path


@pytest.fixture(scope="module")
def one(corners, tmp_path_factory):
    """What one device learns in three epochs."""
    out = tmp_path_factory.mktemp("one") / "run"
    return cnnlab.train(corners, epochs=3, batch_size=BATCH, device="cpu", out=out)


def weights(run):
    return keras.models.load_model(run.keras_path).get_weights()


def numbers(run):
    return [[row[name] for name in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")] for row in run.history]


def assert_learned_alike(run, one):
    for found, expected in zip(weights(run), weights(one), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(numbers(run), numbers(one), atol=1e-5)


def test_the_cpu_as_several_devices(corners, one, tmp_path, cnnlab_command):
    words = ["train", "--dataset", corners, "--epochs", 3, "--batch-size", BATCH, "--devices", "cpu:2"]
    done = cnnlab_command(*words, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    run = cnnlab.runs.Run(tmp_path / "run")
    assert (run.config["device"], run.config["workers"]) == ("cpu:2", 1)
    assert_learned_alike(run, one)


STEPS = """
import sys
import keras, numpy as np
from keras import layers
from cnnlab.devices.choice import use_strategy
from cnnlab.training.data import MemoryFeed
from cnnlab.training import optimizer
from cnnlab.training.loop import TrainingLoop

def learned(replicas, synchronized):
    rng = np.random.default_rng(0)
    feed = MemoryFeed(rng.random((53, 6, 6, 2), np.float32), rng.integers(0, 3, 53))
    keras.utils.set_random_seed(3)
    with replicas.scope():
        body = [layers.Conv2D(4, 3), layers.BatchNormalization(momentum=0.5), layers.ReLU(), layers.Flatten()]
        body += [layers.Dense(5), layers.BatchNormalization(scale=False), layers.Dense(3, kernel_regularizer="l2")]
        model = keras.Sequential([keras.Input((6, 6, 2)), *body])
        loop = TrainingLoop(model, keras.optimizers.SGD(0.1, 0.9), 1.0, synchronized=synchronized)
        loop.run(feed.batches(np.arange(53), 17), 4)  # in the last batch are two images: fewer than three replicas
    return [*model.get_weights(), np.array([loop.loss, loop.accuracy])]

def learned_in_half(replicas):
    # Three steps in float16; in the second, the part of the last replica alone overflows.
    rng = np.random.default_rng(0)
    images, labels = rng.random((51, 8, 8, 1), np.float32), rng.integers(0, 3, 51)
    images[33] = 1e30
    feed, found = MemoryFeed(images, labels), {}
    keras.utils.set_random_seed(1)
    with replicas.scope():
        keras.config.set_dtype_policy("mixed_float16")
        body = [layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
        model = keras.Sequential([keras.Input((8, 8, 1)), *body])
        loop = TrainingLoop(model, optimizer.make_optimizer(0.001, "float16"), 1.0)
        batches = feed.batches(np.arange(51), 17)
        for step in range(3):
            loop.run(batches, 1)
            found[f"weights{step}"] = np.concatenate([weight.numpy().ravel() for weight in model.trainable_variables])
            found[f"scale{step}"] = loop.optimizer.scale.numpy()
            found[f"taken{step}"] = loop.optimizer.iterations.numpy()
        for variable in [*model.trainable_variables, *loop.optimizer.variables]:
            first, *others = getattr(variable.value, "values", [variable.value])
            assert all((first.numpy() == other.numpy()).all() for other in others), variable.path
    return found

optimizer.FIRST_SCALE = 64.0  # so small that nothing else overflows
with use_strategy(sys.argv[1]) as replicas:
    found = [value for synchronized in (True, False) for value in learned(replicas, synchronized)]
    half = learned_in_half(replicas)
np.savez(sys.argv[2], *found, **half)
"""


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """Weights, loss and accuracy after four steps of SGD: synchronised, then not; and what three in float16 came to."""
    folder = tmp_path_factory.mktemp("steps")
    files = {count: folder / f"{count}.npz" for count in (1, 3)}
    (folder / "steps_of_replicas.py").write_text(STEPS)
    for count, file in files.items():
        env = {**os.environ, "PYTHONPATH": str(folder)}
        done = run_process(python_m, "steps_of_replicas", f"cpu:{count}", str(file), env=env)
        assert done.returncode == 0, done.stderr
    found = {}
    for count, file in files.items():
        with np.load(file) as arrays:
            values = [arrays[name] for name in arrays if name.startswith("arr_")]
            half = {name: arrays[name] for name in arrays if not name.startswith("arr_")}
        found[count] = values[: len(values) // 2], values[len(values) // 2 :], half
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_batch_normalisation_over_all_replicas_is_that_of_one(steps, count):
    for found, expected in zip(steps[count][0], steps[1][1], strict=True):
        # Over two images variances are small, and rounding, which is another on each kind of processor, is not.
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


def test_batch_normalisation_of_each_replica_is_another(steps):
    assert all(np.isfinite(value).all() for value in steps[3][1])
    pairs = zip(steps[3][1], steps[1][1], strict=True)
    assert max(np.abs(found - expected).max() for found, expected in pairs) > 1e-3


@pytest.mark.parametrize("count", [1, 3])
def test_in_float16_a_step_that_overflows_on_one_replica_is_taken_on_none(steps, count):
    half, one = steps[count][2], steps[1][2]
    assert [half[f"scale{step}"].item() for step in range(3)] == [64.0, 32.0, 32.0]
    assert [half[f"taken{step}"].item() for step in range(3)] == [1, 1, 2]
    np.testing.assert_array_equal(half["weights1"], half["weights0"])
    for step in (0, 2):
        # Adam makes whole steps of the smallest gradients, rounding included.
        assert np.quantile(np.abs(half[f"weights{step}"] - one[f"weights{step}"]), 0.99) < 1e-4
    assert np.abs(half["weights2"] - half["weights1"]).max() > 1e-4


WORKER = """
import json, os, signal, sys
import numpy as np
import cnnlab
from cnnlab.training import data
from cnnlab.training.session import Session

data.IN_MEMORY_BYTES = 0  # streamed: each process reads its part alone
corners, folder, killed, resume = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "resume"
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
evaluate, train = Session._evaluate, Session.train

def dying(self):
    if self.position.epochs_done == 1 and index == killed:
        os.kill(os.getpid(), signal.SIGKILL)
    return evaluate(self)

def telling(self, request, **options):
    train(self, request, **options)
    with open(os.path.join(folder, f"history{index}.json"), "w") as file:
        json.dump(self.position.history, file)
    values = [variable.numpy() for variable in self._loop.variables]
    np.savez(os.path.join(folder, f"weights{index}.npz"), *values)

Session._evaluate, Session.train = dying, telling
try:
    out = os.path.join(folder, "run")
    run = cnnlab.train(corners, epochs=3, batch_size=17, out=out, resume=resume, device="cpu", tensorboard=True)
except cnnlab.CnnlabError as error:
    sys.exit(str(error))
assert run.complete
os._exit(0)  # to take TensorFlow's modules apart takes a second
"""


@pytest.fixture(scope="module")
def train_together(together):
    """Train in so many processes, all of which must end well."""

    def train(count, corners, folder, resume="anew"):
        folder.mkdir(exist_ok=True)
        (folder / "worker.py").write_text(WORKER)
        for done in together(count, "worker", corners, folder, -1, resume, cwd=folder):
            assert done.returncode == 0, done.stderr

    return train


def told(folder, index):
    with np.load(folder / f"weights{index}.npz") as arrays:
        return [arrays[name] for name in sorted(arrays)], json.loads((folder / f"history{index}.json").read_text())


def without_seconds(history):
    return [{name: row[name] for name in row if name != "seconds"} for row in history]


def assert_all_alike(folder, count):
    first, history = told(folder, 0)
    for index in range(1, count):
        others, same = told(folder, index)
        assert without_seconds(same) == without_seconds(history)
        for found, expected in zip(others, first, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.full)])
def killed(request, corners, tmp_path_factory):
    """How many processes trained, the folder, and what was printed where the last of them was killed."""
    count, folder = request.param, tmp_path_factory.mktemp("killed")
    # However busy the machine is, the others have time to notice.
    patient = "import sys; from cnnlab.devices import launching; launching.GRACE = 60.0; "
    command = f"{patient}from cnnlab.__main__ import main; sys.exit(main())"
    words = [sys.executable, "-c", command, "launch", "-n", str(count), "--", sys.executable, "-c", WORKER]
    words += map(str, (corners, folder, count - 1, "anew"))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return count, folder, subprocess.run(words, capture_output=True, text=True, timeout=300, env=environment)


@pytest.fixture(scope="module")
def resumed(killed, corners, train_together, tmp_path_factory):
    """The processes and a copy of their folder, in which they went on."""
    count, folder, _ = killed
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("resumed") / "all")
    train_together(count, corners, copy, resume="resume")
    return count, copy


def test_where_a_process_is_killed_the_others_say_so(killed):
    count, folder, done = killed
    assert done.returncode == 1
    lines, run = done.stderr.splitlines(), cnnlab.runs.Run(folder / "run")
    gone = [line for line in lines if f"process {count - 1} (127.0.0.1:" in line and "is gone" in line]
    assert len(gone) >= 1, done.stderr
    assert all(f"of {count} is gone: it ended, or cannot be reached" in line for line in gone)
    assert f"cnnlab train --out {run.path} --resume" in gone[0]
    assert f"Error: process {count - 1} of {count} was killed by SIGKILL; the others were ended." in lines
    assert (run.state, len(run.history), (run.path / STATE).exists()) == ("unfinished", 1, True)


def test_processes_that_go_on_learn_what_one_does(resumed, one):
    count, folder = resumed
    run = cnnlab.runs.Run(folder / "run")
    assert (run.config["device"], run.config["workers"]) == ("cpu", count)
    assert_learned_alike(run, one)
    assert_all_alike(folder, count)
    assert len(list(run.tensorboard_path.iterdir())) == 2  # the first process' alone, before and after


@pytest.mark.full
def test_processes_that_go_on_have_the_weights_of_those_that_nobody_killed(resumed, corners, train_together, tmp_path):
    count, folder = resumed
    train_together(count, corners, tmp_path)
    whole, run = cnnlab.runs.Run(tmp_path / "run"), cnnlab.runs.Run(folder / "run")
    assert numbers(run) == numbers(whole)
    for found, expected in zip(weights(run), weights(whole), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert_all_alike(tmp_path, count)


@pytest.mark.full
def test_processes_learn_from_records_that_tensorflow_reads(corners, train_together, tmp_path):
    """TensorFlow may not have begun when processes join: so the records are read behind that."""
    import tensorflow as tf

    dataset, folder = cnnlab.datasets.load(corners), tmp_path / "records"
    folder.mkdir()
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        with tf.io.TFRecordWriter(str(folder / f"{name}-00000-of-00001.tfrecord")) as writer:
            for image, label in zip(np.rint(split.images * 255).astype(np.uint8), split.labels, strict=True):
                made = tf.train.Example()
                made.features.feature["image"].bytes_list.value.append(tf.io.encode_png(image).numpy())
                made.features.feature["label"].int64_list.value.append(int(label))
                writer.write(made.SerializeToString())
    train_together(2, folder, tmp_path / "two")
    assert_all_alike(tmp_path / "two", 2)


def test_devices_are_found_before_the_data_are_read(tmp_path):
    """Reading may begin TensorFlow, which divides no device afterwards and joins no process."""
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"no data")
    with pytest.raises(CnnlabError, match="there is no device gpu:63"):
        cnnlab.train(broken, device="gpu:63", out=tmp_path / "run")
    with pytest.raises(UsageError, match="brokken-name"):  # what is not there needs no device to be refused
        cnnlab.train("brokken-name", device="gpu:63", out=tmp_path / "run")


def test_processes_are_told_one_folder(monkeypatch, corners):
    monkeypatch.setenv("TF_CONFIG", Cluster(("127.0.0.1:1", "127.0.0.1:2"), 0).tf_config())
    with pytest.raises(UsageError, match="the 2 processes need one folder for their run; name it with `out=`"):
        cnnlab.train(corners)
