"""``cnnlab analyze NAME,NAME``: one model, opened once, and a result of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cnnlab.analysis import request
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.errors import CnnlabError
from cnnlab.results.result import Result

SEVEN = Path(__file__).resolve().parents[2] / "examples" / "7.png"


def test_each_gives_the_result_that_it_gives_alone(trained_run, command_line, tmp_path, monkeypatch):
    opened = []
    open_model = ModelChoice.open

    def counted(choice):
        opened.append(isinstance(choice.model, str | Path))
        return open_model(choice)

    monkeypatch.setattr(ModelChoice, "open", counted)
    asked = ("--model", trained_run.path, "--seed", 3)
    status, out, error = command_line(
        "analyze", "saliency,filters", *asked, "--image", SEVEN, "--out", tmp_path, "--json"
    )
    assert status == 0, error
    told = json.loads(out)
    assert list(told) == ["saliency", "filters"]
    assert sum(opened) == 1, "the model is opened once"
    for name, images in (("saliency", ("--image", SEVEN)), ("filters", ())):
        status, _, _ = command_line("analyze", name, *asked, *images, "--out", tmp_path / "alone" / name, "--json")
        assert status == 0
        alone, together = Result.load(tmp_path / "alone" / name), Result.load(tmp_path / name)
        assert together.metrics == alone.metrics == told[name]["metrics"]
        assert together.rows == alone.rows
        assert together.record["inputs"] == alone.record["inputs"]


def test_one_that_fails_is_a_sentence_and_the_others_go_on(trained_run, command_line, tmp_path, monkeypatch):
    perform = request.perform

    def failing(asked, progress=None):
        if asked.analysis.name == "filters":
            raise CnnlabError("the kernels are gone.")
        return perform(asked, progress)

    monkeypatch.setattr(request, "perform", failing)
    asked = ("--model", trained_run.path, "--image", SEVEN, "--out", tmp_path)
    status, out, error = command_line(
        "analyze", "filters,saliency", *asked, "--fail-under", "saliency.insertion_area=9"
    )
    assert status == 1, "what could not be done goes before a gate"
    assert "Error: the kernels are gone." in error
    assert "1 of 2 analyses could not be done: filters." in error
    assert "saliency of" in out
    assert not (tmp_path / "filters").exists()
    assert Result.load(tmp_path / "saliency").rows


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("filters,occlusoin",), 2, "Did you mean 'occlusion'?"),
        (("filters,filters",), 2, "each analysis is asked once"),
        (("filters,occlusion", "--patch", "3"), 2, "--patch is no option of several analyses at once"),
        (("filters,occlusion",), 2, "occlusion needs images"),
        (("filters,occlusion", "--image", SEVEN, "--fail-under", "flipped=1"), 2, "has no metric 'flipped'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_opened(command_line, words, status, said, monkeypatch):
    monkeypatch.setattr(ModelChoice, "source", property(lambda choice: None))
    found, _, error = command_line("analyze", *words)
    assert found == status
    assert said in error
