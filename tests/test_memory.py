"""Where memory runs out, batches become smaller before there is an error, and numbers stay what they were."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import cnnlab
from cnnlab.attacks import Attack, pgd
from cnnlab.errors import CnnlabError
from cnnlab.memory import ABREAST, ENOUGH, in_parts, out_of_memory
from cnnlab.plugin import Result
from cnnlab.testing import FakeClassifier


def exhausted() -> tf.errors.ResourceExhaustedError:
    return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def test_what_memory_running_out_looks_like():
    assert out_of_memory(MemoryError())
    assert out_of_memory(exhausted())
    assert not out_of_memory(ValueError("OOM"))


@pytest.mark.parametrize("error", [MemoryError(), exhausted()], ids=["python", "tensorflow"])
def test_parts_are_halved_from_where_memory_runs_out(error):
    done, sizes = [], []

    def work(first, last):
        if last - first > 3:
            raise error
        done.append((first, last))

    found = list(in_parts(20, 16, work, sizes.append))
    assert sizes == [8, 4, 2]
    assert done == [(first, first + 2) for first in range(0, 20, 2)]
    assert found == [(*part, None) for part in done]
    with pytest.raises(CnnlabError, match="memory ran out with a single image"):
        list(in_parts(3, 3, lambda first, last: (_ for _ in ()).throw(error), sizes.append))
    with pytest.raises(ZeroDivisionError):
        list(in_parts(3, 3, lambda first, last: 1 // 0, sizes.append))


@pytest.mark.parametrize("most", [1000, 60, 10])
def test_parts_that_are_done_at_a_time_come_in_order_and_each_once(most):
    here, widest, threads, sizes = [], [0], set(), []
    lock = threading.Lock()

    def work(first, last):
        with lock:
            here.append(first)
            widest[0] = max(widest[0], len(here))
            threads.add(threading.get_ident())
        time.sleep(0.002 * (first % 3))  # so that later ones are done before earlier ones
        with lock:
            here.remove(first)
        if last - first > most:
            raise exhausted()
        return range(first, last)

    found = list(in_parts(700, 200, work, sizes.append))
    assert [place for _, _, part in found for place in part] == list(range(700))
    assert all(range(first, last) == part for first, last, part in found)
    assert widest[0] == ABREAST
    assert (threading.get_ident() in threads) == (most < ENOUGH), "few go one after the other"
    assert sizes == {1000: [], 60: [100], 10: [100, 50, 25, 12, 6]}[most]
    assert [last - first for first, last, _ in found][:3] == {1000: [100] * 3, 60: [50] * 3, 10: [6] * 3}[most]


def test_what_takes_less_than_a_thread_is_done_in_none():
    here = threading.get_ident()
    found = list(in_parts(700, 200, lambda first, last: threading.get_ident() == here, [].append, abreast=False))
    assert found == [(0, 200, True), (200, 400, True), (400, 600, True), (600, 700, True)]


def test_what_fails_in_a_thread_fails_for_whoever_asked():
    with pytest.raises(ZeroDivisionError):
        list(in_parts(700, 200, lambda first, last: 1 // (first - 300), [].append))


class Narrow(FakeClassifier):
    """A model of brightness whose graph takes so many images at once and no more."""

    def __init__(self, most: int, batch_size: int = 64) -> None:
        def logits(images):
            if (images.shape[0] or 0) > most:
                raise exhausted()
            mean = tf.reduce_mean(images, axis=(1, 2, 3))
            return tf.stack([0.5 - mean, mean - 0.5], axis=1)

        super().__init__(logits, (80, 80, 1), 2, batch_size=batch_size)  # smaller ones go by sixteens at least

    def logits(self, images):
        parts = self._streamed(lambda batch: (self.logits_function(batch),), images)
        return np.concatenate(parts[0])


IMAGES = np.random.default_rng(0).random((50, 80, 80, 1), dtype=np.float32)


def test_a_model_goes_on_with_smaller_batches_and_says_so():
    narrow, wide = Narrow(20), Narrow(64)
    np.testing.assert_array_equal(narrow.logits(IMAGES), wide.logits(IMAGES))
    assert narrow.batch_size == 12
    assert narrow.notes == ("memory ran out, and batches were cut to 12 images.",)
    labels = np.zeros(50, int)
    narrow = Narrow(20)
    np.testing.assert_array_equal(narrow.input_gradient(IMAGES, labels), wide.input_gradient(IMAGES, labels))
    assert cnnlab.predict(Narrow(1), IMAGES).notes == ("memory ran out, and images went one by one.",)
    with pytest.raises(CnnlabError, match="memory ran out with a single image"):
        Narrow(0).logits(IMAGES)


def test_an_evaluation_notes_it():
    split = cnnlab.datasets.Split(IMAGES, [0, 1] * 25)
    found = cnnlab.evaluate(Narrow(20), split)
    assert found.counts.accuracy == cnnlab.evaluate(Narrow(64), split).counts.accuracy
    assert any("cut to 12 images" in warning for warning in found.result().record["warnings"])


def test_a_plugin_whose_own_code_runs_out_begins_again(analysis):
    tried = []

    def run(classifier, inputs, params, context):
        tried.append(context.batch_size)
        context.warn("Told once.")
        if context.batch_size > 20:
            raise exhausted() if len(tried) == 1 else MemoryError
        return Result(headline="Done")

    made = analysis(run)
    result = cnnlab.analyze(made.name, Narrow(64), IMAGES)
    assert tried == [64, 32, 16]
    assert result.record["warnings"] == ["memory ran out, and batches were cut to 16 images.", "Told once."]
    tried.clear()
    with pytest.raises(CnnlabError, match="memory ran out with a single image"):
        cnnlab.analyze(analysis(lambda *_: (_ for _ in ()).throw(MemoryError())).name, Narrow(64), IMAGES)


def test_an_attack_goes_on_with_smaller_batches(monkeypatch):
    """Compiled loops see no number of images, so that what runs out here is the call of them."""
    from cnnlab.attacks.loop import Loop

    classifier, labels = FakeClassifier.of_brightness((80, 80, 1)), np.zeros(9, int)
    images = np.random.default_rng(1).random((9, 80, 80, 1), dtype=np.float32)
    images *= np.linspace(0.85, 0.99, 9, dtype=np.float32)[:, None, None, None]
    attack: Attack = pgd(steps=7, random_start=True, restarts=1)
    wanted = attack.run(classifier, images, labels, epsilon=0.03, batch_size=8, trace=True)
    assert 0 < wanted.reached.sum() < 9
    counts = []
    made = Loop.__init__

    def narrow(self, *args):
        made(self, *args)
        for name in ("start", "advance", "finish"):
            whole = getattr(self, name)

            def called(first, *rest, whole=whole):
                rows = len(first["x"] if isinstance(first, dict) else first)
                counts.append(rows)
                if rows > 2:
                    raise exhausted()
                return whole(first, *rest)

            setattr(self, name, called)

    monkeypatch.setattr(Loop, "__init__", narrow)
    told = []
    again = FakeClassifier.of_brightness((80, 80, 1))
    monkeypatch.setattr(again, "shrink", told.append)
    steps = []
    found = attack.run(again, images, labels, epsilon=0.03, batch_size=8, trace=True, advance=steps.append)
    assert max(counts) == 8
    assert told[:2] == [4, 2]
    for name in ("adversarial", "reached", "steps", "confidence"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-5, atol=1e-6)
    assert sum(steps) == 9 * 7 * 2


@pytest.mark.full
@pytest.mark.parametrize("command", ["train", "evaluate", "occlusion", "robustness", "report"])
def test_memory_does_not_grow_with_the_number_of_images(command, trained_run):
    """Ten times as many images take less than a tenth more."""
    script = Path(__file__).parent.parent / "benchmarks" / "memory.py"
    spec = importlib.util.spec_from_file_location("memory_of_commands", script)
    assert spec is not None
    assert spec.loader is not None
    memory = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(memory)
    ((_, (few, many)),) = memory.measured(trained_run.path, [command])
    assert many < 1.10 * few


ROOM = """
import resource, sys
import numpy as np
import cnnlab, keras
model = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.ZeroPadding2D(256),
    keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(2)])
classifier = cnnlab.load(model)
images = np.random.default_rng(0).random((512, 32, 32, 1), dtype=np.float32)
classifier.batch_size = 8
wanted = classifier.logits(images)
classifier.batch_size = 512
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (200 << 20), -1))
found = classifier.logits(images)
np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
print(classifier.batch_size, *classifier.notes)
"""


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what a process takes")
def test_a_process_that_may_take_little_more_goes_on_with_smaller_batches():
    """All images at once, padded, take 578 MiB."""
    done = subprocess.run([sys.executable, "-c", ROOM], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    size, words = done.stdout.strip().splitlines()[-1].split(maxsplit=1)
    assert int(size) < 512
    assert f"memory ran out, and batches were cut to {size} images" in words
