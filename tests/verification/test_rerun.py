"""What running an analysis again may give otherwise: last digits, and on another machine a little more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnnlab.classifier.device import current_device
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
    return keys | {"seed": 0} | more


ELSEWHERE = {"versions": {"numpy": "0"}}
FOUND = {
    "the same": (VALUES, {}, "holds", "the same 1 arrays to the bit"),
    "last digits": (VALUES + np.float32(1e-6), {}, "note", "this is another processor, or somebody changed their last"),
    "last digits elsewhere": (VALUES + np.float32(1e-6), ELSEWHERE, "holds", "the last digits of x, as elsewhere."),
    "a few": (one_other(VALUES.copy()), {}, "fails", "gives other arrays: x."),
    "a few elsewhere": (one_other(VALUES.copy()), ELSEWHERE, "note", "a few values of x are others."),
    "many elsewhere": (VALUES + 1, ELSEWHERE, "fails", "gives other arrays: x."),
    "another shape": (VALUES[:-1], ELSEWHERE, "fails", "gives other arrays: x."),
    "another type": (VALUES.astype(np.float64), ELSEWHERE, "fails", "gives other arrays: x."),
    "another seed": (VALUES, {"seed": 1}, "fails", "gives the same arrays, and other seed."),
    "another seed elsewhere": (VALUES + np.float32(1e-6), ELSEWHERE | {"seed": 1}, "fails", "and other seed."),
}


@pytest.mark.parametrize(("values", "said", "state", "words"), FOUND.values(), ids=FOUND)
def test_arrays_are_the_same_but_for_last_digits(tmp_path, values, said, state, words):
    saved = Saved(directory=tmp_path, record=record(**said), classifier=None, arrays={"x": values})
    (finding,) = rerun._compared(saved, Result(arrays={"x": VALUES}, record=record()))
    assert (finding.claim, finding.state) == ("rerun", state)
    assert words in finding.says


def test_whole_numbers_have_no_last_digits(tmp_path):
    saved = Saved(directory=tmp_path, record=record(**ELSEWHERE), classifier=None, arrays={"x": np.arange(500)})
    (finding,) = rerun._compared(saved, Result(arrays={"x": np.arange(500) + (np.arange(500) == 7)}, record=record()))
    assert (finding.state, finding.says) == ("fails", "Run again, the analysis gives other arrays: x.")


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
        (finding,) = inputs(told, *choice_of(told, Model()))
        assert (finding.state, finding.says) == (state, says)


def test_a_dataset_that_is_gone_is_not_checked(tmp_path):
    told = {"dataset": {"name": "spots", "source": str(tmp_path / "gone.npz"), "digest": "0"}}
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
