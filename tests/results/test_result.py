"""A result on disk and back: whole, with its drawings, or not at all, and only in folders that are cnnlab's own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from cnnlab.drawings import At, Curves, Line, Picture, Scrub, Tiles
from cnnlab.errors import CnnlabError
from cnnlab.results.claims import Claims
from cnnlab.results.result import Result

RECORD = {
    "schema": 1,
    "analysis": "one",
    "versions": {"cnnlab": "0"},
    "metrics": {},
    "rows": [],
    "claims": None,
    "images": [],
}
PICTURE = Picture(values=np.eye(4), scale="sequential")


def made(**parts) -> Result:
    """A result as the host completes it."""
    record = {**RECORD, "metrics": dict(parts.get("metrics", {})), "rows": list(parts.get("rows", ()))}
    return Result(**parts, record=record)


def test_saving_and_loading_gives_the_same_result(tmp_path):
    arrays = {"kernel/conv1": np.random.default_rng(0).random((3, 3)), "label": np.arange(4)}
    files = made(arrays=arrays, metrics={"m": 0.1}, rows=[{"a": 1}]).save(tmp_path / "out")
    assert [file.name for file in files] == ["result.json", "arrays.npz"]
    loaded = Result.load(tmp_path / "out")
    assert loaded.metrics == {"m": 0.1}
    assert list(loaded.rows) == [{"a": 1}]
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)


def every_drawing(arrays):
    picture = Picture(values=At("maps", 1), scale="diverging", unit="drop", outline=arrays["maps"][0], image=1)
    scrub = Scrub(axis="epsilon", stops=("0.1", "0.2"), frames=((picture,), (PICTURE,)))
    return {
        "": Tiles(tiles=(picture, scrub, None, PICTURE), columns=2, title="All"),
        "block1/conv1": Curves(lines=(Line(name="a", x=(1.0, 2.0), y=At("steps")),), x_label="step", y_label="loss"),
    }


@pytest.fixture
def drawn() -> Result:
    arrays = {"maps": np.random.default_rng(0).normal(size=(2, 5, 6)), "steps": np.array([0.5, 0.25])}
    return made(arrays=arrays, drawings=every_drawing(arrays))


def test_a_loaded_result_has_its_figures_and_can_be_saved_elsewhere(drawn, tmp_path):
    files = drawn.save(tmp_path / "first")
    names = ["result.json", "arrays.npz", "drawings.json", "figure.png", "figure-block1.conv1.png"]
    assert [file.name for file in files] == names
    loaded = Result.load(tmp_path / "first")
    assert list(loaded.drawings) == list(drawn.drawings)
    again = loaded.save(tmp_path / "second")
    assert [file.name for file in again] == names
    for name in names[2:]:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name
    assert loaded.figure("block1/conv1").axes[0].get_xlabel() == "step"
    np.testing.assert_array_equal(loaded.drawing().tiles[0].array, drawn.arrays["maps"][1])
    assert loaded.drawing().tiles[0].array is not None


def test_drawings_refer_to_arrays_and_hold_no_second_copy(drawn, tmp_path):
    drawn.save(tmp_path)
    record = json.loads((tmp_path / "drawings.json").read_text())
    assert record[""]["tiles"][0]["values"] == {"array": "maps", "index": [1]}


def test_a_drawing_that_is_not_there_is_named(drawn):
    with pytest.raises(CnnlabError, match=r"no figure 'other'; it has \['', 'block1/conv1'\]"):
        drawn.figure("other")
    with pytest.raises(CnnlabError, match="it has none"):
        made().figure()


def test_without_a_name_the_first_drawing_is_meant(drawn):
    only = made(arrays=drawn.arrays, drawings={"curves": drawn.drawings["block1/conv1"]})
    assert only.drawing().kind == "curves"


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_figures_are_written_in_any_format(drawn, tmp_path, kind):
    files = drawn.save(tmp_path, format=kind)
    figures = [file for file in files if file.name.startswith("figure")]
    assert [file.name for file in figures] == [f"figure.{kind}", f"figure-block1.conv1.{kind}"]
    begin = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert all(file.read_bytes().startswith(begin) for file in figures)
    assert json.loads((tmp_path / "result.json").read_text())["figures"] == [file.name for file in figures]


def test_dots_per_inch_are_the_users(drawn, tmp_path):
    drawn.save(tmp_path / "usual")
    drawn.save(tmp_path / "fine", dpi=300)
    usual, fine = (Image.open(tmp_path / name / "figure.png").size for name in ("usual", "fine"))
    assert fine == pytest.approx([2 * side for side in usual], abs=2)


def test_saving_again_replaces_the_result_and_nothing_else(drawn, tmp_path):
    made(drawings={"old": PICTURE}).save(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "figure-mine.png").write_text("mine too")
    made(drawings={"": PICTURE}).save(tmp_path, format="svg")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("notes.txt", "figure-mine.png"),
        *("figure.svg", "drawings.json", "arrays.npz", "result.json"),
    }
    assert json.loads((tmp_path / "result.json").read_text())["figures"] == ["figure.svg"]


def test_a_folder_of_somebody_elses_is_left_as_it_is(tmp_path):
    (tmp_path / "result.json").write_text('{"mine": 1}')
    with pytest.raises(CnnlabError, match="holds no result of cnnlab's, so nothing was written"):
        made().save(tmp_path)
    assert (tmp_path / "result.json").read_text() == '{"mine": 1}'
    assert len(list(tmp_path.iterdir())) == 1


def full(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_figure_that_cannot_be_drawn_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("cnnlab.render.saving.save", full)
    with pytest.raises(CnnlabError, match=r"could not be written to .*No space left on device"):
        made(drawings={"x": PICTURE}).save(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_result_survives_a_failed_save(tmp_path, monkeypatch):
    made(metrics={"m": 1.0}).save(tmp_path)
    monkeypatch.setattr("cnnlab.render.saving.save", full)
    with pytest.raises(CnnlabError):
        made(metrics={"m": 2.0}, drawings={"x": PICTURE}).save(tmp_path)
    assert Result.load(tmp_path).metrics == {"m": 1.0}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "result.json").unlink(), "result.json is missing"),
        (lambda folder: (folder / "arrays.npz").unlink(), "arrays.npz is missing"),
        (lambda folder: (folder / "drawings.json").unlink(), "drawings.json is missing"),
        (lambda folder: (folder / "result.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "arrays.npz").write_bytes(b"PK\x03\x04"), "damaged"),
        (lambda folder: (folder / "drawings.json").write_text("{"), "damaged: the drawings cannot be read"),
        (lambda folder: (folder / "drawings.json").write_text('{"": {"kind": "film"}}'), "damaged: the drawings"),
        (lambda folder: (folder / "result.json").write_text('{"schema": 99}'), "schema 99"),
    ],
)
def test_a_damaged_result_is_refused(tmp_path, damage, message):
    made(arrays={"a": np.zeros(2)}, drawings={"": PICTURE}).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(CnnlabError, match=message):
        Result.load(tmp_path)


def test_claims_come_back(tmp_path):
    claims = Claims(norm="l2", epsilons=(0.1, 0.2), eight_bit=True)
    result = made(claims=claims)
    Result(record={**result.record, "claims": claims.to_json()}).save(tmp_path)
    assert Result.load(tmp_path).claims == claims


def test_tables_are_saved_and_read_back_and_a_record_leads_to_no_other_file(tmp_path):
    made(tables={"people": "name,age\nÄnne,3\n"}).save(tmp_path / "out")
    assert (tmp_path / "out" / "people.csv").read_bytes() == "name,age\nÄnne,3\n".encode()
    assert Result.load(tmp_path / "out").tables == {"people": "name,age\nÄnne,3\n"}
    (tmp_path / "secret.csv").write_text("secret")
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    record["files"]["../secret.csv"] = "0"
    (tmp_path / "out" / "result.json").write_text(json.dumps(record))
    assert set(Result.load(tmp_path / "out").tables) == {"people"}
