"""Run folders without a network, in so far as lists and comparisons read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnnlab.files.writing import write_json
from cnnlab.runs import COLUMNS, write_history


@pytest.fixture
def finished(started) -> dict[str, Any]:
    """What run.json says at the end, but for what it may leave out."""
    return started | {
        "finished": "2026-01-01T00:01:00+00:00",
        "seconds": 60,
        "parameters": {"total": 10, "trainable": 10},
        "metrics": dict.fromkeys(("train_loss", "train_accuracy", "val_loss", "val_accuracy"), 0.5),
        "evaluated_on": "test images",
        "classes": [{"name": "a", "images": 2, "accuracy": 0.5}, {"name": "b", "images": 0, "accuracy": None}],
    }


@pytest.fixture
def make_run(started, finished) -> Callable[..., Path]:
    """Write the records of a run: ``make_run(folder, complete=False, epochs_done=1, seed=3)``."""

    def make(folder: Path, *, complete: bool = True, epochs_done: int = 0, **said: object) -> Path:
        (folder / "checkpoint").mkdir(parents=True)
        write_json(folder / "checkpoint" / "settings.json", {key: said.get(key, started[key]) for key in started})
        if complete:
            write_json(folder / "run.json", finished | said)
        if epochs_done:
            write_history(folder / "history.csv", [dict.fromkeys(COLUMNS, 1)] * epochs_done)
        return folder

    return make
