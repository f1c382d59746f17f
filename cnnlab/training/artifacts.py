"""The end of training: evaluate the final weights, then write the run folder, run.json last."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from cnnlab.drawings import to_json
from cnnlab.files.writing import write_json, write_text
from cnnlab.inspection.drawings import confusion
from cnnlab.render import save
from cnnlab.results.folder import digest
from cnnlab.results.record import signed
from cnnlab.runs import Run, write_history
from cnnlab.runs.comparison import curves
from cnnlab.training import drawings, export, record
from cnnlab.training.data import held_out, make_feed
from cnnlab.training.evaluation import Evaluation, Evaluator
from cnnlab.trust import trial

if TYPE_CHECKING:
    from cnnlab.datasets import Dataset, Split
    from cnnlab.drawings import Drawing


def complete(
    run: Run, evaluator: Evaluator, dataset: Dataset, history: list[dict[str, Any]], between: Callable[[], None]
) -> None:
    """Write everything that a complete run holds.

    Args:
        run: Its folder, with the settings that it was started with.
        evaluator: Of the network with its final weights, in float32.
        dataset: What it learned.
        history: The rows of all epochs.
        between: Called between files; what it raises ends the work, and leaves the run unfinished.

    Raises:
        CnnlabError: The disk is full.
    """
    start = run.config
    tested = bool(len(dataset.test))
    split, indices = _final_images(dataset, start)
    model = evaluator.model
    final = evaluator.evaluate(make_feed(split, indices), between=between)
    export.save_keras(model, run.keras_path)
    between()
    export.save_savedmodel(model, run.model_path)
    drawn = _drawings(dataset, split, indices, final, history, start)
    for name, drawing in drawn.items():
        between()
        save(drawing, run.path / f"{name}.png")
    write_text(run.drawings_path, to_json(drawn) + "\n")
    write_history(run.history_path, history)
    for model_path in (run.keras_path, run.model_path):
        trial.vouch(model_path)
    said = record.at_end(start, history, final, tested, parameters_of(model))
    write_json(run.record_path, signed({**said, "files": _digests(run, drawn)}))


def _digests(run: Run, drawn: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of every file that training leaves, by its name in the folder."""
    files = [run.keras_path, run.history_path, run.drawings_path, *(run.path / f"{name}.png" for name in drawn)]
    files += sorted(path for path in run.model_path.rglob("*") if path.is_file())
    return {file.relative_to(run.path).as_posix(): digest(file) for file in files}


def _final_images(dataset: Dataset, start: dict[str, Any]) -> tuple[Split, np.ndarray]:
    """The test images, or those held out where a dataset has no test images."""
    if len(dataset.test):
        return dataset.test, np.arange(len(dataset.test))
    settings = start["settings"]
    count = min(len(dataset.train), settings["limit"] or len(dataset.train))
    return dataset.train, held_out(count, settings["validation"], settings["seed"])[1]


def _drawings(
    dataset: Dataset,
    split: Split,
    indices: np.ndarray,
    final: Evaluation,
    history: list[dict[str, Any]],
    start: dict[str, Any],
) -> dict[str, Drawing]:
    labels = np.asarray(split.labels)[indices]
    first, mistakes = drawings.choose_predictions(labels, final.predicted, final.confidence)
    shown = np.concatenate([first, mistakes])
    predictions = drawings.predictions(
        split.batch(indices[shown]),
        labels[shown],
        final.predicted[shown],
        final.confidence[shown],
        dataset.class_names,
        first=len(first),
        wrong=int((final.predicted != labels).sum()),
        total=len(labels),
        limits=dataset.value_range,
    )
    return {
        "curves": curves({"": history}, validated_on=start["validated_on"]),
        "predictions": predictions,
        "confusion": confusion(final.confusion, dataset.class_names),
    }


def parameters_of(model: keras.Model) -> dict[str, int]:
    """Count the parameters of a network, as run.json says them.

    Args:
        model: The network.

    Returns:
        ``total`` and ``trainable``.
    """
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return {"total": int(model.count_params()), "trainable": trainable}
