"""``cnnlab compare`` of results: its tables on narrow and wide terminals, its JSON and figure, what it refuses."""

from __future__ import annotations

import json

import pytest
from rich.cells import cell_len

from cnnlab.drawings import Curves, Line
from cnnlab.results.result import Result

CURVES = Curves(lines=(Line(name="a", x=(1.0, 2.0), y=(3.0, 4.0)),), x_label="x", y_label="y")


def save(folder, model, blur, success, analysis="sharpness"):
    words = ["yes" if each else "no" for each in success]
    images = [f"{letter}.png" for letter in "abcd"]
    rows = [dict(zip(("image", "blur", "success"), row, strict=True)) for row in zip(images, blur, words, strict=True)]
    metrics = {"blur": sum(blur) / 4, "success": sum(success) / 4, "steps": 12345}
    record = {
        "schema": 1,
        "analysis": analysis,
        "params": {},
        "seed": 0,
        "model": {"path": f"runs/{model}", "kind": "run", "digest": model},
        "inputs": [{"source": image, "digest": image, "shape": [8, 8, 1], "label": 0} for image in images],
        "metrics": metrics,
        "rows": rows,
        "versions": {"cnnlab": "0"},
        "warnings": [],
        "arrays": {},
        "device": "cpu",
        "seconds": 0.5,
    }
    Result(metrics=metrics, rows=rows, drawings={"": CURVES}, record=record).save(folder / analysis)
    return folder / analysis


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return [
        save(tmp_path / "plain", "plain", [0.1, 0.2, 0.4, 0.3], [True, True, False, True]),
        save(tmp_path / "normalised", "normalised", [0.5, 0.7, 0.75, 0.75], [True, False, False, False]),
    ]


@pytest.mark.parametrize("columns", [60, pytest.param(80, marks=pytest.mark.full), 120])
def test_the_numbers_stand_side_by_side_on_any_terminal(command_line, monkeypatch, results, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    status, out, err = command_line("compare", *results)
    assert (status, err) == (0, "")
    assert " ".join(out.split()).startswith("blur differs most clearly: 0.675 of normalised, 0.25 of plain (4 images)")
    for said in (
        "+0.425",
        "+0.322 to +0.528",
        "75.00%",
        "25.00%",
        "-50.00 pp",
        "-78.91 to +13.55 pp",
        "12,345",
        "sharpness: plain is of",
    ):
        assert said in out, said
    assert max(map(cell_len, out.splitlines())) <= columns
    assert "  compare.png" in out


def test_the_json_holds_the_same_and_both_drawings_are_in_the_figure(command_line, results):
    status, out, _ = command_line("compare", *results, "--json", "--out", "both.svg")
    found = json.loads(out)
    assert (status, found["figure"], found["analysis"]) == (0, "both.svg", "sharpness")
    assert [each["label"] for each in found["results"]] == ["plain", "normalised"]
    numbers = {each["name"]: each for each in found["against_first"][0]["numbers"]}
    assert (numbers["success"]["kind"], numbers["success"]["images"]) == ("share", 4)
    assert numbers["steps"]["low"] is None
    assert numbers["blur"]["difference"] == pytest.approx(0.425)


def test_what_cannot_be_compared_is_one_sentence(command_line, results, tmp_path):
    other = save(tmp_path / "third", "third", [0.1] * 4, [True] * 4, analysis="saliency")
    for words, said in (
        ([results[0]], "two runs or more; received 1"),
        ([results[0], other], "only results of one analysis can be compared"),
        ([results[0], "runs/none"], "is a result, and runs/none is not"),
    ):
        status, out, err = command_line("compare", *words)
        assert (status, out) == (2, "")
        assert said in " ".join(err.split())
    (results[1] / "arrays.npz").write_bytes(b"")
    assert command_line("compare", *results)[0] == 1


def test_numbers_that_nothing_is_paired_of_and_no_drawing(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, steps in (("plain", 3), ("normalised", 5)):
        save(tmp_path / name, name, [0.1] * 4, [True] * 4)
        record = json.loads((tmp_path / name / "sharpness" / "result.json").read_text())
        record |= {"rows": [], "inputs": [], "metrics": {"steps": steps}}
        Result(metrics=record["metrics"], record=record).save(tmp_path / name / "sharpness")
    words = ("compare", "plain/sharpness", "normalised/sharpness")
    status, out, err = command_line(*words)
    assert status == 0
    assert "steps" in out
    assert "+2" in out
    assert "95% interval" not in out
    assert "compare.png" not in out
    assert "nothing is paired" in " ".join(err.split())
    status, out, _ = command_line(*words, "--json")
    assert (status, json.loads(out)["figure"]) == (0, None)
    assert not list(tmp_path.glob("*.png"))
