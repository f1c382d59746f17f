"""What needs a GPU: the same as on the CPU, to a tolerance, and in which part of its time. `make test-gpu` runs it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnlab
from cnnlab.attacks import pgd
from cnnlab.devices.choice import use_devices, use_strategy
from cnnlab.devices.listing import listing

pytestmark = pytest.mark.gpu

ROUNDS = 3
IMAGES, BATCH, STEPS = 6000, 200, 30


@pytest.fixture(autouse=True, scope="module")
def gpu():
    """The first GPU; without one, why there is none."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        pytest.skip(f"TensorFlow sees no GPU: {listing().why}")
    return "gpu:0"


@pytest.fixture(scope="module")
def digits():
    return cnnlab.datasets.load("mnist")


@pytest.fixture(scope="module")
def classic(digits, tmp_path_factory):
    """A network that reads nearly all digits rightly, trained on the CPU."""
    out = tmp_path_factory.mktemp("classic") / "run"
    return cnnlab.train(digits, limit=IMAGES, epochs=3, device="cpu", out=out)


def taken(device: str, make: Callable[[], Callable[[], Any]]) -> tuple[Any, float]:
    """What a piece of work gives on a device, and the median of its seconds where all is warm."""
    with use_devices(device):
        work = make()
        given, seconds = work(), []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    return given, statistics.median(seconds)


@pytest.fixture
def compared(gpu, record_property):
    """Do a piece of work on both devices, and write down the ratio of times and by how much what is given differs."""

    def compare(what: str, make: Callable[[], Callable[[], Any]], allowed: float) -> None:
        (ours, fast), (theirs, slow) = taken(gpu, make), taken("cpu", make)
        difference = float(np.max(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))))
        for name, value in {"what": what, "ratio": slow / fast, "difference": difference, "allowed": allowed}.items():
            record_property(name, value)
        assert difference <= allowed

    return compare


@pytest.mark.parametrize(
    ("precision", "allowed"), [("float32", 0.01), ("bfloat16", 0.1), ("float16", 0.05)], ids=lambda value: str(value)
)
def test_training(compared, digits, precision, allowed):
    """The mean loss over 30 steps, in nats; in all rounds but the first the network has learned already."""
    from cnnlab.training.data import make_feed
    from cnnlab.training.loop import TrainingLoop
    from cnnlab.training.network import build_network
    from cnnlab.training.optimizer import make_optimizer

    def make():
        feed = make_feed(digits.train, np.arange(IMAGES))
        model = build_network("mnist-cnn", (28, 28, 1), 10, precision=precision, seed=1)
        loop = TrainingLoop(model, make_optimizer(0.001, precision), feed.scale)

        def steps():
            loop.begin_epoch()
            loop.run(feed.batches(np.arange(IMAGES), BATCH), STEPS)
            return loop.loss

        return steps

    compared(f"training mnist-cnn in {precision}, {STEPS} steps of {BATCH} images: mean loss", make, allowed)


def test_a_run_in_float16_on_all_gpus(gpu, digits, tmp_path, record_property):
    run = cnnlab.train(digits, limit=IMAGES, epochs=2, precision="float16", device="all", out=tmp_path / "run")
    record_property("what", f"a run in float16 on {run.config['device']}")
    assert run.config["device"].startswith("gpu:0")
    assert run.metrics["val_accuracy"] > 0.9


def test_evaluating(compared, classic, digits):
    model = classic.model_path

    def make():
        classifier = cnnlab.load(model)
        return lambda: classifier.logits(digits.test.images[:2000])

    compared("logits of 2,000 digits", make, 0.01)


def test_projected_gradient_descent(compared, classic, digits):
    """Signs of gradients near zero differ, and so do images; how many are fooled hardly does."""

    def make():
        classifier = cnnlab.load(classic.model_path)
        images, labels = digits.test.images[:200], digits.test.labels[:200]
        return lambda: pgd(steps=10).run(classifier, images, labels, epsilon=0.1).reached.mean()

    compared("PGD of 10 steps on 200 digits: share that is fooled", make, 0.02)


def test_occlusion(compared, classic, digits):
    def make():
        classifier = cnnlab.load(classic.model_path)
        return lambda: cnnlab.analyze("occlusion", classifier, digits.test.images[:8], patch=4).arrays["score"]

    compared("occlusion of 8 digits: score", make, 0.001)


def test_memory_is_taken_as_it_is_needed(gpu, record_property):
    import tensorflow as tf

    record_property("what", "memory growth")
    with use_devices(gpu), use_strategy(gpu):
        assert tf.config.experimental.get_memory_growth(tf.config.list_physical_devices("GPU")[0])
