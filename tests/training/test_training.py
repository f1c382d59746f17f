"""Training: the loop against plain Keras, the same bits from the same seed, and going on after an interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import types
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

import cnnlab
from cnnlab import render, training
from cnnlab.datasets import Dataset, Split
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Architecture
from cnnlab.runs.comparison import curves
from cnnlab.runs.folder import SETTINGS, STATE
from cnnlab.training import Interrupted, Reporter, Settings, artifacts, data, export, optimizer, precision, session
from cnnlab.training.data import held_out, make_feed, moved, shuffled
from cnnlab.training.evaluation import Evaluator
from cnnlab.training.loop import TrainingLoop, cross_entropy, move
from cnnlab.training.network import build_network
from cnnlab.training.optimizer import FusedAdam, make_optimizer
from cnnlab.training.schedules import RiseHoldFall, schedule

SHAPE = (8, 8, 1)


def patches(count: int, seed: int, dtype=np.uint8) -> Split:
    """Noise with a bright square in one of three corners, which is the label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    images = rng.integers(0, 120, (count, *SHAPE)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 120
    return Split(images if dtype == np.uint8 else images.astype(dtype) / 255 + 1e-4, labels)


@pytest.fixture(scope="module")
def corners() -> Dataset:
    """54 training images, 21 test images, three classes."""
    return Dataset(name="corners", train=patches(54, 1), test=patches(21, 2), class_names=("a", "b", "c"))


def build_small(shape, classes, batch_norm=False):
    """A convolution and a dense layer: what takes time here is to trace a step, layer by layer."""
    normalized = [keras.layers.BatchNormalization()] if batch_norm else []
    body = [keras.layers.Conv2D(32, 3, padding="same"), *normalized, keras.layers.ReLU(), keras.layers.Flatten()]
    return keras.Sequential([keras.Input(shape), *body, keras.layers.Dense(classes)])


@pytest.fixture(scope="module", autouse=True)
def small():
    """The architecture ``small``, beside those that are installed."""
    module = types.ModuleType("small_network")
    module.build = build_small
    declared = Architecture(name="small", summary="Small.", build="small_network:build", batch_norm=True)
    plugin = registry.Plugin("small", "small_network", "cnnlab-small", "1.0", declarations=(declared,))
    installed = (*registry.plugins(), plugin)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "small_network", module)
        patch.setattr(registry, "plugins", lambda: installed)
        yield


QUICK = {"epochs": 3, "batch_size": 8, "architecture": "small"}
STEPS = 7


def weights(run) -> list[np.ndarray]:
    return keras.models.load_model(run.keras_path).get_weights()


def numbers(run) -> list[tuple]:
    """The history without what time it took."""
    return [tuple(value for column, value in row.items() if column != "seconds") for row in run.history]


def assert_same(one, other):
    assert numbers(one) == numbers(other)
    assert len(one.history) == QUICK["epochs"]
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def finished(corners, tmp_path_factory):
    """One whole run that nothing interrupted."""
    return cnnlab.train(corners, **QUICK, out=tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture
def unwritten(monkeypatch):
    """Leave the figures and the SavedModel out, which take most of the time."""
    monkeypatch.setattr(artifacts, "_drawings", lambda *_: {})
    monkeypatch.setattr(export, "save_savedmodel", lambda *_: None)


@pytest.fixture
def step_by_step(monkeypatch):
    """One step in each call of the compiled loop, so that it can be stopped between any two."""
    monkeypatch.setattr(session, "CALL_SECONDS", 0.0)


# The run folder


def test_a_run_folder_holds_what_is_promised(finished):
    names = {"model", "model.keras", "run.json", "history.csv", "drawings.json"}
    names |= {"curves.png", "predictions.png", "confusion.png"}
    assert {path.name for path in finished.path.iterdir()} == names | {"checkpoint"}
    assert finished.history_path.read_text().splitlines()[0] == "epoch,loss,accuracy,val_loss,val_accuracy,seconds"
    assert [row["epoch"] for row in finished.history] == [1, 2, 3]
    last = finished.history[-1]
    assert finished.metrics == {
        "train_loss": last["loss"],
        "train_accuracy": last["accuracy"],
        "val_loss": last["val_loss"],
        "val_accuracy": last["val_accuracy"],
        "test_loss": last["val_loss"],
        "test_accuracy": last["val_accuracy"],
    }
    assert finished.state == "complete"
    assert finished.class_names == ("a", "b", "c")
    assert finished.config["parameters"]["total"] == sum(array.size for array in weights(finished))


def test_the_figures_of_a_run_are_there_as_data(finished, corners, tmp_path):
    drawn = finished.drawings
    assert list(drawn) == ["curves", "predictions", "confusion"]
    for name, drawing in drawn.items():
        render.save(drawing, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes() == (finished.path / f"{name}.png").read_bytes()
    loss = drawn["curves"].tiles[0].lines[0]
    assert list(loss.y) == [row["loss"] for row in finished.history]
    assert drawn["confusion"].values.tolist() == finished.config["confusion"]
    np.testing.assert_array_equal(drawn["predictions"].tiles[0].tiles[0].array, corners.test.batch([0])[0])


def test_it_learns(finished):
    assert finished.history[-1]["loss"] < 0.7 * finished.history[0]["loss"]


def test_the_saved_model_gives_probabilities_and_logits(finished, corners):
    model = keras.models.load_model(finished.keras_path)
    signatures = tf.saved_model.load(str(finished.model_path)).signatures
    assert set(signatures) == {"serving_default", "logits"}
    for count in (1, 7):
        images = tf.constant(corners.test.images[:count])
        (logits,) = signatures["logits"](images=images).values()
        (probabilities,) = signatures["serving_default"](images=images).values()
        np.testing.assert_allclose(logits, model(images), atol=1e-5)
        exact = np.exp(np.float64(logits))
        np.testing.assert_allclose(probabilities, exact / exact.sum(axis=1, keepdims=True), atol=1e-6)


def test_run_json_counts_each_class(finished, corners):
    predicted = np.argmax(keras.models.load_model(finished.keras_path)(corners.test.images), axis=1)
    for label, entry in enumerate(finished.config["classes"]):
        own = corners.test.labels == label
        assert entry["images"] == own.sum()
        assert entry["accuracy"] == pytest.approx((predicted[own] == label).mean())
    confusion = np.array(finished.config["confusion"])
    for true in range(3):
        for guess in range(3):
            assert confusion[true, guess] == ((corners.test.labels == true) & (predicted == guess)).sum()


@pytest.mark.parametrize(
    "last", [0.29, 1e-6, 0.0, *(pytest.param(each, marks=pytest.mark.full) for each in (0.2, 0.03, 0.002))]
)
def test_the_loss_axis_has_numbers_whatever_its_range(last):
    row = {"epoch": 1, "loss": 0.3, "accuracy": 0.5, "val_loss": 0.3, "val_accuracy": 0.5}
    history = [row, {**row, "epoch": 2, "loss": last}]
    for histories in ({"": history}, {"a": history, "b": history}):
        figure = render.figure(curves(histories, validated_on="test images"))
        figure.draw_without_rendering()
        loss = figure.axes[0]
        low, high = loss.get_ylim()
        ticks = [tick for tick in loss.yaxis.get_majorticklocs() if low <= tick <= high]
        assert 2 <= len(ticks) <= 10
        assert len({label.get_text() for label in loss.get_yticklabels()} - {""}) >= len(ticks)


# The same bits


def test_the_same_seed_gives_the_same_bits_in_any_number_of_calls_and_another_does_not(
    corners, finished, tmp_path, unwritten, step_by_step
):
    assert_same(cnnlab.train(corners, **QUICK, out=tmp_path / "again"), finished)
    other = cnnlab.train(corners, **QUICK, seed=1, out=tmp_path / "other")
    assert numbers(other) != numbers(finished)


def test_the_loop_is_compiled_once(corners):
    feed = make_feed(corners.train, np.arange(54))
    loop = TrainingLoop(build_network("mnist-cnn", SHAPE, 3), make_adam(1e-3), feed.scale)
    batches = feed.batches(np.arange(54), 8)
    for count in (1, 2, 3, 1):
        loop.run(batches, count)
    loop.run(feed.batches(shuffled(54, 0, 2), 8, first=5), 2)
    assert loop._run_gathered.experimental_get_tracing_count() == 1
    assert loop.optimizer.iterations.numpy() == 9


@pytest.mark.full  # tests/training/test_data.py has records that are streamed, and batches of arrays that are
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_streamed_images_train_as_those_in_memory(dtype, tmp_path, unwritten, monkeypatch):
    dataset = Dataset(
        name="corners", train=patches(54, 1, dtype), test=patches(21, 2, dtype), class_names=("a", "b", "c")
    )
    runs, feeds = [], []
    for limit in (data.IN_MEMORY_BYTES, 0):
        monkeypatch.setattr(data, "IN_MEMORY_BYTES", limit)
        feeds.append(type(make_feed(dataset.train, np.arange(3))))
        runs.append(cnnlab.train(dataset, **QUICK, recipe="best", precision="float32", out=tmp_path / str(limit)))
    assert feeds == [data.MemoryFeed, data.StreamFeed]
    assert_same(*runs)


class Stop(Reporter):
    """Press Ctrl-C after some steps, and at the end of an epoch."""

    def __init__(self, epoch: int, step: int) -> None:
        self.when = (epoch, step)

    def progress(self, progress):
        if (progress.epoch, progress.step) == self.when:
            os.kill(os.getpid(), signal.SIGINT)

    def epoch_finished(self, row, epochs):
        if (row["epoch"], None) == self.when:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_and_resume_end_as_if_nothing_had_happened(corners, finished, tmp_path, unwritten, step_by_step):
    out, before = tmp_path / "run", signal.getsignal(signal.SIGINT)
    for when in ((1, 1), (2, STEPS), (2, None), (3, None)):
        with pytest.raises(Interrupted, match=rf"epochs.*\n.*cnnlab train --out {out} --resume"):
            cnnlab.train(corners, **QUICK, out=out, reporter=Stop(*when), resume=when != (1, 1))
        assert cnnlab.runs.Run(out).state == "unfinished"
        assert signal.getsignal(signal.SIGINT) is before
    assert_same(cnnlab.train(corners, **QUICK, out=out, resume=True), finished)


def assert_learned_and_of_float32(run):
    assert run.history[-1]["loss"] < 0.8 * run.history[0]["loss"]
    model = keras.models.load_model(run.keras_path)
    assert {variable.dtype for variable in model.variables} == {"float32"}
    assert model.dtype_policy.compute_dtype == "float32"
    assert model(np.zeros((1, *SHAPE))).dtype == tf.float32


@pytest.mark.parametrize(
    ("recipe", "batch_norm", "precision", "when"),
    [
        ("best", True, "float16", (2, 2)),
        # This one has all that a step depends on: moved images, smoothed labels, running statistics, the loss's scale.
        pytest.param("best", False, "float32", (2, 2), marks=pytest.mark.full),
        pytest.param("fast", True, "float32", (1, 3), marks=pytest.mark.full),
        pytest.param("classic", True, "float16", (2, 4), marks=pytest.mark.full),
    ],
)
def test_every_recipe_is_resumed_to_the_bit(
    recipe, batch_norm, precision, when, corners, tmp_path, unwritten, step_by_step
):
    options = {**QUICK, "recipe": recipe, "batch_norm": batch_norm, "precision": precision}
    whole = cnnlab.train(corners, **options, out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        cnnlab.train(corners, **options, out=tmp_path / "run", reporter=Stop(*when))
    assert_same(cnnlab.train(corners, **options, out=tmp_path / "run", resume=True), whole)
    if precision == "float16":
        assert_learned_and_of_float32(whole)
    model = keras.models.load_model(whole.keras_path)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    model.fit(corners.train.images, corners.train.labels, verbose=0)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}


def test_a_run_goes_on_in_what_it_began_in(corners, finished, tmp_path, unwritten, step_by_step, monkeypatch):
    """Runs of before precisions were recorded go on in that of their settings."""

    class Noting(Stop):
        notes: ClassVar[list[str]] = []

        def note(self, text):
            self.notes.append(text)

    options, out, older = {**QUICK, "precision": "auto"}, tmp_path / "run", tmp_path / "older"
    monkeypatch.setattr(precision, "gain", lambda: 1.9)
    with pytest.raises(Interrupted):
        cnnlab.train(corners, **options, out=out, reporter=Noting(2, 1))
    assert Noting.notes == ["computing in bfloat16: here bfloat16 multiplies matrices 1.9 times as fast as float32."]
    monkeypatch.setattr(precision, "gain", lambda: 0.3)
    assert precision.choose("auto") == precision.Choice(
        "float32", "here bfloat16 multiplies matrices 0.3 times as fast as float32"
    )
    record = json.loads((shutil.copytree(out, older) / SETTINGS).read_text())
    del record["precision"]
    record["settings"]["precision"] = "bfloat16"
    (older / SETTINGS).write_text(json.dumps(record))
    run = cnnlab.train(corners, **options, out=out, resume=True)
    assert run.config["precision"]["used"] == "bfloat16"
    assert run.config["settings"]["precision"] == "auto"
    assert numbers(run) != numbers(finished)
    assert_learned_and_of_float32(run)
    assert_same(cnnlab.train(corners, **QUICK, precision="bfloat16", out=older, resume=True), run)


def test_the_gain_is_measured():
    assert 0.01 < precision.gain() < 100
    assert precision.choose("float16") == precision.Choice("float16", "asked for")


# Against plain Keras


def make_adam(rate):
    return make_optimizer(rate, "float32")


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    ("batch_size", "decay"),
    [(8, 0.5), pytest.param(6, 0.0, marks=pytest.mark.full)],
    ids=["does not divide", "divides"],
)
def test_the_loop_is_what_keras_would_do(corners, batch_norm, batch_size, decay):
    steps = -(-54 // batch_size)
    rate = schedule(1e-3, 2 * steps, decay=decay)
    ours = build_network("mnist-cnn", SHAPE, 3, batch_norm, seed=5)
    theirs = build_network("mnist-cnn", SHAPE, 3, batch_norm, seed=5)
    feed = make_feed(corners.train, np.arange(54))
    # A bias before a normalisation has no gradient but rounding, which Adam would blow up to whole steps.
    optimizers = [
        keras.optimizers.SGD(rate) if batch_norm else make(rate) for make in (make_adam, keras.optimizers.Adam)
    ]
    loop = TrainingLoop(ours, optimizers[0], feed.scale)
    theirs.compile(
        optimizers[1],
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    images, labels = corners.train.images, corners.train.labels
    for epoch in (1, 2):
        order = shuffled(54, 5, epoch)
        loop.begin_epoch()
        loop.run(feed.batches(order, batch_size), steps)
        total = {"loss": 0.0, "accuracy": 0.0}
        for start in range(0, 54, batch_size):
            chosen = order[start : start + batch_size]
            theirs.reset_metrics()  # older Keras goes on with those of the batches before
            shown = theirs.train_on_batch(images[chosen], labels[chosen], return_dict=True)
            total = {name: value + len(chosen) * shown[name] for name, value in total.items()}
        assert loop.loss == pytest.approx(total["loss"] / 54, rel=1e-5)
        assert loop.accuracy == pytest.approx(total["accuracy"] / 54, abs=1e-6)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        # Adam makes whole steps of the smallest gradients, rounding included: the odd hidden unit differs a little.
        np.testing.assert_allclose(a, b, atol=5e-4)
        assert np.quantile(np.abs(a - b), 0.99) < 1e-5


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_the_fused_update_is_adams(decay):
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5,))]
    ours, theirs = ([keras.Variable(value) for value in start] for _ in range(2))
    rate = schedule(0.01, 20, decay=decay)
    optimizers = make_adam(rate), keras.optimizers.Adam(rate)
    for _ in range(20):
        gradients = [tf.constant(rng.normal(size=value.shape), tf.float32) for value in start]
        for each, variables in zip(optimizers, (ours, theirs), strict=True):
            each.apply(gradients, variables)
    for a, b, before in zip(ours, theirs, start, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=2e-6)
        assert np.abs(a.numpy() - before).min() > 1e-4


def test_the_scaled_update_is_that_of_keras(monkeypatch):
    monkeypatch.setattr(optimizer, "STEPS_TO_GROW", 3)
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5,))]
    ours, theirs = ([keras.Variable(value) for value in start] for _ in range(2))
    rate = schedule(0.01, 20, decay=0.5)
    scaled = make_optimizer(rate, "float16")
    expected = keras.optimizers.LossScaleOptimizer(FusedAdam(rate), dynamic_growth_steps=3)
    for each, variables in ((scaled, ours), (expected, theirs)):
        each.build(variables)
    for step in range(20):
        gradients = [tf.constant(1e4 * rng.normal(size=value.shape), tf.float32) for value in start]
        if step in (0, 7, 8, 13):
            gradients[1] *= [1.0, 1.0, 1.0, 1.0, np.inf if step == 7 else np.nan]
        scaled.apply(gradients, ours)
        expected.apply(gradients, theirs)
        assert float(scaled.scale_loss(1.0)) == float(expected.scale_loss(1.0)) == float(scaled.scale)
        assert int(scaled.iterations) == int(expected.iterations)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert (int(scaled.iterations), float(scaled.scale)) == (16, 2.0**16)


def test_a_penalty_of_the_network_is_part_of_the_loss():
    def model():
        return keras.Sequential(
            [
                keras.Input(SHAPE),
                keras.layers.Flatten(),
                keras.layers.Dense(3, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(0.3)),
            ]
        )

    split = patches(8, 3)
    ours, theirs = model(), model()
    loop = TrainingLoop(ours, keras.optimizers.SGD(0.1), 255.0)
    loop.run(make_feed(split, np.arange(8)).batches(np.arange(8), 8), 1)
    theirs.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    theirs.train_on_batch(split.images, split.labels)
    np.testing.assert_allclose(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("rate", "steps", "warm_up", "decay"),
    [(1e-3, 10, 0.0, 0.3), (0.5, 7, 0.0, 1.0), (2.0, 1, 0.0, 0.5), (0.1, 20, 0.2, 0.8), (0.1, 10, 0.3, 0.0)],
)
def test_the_rate_rises_is_held_and_falls_to_zero(rate, steps, warm_up, decay):
    found = [float(RiseHoldFall(rate, steps, warm_up, decay)(step)) for step in range(steps)]
    rise = [(t + 1) / (warm_up * steps) if warm_up else 1.0 for t in range(steps)]
    fall = [(1 - t / steps) / decay if decay else 1.0 for t in range(steps)]
    np.testing.assert_allclose(found, [rate * min(1, up, down) for up, down in zip(rise, fall, strict=True)], rtol=1e-5)
    assert max(found) == pytest.approx(rate)
    assert all(value > 0 for value in found)


def test_a_constant_rate_stays_a_number():
    constant = registry.find_recipe("constant")
    assert schedule(0.1, 10, constant.warm_up, constant.decay) == 0.1


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_that_of_keras(smoothing):
    rng = np.random.default_rng(0)
    logits, labels = tf.constant(rng.normal(size=(9, 4)), tf.float32), tf.constant(rng.integers(0, 4, 9))
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction="none")
    np.testing.assert_allclose(
        cross_entropy(logits, labels, smoothing), theirs(tf.one_hot(labels, 4), logits), rtol=1e-5
    )


def test_images_are_moved_by_whole_pixels():
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(6, 5, 7, 2)).astype(np.float32)
    moves = np.array([[0, 0], [1, 0], [0, 1], [-2, 1], [2, -2], [-1, -1]], np.int32)
    expected = np.full_like(images, -3.0)
    for image, there, (down, right) in zip(images, expected, moves, strict=True):
        for row, column in np.ndindex(5, 7):
            if 0 <= row - down < 5 and 0 <= column - right < 7:
                there[row, column] = image[row - down, column - right]
    np.testing.assert_array_equal(move(tf.constant(images), tf.constant(moves), -3.0), expected)


def test_how_images_are_moved_follows_from_seed_and_epoch():
    assert moved(9, 0, seed=1, epoch=1) is None
    drawn = moved(4000, 2, seed=1, epoch=1)
    np.testing.assert_array_equal(drawn, moved(4000, 2, seed=1, epoch=1))
    assert not np.array_equal(drawn, moved(4000, 2, seed=1, epoch=2))
    assert not np.array_equal(drawn, moved(4000, 2, seed=2, epoch=1))
    for direction in drawn.T:
        assert set(direction) == {-2, -1, 0, 1, 2}
        assert np.bincount(direction + 2).min() > 4000 / 5 * 0.85


# Evaluation


def test_evaluation_is_what_numpy_counts(monkeypatch):
    monkeypatch.setattr("cnnlab.training.evaluation.BATCH", 5)
    model, split = build_network("mnist-cnn", SHAPE, 4, seed=2), patches(13, 4)
    found = Evaluator(model).evaluate(make_feed(split, np.arange(13)))
    logits = np.float64(model(split.images))
    likelihood = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    guesses = logits.argmax(axis=1)
    assert found.loss == pytest.approx(-np.log(likelihood[np.arange(13), split.labels]).mean(), rel=1e-5)
    assert found.accuracy == (guesses == split.labels).mean()
    np.testing.assert_array_equal(found.predicted, guesses)
    np.testing.assert_allclose(found.confidence, likelihood.max(axis=1), rtol=1e-5)
    confusion = np.zeros((4, 4), int)
    for label, guess in zip(split.labels, guesses, strict=True):
        confusion[label, guess] += 1
    np.testing.assert_array_equal(found.confusion, confusion)
    assert found.class_accuracy == [confusion[k, k] / confusion[k].sum() for k in range(3)] + [None]


def test_held_out_images_are_not_trained_on_and_test_images_are_seen_once(corners, tmp_path, unwritten, monkeypatch):
    seen = []
    evaluate = Evaluator.evaluate

    def spy(self, feed, **options):
        seen.append(feed.images.numpy())
        return evaluate(self, feed, **options)

    monkeypatch.setattr(Evaluator, "evaluate", spy)
    trained = []
    make = session.TrainingLoop.run

    def watch(self, batches, count):
        trained.append(batches.feed.images.numpy())
        make(self, batches, count)

    monkeypatch.setattr(session.TrainingLoop, "run", watch)
    run = cnnlab.train(corners, **QUICK, validation=10, limit=40, out=tmp_path / "run")
    assert [len(images) for images in seen] == [10, 10, 10, 21]
    keys = [{image.tobytes() for image in images} for images in (seen[0], trained[0], seen[-1])]
    allowed = {image.tobytes() for image in np.rint(corners.train.images[:40] * 255).astype(np.uint8)}
    assert keys[0] | keys[1] == allowed
    assert not keys[0] & keys[1]
    assert len(keys[1]) == 30
    assert run.config["validated_on"] == "held-out training images"
    assert run.config["evaluated_on"] == "test images"
    assert run.metrics["val_loss"] != run.metrics["test_loss"]


def test_held_out_images_follow_from_the_seed():
    kept, held = held_out(50, 12, seed=3)
    assert sorted([*kept, *held]) == list(range(50))
    np.testing.assert_array_equal(held, held_out(50, 12, seed=3)[1])
    assert not np.array_equal(held, held_out(50, 12, seed=4)[1])
    orders = [shuffled(50, seed, epoch).tolist() for seed in (0, 1) for epoch in (1, 2)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


# Bad input


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1; received 0"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1 and at most 1000000; received 0"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0 and at most 1000000; received 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0 and at most 1000000; received nan"),
        ({"learning_rate": 1e300}, "learning_rate must be a number above 0 and at most 1000000; received 1e\\+300"),
        ({"precision": "float64"}, "precision must be 'auto', 'float32', 'bfloat16' or 'float16'; received float64"),
        ({"architecture": "mnist-cn"}, "Did you mean 'mnist-cnn'"),
        ({"recipe": "clasic"}, "there is no recipe 'clasic'. Did you mean 'classic'"),
        ({"validation": 54}, "validation must leave images"),
        ({"limit": 5, "validation": 5}, "validation must leave images"),
        ({"device": "tpu"}, "device must be"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_and_leaves_nothing(options, said, corners, tmp_path):
    with pytest.raises(UsageError, match=said):
        cnnlab.train(corners, out=tmp_path / "run", **options)
    assert not list(tmp_path.iterdir())


def test_an_unknown_dataset_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'mnist'"):
        cnnlab.train("mnits", out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_datasets_without_the_images_that_are_needed_are_refused(corners, tmp_path):
    none = Split(np.zeros((0, *SHAPE), np.uint8), np.zeros(0, int))
    untrained = Dataset(name="x", train=none, test=corners.test, class_names=("a", "b", "c"))
    untested = Dataset(name="x", train=corners.train, test=none, class_names=("a", "b", "c"))
    with pytest.raises(CnnlabError, match="no training images"):
        cnnlab.train(untrained, out=tmp_path / "run")
    with pytest.raises(CnnlabError, match="`validation=N`"):
        cnnlab.train(untested, out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_class_of_the_test_images_alone_is_refused(corners, tmp_path, unwritten):
    strange = Split(corners.test.images, np.full(len(corners.test), 7))
    names = tuple("abcdefgh")
    with pytest.raises(CnnlabError, match="the label 7, but the largest of the training images is 2"):
        cnnlab.train(Dataset(name="x", train=corners.train, test=strange, class_names=names), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_test_images_it_is_judged_by_those_held_out_and_classes_without_an_image_are_noted(
    corners, tmp_path, unwritten
):
    class Noting(Reporter):
        notes: ClassVar[list[str]] = []

        def note(self, text):
            self.notes.append(text)

    none = Split(np.zeros((0, *SHAPE), np.uint8), np.zeros(0, int))
    untested = Dataset(name="x", train=corners.train, test=none, class_names=("a", "b", "c", "d"))
    run = cnnlab.train(untested, **QUICK, validation=9, out=tmp_path / "run", reporter=Noting())
    assert "test_loss" not in run.metrics
    assert sum(entry["images"] for entry in run.config["classes"]) == 9
    assert Noting.notes == ["no training image is of d: the network cannot learn what it never sees."]


def test_images_too_small_for_the_network_are_refused(tmp_path):
    split = Split(np.zeros((4, 2, 2, 1), np.uint8), [0, 1, 0, 1])
    with pytest.raises(CnnlabError, match="4x4"):
        cnnlab.train(Dataset(name="x", train=split, test=split, class_names=("a", "b")), out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_divergence_is_said_and_leaves_nothing(corners, tmp_path):
    deep = {**QUICK, "architecture": "mnist-cnn", "learning_rate": 1e6}
    with pytest.raises(CnnlabError, match=r"diverged in epoch 1.*learning rate below"):
        cnnlab.train(corners, **deep, out=tmp_path / "run", tensorboard=True)
    assert not list(tmp_path.iterdir())


def nan_from(monkeypatch, steps: int, index: int = -1):
    """Poison a weight after so many steps: the loss of that step is still finite."""
    taken = []
    real = TrainingLoop.run

    def run(self, batches, count):
        real(self, batches, count)
        taken.append(count)
        if sum(taken) >= steps:
            weight = self.model.trainable_variables[index]
            weight.assign(np.full(weight.shape, np.nan, np.float32))

    monkeypatch.setattr(TrainingLoop, "run", run)


def test_a_good_checkpoint_is_never_replaced_by_a_broken_one(
    corners, finished, tmp_path, monkeypatch, unwritten, step_by_step
):
    out = tmp_path / "run"
    # Within the second epoch; and, gone on with from its beginning, at its end.
    for steps, where in ((STEPS + 3, "in epoch 2, by step 4 of 7"), (STEPS, "by the end of epoch 2")):
        with monkeypatch.context() as patch:
            nan_from(patch, steps)
            with pytest.raises(CnnlabError) as stop:
                cnnlab.train(corners, **QUICK, out=out, resume=steps == STEPS)
        assert f"diverged {where}: the loss" in str(stop.value)
        assert f"What was saved last is kept in {out}: 1 of 3 epochs are done." in str(stop.value)
        with np.load(out / "checkpoint" / "state.npz") as stored:
            assert all(np.isfinite(stored[name]).all() for name in stored.files if name != "position")
    assert_same(cnnlab.train(corners, **QUICK, out=out, resume=True), finished)


def test_a_weight_that_is_broken_is_named_before_it_is_saved(corners, tmp_path, monkeypatch, unwritten, step_by_step):
    monkeypatch.setattr(session, "SAVE_SECONDS", 0.0)
    nan_from(monkeypatch, 2, index=0)
    wanted = r"diverged after 0 epochs and 2 steps of the next: \S*kernel is no longer finite.*saved before is kept in"
    with pytest.raises(CnnlabError, match=wanted):
        cnnlab.train(corners, **QUICK, out=tmp_path / "run")


def test_images_of_one_class_are_refused_before_anything_is_written(tmp_path):
    one = Split(np.zeros((6, *SHAPE), np.uint8), [1] * 6)
    data = Dataset(name="one", train=one, test=one, class_names=("a", "b"))
    with pytest.raises(CnnlabError, match="all training images of the dataset one are of one class, b:"):
        cnnlab.train(data, **QUICK, out=tmp_path / "run")
    several = Dataset(
        name="some", train=Split(one.batch(range(6)), [0, 0, 0, 1, 1, 1]), test=one, class_names=("a", "b")
    )
    with pytest.raises(CnnlabError, match="the first 3 training images of the dataset some are of one class, a:"):
        cnnlab.train(several, **QUICK, limit=3, out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_memory_that_runs_out_is_a_sentence(corners, tmp_path, monkeypatch):
    def run(self, batches, count):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(TrainingLoop, "run", run)
    with pytest.raises(CnnlabError, match="memory ran out while training on batches of 8 images"):
        cnnlab.train(corners, **QUICK, out=tmp_path / "run")


def test_another_failure_of_a_step_is_not_taken_for_memory(corners, tmp_path, monkeypatch):
    def run(self, batches, count):
        raise tf.errors.InternalError(None, None, "a kernel failed")

    monkeypatch.setattr(TrainingLoop, "run", run)
    with pytest.raises(tf.errors.InternalError, match="a kernel failed"):
        cnnlab.train(corners, **QUICK, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_taken_folder_is_refused_and_left_alone(corners, finished, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("x")
    for resume in (False, True):
        with pytest.raises(CnnlabError, match="not"):
            cnnlab.train(corners, **QUICK, out=tmp_path / "run", resume=resume)
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "mine.txt"]
    with pytest.raises(CnnlabError, match="already holds a complete run"):
        cnnlab.train(corners, **QUICK, out=finished.path)


def test_a_complete_run_is_given_back_at_once(corners, finished, monkeypatch):
    before = finished.record_path.stat().st_mtime_ns
    monkeypatch.setattr(session, "train_in", lambda *_: pytest.fail("it trained"))
    assert cnnlab.train(corners, **QUICK, out=finished.path, resume=True) == finished
    assert finished.record_path.stat().st_mtime_ns == before


def test_resuming_with_other_settings_other_data_or_a_damaged_checkpoint_is_refused(
    corners, tmp_path, unwritten, step_by_step
):
    out = tmp_path / "run"
    with pytest.raises(Interrupted):
        cnnlab.train(corners, **QUICK, out=out, reporter=Stop(2, 1))
    with pytest.raises(UsageError, match=r"seed 0 \(not 7\)"):
        cnnlab.train(corners, **QUICK, seed=7, out=out, resume=True)
    other = Dataset(name="corners", train=patches(54, 9), test=corners.test, class_names=corners.class_names)
    with pytest.raises(CnnlabError, match="other data"):
        cnnlab.train(other, **QUICK, out=out, resume=True)
    assert cnnlab.runs.Run(out).state == "unfinished"
    assert len(cnnlab.runs.Run(out).history) == 1
    state = out / "checkpoint" / "state.npz"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(CnnlabError, match="damaged"):
        cnnlab.train(corners, **QUICK, out=out, resume=True)


def test_a_full_disk_leaves_nothing_half_written_and_can_be_resumed(corners, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "_drawings", lambda *_: {})
    out, flush = tmp_path / "run", cnnlab.files.writing._flush_to_disk
    # At the settings; at the first checkpoint; and at the model, when all epochs are done.
    for failing, there in ((0, [False] * 4), (2, [False] * 4), (9, [True] * 3 + [False])):
        count = 0

        def fill(path, failing=failing):
            nonlocal count
            count += 1
            if count > failing:
                raise OSError(28, "No space left on device", str(path))
            flush(path)

        with monkeypatch.context() as full:
            full.setattr(cnnlab.files.writing, "_flush_to_disk", fill)
            with pytest.raises(CnnlabError, match="disk is full"):
                cnnlab.train(corners, **QUICK, out=out, resume=True)
        assert not list(tmp_path.rglob(".partial-*"))
        assert cnnlab.runs.list_runs(tmp_path) == [] or cnnlab.runs.list_runs(tmp_path)[0].state == "unfinished"
        with pytest.raises(CnnlabError):
            cnnlab.runs.find(None, tmp_path)
        assert [(out / name).exists() for name in (SETTINGS, STATE, "model.keras", "model")] == there
    assert_same(cnnlab.train(corners, **QUICK, out=out, resume=True), finished)


def test_settings_are_filled_by_the_recipe_and_only_where_nothing_was_given():
    filled = Settings(epochs=3).filled()
    assert (filled.epochs, filled.batch_size, filled.learning_rate, filled.precision) == (3, 64, 1e-3, "float32")
    fast = Settings(recipe="fast", precision="float16").filled()
    assert (fast.epochs, fast.batch_size, fast.precision) == (2, 256, "float16")
    assert (Settings().filled().epochs, Settings(recipe="constant").filled().epochs) == (10, 10)


def test_a_network_is_built_by_name():
    model = training.build("mnist-cnn", (28, 28, 1), 10)
    assert model.count_params() == 799_078
    with pytest.raises(UsageError, match="Did you mean 'mnist-cnn'"):
        training.build("mnist_cnn", (28, 28, 1), 10)
