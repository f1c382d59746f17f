"""What ``cnnlab verify DIR`` does: everything is read afresh, and what cannot be checked is listed as such."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.results.folder import RECORD
from cnnlab.results.result import read_record
from cnnlab.runs.folder import find, is_run
from cnnlab.verification.report import Report


def verify(
    directory: str | os.PathLike[str],
    model: Any = None,
    *,
    rerun: bool = False,
    trust: bool = False,
    limit_seconds: float | None = None,
    limit_memory: int | None = None,
) -> Report:
    """Check every claim of a saved result or of a run, from its files and its model.

    Args:
        directory: What ``cnnlab analyze NAME --out DIR``, ``cnnlab evaluate --out DIR`` or ``cnnlab train`` wrote.
        model: The model of a result; by default the one that its record names. A run is held against its own.
        rerun: Run the analysis again too, with the recorded parameters, seed and images, and compare the arrays: only
            this shows that they are what these give.
        trust: As for :func:`cnnlab.load`; the record has no say in it.
        limit_seconds: Seconds, as for :func:`cnnlab.load`.
        limit_memory: Bytes, as for :func:`cnnlab.load`.

    Raises:
        UsageError: A run is to be held against another model, or run again.
        CnnlabError: There is neither, its record cannot be read, or there is no model to hold it against.

    Example:
        >>> import tempfile
        >>> import cnnlab
        >>> import keras
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
        >>> folder = tempfile.mkdtemp() + "/covered"
        >>> saved = cnnlab.analyze("occlusion", model, np.ones((1, 8, 8, 1), np.float32), patch=4).save(folder)
        >>> cnnlab.verify(folder, model).failed
        []
    """
    from cnnlab.classifier import load

    source = Path(directory)
    opening: dict[str, Any] = {"trust": trust, "limit_seconds": limit_seconds, "limit_memory": limit_memory}
    if is_run(source) and not (source / RECORD).exists():
        from cnnlab.verification.of_run import findings_of_run

        if rerun or model is not None:
            word = "rerun" if rerun else "model"
            raise UsageError(
                f"`{word}=` is for results of analyses, and {source} is a run: it is held against its own model, and "
                "would have to be trained again. Leave it out."
            )
        run = find(source)
        classifier = load(run.path, **opening)
        found = list(findings_of_run(run, classifier, opening))
        return Report(directory=source, of="run", record=run.config, model=classifier, findings=found)
    from cnnlab.verification.of_result import Saved, findings_of_result

    record = read_record(source)
    named = model if model is not None else _model_of(source, record)
    classifier = load(named, **_about(record), **opening)
    found = list(findings_of_result(Saved.read(source, record, classifier), rerun=rerun))
    return Report(directory=source, of=record["analysis"], record=record, model=classifier, findings=found)


def _about(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the record says of its model, and nothing else that opening it could be told."""
    from cnnlab.classifier.hints import About

    said = record["model"].get("about") or {}
    return {field.name: said[field.name] for field in fields(About) if field.name in said}


def _model_of(source: Path, record: Mapping[str, Any]) -> Path:
    """Find the model that the record names, also where the run was moved with its analyses in it."""
    named = record["model"]["path"]
    if named is None:
        raise CnnlabError(f"the result in {source} was made of a model without a path; name the model with `model=`.")
    candidates = [Path(named), source.absolute().parent.parent]
    for path in candidates[: 2 if record["model"]["kind"] == "run" else 1]:
        if os.path.exists(path) and (path == candidates[0] or (path / "run.json").is_file()):
            return path
    raise CnnlabError(f"{named}, the model of the result in {source}, is not there; name it with `model=`.")
