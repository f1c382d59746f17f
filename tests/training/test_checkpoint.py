"""The checkpoint: saved and restored, and what a damaged one is answered with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cnnlab.errors import CnnlabError
from cnnlab.runs import COLUMNS
from cnnlab.training import checkpoint
from cnnlab.training.checkpoint import Position

ROW = dict.fromkeys(COLUMNS, 1.0) | {"epoch": 1}
POSITION = {"epochs_done": 1, "step": 3, "seconds": 2.5, "history": [ROW]}
EPOCHS, STEPS = 4, 10


class Variable:
    """As much of a variable of Keras as a checkpoint asks for."""

    def __init__(self, value) -> None:
        self.value = np.asarray(value)

    @property
    def shape(self):
        return self.value.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self.value, dtype)

    def assign(self, value) -> None:
        self.value = value


def fresh() -> list[Variable]:
    return [Variable(np.zeros((2, 3), np.float32)), Variable(np.int64(0))]


def restore(path: Path, variables: list[Variable]) -> Position:
    return checkpoint.restore(path, variables, epochs=EPOCHS, steps=STEPS)


def test_what_is_saved_is_restored(tmp_path):
    saved = [Variable(np.arange(6, dtype=np.float32).reshape(2, 3)), Variable(np.int64(7))]
    checkpoint.save(tmp_path / "state.npz", saved, Position(**POSITION))
    found = fresh()
    assert restore(tmp_path / "state.npz", found) == Position(**POSITION)
    for before, after in zip(saved, found, strict=True):
        np.testing.assert_array_equal(before.value, after.value)
    untouched = fresh()
    assert restore(tmp_path / "none.npz", untouched) == Position()
    assert not untouched[0].value.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": np.array("{}")}, None),
        ({"position": np.array("[1]")}, "position: : Input should be an object"),
        ({"position": np.array("[" * 10_000)}, "position: : Invalid JSON"),
        ({"position": np.array(3)}, "position is int64"),
        ({"position": np.array(["{}"])}, "expected one text"),
        ({"position": {"epochs_done": "1"}}, "epochs_done: Input should be a valid integer"),
        ({"position": {"epochs_done": 2}}, "2 epochs with 1 rows"),
        ({"position": {"step": -1}}, "greater than or equal to 0"),
        ({"position": {"step": 11}}, "11 steps, of 4 epochs of 10 steps"),
        ({"position": {"seconds": None}}, "seconds: Input should be a valid number"),
        ({"position": {"history": [ROW] * 2}}, "row 2 is of the epoch 1"),
        ({"position": {"history": [{"epoch": 1}]}}, "a row of the history has no 'loss'"),
        ({"position": {"history": [ROW | {"loss": "x"}]}}, "loss of the epoch 1 is 'x'"),
        ({"variable_0000": np.full((2, 3), np.nan, np.float32)}, "variable_0000 holds NaN"),
        ({"variable_0000": np.zeros((2, 3))}, "belongs to another network"),
        ({"variable_0000": np.zeros((3, 2), np.float32)}, "belongs to another network"),
        ({"variable_0002": np.zeros(1)}, "it holds 3 variables that do not match the network's 2"),
    ],
)
def test_a_damaged_checkpoint_is_said_and_changes_nothing(tmp_path, changes, message):
    arrays = {"variable_0000": np.ones((2, 3), np.float32), "variable_0001": np.int64(7)}
    arrays |= {"position": np.array(json.dumps(POSITION))} | changes
    if isinstance(arrays["position"], dict):
        arrays["position"] = np.array(json.dumps(POSITION | arrays["position"]))
    np.savez(tmp_path / "state.npz", **arrays)
    found = fresh()
    if message is None:
        assert restore(tmp_path / "state.npz", found) == Position()
        return
    with pytest.raises(CnnlabError, match=message) as refusal:
        restore(tmp_path / "state.npz", found)
    assert "rain anew" in str(refusal.value)
    assert not found[0].value.any()


def test_a_checkpoint_without_a_position_is_said(tmp_path):
    np.savez(tmp_path / "state.npz", variable_0000=np.zeros(1))
    with pytest.raises(CnnlabError, match=r"is damaged \(.* has no position"):
        restore(tmp_path / "state.npz", fresh())
