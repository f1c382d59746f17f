"""The images of a saved result, read again from where they came: files, or a dataset that can be named."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from cnnlab.adversarial.judge import Finding
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.datasets.images import Fit
from cnnlab.errors import CnnlabError
from cnnlab.numerics import UNKNOWN
from cnnlab.verification.report import fails, judged, not_checked

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

FITS: tuple[Fit, ...] = ("stretch", "crop", "pad")

_PLACE = re.compile(r"(.+)/(train|test):(\d+)", re.DOTALL)


def choices(record: Mapping[str, Any]) -> list[ImageChoice]:
    """Say how the images of a result may have been asked for; files can have been fitted to the model in several ways.

    Args:
        record: ``result.json``.

    Returns:
        None where they cannot be read again: arrays that a caller handed over, files that are gone.
    """
    told = record["inputs"]
    if not told:
        return [ImageChoice()]
    if all(os.path.isfile(entry["source"]) for entry in told):
        labels = [UNKNOWN if entry["label"] is None else entry["label"] for entry in told]
        return [
            ImageChoice(images=[entry["source"] for entry in told], labels=labels, fit=fit, invert=invert)
            for fit, invert in product(FITS, (False, True))
        ]
    places = [_PLACE.fullmatch(entry["source"]) for entry in told]
    found = {(place[1], place[2]) for place in places if place}
    if len(found) != 1 or None in places:
        return []
    ((name, split),) = found
    dataset = record.get("dataset") or {}
    # A folder is called by its last part alone; the record says where it lies.
    source = (dataset.get("name") == name and dataset.get("source")) or name
    return [ImageChoice(dataset=source, split=split, indices=tuple(place[3] for place in places if place))]


def choice_of(record: Mapping[str, Any], classifier: Classifier) -> tuple[ImageChoice | None, list[str]]:
    """Find how the images of a result were asked for, and the sources of those that are not what they were.

    Args:
        record: ``result.json``.
        classifier: The model that they are fitted to.

    Returns:
        The way in which the fewest differ, and which do; None and none where they cannot be read again.
    """
    told = record["inputs"]
    best: tuple[ImageChoice | None, list[str]] = (None, [])
    for choice in choices(record):
        try:
            again = choice.read(classifier).records() if told else []
        except CnnlabError:
            if choice.images is None:
                continue
            again = []
        facts = ("digest", "shape", "label")
        wrong = [
            entry["source"]
            for index, entry in enumerate(told)
            if index >= len(again) or any(again[index][fact] != entry[fact] for fact in facts)
        ]
        if best[0] is None or len(wrong) < len(best[1]):
            best = choice, wrong
        if not wrong:
            break
    return best


def inputs(record: Mapping[str, Any], choice: ImageChoice | None, wrong: list[str]) -> Iterator[Finding]:
    """Say whether the images are what was read then."""
    told = record["inputs"]
    if choice is None:
        yield not_checked("inputs", f"The {len(told):,} images cannot be read again: {told[0]['source']}.")
    elif wrong:
        yield fails("inputs", f"{len(wrong):,} of {len(told):,} are not what was read then: {', '.join(wrong[:3])}.")
    elif told:
        yield judged("inputs", [], f"{len(told):,} of {len(told):,} are the same when read again, to the bit.")
        if choice.images is not None:
            yield not_checked("inputs", "What image files are of was said by somebody: inputs.label.")
