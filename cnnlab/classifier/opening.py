"""``cnnlab.load``: what kind of model is this, how is it traced, and the Classifier that comes of it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnlab.classifier.classifier import Classifier
from cnnlab.classifier.freeze import Frozen, digest, freeze
from cnnlab.classifier.hints import SCHEMES, About, make_about, recall
from cnnlab.classifier.logits import Output, find_output, written
from cnnlab.classifier.noise_probe import settle_output
from cnnlab.classifier.preprocessing import ASSUMED, Preparation, prepare
from cnnlab.errors import CnnlabError, UsageError, did_you_mean
from cnnlab.files.reading import check_regular
from cnnlab.runs.folder import Run, is_run
from cnnlab.runs.record import read_record
from cnnlab.trust import trial
from cnnlab.trust.keras_files import check_keras_file
from cnnlab.trust.savedmodel import check_saved_model

_LONGEST = 200
"""Characters of another library's message that ours repeats."""


def load(
    model: Any,
    *,
    signature: str | None = None,
    output: str | None = None,
    input_range: str | Sequence[float] | None = None,
    class_names: Sequence[str] | None = None,
    layout: str | None = None,
    memory: int | None = None,
    trust: bool = False,
    limit_seconds: float | None = None,
    limit_memory: int | None = None,
) -> Classifier:
    """Open a model.

    One that comes from a path, and was not written by cnnlab on this machine, is first opened and run in a process of
    its own with limits (:mod:`cnnlab.trust.trial`), once for each state of its files.

    What is not said here is taken from ``cnnlab.json`` beside the model where somebody had it remembered, then from the
    run that the model is of, then from the model itself.

    Args:
        model: A path to a run folder, a SavedModel folder or a ``.keras`` or ``.h5`` file, a :class:`~cnnlab.runs.Run`,
            a live ``keras.Model``, or a Classifier, which is returned as it is.
        signature: Which of a SavedModel's signatures to call; ``serving_default`` where it has one.
        output: Which of several outputs holds the logits or probabilities.
        input_range: The values that the model's images have: two numbers, ``"0,255"``, ``"imagenet"`` or ``"caffe"``.
        class_names: The classes, in the order of their labels.
        layout: ``channels_last`` or ``channels_first``.
        memory: Bytes that the activations of one forward pass may take; by default a share of what is free.
        trust: Open it also when that can run code or reach files: a SavedModel with such operations, a Keras file with
            Lambda layers or unknown classes. Without it, they are refused before anything in them runs.
        limit_seconds: Seconds that this first opening may take; 60 by default.
        limit_memory: Bytes that it may take; by default 8 GiB, or three quarters of the machine's memory.

    Raises:
        UsageError: There is no such signature or output, or a value is not as expected.
        CnnlabError: There is no model there, it cannot be read, it is no classifier of images, or it is refused
            because of what it could reach or what it takes.

    Example:
        >>> import cnnlab
        >>> import keras
        >>> layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
        >>> classifier = cnnlab.load(keras.Sequential(layers), class_names=("cat", "dog"))
        >>> classifier.input_shape, classifier.class_names
        ((8, 8, 1), ('cat', 'dog'))
    """
    if isinstance(model, Classifier):
        return model
    said = make_about(
        signature=signature, output=output, input_range=input_range, class_names=class_names, layout=layout
    )
    model = model.path if isinstance(model, Run) else model
    limits = trial.limits(limit_seconds, limit_memory)
    if isinstance(model, str | os.PathLike) and Path(model).exists():
        said = said.over(recall(Path(model)))
        if not trust and (file := _to_try(Path(model))):
            trial.check(file, said.to_json(), limits)
    return opened(model, said, memory=memory, trust=trust)


def _to_try(path: Path) -> Path | None:
    """The SavedModel or the file that opening a path would open, where that is to be tried elsewhere first.

    Not a Keras file where whoever imported cnnlab has registered classes: the other process does not have them.
    """
    import keras

    if path.is_dir():
        folder = path / "model" if (path / "run.json").exists() else path
        return folder if (folder / "saved_model.pb").exists() else None
    return path if path.suffix in (".keras", ".h5") and not keras.saving.get_custom_objects() else None


def opened(model: Any, said: About, *, memory: int | None = None, trust: bool = False) -> Classifier:
    """Open a model in this process; see :func:`load`.

    Args:
        model: A path or a live ``keras.Model``.
        said: What is said of it.
        memory: Bytes that the activations of one forward pass may take.
        trust: Open it also when that can run code or reach files.
    """
    found_model = open_model(model, said.signature, trust=trust)
    _check_images(found_model.concrete)
    frozen = freeze(found_model.concrete)
    found = find_output(frozen.outputs, said.output)
    names = said.class_names or found_model.facts.get("class_names")
    preparation = prepare(said, frozen.input, _trained_range(found_model.facts))
    _check_said(said, frozen, found, preparation)
    classifier = Classifier(
        frozen,
        found,
        path=found_model.path,
        kind=found_model.kind,
        digest=digest(frozen.definition),
        preparation=preparation,
        about=said,
        class_names=names,
        dataset_name=found_model.facts.get("source") or found_model.facts.get("name"),
        notes=_notes(preparation, frozen.is_random(found.logits)),
        memory=memory,
        keep=found_model.keep,
    )
    return settle_output(classifier)


def _trained_range(facts: dict[str, Any]) -> tuple[float, float] | None:
    if not facts.get("value_range"):
        return None
    low, high = facts["value_range"]
    return (float(low), float(high))


def _check_said(said: About, frozen: Frozen, found: Output, preparation: Preparation) -> None:
    if said.class_names is not None and len(said.class_names) != found.classes:
        raise UsageError(f"there are {len(said.class_names)} class names, and the model has {found.classes} classes.")
    channels = frozen.input.shape[1 if preparation.channels_first else 3]
    if said.input_range in SCHEMES and channels != 3:
        raise UsageError(f"the input range {said.input_range} is for three channels; the model takes {channels}.")


def _notes(preparation: Preparation, random: bool) -> list[str]:
    notes = []
    if preparation.reason == ASSUMED:
        notes.append(
            "the value range of this model's images is not known, and 0 to 1 was assumed; if it is another, say so "
            "with `input_range=`."
        )
    if random:
        notes.append(
            "this model draws random numbers when it answers, as an augmentation layer that was exported switched on "
            "does; cnnlab draws the same ones every time."
        )
    return notes


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


def open_model(model: Any, signature: str | None = None, *, trust: bool = False) -> Opened:
    """Open a path or a live Keras model.

    Args:
        model: The path or the model.
        signature: Which of a SavedModel's signatures to call.
        trust: Open it also when that can run code or reach files.

    Raises:
        UsageError: There is no such signature.
        CnnlabError: There is nothing there, it is no model, it cannot be read, or it is refused.
    """
    import keras

    if isinstance(model, keras.Model) or (callable(model) and hasattr(model, "inputs")):  # the latter: Keras 2
        return Opened(concrete=_trace(model), kind="live", keep=model)
    if not isinstance(model, str | os.PathLike):
        raise UsageError(f"a model is a path, a run or a Keras model; received {type(model).__name__}.")
    path = Path(model)
    if not path.exists():
        raise CnnlabError(
            f"there is no model at {path}. Name a run folder, a SavedModel folder or a .keras file; `cnnlab runs` "
            "lists runs."
        )
    if path.is_dir():
        return _open_folder(path, signature, trust)
    if signature is not None:
        raise UsageError(f"only SavedModels have signatures to choose from; {path} is none.")
    if path.suffix in (".keras", ".h5"):
        return _open_keras_file(check_regular(path), trust)
    raise CnnlabError(
        f"{path} is no model: expected a run folder, a SavedModel folder or a .keras file; received a file ending in "
        f"{path.suffix or 'nothing'}."
    )


def looks_like_model(path: str | os.PathLike[str]) -> bool:
    """Say whether a path is meant as a model's, by its name and the files in it alone: nothing is opened.

    >>> looks_like_model("mine.keras"), looks_like_model("7.png")
    (True, False)
    """
    path = Path(path)
    return path.suffix in (".keras", ".h5") or (path / "saved_model.pb").exists() or is_run(path)


def _open_folder(path: Path, signature: str | None, trust: bool) -> Opened:
    if (path / "run.json").exists():
        facts = _facts(path)
        concrete, keep = _load_saved_model(path / "model", signature, trust)
        return Opened(concrete=concrete, kind="run", path=path, facts=facts, keep=keep)
    if (path / "saved_model.pb").exists():
        concrete, keep = _load_saved_model(path, signature, trust)
        facts = _facts(path.parent) if path.name == "model" else {}
        return Opened(concrete=concrete, kind="savedmodel", path=path, facts=facts, keep=keep)
    if is_run(path):
        raise CnnlabError(
            f"the run {path} is not finished, so it has no model yet; `cnnlab train --out {shlex.quote(str(path))} "
            "--resume` goes on with it."
        )
    raise CnnlabError(
        f"{path} is a folder, but no model: expected a run folder (with run.json) or a SavedModel folder (with "
        "saved_model.pb)."
    )


def _facts(run: Path) -> dict[str, Any]:
    """What a run's record says of its dataset; nothing where the folder is no run."""
    record = run / "run.json"
    if not record.exists():
        return {}
    try:
        return dict(read_record(record, complete=True)["dataset"])
    except CnnlabError as error:
        raise CnnlabError(
            f"the record of a run is damaged: {error} To open its model all the same, name a copy of the folder "
            f"{run / 'model'}."
        ) from error


def _load_saved_model(path: Path, signature: str | None, trust: bool) -> tuple[Any, Any]:
    import tensorflow as tf

    if not trust:
        check_saved_model(path)
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        why = _first_line(error)
        if "[" in str(path) and "matching files" in why:
            why = "TensorFlow takes the [ in its path for a pattern; rename the folder"
        raise CnnlabError(f"the SavedModel in {path} cannot be read: {why}.") from error
    signatures = dict(loaded.signatures)
    if not signatures:
        raise CnnlabError(f"the SavedModel in {path} has no signature to call; export it with one (`serving_default`).")
    default = "serving_default" if "serving_default" in signatures else next(iter(signatures))
    name = default if signature is None else signature
    if signature is None and len(signatures) > 1 and "serving_default" not in signatures:
        raise CnnlabError(
            f"the SavedModel in {path} has the signatures {', '.join(map(repr, sorted(signatures)))} and no "
            "'serving_default' among them, so cnnlab cannot know which to call; name one with `signature=`."
        )
    if name not in signatures:
        raise UsageError(f"the SavedModel in {path} has no signature {name!r}. {did_you_mean(name, signatures)}")
    return signatures[name], loaded


def _open_keras_file(path: Path, trust: bool) -> Opened:
    import keras

    if not trust:
        check_keras_file(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:
        raise CnnlabError(f"{path} cannot be read as a Keras model: {_first_line(error)}.") from error
    facts = _facts(path.parent) if path.name == "model.keras" else {}
    return Opened(concrete=_trace(model), kind=path.suffix[1:], path=path, facts=facts, keep=model)


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
    function = tf.function(lambda images: model(images, training=False), autograph=False)
    (image,) = inputs
    return function.get_concrete_function(tf.TensorSpec(image.shape, image.dtype))


def _check_images(concrete: Any) -> None:
    """Refuse a function of anything but one batch of images [N, H, W, C]."""
    captured = {id(tensor) for tensor in concrete.graph.internal_captures}
    inputs = [tensor for tensor in concrete.inputs if id(tensor) not in captured]
    if len(inputs) != 1:
        raise CnnlabError(f"the model takes {len(inputs)} inputs; cnnlab opens models of one image input.")
    shape, dtype = inputs[0].shape, inputs[0].dtype
    channels_known = shape.rank == 4 and (shape[3] is not None or shape[1] in (1, 3))
    if not channels_known or not (dtype.is_floating or dtype.is_integer):
        sides = "of any rank" if shape.rank is None else written(shape)
        raise CnnlabError(
            f"the model takes {dtype.name} {sides}; cnnlab opens models of images [N, H, W, channels], in numbers and "
            "with a known number of channels."
        )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    return lines[0].rstrip(".") if len(lines[0]) <= _LONGEST else f"{lines[0][:_LONGEST]} ..."
