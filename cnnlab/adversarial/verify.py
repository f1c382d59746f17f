"""Verification of saved results: what ``cnnlab verify DIR`` does.

The record, the arrays, the PNG files and the model are read afresh, and every claim that can be checked without running
the analysis again is checked. One that cannot be is listed as such.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import inputs as reading_inputs
from cnnlab.adversarial.judge import (
    OTHER_DEVICE,
    SAME_DEVICE,
    Finding,
    confirms,
    is_adversarial,
    judge,
    same_number,
)
from cnnlab.adversarial.measure import Measured
from cnnlab.classifier.device import current_device
from cnnlab.datasets.images import Fit
from cnnlab.errors import CnnlabError
from cnnlab.perturbations import from_8bit, to_8bit
from cnnlab.results import images as saved_images
from cnnlab.results.claims import Claims
from cnnlab.results.folder import DRAWINGS, digest
from cnnlab.results.result import Result, read_arrays, read_record

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

FITS: tuple[Fit, ...] = ("stretch", "crop", "pad")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the verification of a saved result found.

    Attributes:
        directory: Where the result lies.
        record: Its ``result.json``.
        model: The model it was held against.
        findings: Every claim that was looked at.
    """

    directory: Path
    record: Mapping[str, Any]
    model: Classifier
    findings: list[Finding]

    @property
    def failed(self) -> list[Finding]:
        """The claims that do not hold."""
        return [finding for finding in self.findings if finding.state == "fails"]

    def to_json(self) -> dict[str, Any]:
        """Return what ``cnnlab verify --json`` prints."""
        return {
            "directory": str(self.directory),
            "analysis": self.record.get("analysis"),
            "model": self.model.record(),
            "verified": not self.failed,
            "findings": [finding.to_json() for finding in self.findings],
        }


def verify(
    directory: str | os.PathLike[str],
    model: Any = None,
    *,
    trust: bool = False,
    limit_seconds: float | None = None,
    limit_memory: int | None = None,
) -> Report:
    """Check every claim of a saved result, from its files and its model alone.

    Args:
        directory: What ``cnnlab analyze NAME --out DIR`` wrote.
        model: The model; by default the one that the record names.
        trust: As for :func:`cnnlab.load`; the record has no say in it.
        limit_seconds: As for :func:`cnnlab.load`.
        limit_memory: As for :func:`cnnlab.load`.

    Raises:
        CnnlabError: There is no result, its record cannot be read, or there is no model to hold it against.
    """
    from cnnlab.classifier import load

    source = Path(directory)
    record = read_record(source)
    named = model if model is not None else _model_of(source, record)
    classifier = load(named, **_about(record), trust=trust, limit_seconds=limit_seconds, limit_memory=limit_memory)
    return Report(
        directory=source, record=record, model=classifier, findings=list(_findings(source, record, classifier))
    )


def _about(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the record says of its model, and nothing else that opening it could be told."""
    from cnnlab.classifier.hints import About

    said = record.get("model", {}).get("about")
    return {field.name: said[field.name] for field in fields(About) if field.name in said} if said else {}


def _model_of(source: Path, record: Mapping[str, Any]) -> Path:
    """Find the model that the record names, also where the run was moved with its analyses in it."""
    named = record.get("model", {}).get("path")
    if named is None:
        raise CnnlabError(f"the result in {source} was made of a model without a path; name the model with `model=`.")
    candidates = [Path(named), source.absolute().parent.parent]
    for path in candidates[: 2 if record["model"].get("kind") == "run" else 1]:
        if path.exists() and (path == candidates[0] or (path / "run.json").is_file()):
            return path
    raise CnnlabError(f"{named}, the model of the result in {source}, is not there; name it with `model=`.")


def _findings(source: Path, record: Mapping[str, Any], classifier: Classifier) -> Iterator[Finding]:
    yield from _guarded("model", _model, record, classifier)
    try:
        arrays = read_arrays(source)
    except CnnlabError as error:
        arrays = None
        yield Finding(claim="arrays", state="fails", says=str(error))
    if arrays is not None:
        yield from _guarded("arrays", _arrays, record, arrays)
    yield from _guarded("inputs", _inputs, record, classifier)
    yield from _guarded("figures", _figures, source, record)
    if arrays is not None and (is_adversarial(arrays) or record.get("claims")):
        yield from _guarded("claims", _adversarial, source, record, arrays, classifier)
    elif arrays is not None:
        says = "The numbers themselves were not: run the analysis again with the same seed to compare them."
        yield Finding(claim="metrics", state="not checked", says=says)


def _guarded(claim: str, check: Callable[..., Iterable[Finding]], *arguments: Any) -> Iterator[Finding]:
    """Make a finding of whatever goes wrong because a record is not what it should be."""
    try:
        yield from check(*arguments)
    except CnnlabError as error:
        yield Finding(claim=claim, state="fails", says=str(error))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        says = f"result.json does not say what it should: {type(error).__name__}: {error}."
        yield Finding(claim=claim, state="fails", says=says)


def _model(record: Mapping[str, Any], classifier: Classifier) -> Iterator[Finding]:
    digest = record["model"]["digest"]
    if digest == classifier.digest:
        yield Finding(claim="model", state="holds", says=f"It is the model of the result ({digest[:12]}).")
    else:
        says = f"It is another model: {classifier.digest[:12]}, where the result was made of {digest[:12]}."
        yield Finding(claim="model", state="fails", says=says)


def _arrays(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    told = {name: (facts["shape"], facts["dtype"]) for name, facts in record["arrays"].items()}
    found = {name: (list(array.shape), str(array.dtype)) for name, array in arrays.items()}
    wrong = [name for name in sorted({*told, *found}) if told.get(name) != found.get(name)]
    if wrong:
        described = "; ".join(f"{name} is {_told(found.get(name))}, not {_told(told.get(name))}" for name in wrong[:3])
        yield Finding(claim="arrays", state="fails", says=f"{described}{'; ...' if wrong[3:] else ''}.")
    else:
        yield Finding(
            claim="arrays", state="holds", says=f"{len(told)} of {len(told)} have the shapes and types they should."
        )


def _told(facts: tuple[Any, Any] | None) -> str:
    return f"{facts[1]} {facts[0]}" if facts else "missing"


def _inputs(record: Mapping[str, Any], classifier: Classifier) -> Iterator[Finding]:
    """Read the images again from where they came from, where that is a file or a dataset that can be named."""
    told = record["inputs"]
    if not told:
        return
    wrong: list[str] = []
    unchecked: list[str] = []
    for entry, good in zip(told, _same_inputs(record, classifier), strict=True):
        if not good:
            (wrong if good is False else unchecked).append(str(entry["source"]))
    if wrong:
        says = f"{len(wrong):,} of {len(told):,} are not what was read then: {', '.join(wrong[:3])}."
        yield Finding(claim="inputs", state="fails", says=says)
    elif unchecked:
        says = f"{len(unchecked):,} of {len(told):,} cannot be read again: {', '.join(unchecked[:3])}."
        yield Finding(claim="inputs", state="not checked", says=says)
    else:
        yield Finding(
            claim="inputs",
            state="holds",
            says=f"{len(told):,} of {len(told):,} are the same when read again, to the bit.",
        )


def _same_inputs(record: Mapping[str, Any], classifier: Classifier) -> list[bool | None]:
    """Say of each input whether its source still gives it; None where that cannot be told."""
    told, dataset = record["inputs"], record.get("dataset") or {}
    from_datasets: dict[tuple[str, str], list[int]] = {}
    same: list[bool | None] = [None] * len(told)
    for position, entry in enumerate(told):
        place = re.fullmatch(r"(.+)/(train|test):(\d+)", entry["source"])
        if place and not Path(entry["source"]).exists():
            from_datasets.setdefault((place[1], place[2]), []).append(position)
        elif Path(entry["source"]).is_file():
            same[position] = _same_file(entry, classifier)
    for (name, split), positions in from_datasets.items():
        # A folder is called by its last part alone; the record says where it lies.
        source = (dataset.get("name") == name and dataset["source"]) or name
        found = _dataset_records(classifier, source, split, [told[position]["source"] for position in positions])
        for position, again in zip(positions, found or [], strict=False):
            same[position] = all(again[key] == told[position][key] for key in ("digest", "shape", "label"))
    return same


def _dataset_records(classifier: Classifier, name: str, split: str, sources: list[str]) -> list[dict[str, Any]] | None:
    from cnnlab import datasets

    indices = [int(source.rpartition(":")[2]) for source in sources]
    try:
        return reading_inputs.from_split(classifier, datasets.load(name), split, indices).records()
    except CnnlabError:
        return None


def _same_file(entry: Mapping[str, Any], classifier: Classifier) -> bool | None:
    """Whether any way of fitting the file to the model gives the image that was analysed."""
    try:
        for fit, invert in product(FITS, (False, True)):
            again = reading_inputs.from_files(classifier, [entry["source"]], fit=fit, invert=invert)
            if again.records()[0]["digest"] == entry["digest"]:
                return True
    except CnnlabError:
        return False
    return False


def _figures(source: Path, record: Mapping[str, Any]) -> Iterator[Finding]:
    """Hold the figures, and the data that they were drawn of, against what was written."""
    drawn = [name for name in record["files"] if name == DRAWINGS or name in record["figures"]]
    missing = [f"{name} is missing" for name in drawn if not (source / Path(name).name).is_file()]
    there = [name for name in drawn if (source / Path(name).name).is_file()]
    changed = [
        f"{name} is not as it was written"
        for name in there
        if digest(source / Path(name).name) != record["files"][name]
    ]
    if missing or changed:
        yield Finding(claim="figures", state="fails", says=f"{'; '.join([*missing, *changed])}.")
    elif drawn:
        yield Finding(claim="figures", state="holds", says=f"{len(drawn)} of {len(drawn)} files are as written.")


def _adversarial(
    source: Path, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], classifier: Classifier
) -> Iterator[Finding]:
    if not is_adversarial(arrays) or not record.get("claims"):
        says = "Adversarial images and what is claimed of them belong together; one of them is missing."
        yield Finding(claim="claims", state="fails", says=says)
        return
    claims = Claims.from_json(record["claims"])
    result = Result(arrays=arrays, metrics=record["metrics"], rows=record.get("rows", ()), claims=claims)
    slack = SAME_DEVICE if current_device() == record.get("device") == "cpu" else OTHER_DEVICE
    if list(classifier.bounds) != record["claims"]["bounds"]:
        says = f"The model takes {list(classifier.bounds)}, and the result was made for {record['claims']['bounds']}."
        yield Finding(claim="range", state="fails", says=says)
    found = judge(classifier, result, slack=slack)
    yield from found.findings
    if found.measured.arrays:
        yield from _originals(record, arrays, classifier)
        yield from _images(source, record, found.measured, classifier, slack)


def _originals(
    record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], classifier: Classifier
) -> Iterator[Finding]:
    """Hold the originals against the digests of the images that were given, where they are those images."""
    origin, told = record["claims"]["original"], record["inputs"]
    if origin != "inputs":
        known = {"other": "They are noise or other images, not those that were given."}
        says = known.get(origin, f"They are the {origin}, not the images that were given.")
        yield Finding(claim="original", state="not checked", says=says)
        return
    again = reading_inputs.from_arrays(classifier, arrays["original"]).records()
    wrong = [
        index
        for index, (entry, found) in enumerate(zip(told, again, strict=True))
        if entry["digest"] != found["digest"] or entry["label"] not in (None, int(arrays["label"][index]))
    ]
    if wrong:
        says = f"{len(wrong):,} of {len(told):,} are not the images (or labels) that were given; first: {wrong[0]}."
        yield Finding(claim="original", state="fails", says=says)
    else:
        yield Finding(claim="original", state="holds", says="They are the images that were given, to the bit.")


def _images(
    source: Path, record: Mapping[str, Any], measured: Measured, classifier: Classifier, slack: float
) -> Iterator[Finding]:
    """Hold the PNG files against the arrays, and what is said of them against what the model says of their pixels."""
    claims = Claims.from_json(record["claims"])
    places = saved_images.places(measured.arrays["adversarial"].shape, claims)
    expected = saved_images.describe(measured.arrays, claims)
    told = {entry["file"]: entry for entry in record["images"]}
    unlisted = [place.file for place in places if place.file not in told]
    if unlisted or len(told) != len(places):
        says = f"result.json lists {len(told)} images where {len(places)} are due{_first(unlisted)}."
        yield Finding(claim="images", state="fails", says=says)
    wrong: list[str] = []
    for place, entry in zip(places, expected, strict=True):
        try:
            pixels = saved_images.read(source / place.file)
        except CnnlabError as error:
            wrong.append(str(error).rstrip("."))
            continue
        due = to_8bit(place.of(measured.arrays["adversarial"]), classifier.bounds)
        if pixels.shape != due.shape or (pixels != due).any():
            wrong.append(f"{place.file} is not the image of the arrays")
        if pixels.shape == due.shape and place.file in told:
            logits = classifier.logits(from_8bit(pixels, classifier.bounds)[None])
            wrong += [f"{place.file} is said to be {what}" for what in _missaid(told[place.file], entry, logits, slack)]
    if wrong:
        says = f"{'; '.join(wrong[:3])}{f'; and {len(wrong) - 3} more' if wrong[3:] else ''}."
        yield Finding(claim="images", state="fails", says=says)
    elif places and not unlisted:
        says = f"{len(places)} PNG files hold the rounded images, and are read as listed."
        yield Finding(claim="images", state="holds", says=says)


def _first(names: list[str]) -> str:
    return f"; {names[0]} is not listed" if names else ""


def _missaid(told: Mapping[str, Any], due: Mapping[str, Any], logits: np.ndarray, slack: float) -> Iterator[str]:
    """What ``result.json`` says wrongly of one image file, given the logits [1, K] of its pixels."""
    label, confidence = np.array([told["label_after"]]), np.array([told["confidence_after"]])
    if not 0 <= told["label_after"] < logits.shape[-1] or not confirms(logits, label, None, slack)[0]:
        yield f"read as {told['label_after']}, and is read as {logits.argmax()}"
    elif not confirms(logits, label, confidence, slack)[0]:
        yield f"read with confidence {told['confidence_after']:g}, and is with {due['confidence_after']:g}"
    elif told["label_after"] == due["label_after"] and told["success"] != due["success"]:
        yield f"{'a success' if told['success'] else 'no success'}"
    for key in set(due) - {"file", "label_after", "confidence_after", "success"}:
        if key not in told or not same_number(told[key], due[key]):
            yield f"{key} {told.get(key)}, and is {due[key]}"
