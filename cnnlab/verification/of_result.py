"""A saved result, held against its files, its model and its arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import drawings as drawing_data
from cnnlab.adversarial.judge import Finding, is_adversarial
from cnnlab.analysis.host import described
from cnnlab.classifier import load
from cnnlab.errors import CnnlabError
from cnnlab.files.reading import read_text
from cnnlab.inspection import evaluation_result
from cnnlab.inspection.evaluation import names_of
from cnnlab.pluginhost import registry
from cnnlab.results.claims import Claims
from cnnlab.results.folder import ARRAYS, DRAWINGS, RECORD
from cnnlab.results.lists import INPUTS_FILE
from cnnlab.results.meanings import owner
from cnnlab.results.record import lists_beside
from cnnlab.results.result import inputs_in, read_arrays, rows_in
from cnnlab.results.rows import columns_of
from cnnlab.sources import Sources
from cnnlab.verification.attacked import attacked
from cnnlab.verification.entries import others
from cnnlab.verification.files import as_recorded, as_written, redrawn
from cnnlab.verification.inputs_again import choice_of, inputs
from cnnlab.verification.numbers import another_version, numbers
from cnnlab.verification.report import fails, guarded, holds, judged, not_checked
from cnnlab.verification.rerun import again, unrepeated

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset
    from cnnlab.pluginhost.declarations import Analysis

WHERE = ("model.path", "model.kind")
"""What the record says of the place of its model."""

UNPROVED = ("seconds", "device", "versions", "plugin", "model.about")
"""What a record says of how it was made and of what somebody told, and nothing can show."""

KNOWN = (
    *("schema", "digest", "analysis", "params", "seed", "warnings", "preflight", "meanings", "headline", "metrics"),
    *("files", "figures", "rows", "claims", "images", *UNPROVED),
    *("model.path", "model.kind", "model.digest"),
    *("artifacts.file", "artifacts.media_type"),
    *("models.*.path", "models.*.kind", "models.*.digest", "models.*.about"),
    *("inputs.source", "inputs.digest", "inputs.shape", "inputs.label", "inputs.count", "inputs.file", "left_out"),
    *("dataset.name", "dataset.source"),
    *("arrays.*.shape", "arrays.*.dtype", "arrays.*.meaning", "arrays.*.axes"),
)
"""The entries that the checks below speak of, or that are listed as not checked."""

LEFT_OUT = "what they follow from was left out, for only metrics and drawings were to be kept"
"""Why nothing of a result can be worked out anew."""

EVALUATED = ("classes", "dataset.split", "dataset.images", "dataset.digest")
"""Those of an evaluation alone."""


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
        analysis = registry.analysis_of(record)
        return cls(
            directory=directory, record=record, classifier=classifier, arrays=arrays, damage=damage, analysis=analysis
        )

    @cached_property
    def inputs(self) -> Sequence[Mapping[str, Any]]:
        """The images that were given."""
        found: Sequence[Mapping[str, Any]] = inputs_in(self.directory, self.record)
        return found

    @cached_property
    def sources(self) -> Sources:
        """Where they are from."""
        return Sources.of(columns_of(self.inputs).get("source", ()))

    @cached_property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows."""
        return rows_in(self.directory, self.record)

    @property
    def left_out(self) -> str:
        """Why its numbers cannot be worked out anew; empty where they can."""
        return LEFT_OUT if self.record.get("left_out") else ""

    @property
    def not_here(self) -> str:
        """What is said where no plugin here gives its analysis."""
        whose = owner(self.record)
        return f"the plugin that gives {self.record['analysis']}{whose and f' ({whose})'} is not installed here"

    @property
    def is_evaluation(self) -> bool:
        """Whether it is one: no plugin's, and of a whole dataset."""
        return bool(self.record["analysis"] == evaluation_result.NAME)

    @property
    def of_inputs(self) -> bool:
        """Whether its arrays are of the images that were given, and not of noise or others."""
        return (self.record.get("claims") or {}).get("original", "inputs") == "inputs"

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
    yield from guarded("model", _other_models, saved)
    try:
        choice, wrong = choice_of(record, saved.inputs, saved.classifier)
        yield from guarded("inputs", inputs, saved.inputs, choice, wrong)
    except CnnlabError as error:  # of many images, the file that lists them
        choice, wrong = None, []
        yield fails("inputs", str(error))
    if saved.damage:
        yield fails("arrays", saved.damage)
        return
    yield from guarded("dataset", _dataset, saved)
    yield from guarded("arrays", _arrays, saved)
    yield from guarded("figures", _figures, saved)
    if saved.left_out and record.get("claims"):
        yield not_checked("claims", f"They were not checked: {saved.left_out}.")
    elif is_adversarial(saved.arrays) or record.get("claims") or record.get("images"):
        yield from guarded("claims", attacked, saved)
    yield from guarded("metrics", numbers, saved)
    if rerun:
        yield from guarded("rerun", again, saved, None if wrong else choice)
    else:
        yield unrepeated(saved, "Only `cnnlab verify --rerun`, which runs the analysis again, shows these")
    none = [name for name in ("inputs", "dataset", "arrays") if not record.get(name)]
    strange = others(record, (*KNOWN, *(EVALUATED if saved.is_evaluation else ()), *none))
    yield not_checked("circumstances", f"What nothing can show: {', '.join([*UNPROVED, *strange])}.")


def _files(saved: Saved) -> Iterator[Finding]:
    files = saved.record["files"]
    yield from as_written(saved.directory, files, (RECORD,))
    figures, images = saved.record["figures"], [entry["file"] for entry in saved.record.get("images", ())]
    written = [entry["file"] for entry in saved.record.get("artifacts", ())]
    unlisted = [name for name in (*figures, *images, *written) if name not in files]
    unlisted += [ARRAYS] if files and ARRAYS not in files else []
    if unlisted:
        yield judged("files", [f"The record holds no digest of {name}" for name in unlisted], "")
    if "inputs" in lists_beside(saved.record) and saved.record["inputs"]["digest"] != files[INPUTS_FILE]:
        yield fails("files", f"The record holds two digests of {INPUTS_FILE}.")
    extra = [name for name in files if name.startswith("figure") and name not in figures]
    if extra:
        yield fails("files", f"The record holds digests of figures that it does not list: {', '.join(extra)}.")


def _other_models(saved: Saved) -> Iterator[Finding]:
    """Hold other models that took part against their digests, where they can be opened without being trusted."""
    for name, said in saved.record.get("models", {}).items():
        try:
            digest = load(said["path"]).digest if said["path"] else ""
        except CnnlabError as error:
            yield not_checked("model", f"The model {name} cannot be opened: {error}")
            continue
        if not digest:
            yield not_checked("model", f"The model {name} lived in memory alone.")
        elif digest != said["digest"]:
            wrong = f"{name} is another model: {digest[:12]}, where the result was made with {said['digest'][:12]}."
            yield fails("model", wrong)
        else:
            yield holds("model", f"{name} is the model of the result ({digest[:12]}).")


def _model(saved: Saved) -> Iterator[Finding]:
    said, found = saved.record["model"], saved.classifier.record()
    digest = str(found["digest"])
    if said["digest"] != digest:
        yield fails("model", f"It is another model: {digest[:12]}, where the result was made of {said['digest'][:12]}.")
    elif _place(said["path"]) != _place(found["path"]):
        yield holds("model", f"It is the model of the result ({digest[:12]}).")
        yield not_checked("model", f"It was found elsewhere, so these were not checked: {', '.join(WHERE)}.")
    else:
        wrong = [] if said["kind"] == found["kind"] else [f"It is of the kind {found['kind']}, not {said['kind']}"]
        yield judged("model", wrong, f"It is the model of the result ({digest[:12]}).")


def _place(path: str | None) -> str | None:
    return None if path is None else os.path.realpath(path)


def _dataset(saved: Saved) -> Iterator[Finding]:
    """Find the dataset of an evaluation again, whose record names it instead of every image."""
    from cnnlab import datasets

    if not saved.is_evaluation:
        return
    if saved.record["inputs"]:
        yield fails("inputs", "An evaluation names its dataset, and no image of it.")
    told = saved.record.get("dataset") or {}
    if not told.get("digest"):
        yield not_checked("dataset", "The record holds no digest of it, so it was not looked for; nor classes.")
        return
    try:
        found = datasets.load(told.get("source") or told["name"])
    except CnnlabError as error:
        yield not_checked("dataset", f"{error} So these were not checked: dataset, classes.")
        return
    if found.digest != told["digest"]:
        yield fails("dataset", f"{found.name} is another dataset than the one evaluated on.")
        return
    wrong = [f"It is {due!r}, and {name} says {told.get(name)!r}" for name, due in _of(found) if told.get(name) != due]
    yield judged("dataset", [*wrong, *_other_part(saved, found)], f"{found.name} is what it was, to the bit.")
    classes = [] if saved.record.get("classes") == list(names_of(saved.classifier, found)) else ["They are others"]
    yield judged("classes", classes, "They are called so by what was said of the model, or by the dataset.")


def _of(dataset: Dataset) -> Iterator[tuple[str, str | None]]:
    yield "name", dataset.name
    yield "source", dataset.source or None


def _other_part(saved: Saved, dataset: Dataset) -> Iterator[str]:
    """Say what shows that the arrays are of another part of a dataset than the record names."""
    told, arrays = saved.record["dataset"], saved.arrays
    if told.get("split") != saved.record["params"].get("split"):
        yield "dataset.split is not what params names"
    if told.get("split") not in ("train", "test") or not (saved.left_out or {"index", "label"} <= set(arrays)):
        yield "It has no such part"
        return
    if saved.left_out:
        yield from [] if 0 < told.get("images", 0) <= len(dataset.split(told["split"])) else ["There are not as many"]
        return
    labels, index = dataset.split(told["split"]).labels, arrays["index"]
    if told.get("images") != len(index):
        yield f"There are {len(index):,} images"
    if index.min(initial=0) < 0 or index.max(initial=0) >= len(labels) or (labels[index] != arrays["label"]).any():
        yield f"The labels are not those of its {told['split']} images"


def _arrays(saved: Saved) -> Iterator[Finding]:
    told = {name: (facts["shape"], facts["dtype"]) for name, facts in saved.record["arrays"].items()}
    found = {name: (list(array.shape), str(array.dtype)) for name, array in saved.arrays.items()}
    wrong = [
        f"{name} is {_told(found.get(name))}, not {_told(told.get(name))}"
        for name in sorted({*told, *found})
        if told.get(name) != found.get(name)
    ]
    yield judged("arrays", wrong, f"{len(told)} of {len(told)} have the shapes and types they should.")
    if saved.left_out:
        gone = ", ".join(saved.record["left_out"])
        why = f"These were left out, for only metrics and drawings were to be kept: {gone}."
        yield fails("arrays", "The record says that they were left out.") if found else not_checked("arrays", why)
        return
    yield from _described(saved)
    if saved.is_evaluation:
        due = evaluation_result.sum_up(saved.arrays, saved.record["classes"]).arrays
        wrong = [name for name in due if not np.array_equal(due[name], saved.arrays[name], equal_nan=True)]
        yield judged("confusion", wrong, "Counts of classes and of confidences follow from the labels.")


def _described(saved: Saved) -> Iterator[Finding]:
    """Hold what the record says of the arrays against what is declared of them."""
    why = another_version(saved)
    if not why and saved.analysis is None and not saved.is_evaluation:
        why = saved.not_here
    if why:
        yield not_checked("arrays", f"What they mean was not checked, for {why}: arrays.*.meaning, arrays.*.axes.")
        return
    facts = ("meaning", "axes")
    wrong = [
        f"{name} has another {fact}: {due[fact]}"
        for name, said in saved.record["arrays"].items()
        if name in saved.arrays
        for due in [_declared(saved, name)]
        for fact in facts
        if said.get(fact) != due[fact]
    ]
    yield judged("arrays", wrong, "They mean what is declared of them.")


def _declared(saved: Saved, name: str) -> Mapping[str, Any]:
    if saved.analysis is not None:
        return described(saved.analysis, name, saved.arrays[name].ndim, saved.record["params"])
    meaning, axes = evaluation_result.ARRAYS.get(name, ("", ()))
    return {"meaning": meaning, "axes": list(axes)}


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
