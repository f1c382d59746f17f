"""What a plugin leaves behind in its process, and what it prints, found in a process of its own.

Much of it happens once, when a module is imported, and another test may have had it already. The process imports the
plugin, lets it do its work, and writes what it changed into a file: standard output is the plugin's own.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import pickle
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis, Architecture, DatasetSource, Declaration, resolve
from cnnlab.pluginhost.params import Params, fields_of
from cnnlab.testing.processes import run_process

PATIENCE = 2.0
"""Seconds that threads are given which are about to end."""


@dataclass(frozen=True)
class Footprint:
    """What was found.

    Attributes:
        printed: What went to standard output.
        changed: A sentence on each change, by what was changed: the names in :data:`SHARED`.
        failure: How the process ended, if not well; empty otherwise.
    """

    printed: str
    changed: Mapping[str, list[str]]
    failure: str = ""


def footprint(declaration: Declaration, params: Mapping[str, Any] | None = None) -> Footprint:
    """Import a plugin and let it do its work in a process of its own; once for all promises about it.

    Args:
        declaration: An analysis, which looks at three images with a tiny model; a dataset, which is loaded; or an
            architecture, which is built.
        params: The analysis' parameters; the defaults otherwise.

    Raises:
        AssertionError: It failed, or ended the process.
    """
    given = {}
    if isinstance(declaration, Analysis):
        absent = needed_models(declaration.params) - set(params or {})
        given = declaration.params.from_public({**dict.fromkeys(absent, "a model"), **(params or {})}).to_json()
        given = {name: value for name, value in given.items() if name not in absent}
    kind, module = declaration.noun, registry.provider(declaration).module
    found = _found(module, kind, declaration.name, json.dumps(given), tuple(sys.path))
    assert not found.failure, found.failure
    return found


def needed_models(params: type[Params]) -> set[str]:
    """Name the parameters that are other models and must be given; what is asked about stands for them in tests."""
    return {field.public for field in fields_of(params) if field.is_model and field.required}


@functools.cache
def _found(module: str, kind: str, name: str, params: str, path: tuple[str, ...]) -> Footprint:
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "changed.json"
        done = run_process(main, module, kind, name, params, str(told))
        if done.returncode or not told.exists():
            failure = f"in a process of its own it ended with status {done.returncode}:\n{done.stderr}"
            return Footprint(done.stdout, {}, failure)
        return Footprint(done.stdout, json.loads(told.read_text(encoding="utf-8")))


def main(module: str, kind: str, name: str, params: str, told: str) -> None:
    """Do what :func:`footprint` asks for, in a process that does nothing else."""
    # What the host and the looking itself need is there before anybody looks.
    work = WORK[kind](name, json.loads(params))
    for read, _ in SHARED.values():
        read()
    with watched() as by_import:
        importlib.import_module(module)
    with watched() as by_work:
        work()
    changed = {shared: by_import[shared] + by_work[shared] for shared in SHARED}
    Path(told).write_text(json.dumps(changed), encoding="utf-8")


@contextlib.contextmanager
def watched() -> Iterator[dict[str, list[str]]]:
    """Give a sentence on each thing that is changed while the context lasts, by the names in :data:`SHARED`.

    It is empty until then.
    """
    changed: dict[str, list[str]] = {}
    before = {name: read() for name, (read, _) in SHARED.items()}
    yield changed
    _wait_for_threads(before["threads"])
    for name, (read, sentence) in SHARED.items():
        was, now = before[name], read()
        changed[name] = [
            sentence.format(what=what, was=was.get(what, "absent"), now=now.get(what, "absent"))
            for what in sorted({*was, *now})
            if was.get(what) != now.get(what)
        ]


def _wait_for_threads(known: Mapping[str, Any]) -> None:
    until = time.monotonic() + PATIENCE
    for thread in threading.enumerate():
        if _called(thread) not in known:
            thread.join(max(0.0, until - time.monotonic()))


def _called(thread: threading.Thread) -> str:
    return f"{thread.name} ({thread.ident})"


def _threads() -> dict[str, str]:
    return {_called(thread): "running" for thread in threading.enumerate()}


def _random() -> dict[str, str]:
    import numpy as np

    return {
        "NumPy's global generator": pickle.dumps(np.random.get_state()).hex(),  # noqa: NPY002 - that one is meant
        "Python's global generator": pickle.dumps(random.getstate()).hex(),
    }


def _float_errors() -> dict[str, str]:
    import numpy as np

    return {f"np.geterr()[{name!r}]": str(how) for name, how in np.geterr().items()}


def _modes() -> dict[str, str]:
    import keras
    import tensorflow as tf

    return {
        "tf.executing_eagerly()": str(tf.executing_eagerly()),
        "tf.config.functions_run_eagerly()": str(tf.config.functions_run_eagerly()),
        "TensorFloat-32": str(tf.config.experimental.tensor_float_32_execution_enabled()),
        "Keras' dtype policy": str(keras.config.dtype_policy().name),
        "keras.config.floatx()": str(keras.config.floatx()),
        "keras.config.image_data_format()": str(keras.config.image_data_format()),
    }


def _surroundings() -> dict[str, str]:
    variables = {f"the environment variable {name}": repr(value) for name, value in os.environ.items()}
    return {**variables, "the working directory": os.getcwd()}


def _streams() -> dict[str, str]:
    return {f"sys.{name}": object.__repr__(getattr(sys, name)) for name in ("stdout", "stderr")}


SHARED: dict[str, tuple[Callable[[], dict[str, str]], str]] = {
    "random": (_random, "{what} was drawn from or seeded"),
    "float errors": (_float_errors, "{what} was {was} and is {now}"),
    "modes": (_modes, "{what} was {was} and is {now}"),
    "threads": (_threads, "the thread {what} was {was} and is {now}"),
    "surroundings": (_surroundings, "{what} was {was} and is {now}"),
    "streams": (_streams, "{what} was {was} and is {now}"),
}
"""What all of a process shares: how to read it, by names, and how to tell that one has changed."""


def _ask(name: str, params: dict[str, Any]) -> Callable[[], None]:
    from cnnlab.analysis.context import Context
    from cnnlab.testing.fakes import UnguardedInputs
    from cnnlab.testing.models import TinyModels

    tiny = TinyModels()
    classifier = tiny.convolutional((8, 8, 1))
    classifier.input_gradient(*tiny.images((8, 8, 1), 1))

    def work() -> None:
        analysis = registry.find_analysis(name)
        images = tiny.images((8, 8, 1), 0 if analysis.inputs == "none" else 3)
        given = {**dict.fromkeys(needed_models(analysis.params), classifier), **params}
        settled = analysis.params.from_public(given).settled(classifier)
        inputs = UnguardedInputs(*images, tiny.dataset((8, 8, 1)))
        result = resolve(analysis.run)(classifier, inputs, settled, Context())
        if analysis.sum_up is not None:
            resolve(analysis.sum_up)(classifier, result, settled)
        if result.show is not None:
            result.show(0)

    return work


def _load(name: str, params: dict[str, Any]) -> Callable[[], None]:
    def work() -> None:
        source: DatasetSource = registry.find_dataset(name)
        dataset = resolve(source.load)()
        dataset.test.batch([0])

    return work


def _build(name: str, params: dict[str, Any]) -> Callable[[], None]:
    def work() -> None:
        architecture: Architecture = registry.find_architecture(name)
        resolve(architecture.build)(architecture.input_shape, architecture.classes)

    return work


WORK = {"analysis": _ask, "dataset": _load, "architecture": _build}
"""For each kind of declaration what makes everything ready, and gives the work that is to be watched."""
