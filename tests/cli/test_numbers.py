"""The numbers of a result: rows told apart in every table, nothing said twice, shares in percent."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from cnnlab.cli.views import numbers
from cnnlab.cli.views.tables import Column, fitted
from cnnlab.results.meanings import axis_of, declared_as, meaning_of
from cnnlab.results.result import Result
from cnnlab.words import is_share

ROWS = [
    {"image": image, "epsilon": epsilon, "label": 7, "after": index, "read": index, "linf": 0.125, "l2": 1.0 + index}
    for index, (image, epsilon) in enumerate((image, epsilon) for image in ("a.png", "b.png") for epsilon in (0.1, 0.2))
]


def printed(shown, width):
    console = Console(file=StringIO(), width=width)
    for each in shown:
        console.print(each)
    return console.file.getvalue()


def test_every_split_table_begins_with_all_that_tells_rows_apart():
    wide = [row | {f"some_other_value_{index}": row["l2"] * index + 1 for index in range(2, 9)} for row in ROWS]
    tables = [each for each in numbers.rows_tables(wide, 60) if isinstance(each, Table)]
    assert len(tables) > 1
    assert {tuple(str(column.header) for column in table.columns[:2]) for table in tables} == {("image", "epsilon")}


def test_what_is_the_same_in_every_row_is_said_once():
    text = printed(numbers.rows_tables(ROWS, 80), 80)
    assert text.count("0.125") == 1
    assert "in every row: label 7, linf 0.125, read = after" in text


def test_how_many_columns_tell_rows_apart():
    assert numbers.identifying(["image", "epsilon", "after"], ROWS) == 2
    assert numbers.identifying(["after", "image"], ROWS) == 1
    assert numbers.identifying(["label", "linf"], ROWS) == 1


def test_one_row_is_one_table_with_what_its_metrics_say_more():
    rows = [{"image": "7.png", "success": "yes", "l2": 2.0}]
    metrics = {"success": 1.0, "l2": 2.0, "accuracy_after": 0.0, "accuracy@0.1": 0.0}
    declared = {"accuracy_after": "share read correctly", "accuracy@<epsilon>": "share read correctly"}
    assert numbers.untold(metrics, rows, declared) == {"accuracy_after": 0.0}


def test_a_metric_of_several_strengths_is_one_line():
    metrics = {"images": 4, "success@0.1": 0.5, "success@0.2": 1.0}
    declared = {"images": "how many images", "success": "share of the images that are fooled"}
    text = printed(numbers.metrics_tables(metrics, declared, "epsilon", 100), 100)
    (line,) = [line for line in text.splitlines() if line.startswith("success")]
    assert line.split()[1:3] == ["50.0%", "100%"]
    assert text.count("share of the images") == 1
    assert "@" not in text


def test_several_images_are_one_table_and_the_metrics_lines_below_it():
    said = {
        "columns": {"sure": "probability of the label"},
        "metrics": {"success": "share of the images", "l2": "length"},
    }
    record = {"inputs": [{}, {}], "meanings": said}
    rows = [{"image": f"{name}.png", "sure": sure} for name, sure in (("a", 0.9997), ("b", 0.5))]
    metrics = {"success@0.1": 0.5, "success@0.2": 1.0, "l2": 2.0, "undefined": None}
    shown = numbers.numbers(Result(rows=rows, metrics=metrics, record=record), 100)
    text = printed(shown, 100)
    assert sum(isinstance(each, Table) and each.show_header for each in shown) == 1
    assert re.search(r"a\.png +99\.9%", text)
    assert [line.rstrip().split("  ")[-1] for line in text.splitlines() if line.startswith(("success", "l2"))] == [
        "share of the images, at strength 0.1, 0.2",
        "length",
    ]
    assert "50.0%, 100%" in text
    assert "undefined" not in text
    narrow = printed(numbers.numbers(Result(rows=rows, metrics=metrics, record=record), 30), 30)
    assert max(map(len, narrow.splitlines())) <= 30
    assert "50.0%, 100%" in narrow


def test_a_further_table_of_metrics_has_only_the_rows_that_it_tells_of():
    names = ("success", "reached", "linf", "l2", "steps")
    metrics = {"images": 4.0} | {f"{name}@{target}": 0.5 for name in names for target in range(10)}
    shown = numbers.metrics_tables(metrics, {"success": "share that succeeds"}, "target", 50)
    tables = [table for table in shown if isinstance(table, Table)]
    assert len(tables) > 1
    assert printed(shown, 50).count("images") == 1


@pytest.mark.parametrize(
    ("value", "share", "text"), [(0.9997, True, "99.9%"), (0.9997, False, "0.9997"), (1.5, True, "1.5")]
)
def test_shares_are_written_in_percent(value, share, text):
    assert numbers.number(value, share) == text


def test_meanings_say_the_strength_and_of_a_target_the_class():
    declared = {"accuracy@<strength>": "share read correctly", "l2": "length of the change"}
    assert meaning_of(declared, "accuracy@0", "target") == "share read correctly, for target class 0"
    assert meaning_of(declared, "accuracy@0.1", "epsilon") == "share read correctly, at epsilon 0.1"
    assert meaning_of(declared, "l2@0.3", "beta") == "length of the change, at beta 0.3"
    assert meaning_of(declared, "unknown@1", "beta") == ""
    assert declared_as(declared, "l2@0.3") == declared["l2"]
    assert axis_of({"accuracy@<epsilon>": ""}, "accuracy@0.1") == "epsilon"
    assert is_share(declared["accuracy@<strength>"])
    assert not is_share(declared["l2"])


@pytest.mark.parametrize("width", [40, 60, 100])
def test_tables_break_at_blanks_alone(width):
    names = ["block_13_depthwise_BN", "mnist/test:9999"]
    columns = [
        Column("layer", names),
        Column("multiply-adds", ["1,806,336", "25,088"], number=True),
        Column("meaning", ["what is told of it in several words", "another sentence"]),
        Column("kind", ["DepthwiseConv2D", "Dense"]),
    ]
    text = printed(fitted(columns, width), width)
    assert all(word in text for word in [*names, "1,806,336", "25,088", "DepthwiseConv2D", "sentence", "several"])
    assert max(map(len, text.splitlines())) <= width


def test_a_number_that_is_unknown_in_its_row_is_told_by_it():
    rows = [{"image": "7.png", "l2": None, "linf": 0.5}]
    assert numbers.untold({"l2": None, "linf": 0.5, "steps": None}, rows, {}, "") == {"steps": None}
    assert numbers.untold({"l2": 0.5, "linf": None}, rows, {}, "") == {"l2": 0.5, "linf": None}


def test_a_result_without_numbers_has_no_table():
    assert numbers.numbers(Result(record={"inputs": []}), 80) == []
