"""A saved result asked for again: its request, as far as its record tells it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.analysis.request import Request
from cnnlab.datasets.images import Fit
from cnnlab.errors import CnnlabError
from cnnlab.numerics import UNKNOWN
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.blaming import params_of
from cnnlab.pluginhost.declarations import Analysis
from cnnlab.pluginhost.params import fields_of
from cnnlab.results.rows import columns_of

FITS: tuple[Fit, ...] = ("stretch", "crop", "pad")

_PLACE = re.compile(r"(.+)/(train|test):(\d{1,18})", re.DOTALL)


def choices(record: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> list[ImageChoice]:
    """Say how the images of a result may have been asked for; files can have been fitted to the model in several ways.

    Args:
        record: ``result.json``.
        told: What it says of each image.

    Returns:
        None where they cannot be read again: arrays that a caller handed over, files that are gone.
    """
    if not told:
        return [ImageChoice()]
    columns = columns_of(told)
    if all(map(os.path.isfile, columns["source"])):
        labels = [UNKNOWN if label is None else label for label in columns["label"]]
        return [
            ImageChoice(images=list(columns["source"]), labels=labels, fit=fit, invert=invert)
            for fit, invert in product(FITS, (False, True))
        ]
    found = {place and place.group(1, 2) for place in map(_PLACE.fullmatch, columns["source"])}
    part = found.pop()
    if found or part is None:
        return []
    name, split = part
    places = np.fromiter((int(source.rpartition(":")[2]) for source in columns["source"]), np.int64, len(told))
    dataset = record.get("dataset") or {}
    # A folder is called by its last part alone; the record says where it lies.
    source = (dataset.get("name") == name and dataset.get("source")) or name
    return [ImageChoice(dataset=source, split=split, indices=_ranges(places))]


def request_of(record: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> Request | None:
    """Return the request that gives a saved result again, in words that a command line can hold.

    Args:
        record: ``result.json``.
        told: What it says of each image.

    Returns:
        None where its record does not tell enough: its plugin is not installed, its model lay on no disk or was told
        more than a command line says, or its images were handed over, or were files, of which no record says how they
        were fitted.
    """
    found = choices(record, told)
    about = record["model"].get("about") or {}
    if len(found) != 1 or not record["model"]["path"] or about.get("class_names"):
        return None
    analysis = registry.analysis_of(record)
    if analysis is None:
        return None
    try:
        params = _given(analysis, record["params"])
    except (CnnlabError, TypeError):
        return None
    words = {field.name for field in fields(ModelChoice)}
    model: dict[str, Any] = {name: _spoken(about[name]) for name in words & set(about) if about[name] is not None}
    return Request(
        analysis=analysis,
        params=params,
        model=ModelChoice(model=Path(record["model"]["path"]), **model),
        images=found[0],
        seed=record["seed"],
    )


def _spoken(value: Any) -> str:
    return ",".join(f"{each:g}" for each in value) if isinstance(value, list) else str(value)


def _given(analysis: Analysis, values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are not as they are by default."""
    params_of(analysis, lambda: analysis.params.from_public(dict(values)))
    given = {}
    for field in fields_of(analysis.params):
        value = values.get(field.public)
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        if value is not None and value != default:
            given[field.public] = value
    return given


def _ranges(places: np.ndarray) -> tuple[str, ...]:
    """Indices as one would ask for them: those that follow each other together.

    >>> _ranges(np.array([5, 6, 7, 3]))
    ('5:8', '3')
    """
    starts = np.flatnonzero(np.diff(places, prepend=places[0] - 2) != 1)
    lengths = np.diff(starts, append=len(places))
    return tuple(
        f"{first}:{first + length}" if length > 1 else f"{first}"
        for first, length in zip(places[starts].tolist(), lengths.tolist(), strict=True)
    )
