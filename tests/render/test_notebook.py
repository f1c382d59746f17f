"""What a notebook shows: one piece of HTML each, escaped, without scripts or ids, tested through a real kernel too."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

import cnnlab
from cnnlab.classifier import Classifier
from cnnlab.datasets import Dataset, Split
from cnnlab.drawings import At, Curves, Line, Matrix, Picture
from cnnlab.drawings.tables import MOST_ROWS, Table
from cnnlab.errors import CnnlabError
from cnnlab.render.html.notebook import notebook
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier

EVIL = "<script>alert('x')</script>"


def result_of(name: str = "7.png", images: int = 2) -> Result:
    return Result(
        headline=f"Half of {name} is dark",
        arrays={"map": np.eye(4, dtype=np.float32)},
        drawings={"": Picture(values=At("map"), title=name)},
        metrics={"darkness": 0.5, name: 1.0},
        rows=[{"image": name, "after": index, "score": None} for index in range(images)],
        record={
            "analysis": "darkness",
            "model": {"path": f"runs/{name}"},
            "inputs": [{"source": name}] * images,
            "warnings": [f"{name} is dark."],
        },
    )


def test_a_result_is_a_headline_a_picture_and_tables():
    page = result_of()._repr_html_()
    assert (
        page.index("Half of 7.png is dark") < page.index("<img src=") < page.index("<td") < page.index("darkness</td>")
    )
    assert "Note: 7.png is dark." in page
    assert "data-values" not in page, "only a script would read them"
    assert Result()._repr_html_()


def test_a_drawing_that_cannot_be_drawn_is_a_note_in_its_place():
    cells = {"rows": ("a",), "columns": ("b",), "row_label": "", "column_label": ""}
    drawings = {"map": Matrix(values=np.eye(1), **cells, number=".2zzz")}
    page = Result(metrics={"darkness": 0.5}, drawings=drawings, record={"analysis": "one"})._repr_html_()
    assert "Note: the drawing &#39;map&#39; of the analysis one could not be drawn: ValueError: Invalid format" in page
    assert "darkness</td>" in page


def test_shares_are_read_in_percent_as_in_the_terminal():
    said = {
        "columns": {"sure_of": "probability of the label"},
        "metrics": {"success": "share of the images", "l2": "length"},
    }
    rows = [{"image": "7.png", "sure_of": 0.9997, "l2": 0.5}]
    page = Result(rows=rows, metrics={"success@0.1": 0.25, "l2": 0.75}, record={"meanings": said})._repr_html_()
    assert re.findall(r"<td>([^<]*)</td>", page) == ["99.9%", "0.5", "25.0%", "0.75"]


def things() -> dict[str, object]:
    split = Split(np.zeros((3, 4, 4), np.uint8), [0, 1, 1])
    dataset = Dataset(name=EVIL, train=split, test=split, class_names=("dark", EVIL))
    model = FakeClassifier.of_brightness()
    return {"result": result_of(EVIL), "dataset": dataset, "split": dataset.test[:2], "homeless": split, "model": model}


@pytest.mark.parametrize("thing", things())
def test_what_is_shown_is_escaped_and_can_be_shown_twice(thing):
    page = things()[thing]._repr_html_()
    assert "<script" not in page
    assert not re.search(r"\sid=|\son\w+=|http:|https:", page)
    assert page.startswith('<div class="cnnlab">')
    assert page.count("<div") == page.count("</div>")


def test_the_style_holds_within_the_piece_alone():
    style = re.search(r"<style>(.*?)</style>", notebook("x"), re.DOTALL)[1]
    assert style.strip().startswith(".cnnlab {")
    depth, outside = 0, ""
    for sign in style:
        depth += (sign == "{") - (sign == "}")
        outside += sign if not depth else ""
    assert outside.split() == [".cnnlab", "}"]
    assert not re.search(r"^\s*(body|main|h1)\b", style, re.MULTILINE)
    assert ":root" not in style


def test_a_long_table_says_how_long_it_is():
    page = notebook("x", tables=[Table.of([{"at_row": index} for index in range(MOST_ROWS + 1200)])])
    assert page.count("<tr>") == MOST_ROWS + 1
    assert "and 1,200 more" in page
    assert '<th scope="col">at row</th>' in page


def test_a_chart_is_drawn_in_the_piece():
    line = Line(name="loss", x=(1, 2), y=(0.5, 0.25))
    assert '<svg class="plot"' in notebook("x", drawings=[Curves(lines=(line,), x_label="epoch", y_label="loss")])


def test_each_thing_is_told_in_one_line(trained_run, classifier):
    path = trained_run.path
    assert repr(result_of()) == "Result(darkness of runs/7.png, 2 images, 1 array, 1 drawing)"
    assert repr(Result()) == "Result(not run by the host)"
    accuracy = trained_run.metrics["val_accuracy"]
    assert re.fullmatch(
        rf"Run\({re.escape(str(path))}, mnist-cnn on mnist, 2 epochs, \d\d\.\d\d% validation accuracy\)",
        repr(trained_run),
    )
    assert f"{100 * accuracy:.2f}%" in repr(trained_run)
    assert repr(classifier) == f"Classifier({path}, images of 28x28x1 in [0, 1], 10 classes)"


def test_a_folder_that_is_no_run_has_a_line_too(tmp_path):
    assert repr(cnnlab.Run(tmp_path)) == f"Run({tmp_path}, unfinished)"
    (tmp_path / "run.json").write_text("{")
    assert repr(cnnlab.Run(tmp_path)) == f"Run({tmp_path}, damaged)"
    assert "damaged" in cnnlab.Run(tmp_path)._repr_html_()


def test_rows_become_a_frame():
    pandas = pytest.importorskip("pandas")
    frame = result_of(images=3).to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["after"].tolist() == [0, 1, 2]
    assert list(frame.columns) == ["image", "after", "score"]
    assert Result().to_frame().empty


def test_without_pandas_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(CnnlabError, match=r"pandas is not installed\. Install it with `pip install pandas`"):
        result_of().to_frame()


CELLS = {
    "dataset": "import cnnlab\ndigits = cnnlab.datasets.load('mnist')\ndigits",
    "run": "run = cnnlab.Run({path!r})\nrun",
    "model": "model = cnnlab.load(run)\nmodel",
    "result": "cnnlab.analyze('occlusion', model, digits.test[[0, 18]], patch=8, stride=4)",
    "figure": "_.figure()",
    "frame": "__.to_frame()",
    "silent": "_ = cnnlab.evaluate(run, digits.test[:64], progress=False)",
}
"""What is done in a notebook, by what its output is."""


@pytest.fixture(scope="module")
def shown(trained_run):
    """The outputs of a notebook's cells, run by a real kernel."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = [nbformat.v4.new_code_cell(code.format(path=str(trained_run.path))) for code in CELLS.values()]
    book = nbformat.v4.new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
        nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    return {name: cell.outputs for name, cell in zip(CELLS, book.cells, strict=True)}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("dataset", ['<img src="data:image/png', "<table>", "5,923"]),
        ("run", ['<svg class="plot"', "<table>", "val_accuracy"]),
        ("model", ["<table>", "conv1", "784,500"]),
        ("result", ['<img src="data:image/png', "<table>", "mnist/test:18"]),
        ("frame", ["<table", "mnist/test:18"]),
    ],
)
def test_a_real_kernel_shows_picture_and_table(shown, name, parts):
    (output,) = [output for output in shown[name] if output.output_type == "execute_result"]
    assert [part for part in parts if part not in output.data["text/html"]] == []
    assert len(output.data["text/plain"].splitlines()) == 1 or name == "frame"


def test_a_figure_is_shown_where_nobody_imported_pyplot(shown):
    (output,) = shown["figure"]
    assert "image/png" in output.data


def test_a_notebook_has_a_bar_that_goes_and_no_log(shown):
    bars = [output for output in shown["result"] if output.output_type == "display_data"]
    assert bars
    assert all(output.data["text/html"] == "" for output in bars), "a finished bar is taken away"
    assert shown["silent"] == []
    assert [output for outputs in shown.values() for output in outputs if output.output_type == "stream"] == []


def test_all_of_them_show_themselves():
    for kind in (Result, cnnlab.Run, Classifier, Dataset, Split):
        assert "_repr_html_" in vars(kind)
        assert "__repr__" in vars(kind)
