"""What ``result.json`` may hold: anything else ends in one sentence that names the place."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cnnlab.errors import CnnlabError
from cnnlab.results.record import check_record, is_as_signed, signed
from cnnlab.results.result import Result, read_arrays, read_record

RECORD = {
    "schema": 1,
    "analysis": "one",
    "plugin": {"distribution": "d", "version": "1"},
    "params": {"a": [1, "b"]},
    "model": {"path": None, "kind": "keras", "digest": "0", "about": {"input_range": [0, 1.0]}},
    "inputs": [{"source": "7.png", "digest": "1", "shape": [8, 8, 1], "label": None}],
    "dataset": {"name": "mnist", "source": "mnist"},
    "headline": "",
    "seed": 0,
    "metrics": {"a": 0.5, "b": None, "c": 3},
    "arrays": {"x": {"shape": [2], "dtype": "float64", "meaning": "", "axes": ["N"]}},
    "figures": ["figure.png"],
    "files": {"arrays.npz": "0", "figure.png": "0"},
    "rows": [{"image": "7.png", "a": 0.5, "yes": True, "none": None}],
    "claims": {
        "norm": "linf",
        "epsilons": [0.1],
        "eight_bit": False,
        "strengths": None,
        "axis": "epsilon",
        "bounds": [0.0, 1.0],
        "original": "inputs",
    },
    "images": [
        {"file": "images/0.png", "index": 0, "epsilon": 0.1, "label_after": 1, "confidence_after": 0.5, "success": None}
    ],
    "versions": {"cnnlab": "0.1.0"},
    "device": "cpu",
    "seconds": 0.5,
    "warnings": [],
    "preflight": None,
}


def write(folder, text: str) -> None:
    (folder / "result.json").write_text(text, encoding="utf-8")


def test_a_record_as_the_host_writes_it_is_taken_as_it_is(tmp_path):
    write(tmp_path, json.dumps(RECORD))
    assert read_record(tmp_path) == RECORD


def places(value, at=()):
    """Every place in a record, as keys and indices."""
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        if at != ("params",):
            yield from places(each, (*at, key))


STRANGE = [None, True, -1, 1e308, "\x1b[31m", [], {}, [[1]], {"x": []}, float("nan")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(places(RECORD))[1:]), st.sampled_from(STRANGE))
def test_whatever_stands_anywhere_is_taken_or_refused_in_one_sentence(tmp_path_factory, at, strange):
    record = json.loads(json.dumps(RECORD))
    inside = record
    for key in at[:-1]:
        inside = inside[key]
    inside[at[-1]] = strange
    folder = tmp_path_factory.getbasetemp()
    write(folder, json.dumps(record))
    try:
        assert read_record(folder) == record
        said = "result.json"
    except CnnlabError as error:
        said = str(error)
    assert "result.json" in said
    assert "\x1b" not in said
    assert len(said) < 1000


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"metrics": {"a": "0.5"}}, "metrics.a"),
        ({"metrics": {"a": True}}, "metrics.a"),
        ({"metrics": []}, "metrics is [], expected an object"),
        ({"rows": [{"a": [1]}]}, "rows.0.a"),
        ({"rows": {}}, "rows is {}, expected a valid array"),
        ({"seed": -1}, "seed is -1, expected greater than or equal to 0"),
        ({"seed": 1.5}, "seed"),
        ({"arrays": {"x": {"shape": [-1], "dtype": "float64"}}}, "arrays.x.shape.0"),
        ({"model": {"path": 3, "kind": "keras", "digest": "0"}}, "model.path is 3, expected a valid string"),
        ({"figures": ["../figure.png"]}, "files of a result alone, and not '../figure.png'"),
        ({"files": {"/etc/passwd": "0"}}, "files of a result alone, and not '/etc/passwd'"),
        ({"claims": {**RECORD["claims"], "axis": "../x"}}, "called by a lower-case word"),
        ({"claims": {**RECORD["claims"], "bounds": [0.0]}}, "claims.bounds"),
        ({"images": [{**RECORD["images"][0], "file": "images/../../x.png"}]}, "files of a result alone"),
        ({"metrics": {"\x1b[31m": "x"}}, r"metrics.\x1b[31m is 'x'"),
        ({"schema": True}, "has schema True"),
        ({"schema": 3}, "has schema 3; this cnnlab reads schemas 1 and 2"),
        ({"schema": 2}, "expected digests of its lists among its files: a list in one of them"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, edit, message):
    with pytest.raises(CnnlabError) as refused:
        check_record({**RECORD, **edit}, tmp_path / "result.json")
    assert message in str(refused.value)


@pytest.mark.parametrize("key", [key for key in RECORD if key in ("params", "model", "metrics", "arrays", "files")])
def test_what_is_missing_is_named(tmp_path, key):
    with pytest.raises(CnnlabError, match=f"result.json is damaged: it has no {key}. Run the analysis again"):
        check_record({name: value for name, value in RECORD.items() if name != key}, tmp_path / "result.json")


@pytest.mark.parametrize("text", ["[]", "null", '"x"', "{", "", '{"schema": NaN}', "[" * 100_000])
def test_what_is_no_record_is_one_sentence(tmp_path, text):
    write(tmp_path, text)
    with pytest.raises(CnnlabError, match=r"result\.json"):
        read_record(tmp_path)


def test_a_record_knows_whether_it_was_changed(tmp_path):
    assert is_as_signed(RECORD) is None
    made = json.loads(json.dumps(signed(RECORD)))
    assert is_as_signed(made) is True
    assert is_as_signed({**made, "seed": 1}) is False
    assert signed(made) == made, "its digest is no part of what it is of"


def test_arrays_of_no_axis_and_of_names_from_elsewhere_come_back(tmp_path):
    np.savez(tmp_path / "arrays.npz", a=np.float64(3), **{"kernel/conv1": np.zeros(2)})
    found = read_arrays(tmp_path)
    assert found["a"].shape == ()
    assert set(found) == {"a", "kernel/conv1"}


def test_arrays_that_claim_to_be_huge_are_one_sentence(tmp_path):
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,), }"
    import zipfile

    with zipfile.ZipFile(tmp_path / "arrays.npz", "w") as archive:
        archive.writestr("a.npy", header.ljust(127) + b"\n")
    with pytest.raises(CnnlabError, match=r"arrays\.npz"):
        read_arrays(tmp_path)


def test_a_saved_result_holds_its_own_digest(tmp_path):
    Result(record={key: value for key, value in RECORD.items() if key not in ("claims", "images")}).save(tmp_path / "a")
    record = read_record(tmp_path / "a")
    assert is_as_signed(record) is True
    Result.load(tmp_path / "a").save(tmp_path / "b")
    assert is_as_signed(read_record(tmp_path / "b")) is True
