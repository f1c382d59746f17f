"""What a forger changes who mends the digests too: it fails, or it is named among what was not checked."""

from __future__ import annotations

import functools
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnlab
from cnnlab.pluginhost import registry
from cnnlab.results.folder import digest
from cnnlab.results.record import signed
from cnnlab.results.result import Result
from cnnlab.verification.attacked import attacked
from cnnlab.verification.numbers import BY_THE_CLOCK, numbers, same
from cnnlab.verification.of_result import Saved
from cnnlab.verification.report import guarded
from cnnlab.verification.rerun import _difference, _same, unrepeated
from cnnlab.verification.verify import verify

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "occlusion": ("occlusion", {"patch": 4, "stride": 4, "sanity": True, "steps": 3}),
    "filters": ("filters", {"maximize": True, "steps": 2}),
    "activations": ("activations", {}),
    "saliency": ("saliency", {"method": "integrated", "path_steps": 3}),
    "saliency-all": ("saliency", {"method": "all", "samples": 2, "path_steps": 2}),
    "fooling": ("fooling", {"seeds": 2, "steps": 10, "confidence": 0.6}),
    "fgsm": ("fgsm-untargeted", {"epsilon": (0.05, 0.2)}),
    "fgsm-one": ("fgsm-untargeted", {"epsilon": 0.1, "steps": 2, "random_start": True}),
    "targeted": ("targeted", {"target": 1, "steps": 6}),
    "targeted-all": ("targeted", {"target": "all", "beta": (0.1, 1.0), "steps": 4}),
    "noise-addition": ("noise-addition", {"target": 2, "steps": 6, "learn_on": 8}),
    "noise-addition-all": ("noise-addition", {"target": "all", "steps": 3, "learn_on": 8}),
    "noise-addition-each": ("noise-addition", {"target": 2, "steps": 3, "per_image": True}),
    "robustness": ("robustness", {"epsilon": (0.05, 0.1), "steps": 2, "minimal": True}),
    "evaluate": ("evaluate", {}),
}

VARIANTS = ("saliency-all", "targeted-all", "noise-addition-all", "noise-addition-each")
EACH = [pytest.param(case, marks=[pytest.mark.full] if case in VARIANTS else []) for case in CASES]


def answered(network, spots: Path, case: str, seed: int = 5):
    name, params = CASES[case]
    if name == "evaluate":
        return cnnlab.evaluate(network, spots).result()
    split = None if name == "filters" else cnnlab.datasets.load(spots).test[:5]
    return cnnlab.analyze(name, network, split, seed=seed, **params)


@pytest.fixture(scope="module")
def result(network, spots):
    """Each result, made once: ``result("fgsm")``."""
    return functools.cache(lambda case: answered(network, spots, case))


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory):
    """The same on disk, without figures."""

    @functools.cache
    def saved(case: str) -> Path:
        place = tmp_path_factory.mktemp("saved") / case
        result(case).save(place, format=None)
        return place

    return saved


def forged(record: dict[str, Any], edit: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """A copy of a record, edited."""
    copy = json.loads(json.dumps(record))
    edit(copy)
    return copy


def forge(folder: Path, edit: Callable[[dict[str, Any]], Any] = lambda record: None) -> None:
    """Edit the record on disk, and mend every digest."""
    record = forged(json.loads((folder / "result.json").read_text()), edit)
    record["files"] = {name: digest(folder / name) for name in record["files"]}
    (folder / "result.json").write_text(json.dumps(signed(record)))


def states(findings, state: str) -> list[str]:
    return [finding.claim for finding in findings if finding.state == state]


def looked_at(saved: Saved, record: dict[str, Any]) -> list[str]:
    """What fails of the numbers of an edited record."""
    return states(numbers(replace(saved, record=record)), "fails")


def otherwise(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool | str) or value is None:
        return {"yes": "no", "no": "yes"}.get(value, 0.123 if value is None else f"{value}x")
    return value + 1 if isinstance(value, int) else value * 1.001 + 1e-5


@pytest.mark.parametrize("case", EACH)
def test_every_number_of_every_analysis_is_held_against_the_arrays(network, folder, case):
    record = json.loads((folder(case) / "result.json").read_text())
    saved = Saved.read(folder(case), record, network)
    assert looked_at(saved, record) == []
    unproved = {finding.claim: finding.says for finding in numbers(saved) if finding.state == "not checked"}
    assert set(unproved) == ({"metrics"} if case == "evaluate" else set())
    for name, value in record["metrics"].items():
        if name in BY_THE_CLOCK:
            continue
        changed = forged(record, lambda made, name=name, value=value: made["metrics"].update({name: otherwise(value)}))
        assert looked_at(saved, changed) == ["metrics"], name
        deleted = forged(record, lambda made, name=name: made["metrics"].pop(name))
        assert looked_at(saved, deleted) == ["metrics"], name
    for name in ("accuracy@0.01", "invented"):
        assert looked_at(saved, forged(record, lambda made, name=name: made["metrics"].update({name: 0.99}))) == [
            "metrics"
        ]
    last = len(record["rows"]) - 1
    for name, value in record["rows"][-1].items() if last >= 0 else ():
        changed = forged(
            record, lambda made, name=name, value=value: made["rows"][last].update({name: otherwise(value)})
        )
        told = list(numbers(replace(saved, record=changed)))
        named = name == "image" and any("image" in each.says for each in told if each.state == "not checked")
        assert named or states(told, "fails") == ["rows"], name
        if name != "image":
            assert looked_at(saved, forged(record, lambda made, name=name: made["rows"][last].pop(name))) == ["rows"], (
                name
            )
    if last >= 0:
        assert looked_at(saved, forged(record, lambda made: made["rows"][0].update(invented=1))) == ["rows"]
        assert looked_at(saved, forged(record, lambda made: made.update(rows=[]))) == ["rows"]
        assert looked_at(saved, forged(record, lambda made: made["rows"].pop())) == ["rows"]
    assert looked_at(saved, forged(record, lambda made: made.update(headline="It is perfect"))) == ["headline"]


@pytest.mark.parametrize("case", EACH)
def test_every_array_is_held_against_something_or_named(network, folder, result, case):
    record = json.loads((folder(case) / "result.json").read_text())
    whole = Saved.read(folder(case), record, network)
    for name, array in whole.arrays.items():
        if not array.size:
            continue
        other = array.copy()
        other.flat[0] = ~other.flat[0] if array.dtype == bool else "x" if array.dtype.kind == "U" else other.flat[0] + 1
        if other.tobytes() == array.tobytes():  # NaN
            continue
        saved = replace(whole, arrays={**whole.arrays, name: other})
        found = [*guarded("metrics", numbers, saved), *(guarded("claims", attacked, saved) if saved.claims else ())]
        assert states(found, "fails") or f"arrays.{name}" in unrepeated(saved, "").says, name
        differs = _difference(other, result(case).arrays[name])
        assert differs in ("other", "here and there"), f"{name} is found when it is run again"


@pytest.mark.parametrize("case", ["fgsm", "noise-addition", "filters", "evaluate"])
def test_running_it_again_shows_that_parameters_and_seed_gave_it(network, folder, case):
    (finding,) = [each for each in verify(folder(case), network, rerun=True).findings if each.claim == "rerun"]
    assert (finding.state, "to the bit" in finding.says) == ("holds", True)


@pytest.fixture
def copied(folder, tmp_path):
    """A copy of a result, to do with as one likes."""
    return lambda case: Path(shutil.copytree(folder(case), tmp_path / case))


@pytest.mark.parametrize(
    ("case", "edit"),
    [
        ("fgsm-one", {"seed": 6}),
        ("fgsm-one", {"params": {"epsilon": [0.2], "steps": 2, "random_start": True}}),
        ("fgsm-one", {"warnings": ["All is well."]}),
        ("fgsm-one", {"preflight": None}),
    ],
    ids=["seed", "params", "warnings", "preflight"],
)
def test_what_only_running_it_again_shows_is_named_until_it_is(network, copied, case, edit):
    place = copied(case)
    forge(place, lambda record: record.update(edit))
    found = verify(place, network)
    (unproved,) = [each for each in found.not_checked if each.claim == "rerun"]
    assert "seed" in unproved.says
    assert found.verdict == ("fails" if found.failed else "holds as far as it was checked")
    assert "rerun" in states(verify(place, network, rerun=True).failed, "fails")


@pytest.mark.parametrize("key", ["seed", "params", "warnings", "headline", "device", "seconds", "versions", "plugin"])
def test_what_is_changed_by_hand_is_noticed_whatever_it_is(network, copied, key):
    place = copied("fgsm")
    record = json.loads((place / "result.json").read_text())
    other = {"seed": 1, "params": {}, "warnings": ["!"], "headline": "!", "device": "gpu:0", "seconds": 0.1}
    record[key] = other.get(key, {"distribution": "mine", "version": "1"} if key == "plugin" else {"cnnlab": "9"})
    (place / "result.json").write_text(json.dumps(record))
    assert "record" in states(verify(place, network).failed, "fails")


@pytest.mark.parametrize("case", ["fgsm", "evaluate"])
def test_every_file_is_held_against_its_digest(network, copied, case):
    place = copied(case)
    for name in json.loads((place / "result.json").read_text())["files"]:
        held = (place / name).read_bytes()
        (place / name).write_bytes(held + b" ")
        assert "files" in states(verify(place, network).failed, "fails"), name
        (place / name).unlink()
        assert "files" in states(verify(place, network).failed, "fails"), name
        (place / name).write_bytes(held)
    (place / "mine.txt").write_text("mine")
    found = verify(place, network)
    assert not found.failed
    assert ["mine.txt" in each.says for each in found.findings if each.claim == "other files"] == [True]


def test_a_figure_that_shows_something_else_is_found(network, result, tmp_path):
    """Of another drawing, blank, of nothing; and at another resolution all is well."""
    result("robustness").save(tmp_path / "svg", format="svg")
    assert not verify(tmp_path / "svg", network).failed
    shutil.copy(tmp_path / "svg" / "figure-smallest.svg", tmp_path / "svg" / "figure.svg")
    forge(tmp_path / "svg")
    assert states(verify(tmp_path / "svg", network).failed, "fails") == ["figures"]
    result("robustness").save(tmp_path / "blank", dpi=60)
    assert not verify(tmp_path / "blank", network).failed
    with Image.open(tmp_path / "blank" / "figure.png") as image:
        size = image.size
    Image.new("RGBA", size, "white").save(tmp_path / "blank" / "figure.png", dpi=(60, 60))
    forge(tmp_path / "blank")
    assert states(verify(tmp_path / "blank", network).failed, "fails") == ["figures"]
    forge(tmp_path / "blank", lambda record: record["figures"].remove("figure.png"))
    assert states(verify(tmp_path / "blank", network).failed, "fails") == ["files", "figures"]
    forge(tmp_path / "blank", lambda record: record["figures"].clear())
    assert states(verify(tmp_path / "blank", network).failed, "fails") == ["files"]


def test_a_figure_is_not_drawn_larger_than_it_is(network, result, tmp_path, monkeypatch):
    """Whatever it says of itself: at 9990 dots per inch it would take gigabytes."""
    from cnnlab.render import saving

    drawn = []
    monkeypatch.setattr(saving, "save", lambda drawing, path, dpi, save=saving.save: drawn.append(save(drawing, path)))
    result("robustness").save(tmp_path / "out", dpi=60)
    drawn.clear()
    for figure in (tmp_path / "out").glob("*.png"):
        with Image.open(figure) as image:
            image.save(figure, dpi=(9990, 9990))
    forge(tmp_path / "out")
    assert states(verify(tmp_path / "out", network).failed, "fails") == ["figures"]
    assert drawn == []


def test_a_drawing_of_other_numbers_is_found_when_it_is_run_again(network, copied):
    place = copied("robustness")
    text = (place / "drawings.json").read_text()
    (place / "drawings.json").write_text(text.replace("Robustness of", "Great robustness of"))
    forge(place)
    assert not verify(place, network).failed
    (finding,) = verify(place, network, rerun=True).failed
    assert "drawings.json" in finding.says


def test_a_metric_by_the_clock_is_named(network, folder):
    named = [each.says for each in verify(folder("evaluate"), network).not_checked if each.claim == "metrics"]
    assert named == ["images_per_second was not checked: a clock measured it."]


def test_an_analysis_that_does_not_sum_up_is_named_with_all_its_metrics(analysis, network, tmp_path):
    analysis(lambda c, inputs, p, x: Result(metrics={"m": 1, "n": 2}, columns={"a": [1]}, headline="Well"))
    cnnlab.analyze("one", network, np.zeros((1, 8, 8, 1), np.float32)).save(tmp_path / "out")
    said = {each.claim: each.says for each in verify(tmp_path / "out", network).not_checked}
    assert "m, n were not checked: one does not declare where" in said["metrics"]
    assert {"rows", "headline"} <= set(said)


def test_where_the_plugin_is_gone_what_follows_from_every_attack_is_still_checked(network, copied, monkeypatch):
    place = copied("targeted")
    monkeypatch.setattr(registry, "plugins", tuple)
    found = verify(place, network)
    assert not found.failed
    (says,) = [each.says for each in found.not_checked if each.claim == "metrics"]
    assert re.search(r"not checked: the plugin that gives targeted \(cnnlab [^ ]+\) is not installed here\.$", says)
    assert "reached, " in says
    forge(place, lambda record: record["metrics"].update(success=0.999))
    assert "metrics" in states(verify(place, network).failed, "fails")


@pytest.mark.parametrize("case", ["occlusion", "evaluate"])
def test_another_version_than_made_it_checks_no_numbers_and_says_so(network, copied, case):
    place = copied(case)
    forge(place, lambda record: record["plugin"].update(version="0.0.1"))
    found = verify(place, network)
    assert not found.failed
    (says,) = [each.says for each in found.not_checked if each.claim == "metrics"]
    assert "cnnlab 0.0.1 made them, and " in says


def test_a_source_that_is_no_path_cannot_be_read_again(network, copied):
    place = copied("fgsm")
    forge(place, lambda record: [entry.update(source="x" * 5000 + "\0") for entry in record["inputs"]])
    assert "inputs" in states(verify(place, network).not_checked, "not checked")


def test_a_table_of_other_predictions_is_found(network, copied):
    place = copied("evaluate")
    (held,) = [each for each in verify(place, network).findings if each.claim == "tables"]
    assert held.state == "holds"
    text = (place / "predictions.csv").read_text()
    (place / "predictions.csv").write_text(text.replace("false", "true"))
    forge(place)
    assert states(verify(place, network).failed, "fails") == ["tables"]
    forge(place, lambda record: record["files"].pop("predictions.csv"))
    assert states(verify(place, network).failed, "fails") == ["tables"]


def test_without_its_plugin_or_its_images_nothing_is_run_again(network, copied, monkeypatch):
    place = copied("robustness")
    forge(place, lambda record: [entry.update(source="gone.png") for entry in record["inputs"]])
    said = {each.claim: each.says for each in verify(place, network, rerun=True).not_checked}
    assert said["rerun"].startswith("Without its images the analysis cannot be run again, which alone shows these: ")
    place = copied("fgsm")
    monkeypatch.setattr(registry, "plugins", tuple)
    said = {each.claim: each.says for each in verify(place, network, rerun=True).not_checked}
    assert said["rerun"].startswith("The plugin that gives fgsm-untargeted (cnnlab ")


def test_another_distributions_analysis_of_the_same_name_judges_no_result(analysis, network, tmp_path):
    module = "one_analysis"
    analysis(lambda c, inputs, p, x: Result(arrays={"m": np.ones(1)}), sum_up=f"{module}:sum_up", inputs="none")
    sys.modules[module].sum_up = lambda classifier, result, params: Result(metrics={"n": 1.0})
    place = tmp_path / "out"
    cnnlab.analyze("one", network).save(place)
    sys.modules[module].sum_up = lambda classifier, result, params: Result(metrics={"n": 2.0})
    assert states(verify(place, network).failed, "fails") == ["metrics"]
    forge(place, lambda record: record["plugin"].update(distribution="cnnlab-other"))
    found = verify(place, network, rerun=True)
    assert not found.failed
    said = {each.claim: each.says for each in found.not_checked}
    assert "the plugin that gives one (cnnlab-other 3.1) is not installed here" in said["metrics"]
    assert said["rerun"].startswith("The plugin that gives one (cnnlab-other 3.1) is not installed here, which alone ")


@pytest.mark.parametrize(
    ("said", "found", "same"),
    [
        ({"a": 1.0}, {"a": 1.0 + 1e-6}, True),
        ({"a": 1.0}, {"a": 1.01}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": 1}, {"a": 2}, False),
        ([1, "x"], (1, "x"), True),
        ([1], [1, 2], False),
        ([1.0, 2.0], [1.0, 3.0], False),
        (1.0, None, False),
        (None, 1.0, False),
        (1.0, 1, True),
        ("x", "y", False),
    ],
)
def test_records_are_compared_but_for_last_digits(said, found, same):
    assert _same(said, found) is same


@pytest.mark.parametrize(
    ("said", "due", "alike"),
    [
        (1.0, 1.0 + 1e-8, True),
        (1.0, 1.00001, False),
        (0.0, 1e-9, False),
        (None, None, True),
        (None, 0.0, False),
        (0.0, None, False),
        (True, True, True),
        (True, 1, False),
        ("1", 1, False),
        (3, 3.0, True),
        ([1], 1, False),
    ],
)
def test_numbers_are_the_same_to_a_millionth(said, due, alike):
    assert same(said, due) is alike
