"""What a run's drawings.json shows, made again of its history and its evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cnnlab.adversarial.judge import Finding
from cnnlab.devices.choice import current_device
from cnnlab.drawings import Drawing, Matrix, Tiles, from_json, to_json
from cnnlab.inspection.drawings import confusion
from cnnlab.runs.comparison import curves
from cnnlab.training import drawings
from cnnlab.verification.likeness import ABSOLUTE, alike, same_counts, unsure
from cnnlab.verification.report import fails, judged, not_checked
from cnnlab.versions import versions

if TYPE_CHECKING:
    from typing import Any

    from cnnlab.inputs import Inputs
    from cnnlab.inspection.evaluation import Evaluation
    from cnnlab.runs import Run

PICTURES = ("curves", "predictions", "confusion")

MOST_TIED = 256
"""Mistakes of much the same confidence among which those shown are looked for: their images lie in memory."""


def as_drawn(run: Run, images: Mapping[str, Inputs], read: Mapping[str, Evaluation]) -> Iterator[Finding]:
    """Make again what drawings.json holds: of history.csv, and of the evaluation."""
    drawn, record = run.drawings, run.config
    if set(drawn) != set(PICTURES):
        yield fails("drawings", f"drawings.json holds {', '.join(drawn) or 'nothing'}, not {', '.join(PICTURES)}.")
        return
    if record["versions"].get("cnnlab") != versions()["cnnlab"]:
        yield not_checked("drawings", "Another version of cnnlab made them, so they were not made again.")
        return
    wrong, unshown = [], []
    if not _equal(drawn["curves"], curves({"": run.history}, validated_on=record["validated_on"])):
        wrong.append("curves are not those of history.csv")
    found = read.get(record["evaluated_on"])
    if found is None:
        unshown = ["predictions", "confusion"]
    else:
        if not _same_confusion(drawn["confusion"], record, found):
            wrong.append("confusion is not that of the evaluation")
        names = record["dataset"]["class_names"]
        if not _same_predictions(drawn["predictions"], images[record["evaluated_on"]], found, names):
            # What another device is less sure of, it may also read otherwise.
            certain = not unsure(found) and record["device"] == current_device()
            if certain:
                wrong.append("predictions are not those of the evaluation")
            else:
                unshown.append("predictions")
    yield judged("drawings", wrong, "What follows from history.csv and the evaluation is what they show.")
    if unshown:
        yield not_checked("drawings", f"Nothing here shows these: {', '.join(unshown)}.")


def _equal(said: Drawing, due: Drawing) -> bool:
    """Whether a drawing that was read is another that would be written."""
    return to_json({"": said}) == to_json(from_json(to_json({"": due})))


def _same_confusion(said: Drawing, record: Mapping[str, Any], read: Evaluation) -> bool:
    """Whether a drawing shows the confusion matrix of the record, and that of an evaluation."""
    if not isinstance(said, Matrix):
        return False
    counts = np.asarray(said.values)
    of_record = record.get("confusion") in (None, counts.tolist())
    return of_record and same_counts(counts, read) and _equal(said, confusion(counts, record["dataset"]["class_names"]))


def _same_predictions(said: Drawing, inputs: Inputs, counts: Evaluation, names: Sequence[str]) -> bool:
    """Whether a drawing shows the first images and the most confident mistakes: in any order, and of ties any.

    Args:
        said: What drawings.json holds.
        inputs: The images that were evaluated.
        counts: What the model made of them.
        names: Of the classes.
    """
    first, mistakes = drawings.choose_predictions(inputs.labels, counts.predicted, counts.confidence)
    wrong = np.flatnonzero(counts.predicted != inputs.labels)
    tied = wrong[counts.confidence[wrong] >= counts.confidence[mistakes].min(initial=1) - ABSOLUTE]
    tied = np.union1d(mistakes, tied[:MOST_TIED])

    def drawn(chosen: np.ndarray) -> Tiles:
        shown = np.concatenate([first, chosen])
        return drawings.predictions(
            inputs.select(shown).images,
            inputs.labels[shown],
            counts.predicted[shown],
            counts.confidence[shown],
            names,
            first=len(first),
            wrong=len(wrong),
            total=len(inputs),
            limits=inputs.bounds,
        )

    due, pool = drawn(mistakes), _pictures(drawn(tied))[len(first) :]
    pictures = _pictures(said)
    if not _equal(_emptied(said), _emptied(due)) or len(pictures) != len(first) + len(mistakes):
        return False
    for picture in pictures[len(first) :]:
        found = next((place for place, each in enumerate(pool) if alike(picture, each)), None)
        if found is None:
            return False
        del pool[found]
    return all(map(alike, pictures[: len(first)], _pictures(due)))


def _pictures(drawing: Drawing | None) -> list[Drawing | None]:
    """The pictures of a drawing in their order."""
    return [each for tile in drawing.tiles for each in _pictures(tile)] if isinstance(drawing, Tiles) else [drawing]


def _emptied(drawing: Drawing | None) -> Tiles:
    """The same without its pictures: headings, and how many places there are."""
    if not isinstance(drawing, Tiles):
        return Tiles(tiles=())
    return replace(drawing, tiles=tuple(_emptied(tile) for tile in drawing.tiles))
