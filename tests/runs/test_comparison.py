"""What tables say of runs, damaged ones among them, and what cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.text import Text

from cnnlab.cli.views import training as view
from cnnlab.errors import CnnlabError
from cnnlab.runs import Run, RunLock, find
from cnnlab.runs.comparison import compare_runs


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def test_an_unfinished_run_says_how_many_of_its_epochs_are_done(place, command_line, make_run):
    make_run(place / "begun", complete=False, epochs_done=1)
    status, out, _ = command_line("runs")
    assert status == 0
    assert "1 of 2" in out


def test_a_damaged_history_hides_no_run(place, command_line, make_run):
    make_run(place / "whole", epochs_done=1)
    (make_run(place / "odd", epochs_done=1) / "history.csv").write_text("epoch\nx\n")
    status, out, _ = command_line("runs", "--json")
    assert status == 0
    assert {row["name"]: row["epochs_done"] for row in json.loads(out)} == {"whole": 1, "odd": 0}


def test_a_run_without_a_history_cannot_be_compared(place, make_run):
    runs = [Run(make_run(place / name, epochs_done=1)) for name in ("one", "other")]
    runs[1].history_path.unlink()
    with pytest.raises(CnnlabError, match=r"other has no history to draw: .*history\.csv is missing or empty"):
        compare_runs(runs)


def test_runs_of_other_data_have_no_spread_over_seeds(place, make_run, started):
    runs = [
        Run(make_run(place / str(seed), epochs_done=1, seed=seed, dataset={**started["dataset"], "digest": digest}))
        for seed, digest in enumerate(("d", "e"))
    ]
    assert compare_runs(runs).spreads == ()


def test_the_curves_of_runs_are_a_figure_too(place, make_run):
    figure = compare_runs([Run(make_run(place / name, epochs_done=1)) for name in ("one", "other")]).figure()
    said = {text.get_text() for text in figure.findobj(Text)}
    assert {
        "Loss",
        "Accuracy",
        *(f"{run}, {of}" for run in ("one", "other") for of in ("training", "validation")),
    } <= said


def test_where_no_run_is_complete_the_newest_says_why(place, make_run):
    folder = make_run(place / "begun", complete=False)
    with RunLock(folder).hold(), pytest.raises(CnnlabError, match="begun is still being trained"):
        find(None, place)
    with pytest.raises(CnnlabError, match=r"begun is unfinished; go on with `cnnlab train --out .*begun --resume`"):
        find(None, place)
    (folder / "checkpoint" / "settings.json").write_text("{}")
    with pytest.raises(CnnlabError, match="begun is damaged: its record cannot be read"):
        find(None, place)


def test_held_out_and_test_images_are_told_apart_and_of_many_classes_the_worst_shown(
    place, capsys, monkeypatch, make_run, finished
):
    monkeypatch.setenv("COLUMNS", "100")
    metrics = finished["metrics"] | {"test_loss": 0.25, "test_accuracy": 0.875}
    classes = [{"name": f"class {number}", "images": 8, "accuracy": number / 64} for number in range(64)]
    classes[3]["accuracy"] = None
    folder = make_run(
        place / "it", epochs_done=1, metrics=metrics, classes=classes, validated_on="held-out training images"
    )
    view.show(Run(folder))
    out = capsys.readouterr().out
    assert out.startswith("87.50% of the test images read correctly")
    assert "validation (held-out training images)" in out
    assert "0.2500" in out
    assert f"the {view.MOST_CLASSES} least accurate of 64 classes" in out
    assert "class 0 " in out
    assert "class 3 " not in out
    assert "class 63" not in out
