"""What TensorBoard is given: read back from the files as it reads them, and held against the run."""

from __future__ import annotations

import os
import signal
from collections import defaultdict

import keras
import numpy as np
import pytest
import tensorflow as tf

import cnnlab
from cnnlab.cli.commands.train import train as command
from cnnlab.datasets import Dataset, Split
from cnnlab.errors import CnnlabError
from cnnlab.training import Interrupted, Reporter, artifacts, export, session
from cnnlab.training.network import build_network
from cnnlab.training.schedules import schedule
from cnnlab.training.tensorboard import FILES, SHOWN, first_convolution, sheet
from cnnlab.verification import of_run

EPOCHS, BATCH, STEPS = 3, 8, 7
QUICK = {"epochs": EPOCHS, "batch_size": BATCH}


@pytest.fixture(scope="module")
def noise() -> Dataset:
    """54 training images and 21 test images of three classes."""
    rng = np.random.default_rng(0)
    train, test = (Split(rng.integers(0, 255, (n, 8, 8, 1), np.uint8), rng.integers(0, 3, n)) for n in (54, 21))
    return Dataset(name="noise", train=train, test=test, class_names=("a", "b", "c"))


@pytest.fixture(autouse=True)
def unwritten(monkeypatch):
    """Leave the figures and the SavedModel out, which take most of the time; one step in each call of the loop."""
    monkeypatch.setattr(artifacts, "_drawings", lambda *_: {})
    monkeypatch.setattr(export, "save_savedmodel", lambda *_: None)
    monkeypatch.setattr(session, "CALL_SECONDS", 0.0)


class Stop(Reporter):
    """Interrupts in an epoch after a step, and keeps the notes."""

    def __init__(self, epoch=0, step=0):
        self.at, self.notes = (epoch, step), []

    def progress(self, progress):
        if (progress.epoch, progress.step) == self.at:
            os.kill(os.getpid(), signal.SIGINT)

    def note(self, message):
        self.notes.append(message)


def events(run):
    for path in sorted(run.tensorboard_path.glob(FILES)):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield tf.compat.v1.Event.FromString(record)


def shown(run):
    """What TensorBoard shows, by tag and step: what begins anew makes it forget what comes after, and no step twice."""
    found = defaultdict(dict)
    for event in events(run):
        if event.session_log.status == tf.compat.v1.SessionLog.START:
            for values in found.values():
                for step in [step for step in values if step >= event.step]:
                    del values[step]
        for value in event.summary.value:
            assert event.step not in found[value.tag], (value.tag, event.step)
            found[value.tag][event.step] = value.image if value.HasField("image") else value.simple_value
    return found


def numbers(run):
    return [[row[name] for name in ("epoch", *SHOWN)] for row in run.history]


def assert_shown_whole(run):
    found = shown(run)
    ends = [STEPS * epoch for epoch in range(1, EPOCHS + 1)]
    for name in SHOWN:
        expected = np.array([row[name] for row in run.history], np.float32)
        assert list(found[f"epoch/{name}"]) == ends
        np.testing.assert_array_equal(np.array(list(found[f"epoch/{name}"].values()), np.float32), expected)
    assert list(found["step/loss"]) == list(found["step/learning_rate"]) == list(range(1, EPOCHS * STEPS + 1))
    sizes = [BATCH] * (STEPS - 1) + [54 - BATCH * (STEPS - 1)]
    losses = np.array(list(found["step/loss"].values())).reshape(EPOCHS, STEPS)
    np.testing.assert_allclose(losses @ sizes / 54, [row["loss"] for row in run.history], rtol=1e-5)
    rate = schedule(0.001, EPOCHS * STEPS, decay=0.3)
    expected = [float(rate(step)) for step in range(EPOCHS * STEPS)]
    np.testing.assert_allclose(list(found["step/learning_rate"].values()), expected, rtol=1e-5)
    return found


@pytest.fixture(scope="module")
def plain(noise, tmp_path_factory):
    """A run that TensorBoard is told nothing of, the weights and the history of which are those of all others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "_drawings", lambda *_: {})
        patch.setattr(export, "save_savedmodel", lambda *_: None)
        return cnnlab.train(noise, **QUICK, out=tmp_path_factory.mktemp("plain") / "run")


def assert_same(run, plain):
    assert numbers(run) == numbers(plain)
    pairs = [keras.models.load_model(each.keras_path).get_weights() for each in (run, plain)]
    for found, expected in zip(*pairs, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_run_has_no_such_folder_unless_it_was_asked_for(plain):
    assert not plain.tensorboard_path.exists()


def test_it_shows_what_the_history_says_and_the_first_kernels_and_changes_nothing(noise, plain, tmp_path):
    heard = Stop()
    run = cnnlab.train(noise, **QUICK, out=tmp_path / "run", tensorboard=True, profile=True, reporter=heard)
    assert_same(run, plain)
    found = assert_shown_whole(run)
    assert list(found["filters/conv1"]) == [STEPS, 2 * STEPS, 3 * STEPS]
    image = found["filters/conv1"][3 * STEPS]
    kernel = first_convolution(keras.models.load_model(run.keras_path)).kernel
    expected = sheet(kernel.numpy())
    np.testing.assert_array_equal(tf.io.decode_png(image.encoded_image_string), expected)
    assert (image.height, image.width, image.colorspace) == expected.shape
    assert heard.notes == [f"TensorBoard shows this run: tensorboard --logdir {run.path}"]
    assert len(list(run.tensorboard_path.glob("plugins/profile/*/*.xplane.pb"))) == 1
    assert not [each for each in of_run._files(run) if "tensorboard" in each.says]


def test_what_goes_on_is_shown_once(noise, plain, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(Interrupted):
        cnnlab.train(noise, **QUICK, out=out, tensorboard=True, reporter=Stop(2, 3))
    checkpoint = (out / "checkpoint" / "state.npz").read_bytes()
    with pytest.raises(Interrupted):
        cnnlab.train(noise, **QUICK, out=out, resume=True, reporter=Stop(3, 2))
    (out / "checkpoint" / "state.npz").write_bytes(checkpoint)  # as if it had been killed before it saved anything
    run = cnnlab.train(noise, **QUICK, out=out, resume=True)
    assert_same(run, plain)
    assert_shown_whole(run)
    assert len(list(run.tensorboard_path.glob(FILES))) == 3


def test_a_run_begun_without_shows_also_the_epochs_that_were_done(noise, tmp_path):
    with pytest.raises(Interrupted):
        cnnlab.train(noise, **QUICK, out=tmp_path / "run", reporter=Stop(3, 1))
    run = cnnlab.train(noise, **QUICK, out=tmp_path / "run", resume=True, tensorboard=True)
    found = shown(run)
    assert list(found["epoch/loss"]) == [STEPS, 2 * STEPS, 3 * STEPS]
    assert list(found["step/loss"]) == list(range(2 * STEPS + 2, 3 * STEPS + 1))


def test_where_it_cannot_write_it_says_so_and_nothing_is_left(noise, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "tensorboard").write_text("mine")
    with pytest.raises(CnnlabError, match=r"TensorBoard cannot be written to .*run/tensorboard .*Make room"):
        cnnlab.train(noise, **QUICK, out=out, tensorboard=True, force=True)
    assert [path.name for path in out.iterdir()] == ["tensorboard"]


def test_where_too_few_steps_are_taken_nothing_is_profiled(noise, tmp_path):
    heard = Stop()
    run = cnnlab.train(noise, epochs=1, batch_size=27, out=tmp_path / "run", profile=True, reporter=heard)
    assert heard.notes[1].startswith("nothing was profiled")
    assert [path.name for path in run.tensorboard_path.iterdir()] == [next(run.tensorboard_path.glob(FILES)).name]


def test_the_command_passes_on_what_is_asked(monkeypatch, noise, tmp_path):
    asked = []
    monkeypatch.setattr("cnnlab.training.train", lambda **given: asked.append(given) or cnnlab.runs.Run(tmp_path))
    monkeypatch.setattr("cnnlab.cli.views.training.show", lambda run: None)
    command.main(["--tensorboard"], standalone_mode=False)
    command.main(["--profile"], standalone_mode=False)
    assert [(each["tensorboard"], each["profile"]) for each in asked] == [(True, False), (False, True)]


def test_a_network_without_convolutions_has_no_kernels_to_show():
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    assert first_convolution(model) is None
    assert first_convolution(keras.Sequential([build_network("mnist-cnn", (8, 8, 1), 3)])).name == "conv1"


def test_kernels_are_drawn_side_by_side_about_grey():
    kernel = np.zeros((2, 3, 1, 5), np.float32)
    kernel[0, 0, 0, 0], kernel[1, 2, 0, 4] = 2.0, -1.0
    drawn = sheet(kernel)
    assert drawn.shape == (2 * 18, 3 * 26, 1)
    assert (drawn[0] == 0).all()  # a border
    assert (drawn[1:9, 1:9] == 255).all()
    assert (drawn[9:17, 1:25] == 128).all()  # zeros
    assert (drawn[18 + 9 : 18 + 17, 26 + 17 : 26 + 25] == 64).all()
    assert (drawn[18:, 52:] == 0).all()  # five kernels in two rows of three


def test_three_channels_are_colours_and_others_slices():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(1, 1, 3, 1)).astype(np.float32)
    expected = np.rint(127.5 + 127.5 * kernel[0, 0, :, 0] / np.abs(kernel).max())
    np.testing.assert_array_equal(sheet(kernel)[1, 1], expected)
    assert sheet(np.ones((1, 1, 2, 200))).shape == (160, 160, 1)
    assert (sheet(np.zeros((1, 1, 1, 1)))[1:9, 1:9] == 128).all()
