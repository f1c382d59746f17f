"""``cnnlab.load``: what kind of model is this, how is it traced, and the Classifier that comes of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnlab.classifier.classifier import Classifier
from cnnlab.classifier.freeze import freeze
from cnnlab.classifier.logits import find_logits
from cnnlab.errors import CnnlabError


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
    frozen = freeze(opened.concrete)
    value_range = opened.facts.get("value_range") or (0.0, 1.0)
    return Classifier(
        frozen,
        find_logits(frozen.outputs[0]),
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

    if isinstance(model, keras.Model):
        return Opened(concrete=_trace(model), kind="live", keep=model)
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
    raise CnnlabError(
        f"{path} is a folder, but no model: expected a run folder (with run.json) or a SavedModel folder (with "
        "saved_model.pb)."
    )


def _open_run(path: Path) -> Opened:
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        facts = dict(record.get("dataset") or {})
    except (OSError, ValueError, TypeError) as error:
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

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise CnnlabError(f"{path} cannot be read as a Keras model: {_first_line(error)}.") from error
    return Opened(concrete=_trace(model), kind=path.suffix[1:], path=path, keep=model)


def _trace(model: Any) -> Any:
    import tensorflow as tf

    if len(model.inputs) != 1:
        raise CnnlabError(f"the model takes {len(model.inputs)} inputs; cnnlab opens models of one image input.")
    function = tf.function(lambda images: model(images, training=False))
    (image,) = model.inputs
    return function.get_concrete_function(tf.TensorSpec(image.shape, image.dtype))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def digest(definition: Any) -> str:
    """Return the SHA-256 of a frozen graph: of its operations and weights, whatever file they came from."""
    hashed = hashlib.sha256()
    for node in sorted(definition.node, key=lambda node: node.name):
        hashed.update(node.SerializeToString(deterministic=True))
    return hashed.hexdigest()
