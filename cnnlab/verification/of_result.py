"""A saved result, held against its files, its model and its arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import drawings as drawing_data
from cnnlab.adversarial.judge import Finding, is_adversarial
from cnnlab.errors import CnnlabError
from cnnlab.files.reading import read_text
from cnnlab.inspection import evaluation_result
from cnnlab.pluginhost import registry
from cnnlab.results.claims import Claims
from cnnlab.results.folder import ARRAYS, DRAWINGS, RECORD
from cnnlab.results.result import read_arrays
from cnnlab.verification.attacked import JUDGED, attacked
from cnnlab.verification.files import as_recorded, as_written, redrawn
from cnnlab.verification.inputs_again import choice_of, inputs
from cnnlab.verification.numbers import numbers
from cnnlab.verification.report import fails, guarded, holds, judged, not_checked

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.pluginhost.declarations import Analysis

UNPROVED = ("seconds", "device", "versions", "plugin")
"""What a record says of how it was made, and nothing can show."""

REPEATED = ("params", "seed", "warnings", "preflight", "meanings")
"""What only running the analysis again can show."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A saved result, read.

    Attributes:
        directory: Where it lies.
        record: Its ``result.json``.
        classifier: The model that it is held against.
        arrays: Its arrays; empty where they cannot be read.
        damage: Why they cannot.
        analysis: What was asked; None where no plugin here gives it.
    """

    directory: Path
    record: Mapping[str, Any]
    classifier: Classifier
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    damage: str = ""
    analysis: Analysis | None = None

    @classmethod
    def read(cls, directory: Path, record: Mapping[str, Any], classifier: Classifier) -> Saved:
        """Read the arrays too, and look the analysis up."""
        arrays, damage = {}, ""
        try:
            arrays = read_arrays(directory)
        except CnnlabError as error:
            damage = str(error)
        analysis = registry.analyses().get(record["analysis"])
        return cls(
            directory=directory, record=record, classifier=classifier, arrays=arrays, damage=damage, analysis=analysis
        )

    @property
    def claims(self) -> Claims | None:
        """What an attack promises of its images."""
        return Claims.from_json(self.record["claims"]) if self.record.get("claims") else None


def findings_of_result(saved: Saved, *, rerun: bool) -> Iterator[Finding]:
    """Check everything that a result says.

    Args:
        saved: It.
        rerun: Whether the analysis is run again.
    """
    record = saved.record
    yield as_recorded(record, RECORD)
    yield from guarded("files", _files, saved)
    yield from guarded("model", _model, saved)
    choice, wrong = choice_of(record, saved.classifier)
    yield from guarded("inputs", inputs, record, choice, wrong)
    yield from guarded("dataset", _dataset, saved)
    if saved.damage:
        yield fails("arrays", saved.damage)
        return
    yield from guarded("arrays", _arrays, saved)
    yield from guarded("figures", _figures, saved)
    if is_adversarial(saved.arrays) or record.get("claims"):
        yield from guarded("claims", attacked, saved)
    yield from guarded("metrics", numbers, saved)
    if rerun:
        from cnnlab.verification.rerun import again

        yield from guarded("rerun", again, saved, None if wrong else choice)
    else:
        yield _unrepeated(saved)
    said = [name for name in UNPROVED if record.get(name) is not None]
    yield not_checked("circumstances", f"What nothing can show: {', '.join(said)}.")


def _unrepeated(saved: Saved) -> Finding:
    """Name what only running the analysis again can show; of the arrays, those that no model was asked about."""
    arrays = sorted(set(saved.arrays) - (JUDGED if is_adversarial(saved.arrays) else set()))
    said = [name for name in REPEATED if saved.record.get(name) not in (None, [], {})]
    told = f"the arrays {', '.join(arrays)} are what they give, nor " if arrays else ""
    return not_checked(
        "rerun", f"Neither that {told}{', '.join(said)}: `cnnlab verify --rerun` runs the analysis again."
    )


def _files(saved: Saved) -> Iterator[Finding]:
    files = saved.record["files"]
    yield from as_written(saved.directory, files, (RECORD,))
    unlisted = [name for name in saved.record["figures"] if name not in files]
    unlisted += [ARRAYS] if files and ARRAYS not in files else []
    if unlisted:
        yield fails("files", f"The record holds no digest of {', '.join(unlisted)}.")


def _model(saved: Saved) -> Iterator[Finding]:
    said, found = saved.record["model"]["digest"], saved.classifier.digest
    if said == found:
        yield holds("model", f"It is the model of the result ({said[:12]}).")
    else:
        yield fails("model", f"It is another model: {found[:12]}, where the result was made of {said[:12]}.")


def _dataset(saved: Saved) -> Iterator[Finding]:
    """Find the dataset of an evaluation again, whose record names it instead of every image."""
    from cnnlab import datasets

    told = saved.record.get("dataset") or {}
    if not told.get("digest"):
        return
    try:
        found = datasets.load(told.get("source") or told["name"])
    except CnnlabError as error:
        yield not_checked("dataset", str(error))
        return
    wrong = [] if found.digest == told["digest"] else [f"{found.name} is another dataset than the one evaluated on"]
    yield judged("dataset", wrong, f"{found.name} is what it was, to the bit.")


def _arrays(saved: Saved) -> Iterator[Finding]:
    told = {name: (facts["shape"], facts["dtype"]) for name, facts in saved.record["arrays"].items()}
    found = {name: (list(array.shape), str(array.dtype)) for name, array in saved.arrays.items()}
    wrong = [
        f"{name} is {_told(found.get(name))}, not {_told(told.get(name))}"
        for name in sorted({*told, *found})
        if told.get(name) != found.get(name)
    ]
    yield judged("arrays", wrong, f"{len(told)} of {len(told)} have the shapes and types they should.")
    if saved.record["analysis"] == evaluation_result.NAME:
        due = evaluation_result.sum_up(saved.arrays, saved.record["classes"]).arrays
        wrong = [name for name in due if not np.array_equal(due[name], saved.arrays[name], equal_nan=True)]
        yield judged("confusion", wrong, "Counts of classes and of confidences follow from the labels.")


def _told(facts: tuple[Any, Any] | None) -> str:
    return f"{facts[1]} {facts[0]}" if facts else "missing"


def _figures(saved: Saved) -> Iterator[Finding]:
    """Draw again what drawings.json holds, which refers to the arrays."""
    files, figures = saved.record["files"], saved.record["figures"]
    if DRAWINGS not in files:
        yield judged("figures", [f"{name} was drawn of nothing" for name in figures], "There is none.")
        return
    drawn = drawing_data.from_json(read_text(saved.directory / DRAWINGS))
    due: dict[str, Any] = {}
    for name, drawing in drawn.items():
        stem = f"figure-{name.replace('/', '.')}" if name else "figure"
        due |= {file: drawing for file in figures if file.rpartition(".")[0] == stem}
    strange = [f"{file} is none of the drawings" for file in figures if file not in due]
    lacking = len(due) < len(drawn) if figures else False
    if strange or lacking:
        yield fails("figures", f"{'; '.join(strange) or 'Not every drawing has its figure'}.")
        return
    resolved = {file: drawing_data.resolved(drawing, saved.arrays) for file, drawing in due.items()}
    yield from redrawn(saved.directory, resolved, saved.record["versions"])
