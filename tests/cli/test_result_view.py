"""The tables of a result in the terminal: nothing in them is cut, however narrow it is."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from cnnlab.cli.views import numbers, result as view
from cnnlab.drawings import Matrix
from cnnlab.results.result import Result

ROWS = [
    {
        "image": f"mnist/test:{index}",
        "label": index,
        "confidence_before": 0.123456 + index * 1e-9,
        "confidence_after": 0.98765 + index * 1e-9,
        "success": "misread before" if index else "yes",
        "mean_squared_difference": 0.0012346 + index * 1e-12,
    }
    for index in range(30)
]


def printed(rows, width):
    console = Console(file=StringIO(), width=width)
    for table in numbers.rows_tables(rows, width):
        console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_numbers_are_whole_and_lines_fit(width):
    text = printed(ROWS, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert text.count("0.1235") == text.count("0.9877") == text.count("0.001235") == numbers.MOST_ROWS
    assert f"and {len(ROWS) - numbers.MOST_ROWS} more in result.json" in text


def test_each_further_table_says_which_image_its_rows_are_about():
    found = [table for table in numbers.rows_tables(ROWS, 60) if isinstance(table, Table)]
    assert len(found) > 1
    assert {str(table.columns[0].header) for table in found} == {"image"}
    headers = [str(column.header) for table in found for column in table.columns[1:]]
    assert headers == [name.replace("_", " ") for name in ROWS[0] if name != "image"]


def test_one_table_where_there_is_room():
    assert sum(isinstance(each, Table) for each in numbers.rows_tables(ROWS, 120)) == 1


def test_a_drawing_that_cannot_be_shown_costs_itself_alone(capsys):
    cells = {"rows": ("a",), "columns": ("b",), "row_label": "", "column_label": ""}
    record = {
        "analysis": "one",
        "plugin": {"distribution": "cnnlab-one", "version": "3.1"},
        "model": {"path": "runs/a"},
        "inputs": [],
        "seconds": 1.0,
        "warnings": ["It is dark."],
    }
    drawings = {"map": Matrix(values=np.eye(1), **cells, number=".2zzz")}
    view.show(
        Result(headline="Half.", metrics={"darkness": 0.5}, drawings=drawings, record=record), [Path("out/r.json")]
    )
    out, err = capsys.readouterr()
    assert "Half." in out
    assert "darkness" in out
    assert "out/r.json" in out
    assert err.splitlines() == [
        "Note: It is dark.",
        "Note: the drawing 'map' of the analysis one (cnnlab-one 3.1) could not be shown in the terminal: ValueError: "
        "Invalid format specifier '.2zzz' for object of type 'float'.",
    ]


def test_the_terminal_names_the_folder_of_images_once(capsys):
    files = [Path("out/result.json"), Path("out/figure.png"), Path("out/images/0.png"), Path("out/images/1.png")]
    view.paths(Console(width=80), files)
    assert capsys.readouterr().out.split("\n")[:3] == ["  out/result.json", "  out/figure.png", "  out/images (2 PNG)"]
