"""Lists in files beside the record: they come back as what they were, of whatever type, and damage is one sentence."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cnnlab.errors import CnnlabError
from cnnlab.results import lists
from cnnlab.results.record import schema_of
from cnnlab.results.result import Result, inputs_in, read_record, rows_in
from cnnlab.results.rows import MOST, Column, Rows

RECORD = {
    "analysis": "one",
    "params": {},
    "model": {"path": None, "kind": "keras", "digest": "0"},
    "seed": 0,
    "metrics": {},
    "arrays": {},
    "versions": {},
    "device": "cpu",
    "seconds": 0.5,
    "warnings": [],
}

FILES = [
    "rows.csv",
    pytest.param(
        "rows.parquet",
        marks=pytest.mark.skipif(not importlib.util.find_spec("pyarrow"), reason="pyarrow is not installed"),
    ),
]

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.none()
FRACTIONS = st.floats(allow_nan=False, allow_infinity=False) | st.none()
CELLS = st.one_of(NAMES, NUMBERS, FRACTIONS, st.booleans(), st.integers(2**63, 2**80))


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"image": NAMES, "": FRACTIONS, "n": NUMBERS, "yes": st.booleans() | st.none(), 'a,"b"\r\n': CELLS}
        ),
        max_size=7,
    )
)
def test_rows_come_back_value_for_value_and_type_for_type(tmp_path_factory, file, rows):
    path = tmp_path_factory.mktemp("lists") / file
    written = Rows.of(rows)
    kinds = {name: written.column(name).kind for name in written.names}
    lists.write(path, written)
    found = lists.read(path, len(rows), kinds)
    assert list(found) == rows
    types = [{name: type(value) for name, value in row.items()} for row in found]
    assert types == [{name: type(value) for name, value in row.items()} for row in rows]
    assert written == rows


def given_images(count: int) -> Rows:
    """As many images as one asks for, the first of no known label."""
    return Rows.of_columns(
        {
            "source": [f"new\nline/{place}" for place in range(count)],
            "digest": Column("digest", np.arange(32 * count, dtype=np.uint8).reshape(-1, 32)),
            "shape": Column("shape", np.broadcast_to(np.array([8, 9, 1]), (count, 3))),
            "label": [None, *range(count - 1)],
        }
    )


def saved(folder, count: int = MOST + 1) -> Result:
    images = given_images(count)
    rows = Rows.of_columns({"image": images.column("source"), "loss": np.linspace(0, 1, count, dtype=np.float32)})
    told = {"inputs": lists.told_of_inputs(images), "rows": lists.told_of_rows(rows)}
    result = Result(rows=rows, listing=images, record={"schema": schema_of(told), **RECORD, **told})
    result.save(folder, format=None)
    return result


def test_more_images_than_the_record_lists_lie_beside_it(tmp_path):
    result = saved(tmp_path / "a")
    record = read_record(tmp_path / "a")
    assert record["inputs"]["count"] == record["rows"]["count"] == MOST + 1
    assert record["inputs"]["digest"] == record["files"]["inputs.csv"]
    assert record["rows"]["file"] in record["files"]
    found = Result.load(tmp_path / "a")
    assert found.inputs == result.inputs
    assert found.rows == result.rows
    assert found.inputs[1]["digest"] == bytes(range(32, 64)).hex()
    assert found.inputs[0] == {**found.inputs[0], "source": "new\nline/0", "shape": [8, 9, 1], "label": None}
    assert not found.tables
    assert repr(found) == "Result(one of a live model, 10,001 images)"


def test_what_was_read_is_written_to_the_byte_and_replaces_its_own(tmp_path):
    saved(tmp_path / "a")
    for _ in range(2):
        Result.load(tmp_path / "a").save(tmp_path / "b", format=None)
    (names,) = {tuple(sorted(path.name for path in (tmp_path / each).iterdir())) for each in "ab"}
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() or name == "arrays.npz"
    few = saved(tmp_path / "b", count=2)
    assert not (tmp_path / "b" / "inputs.csv").exists(), "the list of the result that was replaced goes too"
    assert Result.load(tmp_path / "b").rows == few.rows


def test_up_to_so_many_they_stand_in_the_record(tmp_path):
    result = saved(tmp_path / "a", count=MOST)
    record = read_record(tmp_path / "a")
    assert record["schema"] == 1
    assert record["inputs"] == result.inputs
    assert record["rows"] == result.rows
    assert inputs_in(tmp_path, record) is record["inputs"]
    assert rows_in(tmp_path, record) is record["rows"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("image,loss", "row has not 4 cells"),
        ("", "it has 2 rows, and result.json speaks of 3"),
        ("a,00,8x9x1,\nb,00,8x9x1,", "it has more rows than the 3"),
        ("a,zz" + 31 * "00" + ",8x9x1,1", "non-hexadecimal"),
        ("a,00,8x9x1,1", "a digest has not 64 digits"),
        ("a," + 32 * "00" + ",8x9,1", "three sides|inhomogeneous"),
        ("a," + 32 * "00" + ",8x9x0,1", "three sides"),
        ("a," + 32 * "00" + ",8x9x1,1.5", "invalid literal"),
        ("a," + 32 * "00" + ",8x9x1," + "9" * 30, "too large"),
        ('"a' + 32 * "00", "unexpected end of data"),
    ],
)
def test_a_damaged_list_is_one_sentence(tmp_path, line, says):
    path = tmp_path / "inputs.csv"
    lists.write(path, given_images(3))
    first, *rows = path.read_text().split("\nnew")[0], *path.read_text().replace("new\nline", "it").splitlines()[1:]
    path.write_text("\n".join([first.splitlines()[0], *rows[1:], line]).rstrip("\n") + "\n")
    with pytest.raises(CnnlabError, match=rf"inputs\.csv is damaged: .*({says})"):
        _ = lists.read(path, 3, lists.INPUTS)[0]


def test_another_first_line_and_no_file_are_one_sentence(tmp_path):
    path = tmp_path / "inputs.csv"
    with pytest.raises(CnnlabError, match="there is no file"):
        _ = lists.read(path, 3, lists.INPUTS)[0]
    path.write_text("source,digest\n")
    with pytest.raises(CnnlabError, match="its first line is not source,digest,shape,label"):
        list(lists.read(path, 3, lists.INPUTS))


@pytest.mark.parametrize(
    ("cell", "says"), [("[1]", "more than a value"), ("nan", "Expecting value"), ('""', "Expecting")]
)
def test_a_cell_holds_a_value_alone(tmp_path, cell, says):
    (tmp_path / "rows.csv").write_text(f"a\n{cell}\n")
    with pytest.raises(CnnlabError, match=says):
        list(lists.read(tmp_path / "rows.csv", 1, {"a": "json"}))


@pytest.mark.parametrize(("kind", "cell"), [("float", "nan"), ("float", "inf"), ("bool", "yes"), ("int", "1e3")])
def test_what_no_json_holds_is_no_value(tmp_path, kind, cell):
    (tmp_path / "rows.csv").write_text(f"a\n{cell}\n")
    with pytest.raises(CnnlabError, match="damaged"):
        list(lists.read(tmp_path / "rows.csv", 1, {"a": kind}))


def test_a_file_that_says_it_is_huge_is_not_read(tmp_path):
    (tmp_path / "rows.csv").write_text("a\n1\n")
    with pytest.raises(CnnlabError, match="unpacks"):
        lists.read(tmp_path / "rows.csv", 10**12, {"a": "int"})


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(CnnlabError, match="Install it with `pip install pyarrow`"):
        list(lists.read(tmp_path / "rows.parquet", 1, {"a": "int"}))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            {"inputs": {"count": 3, "file": "../inputs.csv", "digest": "0"}},
            "inputs.InputsBeside.file is '../inputs.csv'",
        ),
        ({"inputs": {"count": -1, "file": "inputs.csv", "digest": "0"}}, "inputs.InputsBeside.count is -1"),
        ({"rows": {"count": 3, "file": "rows.csv", "columns": {"a": "eval"}}}, "rows.RowsBeside.columns.a is 'eval'"),
        ({"files": {"arrays.npz": "0"}}, "digests of its lists among its files: inputs.csv"),
    ],
)
def test_what_the_record_says_of_them_is_checked(tmp_path, edit, message):
    saved(tmp_path / "a")
    record = {**read_record(tmp_path / "a"), **edit}
    (tmp_path / "a" / "result.json").write_text(json.dumps(record))
    with pytest.raises(CnnlabError) as refused:
        read_record(tmp_path / "a")
    assert message in str(refused.value)
