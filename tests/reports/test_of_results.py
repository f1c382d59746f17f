"""A report of results that lie there: what it says of each, what repeats it, and where it goes."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest

import cnnlab
from cnnlab.drawings import Matrix, Picture
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.reports.of_results import command
from cnnlab.reports.page import page
from cnnlab.reports.places import file_of_results, new_file
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier

EIGHT = np.linspace(0, 1, 8, dtype=np.float32).reshape(2, 2, 2, 1)


def mean_of(classifier, inputs, params, context) -> Result:
    context.artifact("frames.txt").write_text("what the analysis wrote itself")
    drawn = Picture(values=inputs.images[0][..., 0], title="the first")
    return Result(
        headline="The first mean is 0.25.",
        metrics={"mean": float(inputs.images.mean())},
        columns={"mean": inputs.images.mean(axis=(1, 2, 3))},
        drawings={"": drawn, "again": drawn},
    )


@pytest.fixture
def saved(analysis, tmp_path):
    """Two saved results of two models: their folders."""
    analysis(mean_of)
    folders = []
    for classes in (2, 3):
        model = FakeClassifier(lambda images: np.zeros((len(images), 2)), (2, 2, 1), classes)
        folders.append(tmp_path / f"result-{classes}")
        cnnlab.analyze("one", model, EIGHT).save(folders[-1], format=None)
    return folders


def test_each_result_is_a_section_with_its_figures_numbers_and_images(saved):
    told = []
    found = cnnlab.report(results=saved, told=lambda each, number, total: told.append((each.name, number, total)))
    assert told == [("result-1", 1, 2), ("result-2", 2, 2)]
    first = found.sections[0]
    assert first.title == "1. one of a live model"
    assert first.chapter.paragraphs[0] == first.headline == "The first mean is 0.25."
    assert first.chapter.paragraphs[1] == f"Asked about 2 images: array:0, array:1. The result lies in `{saved[0]}`."
    assert [figure.caption.partition(":")[0] for figure in first.chapter.figures][1] == "again"
    assert [(each.name, each.value) for each in first.chapter.metrics] == [("mean", pytest.approx(0.5))]
    assert len(first.chapter.tables[0].rows) == 2
    assert len(found.record["models"]) == len({each["digest"] for each in found.record["models"]})
    assert repr(found) == "Report(results of a live model, 2 sections)"


def test_what_it_says_is_written_in_every_format(saved, tmp_path):
    found = cnnlab.report(results=saved)
    for format in ("html", "md", "json"):
        found.save(tmp_path / f"report.{format}", format)
        text = (tmp_path / f"report.{format}").read_text(encoding="utf-8")
        assert text.count("The first mean is 0.25.") >= 2
        assert "cnnlab report --result" in text
    said = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [each["folder"] for each in said["results"]] == list(map(str, saved))


def test_the_page_says_at_a_glance_what_each_found_and_axe_finds_nothing(saved, open_html, axe):
    shown = open_html(page(cnnlab.report(results=saved)))
    assert shown.locator(".glance td").all_inner_texts() == ["The first mean is 0.25."] * 2
    assert axe(shown) == []


def test_an_artifact_lies_once_in_a_page_however_many_figures_have_it(saved, open_html):
    shown = open_html(page(cnnlab.report(results=saved)))
    assert shown.locator("a[download='frames.txt']").count() == 1
    others = shown.locator("a", has_text="frames.txt at figure 1")
    assert others.count() == 3
    assert {each.get_attribute("href") for each in others.all()} == {"#figure-1"}


def test_a_result_without_a_figure_has_its_files_and_what_repeats_it(analysis, tmp_path, monkeypatch):
    def written(classifier, inputs, params, context) -> Result:
        context.artifact("x.html").write_text("what the analysis wrote itself")
        return Result(metrics={"mean": 0.5})

    analysis(written)
    model = FakeClassifier(lambda images: np.zeros((len(images), 2)), (2, 2, 1), 2)
    cnnlab.analyze("one", model, EIGHT).save(tmp_path / "result", format=None)
    monkeypatch.setattr("cnnlab.reports.of_results.request_of", lambda *_: object())
    monkeypatch.setattr("cnnlab.reports.of_results.command_of", lambda _: "cnnlab analyze one --model m")
    found = cnnlab.report(results=tmp_path / "result")
    for format in ("html", "md", "json"):
        found.save(tmp_path / f"report.{format}", format)
        text = (tmp_path / f"report.{format}").read_text(encoding="utf-8")
        assert text.count("cnnlab analyze one --model m") == 1
        assert "x.html" in text
    assert 'download="x.html"' in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'download="x.html"' in found.sections[0]._repr_html_()


def test_a_figure_that_cannot_be_drawn_costs_itself_alone(analysis, tmp_path):
    cells = {"rows": ("a",), "columns": ("b",), "row_label": "", "column_label": ""}
    drawings = {"bad": Matrix(values=np.eye(1), **cells, number=".2zzz"), "good": Picture(values=np.eye(2))}
    analysis(lambda *_: Result(drawings=drawings))
    model = FakeClassifier(lambda images: np.zeros((len(images), 2)), (2, 2, 1), 2)
    cnnlab.analyze("one", model, EIGHT).save(tmp_path / "result", format=None)
    found = cnnlab.report(results=tmp_path / "result")
    said = (
        "Note: figure 1, of '1. one of a live model' (cnnlab-one 3.1), could not be drawn: ValueError: Invalid format"
    )
    for format in ("html", "md"):
        found.save(tmp_path / f"report.{format}", format)
        text = html.unescape((tmp_path / f"report.{format}").read_text(encoding="utf-8"))
        assert said in text.replace("\\", "")
        assert "good: " in text
    assert len(list((tmp_path / "report-images").iterdir())) == 1


def test_what_cannot_be_in_a_report_of_results_is_one_sentence(saved, tmp_path):
    with pytest.raises(CnnlabError, match="holds no result"):
        cnnlab.report(results=[saved[0], tmp_path])
    with pytest.raises(UsageError, match="was named twice"):
        cnnlab.report(results=[saved[0], str(saved[0])])
    with pytest.raises(UsageError, match="give `results=` or `limit=`, not both"):
        cnnlab.report(results=saved, limit=3)
    with pytest.raises(UsageError, match="1 to 100 results; received 101"):
        cnnlab.report(results=[f"r{number}" for number in range(101)])


def test_a_report_of_results_lies_in_the_run_that_all_are_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    of_run, other = {"kind": "run", "path": str(run)}, {"kind": "keras", "path": "m.keras"}
    assert file_of_results([of_run, of_run], "md") == run / "report-of-results.md"
    assert file_of_results([of_run, other], "html") == Path("results/report-of-results.html")


def test_a_new_file_replaces_nothing_and_goes_where_it_was_not_written(tmp_path):
    first = tmp_path / "deep" / "report.html"
    for name in ("report.html", "report-2.html"):
        with new_file(first) as path:
            path.write_text(name)
    with pytest.raises(RuntimeError), new_file(first) as path:
        raise RuntimeError
    assert sorted(each.name for each in first.parent.iterdir()) == ["report-2.html", "report.html"]
    assert first.read_text() == "report.html"


def test_the_command_names_each_folder_and_the_file():
    assert command(["a b", "c"], "out.html") == "cnnlab report --result 'a b' --result c --out out.html"
