"""What running an analysis again may give otherwise: last digits, and on another machine a little more."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from cnnlab.devices.choice import current_device
from cnnlab.drawings import At, Image, Picture, to_json
from cnnlab.errors import CnnlabError
from cnnlab.results.result import Result
from cnnlab.verification import rerun
from cnnlab.verification.inputs_again import choice_of, inputs
from cnnlab.verification.of_result import Saved, _dataset
from cnnlab.verification.report import guarded
from cnnlab.versions import versions

VALUES = np.linspace(-1, 1, 200, dtype=np.float32)


def one_other(values):
    """A two hundredth of the values by more."""
    values[0] += 1
    return values


def record(**more):
    keys = dict.fromkeys(rerun.COMPARED) | {"device": current_device(), "versions": versions(), "files": {}}
    return keys | {"analysis": "one", "seed": 0} | more


ELSEWHERE = {"versions": {"numpy": "0"}}
NEAR = VALUES + np.float32(1e-6)
FOUND = {
    "the same": (VALUES, {}, "holds", "the same 1 arrays to the bit", ""),
    "last digits": (NEAR, {}, "holds", "the same 0 arrays to the bit", "last digits, and so may who changes"),
    "last digits elsewhere": (NEAR, ELSEWHERE, "holds", "the same 0 arrays", "held no closer: arrays.x."),
    "a few": (one_other(VALUES.copy()), {}, "fails", "gives other arrays: x.", ""),
    "a few elsewhere": (one_other(VALUES.copy()), ELSEWHERE, "holds", "the same 0 arrays", "and 1 values by more, and"),
    "many elsewhere": (VALUES + 1, ELSEWHERE, "fails", "gives other arrays: x.", ""),
    "another shape": (VALUES[:-1], ELSEWHERE, "fails", "gives other arrays: x.", ""),
    "another type": (VALUES.astype(np.float64), ELSEWHERE, "fails", "gives other arrays: x.", ""),
    "another seed": (VALUES, {"seed": 1}, "fails", "gives the same arrays, and other seed.", ""),
    "another seed elsewhere": (NEAR, ELSEWHERE | {"seed": 1}, "fails", "and other seed.", ""),
}


@pytest.mark.parametrize(("values", "said", "state", "words", "unknown"), FOUND.values(), ids=FOUND)
def test_arrays_are_the_same_but_for_last_digits(tmp_path, values, said, state, words, unknown):
    saved = Saved(directory=tmp_path, record=record(**said), classifier=None, arrays={"x": values})
    first, *more = rerun._compared(saved, Result(arrays={"x": VALUES}, record=record()))
    assert (first.claim, first.state) == ("rerun", state)
    assert words in first.says
    assert [finding.state for finding in more] == ["not checked"] * bool(unknown)
    assert all(unknown in finding.says for finding in more)


def test_whole_numbers_have_no_last_digits(tmp_path):
    saved = Saved(directory=tmp_path, record=record(**ELSEWHERE), classifier=None, arrays={"x": np.arange(500)})
    (finding,) = rerun._compared(saved, Result(arrays={"x": np.arange(500) + (np.arange(500) == 7)}, record=record()))
    assert (finding.state, finding.says) == ("fails", "Run again, the analysis gives other arrays: x.")


def drawn(title: str, **more):
    return {"": Picture(values=At("x"), title=title), **more}


@pytest.mark.parametrize(
    ("values", "made", "state", "named"),
    [
        (VALUES, drawn("Logit 1.234"), "holds", []),
        (VALUES, drawn("Logit 1.235"), "fails", []),
        (NEAR, drawn("Logit 1.235"), "holds", ["arrays.x"]),
        (NEAR, drawn("Logit 1.244"), "fails", []),
        (NEAR, drawn("A great logit 1.234"), "fails", []),
        (NEAR, drawn("Logit 1.234", more=Picture(values=At("x"))), "fails", []),
        (one_other(VALUES.copy()), drawn("A great logit 9"), "holds", ["arrays.x", "drawings.json"]),
    ],
)
def test_drawings_are_compared_also_where_arrays_differ(tmp_path, values, made, state, named):
    (tmp_path / "drawings.json").write_text(to_json(made))
    said = record(**ELSEWHERE) | {"files": {"drawings.json": "0"}}
    saved = Saved(directory=tmp_path, record=said, classifier=None, arrays={"x": values})
    again = Result(arrays={"x": VALUES}, drawings=drawn("Logit 1.234"), record=record())
    first, *more = rerun._compared(saved, again)
    assert first.state == state
    assert [each.says.rpartition(": ")[2] for each in more] == ([f"{', '.join(named)}."] if named else [])


def test_pixels_that_a_plugin_drew_itself_are_named_where_arrays_differ(tmp_path):
    def figure(data):
        return {"a": Image(png=base64.b64encode(data).decode())}

    (tmp_path / "drawings.json").write_text(to_json(figure(b"1")))
    for values, state in ((VALUES, ["fails"]), (NEAR, ["holds", "not checked"])):
        said = record() | {"files": {"drawings.json": "0"}}
        saved = Saved(directory=tmp_path, record=said, classifier=None, arrays={"x": values})
        found = list(rerun._compared(saved, Result(arrays={"x": VALUES}, drawings=figure(b"2"), record=record())))
        assert [each.state for each in found] == state
    assert "drawings.json (a)" in found[-1].says


def test_images_that_cannot_be_read_again(tmp_path):
    picture = tmp_path / "it.png"
    picture.write_text("no picture any more")
    facts = {"digest": "0", "shape": [4, 4, 1], "label": None}
    for source, state, says in (
        (str(picture), "fails", f"1 of 1 are not what was read then: {picture}."),
        ("gone/test:3", "not checked", "The 1 images cannot be read again: gone/test:3."),
        ("nothing", "not checked", "The 1 images cannot be read again: nothing."),
    ):
        told = {"inputs": [{"source": source, **facts}]}
        (finding,) = inputs(told["inputs"], *choice_of(told, told["inputs"], Model()))
        assert (finding.state, finding.says) == (state, says)


def test_a_dataset_that_is_gone_is_not_checked(tmp_path):
    told = {"analysis": "evaluate", "inputs": []}
    told["dataset"] = {"name": "spots", "source": str(tmp_path / "gone.npz"), "digest": "0"}
    (finding,) = _dataset(Saved(directory=tmp_path, record=told, classifier=None))
    assert (finding.claim, finding.state) == ("dataset", "not checked")
    assert "gone.npz" in finding.says


class Model:
    """As much of a model as images are fitted to."""

    input_shape, bounds, dataset_name, num_classes = (4, 4, 1), (0.0, 1.0), None, 2


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (CnnlabError("it is damaged."), "it is damaged."),
        (ZeroDivisionError("x"), "It could not be looked at, for something is not as it should be: ZeroDivisionError."),
    ],
)
def test_whatever_goes_wrong_is_a_finding(error, says):
    def check(path: Path):
        raise error
        yield

    (finding,) = guarded("files", check, Path())
    assert (finding.claim, finding.state, finding.says) == ("files", "fails", says)
