"""``cnnlab.load``: what kind of model is this, how is it traced, and the Classifier that comes of it."""

from __future__ import annotations

import json
import os
import shlex
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnlab.classifier.classifier import Classifier
from cnnlab.classifier.freeze import digest, freeze
from cnnlab.classifier.logits import find_output, written
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.runs.folder import is_run

_LONGEST = 200
"""Characters of another library's message that ours repeats."""


def load(model: Any) -> Classifier:
    """Open a model.

    Args:
        model: A path to a run folder, a SavedModel folder or a ``.keras`` file, a live ``keras.Model``, or a
            Classifier, which is returned as it is.

    Raises:
        CnnlabError: There is no model there, or it cannot be read.
    """
    if isinstance(model, Classifier):
        return model
    opened = open_model(model)
    _check_images(opened.concrete)
    frozen = freeze(opened.concrete)
    value_range = opened.facts.get("value_range") or (0.0, 1.0)
    return Classifier(
        frozen,
        find_output(frozen.outputs),
        path=opened.path,
        kind=opened.kind,
        digest=digest(frozen.definition),
        bounds=(float(value_range[0]), float(value_range[1])),
        class_names=opened.facts.get("class_names"),
        dataset_name=opened.facts.get("name"),
        keep=opened.keep,
    )


@dataclass(frozen=True)
class Opened:
    """A model, traced but not yet frozen.

    Attributes:
        concrete: The concrete function, of one image tensor.
        kind: ``run``, ``savedmodel``, ``keras``, ``h5`` or ``live``.
        path: Where it came from; None for a live model.
        facts: What a run's ``run.json`` says of its dataset.
        keep: What must stay alive as long as the function.
    """

    concrete: Any
    kind: str
    path: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    keep: Any = None


def open_model(model: Any) -> Opened:
    """Open a path or a live Keras model.

    Raises:
        CnnlabError: There is nothing there, it is no model, or it cannot be read.
    """
    import keras

    if isinstance(model, keras.Model) or (callable(model) and hasattr(model, "inputs")):  # the latter: Keras 2
        return Opened(concrete=_trace(model), kind="live", keep=model)
    if not isinstance(model, str | os.PathLike):
        raise UsageError(f"a model is a path or a Keras model; received {type(model).__name__}.")
    path = Path(model)
    if not path.exists():
        raise CnnlabError(
            f"there is no model at {path}. Name a run folder, a SavedModel folder or a .keras file; `cnnlab runs` "
            "lists runs."
        )
    if path.is_dir():
        return _open_folder(path)
    if path.suffix in (".keras", ".h5"):
        return _open_keras_file(path)
    raise CnnlabError(
        f"{path} is no model: expected a run folder, a SavedModel folder or a .keras file; received a file ending in "
        f"{path.suffix or 'nothing'}."
    )


def _open_folder(path: Path) -> Opened:
    if (path / "run.json").exists():
        return _open_run(path)
    if (path / "saved_model.pb").exists():
        concrete, keep = _load_saved_model(path)
        return Opened(concrete=concrete, kind="savedmodel", path=path, keep=keep)
    if is_run(path):
        raise CnnlabError(
            f"the run {path} is not finished, so it has no model yet; `cnnlab train --out {shlex.quote(str(path))} "
            "--resume` goes on with it."
        )
    raise CnnlabError(
        f"{path} is a folder, but no model: expected a run folder (with run.json) or a SavedModel folder (with "
        "saved_model.pb)."
    )


def _open_run(path: Path) -> Opened:
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        facts = dict(record.get("dataset") or {})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CnnlabError(
            f"{path / 'run.json'} is damaged: {error}. Name the folder {path / 'model'} instead."
        ) from error
    concrete, keep = _load_saved_model(path / "model")
    return Opened(concrete=concrete, kind="run", path=path, facts=facts, keep=keep)


def _load_saved_model(path: Path) -> tuple[Any, Any]:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        raise CnnlabError(f"the SavedModel in {path} cannot be read: {_first_line(error)}.") from error
    signatures = dict(loaded.signatures)
    if not signatures:
        raise CnnlabError(f"the SavedModel in {path} has no signature to call; export it with one (`serving_default`).")
    name = "serving_default" if "serving_default" in signatures else next(iter(signatures))
    return signatures[name], loaded


def _open_keras_file(path: Path) -> Opened:
    import keras

    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise CnnlabError(f"{path} cannot be read as a Keras model: a .keras file is a zip archive, and this is none.")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise CnnlabError(f"{path} cannot be read as a Keras model: {_first_line(error)}.") from error
    return Opened(concrete=_trace(model), kind=path.suffix[1:], path=path, keep=model)


def _trace(model: Any) -> Any:
    import tensorflow as tf

    try:
        inputs = model.inputs
    except (AttributeError, ValueError):
        inputs = None
    if not inputs:
        raise CnnlabError(
            f"the Keras model {model.name!r} does not say what shape its images have; write it with `model.export` "
            "and open the folder."
        )
    if len(inputs) != 1:
        raise CnnlabError(f"the model takes {len(inputs)} inputs; cnnlab opens models of one image input.")
    function = tf.function(lambda images: model(images, training=False))
    (image,) = inputs
    return function.get_concrete_function(tf.TensorSpec(image.shape, image.dtype))


def _check_images(concrete: Any) -> None:
    """Refuse a function of anything but one batch of images [N, H, W, C]."""
    captured = {id(tensor) for tensor in concrete.graph.internal_captures}
    inputs = [tensor for tensor in concrete.inputs if id(tensor) not in captured]
    if len(inputs) != 1:
        raise CnnlabError(f"the model takes {len(inputs)} inputs; cnnlab opens models of one image input.")
    shape, dtype = inputs[0].shape, inputs[0].dtype
    if shape.rank != 4 or shape[3] is None or not dtype.is_floating:
        sides = "of any rank" if shape.rank is None else written(shape)
        raise CnnlabError(
            f"the model takes {dtype.name} {sides}; cnnlab opens models of images [N, H, W, channels] in "
            "floating-point numbers, with a known number of channels."
        )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    return lines[0].rstrip(".") if len(lines[0]) <= _LONGEST else f"{lines[0][:_LONGEST]} ..."
