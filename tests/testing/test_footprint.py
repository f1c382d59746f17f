"""What code owes that runs in somebody else's process: each promise is broken by a plugin that breaks it.

The plugins are installed as distributions, and looked at in a process of their own, as any other. That takes seconds:
what else can be done to a process is done to this one, and undone.
"""

from __future__ import annotations

import os
import random
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnlab.testing import AnalysisContract, ArchitectureContract, DatasetContract, footprint

PROMISES = {
    "prints": "test_it_prints_nothing",
    "random": "test_the_global_random_state_is_left_as_it_was",
    "errors": "test_what_numpy_does_about_errors_is_left_as_it_was",
    "modes": "test_eager_mode_and_precision_are_left_as_they_were",
    "threads": "test_no_thread_is_left_running",
    "surroundings": "test_environment_and_working_directory_are_left_as_they_were",
}


ANALYSIS = """
{declaring}
from cnnlab.plugin import Analysis, Array, Params, Result, hookimpl

def run(classifier, inputs, params, context):
    {running}
    return Result(arrays={{"mean": inputs.images.mean(axis=(1, 2, 3))}}, show=show)

def show(index):
    {showing}
    return []

def sum_up(classifier, result, params):
    {summing}
    return Result()

@hookimpl
def cnnlab_analyses():
    return [
        Analysis(
            name="guest", summary="A guest.", params=Params, run="cnnlab_guest:run", sum_up="cnnlab_guest:sum_up",
            arrays={{"mean": Array("mean", axes=("N",))}},
        )
    ]
"""

DATASET = """
from cnnlab.plugin import Dataset, DatasetSource, Split, hookimpl

def load():
    import numpy as np
    {running}
    split = Split(np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1]))
    return Dataset(name="guest", train=split, test=split, class_names=("a", "b"), provenance="Made up.", licence="CC0")

@hookimpl
def cnnlab_datasets():
    return [
        DatasetSource(
            name="guest", summary="Nothing.", load="cnnlab_guest:load", shape=(4, 4, 1), class_names=("a", "b"),
            train_size=2, test_size=2, provenance="Made up.", licence="CC0",
        )
    ]
"""

ARCHITECTURE = """
from cnnlab.plugin import Architecture, hookimpl

def build(input_shape, classes):
    import keras
    {running}
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(classes)])

@hookimpl
def cnnlab_architectures():
    return [Architecture(name="guest", summary="One layer.", build="cnnlab_guest:build", batch_norm=False)]
"""


class HeldAnalysis(AnalysisContract):
    analysis = "guest"


class HeldDataset(DatasetContract):
    dataset = "guest"


class HeldArchitecture(ArchitectureContract):
    architecture = "guest"


@pytest.fixture
def installed(install_plugin, tmp_path, monkeypatch, plugins_anew):
    """Install a plugin of this source for this process and those that it starts."""

    def install(source: str, **misdeeds: str) -> None:
        places = {"declaring": "pass", "running": "pass", "showing": "pass", "summing": "pass", **misdeeds}
        install_plugin("cnnlab-guest", source.format(**places))
        monkeypatch.syspath_prepend(tmp_path / "site-packages")
        monkeypatch.delitem(sys.modules, "cnnlab_guest", raising=False)
        monkeypatch.setenv("COLOUR", "blue")

    yield install
    sys.modules.pop("cnnlab_guest", None)


def broken_by(held) -> dict[str, str]:
    """The promises that are broken, with what is said of each."""
    said = {}
    for noun, promise in PROMISES.items():
        try:
            getattr(held, promise)()
        except AssertionError as error:
            said[noun] = str(error).splitlines()[0]
        except pytest.skip.Exception:
            pass
    return said


def test_a_plugin_that_keeps_them_all(installed):
    decent = "import sys, numpy; numpy.random.default_rng(3).random(); print('who will read this?', file=sys.stderr)"
    installed(ANALYSIS, declaring=decent, running=decent)
    assert broken_by(HeldAnalysis()) == {}


def test_a_plugin_that_breaks_them_all_wherever_it_can(installed):
    installed(
        ANALYSIS,
        declaring="import random; random.seed(1); print('imported')",
        running="import os, threading, time, numpy; numpy.seterr(divide='ignore'); os.write(1, b'ran past Python')\n"
        "    threading.Thread(target=time.sleep, args=(60,), name='idler', daemon=True).start()",
        summing="import os, subprocess; os.environ.update(COLOUR='red'); subprocess.run(['echo', 'a child'])",
        # The end of eager mode is the end of a process of tests, which cannot have it back.
        showing="import os, keras, tensorflow; os.chdir('/'); keras.config.set_dtype_policy('mixed_bfloat16')\n"
        "    tensorflow.compat.v1.disable_eager_execution()",
    )
    said = broken_by(HeldAnalysis())
    assert [*said] == [*PROMISES]
    for printed in ("imported\\n", "ran past Python", "a child\\n"):
        assert printed in said["prints"]
    assert said["prints"].endswith(": tell the user with context.warn, or nobody")
    assert said["random"].startswith(
        "Python's global generator was drawn from or seeded: draw from context.rng, or from a generator of your own "
    )
    assert said["errors"] == ("np.geterr()['divide'] was warn and is ignore: use `with np.errstate(...):`, which ends")
    assert said["modes"].startswith(
        "Keras' dtype policy was float32 and is mixed_bfloat16; tf.executing_eagerly() was True and is False: "
    )
    assert said["threads"].startswith("the thread idler (")
    assert said["threads"].endswith(
        ") was absent and is running: use `with ThreadPoolExecutor(...) as pool:`, which waits for its threads"
    )
    assert said["surroundings"].startswith("the environment variable COLOUR was 'blue' and is 'red'; the working dir")
    assert said["surroundings"].endswith(" and is /: give a child process an `env=` and a `cwd=` of its own")


def test_one_that_leaves_standard_output_replaced(installed):
    installed(DATASET, running="import io, sys; sys.stdout = io.StringIO(); print('who will read this?')")
    said = broken_by(HeldDataset())
    assert [*said] == ["prints"]
    assert said["prints"].startswith("sys.stdout was <_io.TextIOWrapper object at ")
    assert said["prints"].endswith(">: use `with contextlib.redirect_stdout(...):`, which ends")


def test_a_dataset_that_seeds_and_says_so(installed):
    installed(DATASET, running="print('loading'), np.random.seed(0)")
    assert [*broken_by(HeldDataset())] == ["prints", "random"]


def test_an_architecture_may_draw_and_do_nothing_else(installed):
    installed(ARCHITECTURE, running="keras.utils.set_random_seed(1); keras.config.set_floatx('float16')")
    assert [*broken_by(HeldArchitecture())] == ["modes"]


def test_one_that_ends_its_process_is_told_so(installed):
    installed(ANALYSIS, running="import os; os._exit(3)")
    with pytest.raises(AssertionError, match="in a process of its own it ended with status 3"):
        HeldAnalysis().test_it_prints_nothing()


# What to do, how to undo it, and what is said of it.
DONE = {
    "NumPy is drawn from": (
        lambda: np.random.shuffle([1, 2]),  # noqa: NPY002 - that one is meant
        lambda: None,
        ("random", "NumPy's global generator was drawn from or seeded"),
    ),
    "Python is drawn from": (
        random.random,
        lambda: None,
        ("random", "Python's global generator was drawn from or seeded"),
    ),
    "overflow raises": (
        lambda: np.seterr(over="raise"),
        lambda: np.seterr(over="warn"),
        ("float errors", "np.geterr()['over'] was warn and is raise"),
    ),
    "functions run eagerly": (
        lambda: tf.config.run_functions_eagerly(True),
        lambda: tf.config.run_functions_eagerly(False),
        ("modes", "tf.config.functions_run_eagerly() was False and is True"),
    ),
    "TensorFloat-32": (
        lambda: tf.config.experimental.enable_tensor_float_32_execution(False),
        lambda: tf.config.experimental.enable_tensor_float_32_execution(True),
        ("modes", "TensorFloat-32 was True and is False"),
    ),
    "floatx": (
        lambda: keras.config.set_floatx("float64"),
        lambda: keras.config.set_floatx("float32"),
        ("modes", "keras.config.floatx() was float32 and is float64"),
    ),
    "channels first": (
        lambda: keras.config.set_image_data_format("channels_first"),
        lambda: keras.config.set_image_data_format("channels_last"),
        ("modes", "keras.config.image_data_format() was channels_last and is channels_first"),
    ),
    "a variable more": (
        lambda: os.environ.update(SHAPE="round"),
        lambda: os.environ.pop("SHAPE"),
        ("surroundings", "the environment variable SHAPE was absent and is 'round'"),
    ),
}


@pytest.mark.parametrize("name", DONE)
def test_what_is_done_to_a_process_is_told(name):
    do, undo, (shared, sentence) = DONE[name]
    with footprint.watched() as changed:
        do()
    undo()
    assert changed.pop(shared) == [sentence]
    assert not any(changed.values())


def test_what_is_undone_is_not_told(monkeypatch, tmp_path):
    state = random.getstate()
    with footprint.watched() as changed, np.errstate(all="ignore"), monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        random.random()
        random.setstate(state)
    assert not any(changed.values())


def test_a_thread_that_is_about_to_end_is_waited_for():
    with footprint.watched() as changed:
        threading.Timer(0.2, lambda: None).start()
    assert not any(changed.values())


def test_a_thread_that_goes_on_is_told(monkeypatch):
    monkeypatch.setattr(footprint, "PATIENCE", 0.05)
    ended = threading.Event()
    with footprint.watched() as changed:
        threading.Thread(target=ended.wait, name="waiting").start()
    ended.set()
    (said,) = changed["threads"]
    assert said.startswith("the thread waiting (")
