"""The trial of a model in another process: what hangs, fills the memory or ends its process does so there alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import cnnlab
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files import reading
from cnnlab.testing.processes import python_m, run_process
from cnnlab.trust import trial

IMAGES = np.zeros((2, 6, 6, 1), np.float32)
GIB = 1 << 30


class Module(tf.Module):
    """A classifier of 6x6 images to whose logits ``more`` adds something."""

    def __init__(self, more=lambda images: 0.0):
        super().__init__()
        self.more = more

    @tf.function(input_signature=[tf.TensorSpec((None, 6, 6, 1), name="images")])
    def __call__(self, images):
        return tf.reshape(images, (-1, 36))[:, :10] + self.more(images)


def save(folder: Path, more=lambda images: 0.0, **signatures) -> Path:
    module = Module(more)
    tf.saved_model.save(module, str(folder), signatures=signatures or module.__call__.get_concrete_function())
    return folder


@pytest.fixture
def real(monkeypatch, real_trial, tmp_path):
    """Trials as they are, with nothing tried yet; gives the folder where verdicts lie."""
    monkeypatch.setattr(trial, "_try", real_trial)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cnnlab" / "tried"


def endless(images):
    return tf.while_loop(lambda x: x > -1.0, lambda x: x + 1.0, [tf.reduce_sum(images) * 0.0])[0]


def endless_whatever_the_image(images):
    return tf.while_loop(lambda x: x > -1.0, lambda x: x + 1.0, [tf.constant(0.0)])[0]


def enormous(images):
    return tf.reduce_sum(tf.fill([3 * GIB // 4, 8], tf.reduce_sum(images)))


def enormous_constant(images):
    return tf.reduce_sum(tf.fill([3 * GIB // 4, 8], 1.0))


@pytest.fixture(scope="module")
def never_ends(tmp_path_factory) -> Path:
    """A model that computes for ever."""
    return save(tmp_path_factory.mktemp("endless") / "model", endless)


@pytest.fixture(scope="module")
def _saved(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("well") / "model")


@pytest.fixture
def model(_saved, tmp_path) -> Path:
    """A model that does nothing bad, to do with as one likes."""
    return Path(shutil.copytree(_saved, tmp_path / "model"))


@pytest.mark.parametrize(
    ("more", "seconds", "says"),
    [
        (endless_whatever_the_image, 1, "was not opened|ended the process that opened and ran it once"),
        # TensorFlow waits ten seconds for each allocation that fails, and is asked three times.
        pytest.param(enormous, 60, "needs more than 1 GiB of memory", marks=pytest.mark.full),
        pytest.param(
            *(enormous_constant, 9, "needs more than 1 GiB of memory|cannot be run on an image|within 9 seconds"),
            marks=pytest.mark.full,
        ),
    ],
)
def test_what_takes_too_much_is_one_sentence_and_takes_it_elsewhere(tmp_path, real, more, seconds, says):
    model = save(tmp_path / "model", more)
    with pytest.raises(CnnlabError, match=says) as caught:
        cnnlab.load(model, limit_seconds=seconds, limit_memory=GIB)
    assert "\n" not in str(caught.value)
    assert str(model) in str(caught.value)
    assert not real.exists()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import os; os.abort()", r"ended the process that opened and ran it once \(SIGABRT\).*trust=True"),
        ("", r"ended the process that opened and ran it once \(status 0\).*trust=True"),
        ("raise MemoryError", r"needs more than [\d.]+ GiB of memory"),
        ("""print('{"memory": true}')""", r"needs more than [\d.]+ GiB of memory"),
    ],
    ids=["it dies", "it ends well without a verdict", "it lacks memory and dies", "it lacks memory and says so"],
)
def test_a_process_that_ends_without_a_verdict_is_one_sentence(tmp_path, model, real, monkeypatch, source, says):
    (tmp_path / "ends.py").write_text(source)
    monkeypatch.setattr(trial, "TRIER", "ends")
    monkeypatch.setattr(subprocess, "Popen", _from(tmp_path, subprocess.Popen))
    with pytest.raises(CnnlabError, match=says):
        cnnlab.load(model)


def _from(folder: Path, popen):
    return lambda words, **options: popen(words, **options, env={**os.environ, "PYTHONPATH": str(folder)})


def test_a_model_is_tried_once_for_what_is_said_of_it(tmp_path, real, monkeypatch):
    module = Module()
    well = module.__call__.get_concrete_function()
    model = save(tmp_path / "a model; $(x) 'ü'", serving_default=well, other=well)
    asked, seen = [], []
    monkeypatch.setattr(trial, "_try", _noted(asked, trial._try))
    monkeypatch.setattr(subprocess, "Popen", _noted(seen, subprocess.Popen))
    assert cnnlab.load(model).num_classes == 10
    assert cnnlab.load(model).num_classes == 10
    assert len(asked) == 1
    assert seen == [([sys.executable, "-P", "-m", trial.TRIER],)]  # a path may hold anything: it goes through a pipe
    assert [json.loads(verdict.read_text()) for verdict in real.iterdir()] == [{"opened": True}]
    monkeypatch.setattr(trial, "_try", lambda *words: asked.append(words))
    cnnlab.load(model, signature="other")
    assert len(asked) == 2
    assert asked[1][1] != asked[0][1]


def test_another_model_in_its_place_is_tried_anew(model, real, monkeypatch):
    asked = []
    monkeypatch.setattr(trial, "_try", lambda *words: asked.append(words))
    for count, change in enumerate(
        [
            lambda: None,
            lambda: (model / "assets" / "x").write_text("a"),
            lambda: (model / "assets" / "x").rename(model / "y"),
        ],
        1,
    ):
        change()
        trial.check(model, {}, trial.limits())
        trial.check(model, {}, trial.limits())
        assert len(asked) == count


def test_the_same_bytes_read_as_another_kind_of_file_are_another_model(tmp_path, real, monkeypatch):
    model = tmp_path / "model.keras"
    model.write_bytes(b"of a polyglot")
    asked = []
    monkeypatch.setattr(trial, "_try", lambda *words: asked.append(words))
    for place in (model, model, model.rename(tmp_path / "model.h5")):
        trial.check(place, {}, trial.limits())
    assert [words[0].suffix for words in asked] == [".keras", ".h5"]


def _noted(calls, function):
    def noting(*words, **options):
        calls.append(words)
        return function(*words, **options)

    return noting


@pytest.mark.full
def test_a_keras_file_is_tried(tmp_path, real):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.layers.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]).save(path)
    assert cnnlab.load(path).num_classes == 10
    assert len(list(real.iterdir())) == 1


def test_what_cnnlab_has_written_is_not_tried(trained_run, tmp_path, real, monkeypatch):
    trial.vouch(trained_run.model_path)
    trial.vouch(trained_run.keras_path)
    monkeypatch.setattr(trial, "_try", lambda *_: pytest.fail("it was tried"))
    for path in (trained_run.path, trained_run.model_path, trained_run.keras_path):
        assert cnnlab.load(path).num_classes == 10
    assert cnnlab.load(trained_run.path, signature="logits").num_classes == 10


def test_the_model_of_somebody_elses_run_is_tried(trained_run, real, monkeypatch):
    asked = []
    monkeypatch.setattr(trial, "_try", lambda *words: asked.append(words[0]))
    for path in (trained_run.path, trained_run.keras_path):
        assert cnnlab.load(path).num_classes == 10
    assert asked == [trained_run.model_path, trained_run.keras_path]


def test_training_vouches_for_what_it_writes(trained_run, monkeypatch):
    """The fixture was trained before, in the cache of these tests."""
    monkeypatch.setattr(trial, "_try", lambda *_: pytest.fail("it was tried"))
    cnnlab.load(trained_run.model_path)


def homeless(name: str) -> Path:
    raise RuntimeError("could not determine the home directory")


def in_a_file(name: str) -> Path:
    return Path(__file__)


def out_of_reach(name: str) -> Path:
    """As in the home of another user: even to ask whether something is there is an error."""
    return Path("/tmp") / ("x" * 300)


@pytest.mark.parametrize("place", [homeless, in_a_file, out_of_reach])
def test_without_a_place_for_verdicts_it_is_tried_each_time(model, real, monkeypatch, place):
    monkeypatch.setattr(trial, "user_cache_path", place)
    asked = []
    monkeypatch.setattr(trial, "_try", lambda *words: asked.append(words))
    trial.check(model, {}, trial.limits())
    trial.check(model, {}, trial.limits())
    assert len(asked) == 2


def test_trust_needs_no_trial(model, real, monkeypatch):
    monkeypatch.setattr(trial, "_try", lambda *_: pytest.fail("it was tried"))
    assert cnnlab.load(model, trust=True).num_classes == 10


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"limit_seconds": 0}, "limit_seconds must be a number of seconds above 0; received 0"),
        ({"limit_seconds": float("nan")}, "limit_seconds must be a number of seconds above 0; received nan"),
        ({"limit_memory": 0}, "limit_memory must be a number of bytes above 0; received 0"),
    ],
)
def test_limits_must_leave_something(tmp_path, words, says):
    with pytest.raises(UsageError, match=says):
        cnnlab.load(tmp_path, **words)


def test_by_default_memory_is_bounded_by_the_machine(monkeypatch):
    monkeypatch.setattr(reading, "memory", lambda: 4 * GIB)
    assert trial.limits() == trial.Limits(seconds=60, memory=3 * GIB)
    monkeypatch.setattr(reading, "memory", lambda: 64 * GIB)
    assert trial.limits() == trial.Limits(seconds=60, memory=8 * GIB)
    assert trial.limits(2, 5) == trial.Limits(seconds=2, memory=5)


def test_the_command_says_it_and_its_options_reach_the_trial(never_ends, real, command_line):
    status, out, err = command_line("summary", never_ends, "--limit-seconds", 1)
    assert (status, out) == (1, "")
    assert "within 1 seconds" in err
    assert "--limit-seconds N" in err


def test_an_interrupt_ends_both(tmp_path, never_ends):
    with ThreadPoolExecutor(1) as pool:
        (tmp_path / "named.py").write_text(NAMED)
        asked = pool.submit(run_process, python_m, "named", "summary", str(never_ends), cwd=tmp_path)
        trier = _wait_for_trier(tmp_path / "pid")
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGINT)
        assert asked.result(timeout=30).returncode == 130
    for _ in range(100):
        if not Path(f"/proc/{trier}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the process of the trial went on")


NAMED = """
import os, pathlib
pathlib.Path("pid").write_text(str(os.getpid()))
from cnnlab.__main__ import main
main()
"""
"""The command, but that it says which process it is."""


def _wait_for_trier(named: Path) -> int:
    if not Path("/proc/self/task").exists():
        pytest.skip("this system does not tell the children of a process")
    for _ in range(600):
        parent = named.read_text() if named.exists() else ""
        children = Path(f"/proc/{parent}/task/{parent}/children")
        for child in children.read_text().split() if parent else ():
            if trial.TRIER.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        time.sleep(0.1)
    pytest.fail("no trial began")
