"""The images of a saved result, read again from where they came: files, or a dataset that can be named."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.adversarial.judge import Finding
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.datasets.images import Fit
from cnnlab.errors import CnnlabError
from cnnlab.numerics import UNKNOWN
from cnnlab.results.rows import columns_of
from cnnlab.verification.report import fails, judged, not_checked

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

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


def choice_of(
    record: Mapping[str, Any], told: Sequence[Mapping[str, Any]], classifier: Classifier
) -> tuple[ImageChoice | None, list[str]]:
    """Find how the images of a result were asked for, and the sources of those that are not what they were.

    Args:
        record: ``result.json``.
        told: What it says of each image.
        classifier: The model that they are fitted to.

    Returns:
        The way in which the fewest differ, and which do; None and none where they cannot be read again.
    """
    best: tuple[ImageChoice | None, list[str]] = (None, [])
    for choice in choices(record, told):
        again: Sequence[Mapping[str, Any]] = []
        try:
            again = choice.read(classifier).records() if told else []
        except CnnlabError:
            if choice.images is None:
                continue
        facts = ("digest", "shape", "label")
        wrong = [
            entry["source"]
            for entry, found in zip_longest(told, again)
            if entry and (not found or any(found[fact] != entry[fact] for fact in facts))
        ]
        if best[0] is None or len(wrong) < len(best[1]):
            best = choice, wrong
        if not wrong:
            break
    return best


def inputs(told: Sequence[Mapping[str, Any]], choice: ImageChoice | None, wrong: list[str]) -> Iterator[Finding]:
    """Say whether the images are what was read then."""
    if choice is None:
        yield not_checked("inputs", f"The {len(told):,} images cannot be read again: {told[0]['source']}.")
    elif wrong:
        yield fails("inputs", f"{len(wrong):,} of {len(told):,} are not what was read then: {', '.join(wrong[:3])}.")
    elif told:
        yield judged("inputs", [], f"{len(told):,} of {len(told):,} are the same when read again, to the bit.")
        if choice.images is not None:
            yield not_checked("inputs", "What image files are of was said by somebody: inputs.label.")
