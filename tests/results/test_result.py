"""A result on disk and back: whole, with its drawings, or not at all, and only in folders that are cnnlab's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cnnlab.drawings import At, Curves, Line, Picture, Scrub, Tiles
from cnnlab.errors import CnnlabError
from cnnlab.results.claims import Claims
from cnnlab.results.folder import check_folder, digest
from cnnlab.results.record import signed
from cnnlab.results.result import Result

RECORD = {
    "schema": 1,
    "analysis": "one",
    "params": {},
    "model": {"path": None, "kind": "keras", "digest": "0"},
    "inputs": [],
    "seed": 0,
    "arrays": {},
    "device": "cpu",
    "seconds": 0.5,
    "warnings": [],
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


def test_it_says_in_a_line_what_it_holds():
    one = replace(made(arrays={"a": np.zeros(2), "b": np.ones(1)}), drawings={"": PICTURE})
    assert repr(one) == f"Result({RECORD['analysis']} of a live model, 2 arrays, 1 drawing)"
    assert repr(Result()) == "Result(not run by the host)"


def attacked() -> Result:
    """A result with an adversarial image that is saved as a file."""
    arrays = {"original": np.zeros((1, 4, 4, 1), np.float32), "adversarial": np.ones((1, 1, 4, 4, 1), np.float32)}
    claims = Claims(norm="linf", epsilons=(1.0,))
    image = {"file": "images/0-eps1.png", "index": 0, "epsilon": 1.0}
    image |= {"label_after": 1, "confidence_after": 0.5, "success": True}
    record = {**RECORD, "images": [image], "claims": {**claims.to_json(), "bounds": [0.0, 1.0]}}
    return Result(arrays=arrays, claims=claims, record=record)


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
    drawn.save(tmp_path / "coarse", dpi=75)
    usual, coarse = (Image.open(tmp_path / name / "figure.png").size for name in ("usual", "coarse"))
    assert usual == pytest.approx([2 * side for side in coarse], abs=2)


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


MINE = {
    "result.json": json.dumps(RECORD | {"files": {"arrays.npz": "0", "thesis.csv": "0", "../thesis.csv": "0"}}),
    "arrays.npz": "mine",
    "thesis.csv": "mine",
    "notes.txt": "mine",
}


@pytest.fixture
def mine(tmp_path):
    """A folder with files of a user's, who has copied a record of cnnlab's."""
    (tmp_path / "thesis.csv").write_text("mine")
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, text in MINE.items():
        (folder / name).write_text(text)
    return folder


def texts_of(folder):
    return {file.name: file.read_text(errors="replace") for file in folder.iterdir()}


@pytest.mark.parametrize("names", [["notes.txt"], ["arrays.npz"], ["result.json", "arrays.npz"], list(MINE)], ids=len)
def test_a_folder_of_somebody_elses_is_left_as_it_is(mine, names):
    for name in set(MINE) - set(names):
        (mine / name).unlink()
    with pytest.raises(CnnlabError, match=r"nothing was written to .* or write there all the same with `force=True`"):
        made().save(mine)
    assert texts_of(mine) == {name: MINE[name] for name in names}


def test_by_force_files_called_as_the_results_make_way_and_no_other_is_touched(mine, drawn):
    drawn.save(mine, force=True)
    assert Result.load(mine).arrays["steps"].tolist() == [0.5, 0.25]
    assert {name: (mine / name).read_text() for name in ("thesis.csv", "notes.txt")} == dict.fromkeys(
        ("thesis.csv", "notes.txt"), "mine"
    )
    assert (mine.parent / "thesis.csv").read_text() == "mine"
    # From then on it is a result's folder, but for what was there before.
    made().save(mine)
    assert set(texts_of(mine)) == {"result.json", "arrays.npz", "thesis.csv", "notes.txt"}


def test_a_file_of_a_result_that_was_changed_is_left_and_by_force_only_where_it_is_in_the_way(drawn, tmp_path):
    drawn.save(tmp_path)
    for name in ("figure.png", "arrays.npz"):
        (tmp_path / name).write_text("mine")
    before = texts_of(tmp_path)
    with pytest.raises(CnnlabError, match="is not as cnnlab wrote it"):
        made().save(tmp_path)
    assert texts_of(tmp_path) == before
    made().save(tmp_path, force=True)
    assert set(texts_of(tmp_path)) == {"result.json", "arrays.npz", "figure.png"}
    assert (tmp_path / "figure.png").read_text() == "mine"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ["arrays.npz", "images"])
def test_links_in_a_folder_lead_nowhere(tmp_path, name, force):
    result = attacked()
    result.save(tmp_path / "out")
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "out" / name).rename(elsewhere)
    (tmp_path / "out" / name).symlink_to(elsewhere)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CnnlabError, match=r"is not as cnnlab wrote it|is no plain"):
        result.save(tmp_path / "out", force=force)
    assert sorted(tmp_path.rglob("*")) == before


def recorded(folder, names, **changed):
    """A record that names files that lie in a folder, with their digests, as a stranger may write one."""
    files = {name: digest(folder / name) for name in names}
    return {**RECORD, "figures": [], "files": files, **changed}


FORGED = {
    "no more than a few keys": lambda folder: {
        key: value
        for key, value in recorded(folder, ["arrays.npz", "figure-mine.png"]).items()
        if key in ("schema", "analysis", "versions", "files")
    },
    "not signed": lambda folder: recorded(folder, ["arrays.npz", "figure-mine.png"], figures=["figure-mine.png"]),
    "changed since it was signed": lambda folder: signed(recorded(folder, ["arrays.npz"])) | {"seed": 1},
    "of another type": lambda folder: signed(recorded(folder, ["arrays.npz"], seconds="long")),
    "a figure that it does not have": lambda folder: signed(recorded(folder, ["arrays.npz", "figure-mine.png"])),
    "an image that it does not have": lambda folder: signed(recorded(folder, ["arrays.npz", "images/mine.png"])),
    "no arrays": lambda folder: signed(recorded(folder, ["figure-mine.png"], figures=["figure-mine.png"])),
    "a name elsewhere": lambda folder: signed(recorded(folder, ["arrays.npz", "../thesis.csv"])),
}


@pytest.mark.parametrize("forged", FORGED)
def test_nothing_is_deleted_by_a_record_that_cnnlab_did_not_write(tmp_path, forged):
    folder = tmp_path / "mine"
    (folder / "images").mkdir(parents=True)
    for name in ("arrays.npz", "figure-mine.png", "images/mine.png", "../thesis.csv"):
        (folder / name).write_text("mine")
    (folder / "result.json").write_text(json.dumps(FORGED[forged](folder)))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(CnnlabError, match="holds no result of cnnlab's, so nothing was written to it"):
        made().save(folder)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    made().save(folder, force=True)
    for name in ("figure-mine.png", "images/mine.png", "../thesis.csv"):
        assert (folder / name).read_text() == "mine"


def a_pipe(place):
    os.mkfifo(place)


def an_endless_device(place):
    place.symlink_to("/dev/zero")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("make", [a_pipe, an_endless_device])
@pytest.mark.parametrize("name", ["result.json", "arrays.npz", "drawings.json", "figure.png", "images"])
def test_what_is_no_file_is_not_waited_for_and_found_before_the_work(tmp_path, name, make, force):
    made().save(tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    with pytest.raises(CnnlabError, match=rf"{name} is no plain f"):
        check_folder(tmp_path, force=force)


def test_a_record_that_is_nested_deeply_is_none(tmp_path):
    (tmp_path / "result.json").write_text("[" * 200_000)
    with pytest.raises(CnnlabError, match="holds no result of cnnlab's"):
        check_folder(tmp_path)
    check_folder(tmp_path, force=True)


@pytest.mark.parametrize("record", ["run.json", "checkpoint/settings.json"])
def test_a_result_goes_into_no_run_even_by_force(tmp_path, record):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / record).write_text('{"schema": 1}')
    (tmp_path / "drawings.json").write_text("of the run")
    with pytest.raises(CnnlabError, match=r"holds a run, .* Name a new folder"):
        made(drawings={"": PICTURE}).save(tmp_path, force=True)
    assert (tmp_path / "drawings.json").read_text() == "of the run"
    made().save(tmp_path / "analyses" / "one")


KILLED = """
import json, os, sys
import numpy as np
from cnnlab.files import writing
from cnnlab.drawings import Picture
from cnnlab.results.result import Result

def save(metric):
    metrics = {"m": metric}
    record = json.loads(sys.argv[3]) | {"metrics": metrics}
    drawings = {"": Picture(values=np.eye(4))}
    Result(metrics=metrics, drawings=drawings, record=record).save(sys.argv[1], format=None)

save(1.0)
replace, left = os.replace, int(sys.argv[2])

def kill(*paths):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), 9)
    replace(*paths)

writing.os.replace = kill
save(2.0)
"""


@pytest.mark.parametrize("moment", [1, 2, 4, 6])
def test_a_kill_among_the_moves_leaves_a_whole_result_or_none_and_the_next_is_written(tmp_path, moment):
    words = [sys.executable, "-c", KILLED, str(tmp_path / "out"), str(moment), json.dumps(RECORD)]
    assert subprocess.run(words).returncode == -signal.SIGKILL
    if moment == 1:
        assert Result.load(tmp_path / "out").metrics == {"m": 1.0}
    else:
        with pytest.raises(CnnlabError, match="is missing"):
            Result.load(tmp_path / "out")
    made(metrics={"m": 3.0}).save(tmp_path / "out")
    assert Result.load(tmp_path / "out").metrics == {"m": 3.0}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"result.json", "arrays.npz"}


def test_results_saved_at_once_are_each_whole(tmp_path):
    """The last one stands, with its own files and no other's."""

    def save(number: int) -> None:
        arrays = {"number": np.full(1000, number)}
        made(arrays=arrays, metrics={"m": number}, drawings={f"of-{number}": PICTURE}).save(tmp_path, format=None)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(8)))
    found = Result.load(tmp_path)
    assert set(found.arrays["number"]) == {found.metrics["m"]}
    assert list(found.drawings) == [f"of-{found.metrics['m']}"]
    assert {path.name for path in tmp_path.iterdir()} == {"result.json", "arrays.npz", "drawings.json"}


def full(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_figure_that_cannot_be_drawn_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("cnnlab.render.saving.save", full)
    with pytest.raises(CnnlabError, match=r"the disk is full: .*/a/b could not be written"):
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
        (
            lambda folder: (folder / "drawings.json").write_text("[" * 100_000),
            r"damaged: the drawings cannot be read: they are nested too deeply\. Run the analysis again\.$",
        ),
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
    told = {**claims.to_json(), "bounds": [0.0, 1.0], "original": "inputs"}
    Result(record={**result.record, "claims": told}).save(tmp_path)
    assert Result.load(tmp_path).claims == claims


def test_tables_are_saved_and_read_back_and_a_record_leads_to_no_other_file(tmp_path):
    made(tables={"people": "name,age\nÄnne,3\n"}).save(tmp_path / "out")
    assert (tmp_path / "out" / "people.csv").read_bytes() == "name,age\nÄnne,3\n".encode()
    assert Result.load(tmp_path / "out").tables == {"people": "name,age\nÄnne,3\n"}
    (tmp_path / "secret.csv").write_text("secret")
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    record["files"]["../secret.csv"] = "0"
    (tmp_path / "out" / "result.json").write_text(json.dumps(record))
    with pytest.raises(CnnlabError, match=r"files of a result alone, and not '\.\./secret\.csv'"):
        Result.load(tmp_path / "out")
