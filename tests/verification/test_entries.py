"""Every entry of every record, changed, with its digest mended: verification fails, or names it as not checked."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnlab
from cnnlab.adversarial.judge import Finding
from cnnlab.errors import CnnlabError
from cnnlab.results.record import check_record, signed
from cnnlab.runs import Run
from cnnlab.runs.record import read_record as read_run
from cnnlab.training import network as building
from cnnlab.verification import entries, of_run
from cnnlab.verification.of_result import Saved, findings_of_result

Place = tuple[str | int, ...]

LISTS = {"circumstances", "training", "rerun", "model", "inputs"}
"""Findings that list what nobody looked at."""

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "saliency": ("saliency", {}),
    "fgsm": ("fgsm-untargeted", {"epsilon": (0.05, 0.2)}),
    "filters": ("filters", {}),
    "evaluate": ("evaluate", {}),
    "targeted": ("targeted", {"target": 1, "steps": 6}),
    "occlusion": ("occlusion", {"patch": 4, "stride": 4}),
    "activations": ("activations", {}),
    "fooling": ("fooling", {"seeds": 2, "steps": 10, "confidence": 0.6}),
    "noise-addition": ("noise-addition", {"target": 2, "steps": 6, "learn_on": 8}),
    "robustness": ("robustness", {"epsilon": (0.05, 0.1), "steps": 2}),
}
FEW = ("saliency", "fgsm", "evaluate")
EACH = [pytest.param(case, marks=[] if case in FEW else [pytest.mark.full]) for case in CASES]


def places(value: Any, above: Place = ()) -> Iterator[Place]:
    """Where something stands in a record; of many alike, the first and the last."""
    keys: Sequence[Any] = list(value) if isinstance(value, dict) else range(len(value))
    if (above and len(keys) > 6) or isinstance(value, list):
        keys = [keys[0], keys[-1]] if len(keys) > 1 else keys
    for key in keys:
        yield (*above, key)
        if isinstance(value[key], dict | list):
            yield from places(value[key], (*above, key))


def otherwise(value: Any) -> list[Any]:
    """Other values of the same kind."""
    if value is None:
        return [0.123, 1, "x", {"name": "mine"}, ["x"]]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1 if isinstance(value, int) else value * 1.01 + 0.003]
    if isinstance(value, str):
        return [{"yes": "no", "no": "yes"}.get(value, f"{value}x")]
    if isinstance(value, dict):
        return [{}]
    return [value[:-1]] if value else [["x"], [1], [{"name": "x"}]]


def edits(record: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """A record with one thing in it another, left out, or invented."""
    yield ("invented",), {**record, "invented": 1}
    for place in places(record):
        if place[0] == "digest":
            continue
        holder, key = _parent(record, place)
        for value in otherwise(holder[key]):
            if value != holder[key]:
                yield place, _edited(record, place, value)
        for value in ("1", 1) if isinstance(holder[key], dict) else ():
            yield (*place, "invented"), _edited(record, (*place, "invented"), value)
        if isinstance(holder, dict) and holder[key] not in (None, [], {}, ""):
            yield place, _edited(record, place)


def _parent(record: Any, place: Place) -> tuple[Any, Any]:
    for key in place[:-1]:
        record = record[key]
    return record, place[-1]


def _edited(record: dict[str, Any], place: Place, *value: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(record))
    holder, key = _parent(copy, place)
    if value:
        holder[key] = value[0]
    else:
        del holder[key]
    return copy


def listed(findings: Sequence[Finding]) -> set[str]:
    """What is listed as not checked."""
    lists = [each.says.rpartition(": ")[2] for each in findings if each.state == "not checked" and each.claim in LISTS]
    return {name for each in lists for name in each.rstrip(".").split(", ")}


def named(place: Place, findings: Sequence[Finding]) -> bool:
    """Whether what stands at a place is said not to have been checked."""
    words = [word for word in place if isinstance(word, str)]
    if {words[-1], *(".".join(words[:count]) for count in range(1, len(words) + 1))} & listed(findings):
        return True
    of_it = [each for each in findings if each.claim == words[0]]
    unproved = [each for each in of_it if each.state == "not checked"]
    whole = bool(of_it) and len(unproved) == len(of_it)
    return whole or any(words[-1] in each.says.replace(",", " ").replace(":", " ").split() for each in unproved)


def failed(findings: Sequence[Finding]) -> list[str]:
    return [each.claim for each in findings if each.state == "fails"]


def saved_result(network, spots: Path, case: str, folder: Path) -> Saved:
    name, params = CASES[case]
    if name == "evaluate":
        result = cnnlab.evaluate(network, spots, limit=4).result()
    else:
        split = None if name == "filters" else cnnlab.datasets.load(spots).test[:2]
        result = cnnlab.analyze(name, network, split, seed=5, **params)
    result.save(folder, format=None)
    return Saved.read(folder, json.loads((folder / "result.json").read_text()), network)


def survivors(saved: Saved, *, rerun: bool = False) -> list[str]:
    """What can be changed without a word of it."""
    found = []
    for place, record in edits(dict(saved.record)):
        try:
            check_record(record, saved.directory)
            changed = Saved.read(saved.directory, signed(record), saved.classifier)
            findings = list(findings_of_result(changed, rerun=rerun))
        except CnnlabError:
            continue
        if not failed(findings) and not named(place, findings):
            found.append(f"{place}: {_shown(record, place)}")
    return found


def _shown(record: Any, place: Place) -> str:
    try:
        holder, key = _parent(record, place)
        return repr(holder[key])[:60]
    except (KeyError, IndexError):
        return "left out"


@pytest.mark.parametrize("case", EACH)
def test_every_entry_of_a_result_is_checked_or_named(network, spots, tmp_path, case):
    saved = saved_result(network, spots, case, tmp_path / "out")
    assert failed(list(findings_of_result(saved, rerun=False))) == []
    assert survivors(saved) == []


@pytest.mark.full
@pytest.mark.parametrize("case", FEW)
def test_every_entry_is_checked_where_it_is_run_again(network, spots, tmp_path, case):
    """But for a seed and parameters that change nothing: with those it gives the same too."""
    saved = saved_result(network, spots, case, tmp_path / "out")
    kept = ("('seed',)", "('params', ")
    assert [each for each in survivors(saved, rerun=True) if not each.startswith(kept)] == []


@pytest.fixture
def of_file(network, tmp_path) -> Saved:
    """A result of an image file, whose label somebody said."""
    pixels = np.random.default_rng(6).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "seven.png")
    result = cnnlab.analyze("fgsm-untargeted", network, str(tmp_path / "seven.png"), [2], epsilon=0.1)
    result.save(tmp_path / "out", format=None)
    return Saved.read(tmp_path / "out", json.loads((tmp_path / "out" / "result.json").read_text()), network)


def test_what_image_files_are_of_is_named(of_file):
    assert "inputs.label" in listed(list(findings_of_result(of_file, rerun=False)))


@pytest.mark.full
def test_every_entry_of_a_result_of_image_files_is_checked_or_named(of_file):
    assert survivors(of_file) == []


def test_every_entry_of_a_run_is_checked_or_named(learned, tmp_path, monkeypatch):
    """The model is opened once, its figures are not drawn each time: they do not follow from the record."""
    run = Run(shutil.copytree(learned / "run", tmp_path / "run"))
    classifier = cnnlab.load(run.path)
    built = functools.cache(building.build_network)
    monkeypatch.setattr("cnnlab.classifier.load", functools.cache(cnnlab.load))
    monkeypatch.setattr(building, "build_network", lambda *words: built(words[0], tuple(words[1]), *words[2:]))
    monkeypatch.setattr(of_run, "redrawn", lambda *_: iter(()))
    findings = list(of_run.findings_of_run(run, classifier, {}))
    assert failed(findings) == []
    assert any("history.csv" in each.says for each in findings if each.state == "not checked")
    found = []
    for place, record in edits(json.loads(run.record_path.read_text())):
        run.record_path.write_text(json.dumps(signed(record)))
        try:
            read_run(run.record_path, complete=True)
            findings = list(of_run.findings_of_run(Run(run.path), classifier, {}))
        except CnnlabError:
            continue
        if not failed(findings) and not named(place, findings):
            found.append(f"{place}: {_shown(record, place)}")
    assert found == []


def test_entries_are_told_apart_by_where_they_stand():
    record = {"model": {"path": "x", "size": 1}, "rows": [{"a": 1, "b": 2}, {"d": 3}], "files": {}, "new": {"x": []}}
    assert entries.others(record, ["model.path", "rows.*"]) == ["model.size", "files", "new.x"]
    assert entries.others(record, ["model", "rows.a", "files", "new"]) == ["rows.b", "rows.d"]
