"""Networks of plugins, the update of the weights, and what is said while a run is begun or ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnlab import interrupts, training
from cnnlab.errors import CnnlabError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Architecture
from cnnlab.runs import Run
from cnnlab.training import Reporter, record, session
from cnnlab.training.interrupt import stop_on_interrupt
from cnnlab.training.network import build_network
from cnnlab.training.optimizer import make_optimizer

# Networks


@pytest.fixture
def own(monkeypatch):
    """Build with a plugin's function: ``own(build) -> model``."""

    def made(build):
        module = types.ModuleType("own_network")
        module.build = build
        monkeypatch.setitem(sys.modules, "own_network", module)
        declared = Architecture(name="own", summary="Own.", build="own_network:build")
        plugin = registry.Plugin("own", "own_network", "cnnlab-own", "1.0", declarations=(declared,))
        monkeypatch.setattr(registry, "plugins", lambda: (plugin,))
        return training.build("own", (4, 4, 1), 3)

    return made


def test_a_network_that_is_not_built_yet_is_built_for_the_images(own):
    model = own(lambda shape, classes: keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(classes)]))
    assert [tuple(variable.shape) for variable in model.weights] == [(16, 3), (3,)]


def refuse(shape, classes):
    raise CnnlabError("images must be larger.")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (refuse, "images must be larger."),
        (
            lambda shape, classes: {}["boom"],
            "the architecture 'own' of cnnlab-own 1.0 could not be built for images of 4x4x1 and 3 classes: "
            "KeyError: 'boom'. Please report it to the authors of cnnlab-own.",
        ),
        (
            lambda shape, classes: sys.exit(3),
            "the architecture 'own' of cnnlab-own 1.0 could not be built for images of 4x4x1 and 3 classes: "
            "SystemExit: 3.",
        ),
        (
            lambda shape, classes: 3,
            "the architecture 'own' of cnnlab-own 1.0 returned int where a keras.Model was expected.",
        ),
        (
            lambda shape, classes: keras.Sequential([keras.layers.Flatten(), keras.layers.Conv2D(3, 3)]),
            "the architecture 'own' of cnnlab-own 1.0 could not be built for images of 4x4x1 and 3 classes: "
            "ValueError: ",
        ),
        (
            lambda shape, classes: keras.Sequential(
                [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes + 1)]
            ),
            "the architecture 'own' of cnnlab-own 1.0 gave outputs of shape [None, 4] for images of 4x4x1 and 3 "
            "classes; expected [None, 3].",
        ),
    ],
    ids=["refused", "fails", "leaves", "another thing", "fails late", "other outputs"],
)
def test_a_network_that_does_not_fit_is_one_sentence(own, build, said):
    with pytest.raises(CnnlabError) as failure:
        own(build)
    assert str(failure.value).startswith(said)


def test_kernels_are_drawn_anew_but_for_the_last():
    drawn, again, own = (
        build_network("mnist-cnn", (8, 8, 1), 3, seed=4, he_normal=he_normal) for he_normal in (True, True, False)
    )
    for name, fan_in in (("conv1", 9), ("conv2", 288), ("fc1", 128)):
        kernel = drawn.get_layer(name).kernel.numpy()
        np.testing.assert_array_equal(kernel, again.get_layer(name).kernel.numpy())
        assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.15)
        assert (kernel != own.get_layer(name).kernel.numpy()).all()
    np.testing.assert_array_equal(drawn.get_layer("fc2").kernel.numpy(), own.get_layer("fc2").kernel.numpy())


def test_gradients_of_a_few_rows_are_adams_too():
    start = np.arange(8, dtype=np.float32).reshape(4, 2)
    few = tf.IndexedSlices(tf.constant([[1.0, -1.0]]), tf.constant([2]), dense_shape=tf.constant([4, 2]))
    ours, theirs = (keras.Variable(start) for _ in range(2))
    for optimizer, variable in ((make_optimizer(0.1, "float32"), ours), (keras.optimizers.Adam(0.1), theirs)):
        optimizer.apply([few], [variable])
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-6)
    assert (ours.numpy() != start).any(axis=1).tolist() == [False, False, True, False]


# Signals


@pytest.fixture
def unheard(monkeypatch):
    monkeypatch.setattr(interrupts, "_first", None)


@pytest.mark.parametrize(("again", "ends"), [(1000.0, False), (0.0, True)])
def test_the_first_signal_is_noted_and_a_second_one_does_as_it_did_before(monkeypatch, unheard, again, ends):
    monkeypatch.setattr(interrupts, "AGAIN", again)
    before = signal.getsignal(signal.SIGINT)
    ended = False
    try:
        with stop_on_interrupt() as request:
            assert not request.asked
            os.kill(os.getpid(), signal.SIGINT)
            assert request.asked
            os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        ended = True
    assert ended is ends
    assert signal.getsignal(signal.SIGINT) is before
    assert interrupts.status() == 130


def test_outside_the_main_thread_signals_are_left_as_they_are():
    before, inside = signal.getsignal(signal.SIGINT), []

    def train():
        with stop_on_interrupt() as request:
            inside.append((signal.getsignal(signal.SIGINT), request.asked))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert inside == [(before, False)]


# What a run says of itself


def test_a_run_that_goes_on_elsewhere_says_what_is_other(tmp_path, started):
    notes: list[str] = []
    reporter = Reporter()
    reporter.note = notes.append
    (tmp_path / "checkpoint").mkdir()
    started |= {"recipe": {"decay": 0.3}}
    session._begin(Run(tmp_path), started, reporter, resume=True)
    session._begin(Run(tmp_path), started, reporter, resume=True)
    assert notes == []
    session._begin(Run(tmp_path), started | {"device": "gpu:0"}, reporter, resume=True)
    (note,) = notes
    assert note.startswith("this run was started with device cpu and goes on with gpu:0: its weights need not be")
    with pytest.raises(CnnlabError, match="already holds an unfinished run, which `resume=True` goes on with"):
        session._begin(Run(tmp_path), started, reporter, resume=False)


def test_how_to_go_on_is_said_once_there_is_something_to_go_on_with(tmp_path):
    run = Run(tmp_path / "a run")
    assert session._how_to_go_on(run) == ""
    (run.path / "checkpoint").mkdir(parents=True)
    (run.path / "checkpoint" / "state.npz").touch()
    words = session._how_to_go_on(run)
    assert words == f"Stopped; what was saved last is kept.\nGo on with: cnnlab train --out '{run.path}' --resume"


@pytest.mark.parametrize(("most", "held"), [(3, True), (2, False)])
def test_of_many_classes_no_confusion_is_kept(monkeypatch, most, held, started):
    monkeypatch.setattr(record, "MOST_CLASSES", most)
    row = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy", "seconds"), 0.5)
    counts = types.SimpleNamespace(confusion=np.eye(3, dtype=int), class_accuracy=[1.0] * 3, loss=0.5, accuracy=1.0)
    started["dataset"]["class_names"] = ["a", "b", "c"]
    made = record.at_end(started, [row], counts, True, {"total": 1, "trainable": 1})
    assert ("confusion" in made) is held
    assert [each["name"] for each in made["classes"]] == ["a", "b", "c"]
