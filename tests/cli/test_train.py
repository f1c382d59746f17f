"""``cnnlab train``, ``runs`` and ``compare``: what they print where, how they end, and what a killed process leaves."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cnnlab import interrupts
from cnnlab.cli.views.training import duration
from cnnlab.files.writing import partial_name
from cnnlab.runs import Run
from cnnlab.runs.comparison import labels
from cnnlab.testing.processes import python_m, run_process
from cnnlab.training import Interrupted, Progress, live
from cnnlab.training.live import RichReporter
from cnnlab.words import percent

WORDS = ("--dataset", "squares.npz", "--epochs", "4", "--batch-size", "4")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a dataset of three classes of 8x8 images."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(1)
    arrays = {}
    for split, count in (("train", 40), ("test", 30)):
        labels = rng.integers(0, 3, count)
        images = rng.integers(0, 120, (count, 8, 8)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            row, column = 4 * (label // 2), 4 * (label % 2)
            image[row : row + 4, column : column + 4] += 100
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
    np.savez(folder / "squares.npz", **arrays)
    return folder


@pytest.fixture
def run(command_line, monkeypatch, place):
    """Run the whole command line in this process: ``run("train", ...) -> (status, out, err)``.

    What it trains has no figures: those of the run in another process are looked at.
    """
    monkeypatch.chdir(place)
    monkeypatch.setattr("cnnlab.training.artifacts._drawings", lambda *_: {})
    return command_line


@pytest.fixture(scope="module")
def whole(place) -> Run:
    """A run in a process of its own, that nothing interrupted."""
    done = run_process(python_m, "cnnlab", "train", *WORDS, "--out", "runs/whole", cwd=place)
    assert done.returncode == 0, done.stderr
    (place / "out.txt").write_text(done.stdout)
    (place / "err.txt").write_text(done.stderr)
    return Run(place / "runs" / "whole")


def state(run: Run) -> tuple[list, list[np.ndarray]]:
    """The history without what time it took, and everything that training changed, weights first."""
    with np.load(run.path / "checkpoint" / "state.npz") as stored:
        arrays = [stored[name] for name in stored.files if name != "position"]
    return [[value for column, value in row.items() if column != "seconds"] for row in run.history], arrays


def assert_same(one: Run, other: Run) -> None:
    (history, arrays), (others_history, others_arrays) = state(one), state(other)
    assert history == others_history
    for a, b in zip(arrays, others_arrays, strict=True):
        np.testing.assert_array_equal(a, b)


# A run from beginning to end


def test_it_prints_plain_lines_and_names_the_files(place, whole):
    out, err = (place / "out.txt").read_text(), (place / "err.txt").read_text()
    assert "\x1b" not in out + err
    # An epoch that takes long, as on a machine that is busy, tells its steps too.
    lines = [line for line in err.splitlines() if not line.startswith("epoch 1/4: ")]
    assert "40 training images, 30 to validate on" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["epoch", "1/4", "2/4", "3/4", "4/4"]
    for row, line in zip(whole.history, lines[2:], strict=True):
        assert f"{row['loss']:.4f}" in line
        assert percent(row["val_accuracy"], digits=2) in line
    metrics = whole.metrics
    assert f"{metrics['train_loss']:.4f}" in out
    assert f"{metrics['val_loss']:.4f}" in out
    for entry in whole.config["classes"]:
        assert percent(entry["accuracy"], digits=2) in out
    for name in ("curves.png", "predictions.png", "confusion.png", "run.json", "history.csv"):
        assert f"runs/whole/{name}" in out


@pytest.mark.parametrize("name", ["curves.png", "predictions.png", "confusion.png"])
def test_the_figures_are_pictures(whole, name):
    with Image.open(whole.path / name) as image:
        assert min(image.size) > 200
        assert len(image.convert("L").getcolors(maxcolors=256) or []) > 5


def test_json_is_all_that_stdout_holds_and_a_complete_run_is_left_as_it_is(run, whole):
    before = whole.record_path.read_text()
    status, out, err = run("train", "--out", "runs/whole", "--resume", "--json")
    assert status == 0
    assert json.loads(out) == json.loads(before)
    assert whole.record_path.read_text() == before
    assert "complete already" in err


# Interrupted


# The command, but that it says which process it is, and that, where "here" is to be made, it waits after the third step
# of the second epoch for the test to do something to it.
STOPPABLE = """
import os, pathlib, time
from cnnlab.__main__ import main
from cnnlab.training.live import RichReporter
from cnnlab.training import session

def wait(self, progress):
    if (progress.epoch, progress.step) == (2, 3):
        pathlib.Path("here").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.01)

if os.environ.get("WAIT"):
    session.CALL_SECONDS = 0.0
    RichReporter.progress = wait
pathlib.Path("pid").write_text(str(os.getpid()))
main()
"""


class Training:
    """A run in a process of its own, whatever ends it."""

    def __init__(self, place: Path, out: str, pool: ThreadPoolExecutor, env: dict[str, str]) -> None:
        self.run = Run(place / out)
        (place / "stoppable.py").write_text(STOPPABLE)
        words = ("stoppable", "train", *WORDS, "--out", out)
        self.ended = pool.submit(run_process, python_m, *words, cwd=place, env={**os.environ, **env}, timeout=120)
        self._pid = place / "pid"

    def wait_for(self, path: Path) -> None:
        while not path.exists():
            assert not self.ended.done(), self.ended.result()
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        return int(self._pid.read_text())

    def kill(self, signum: int = signal.SIGKILL) -> None:
        os.kill(self.pid, signum)


@pytest.fixture
def training(place):
    """Start a run in a process of its own: ``training(out, env={...})``."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda out, env: Training(place, out, pool, env)
        (place / "go").touch()  # for one that still waits where a test failed
    for name in ("here", "go", "pid"):
        (place / name).unlink(missing_ok=True)


@pytest.fixture
def waiting(place, training):
    """The same in the middle of its second epoch: ``waiting(out)``."""

    def start(out: str) -> Training:
        made = training(out, {"WAIT": "yes"})
        made.wait_for(place / "here")
        return made

    return start


@pytest.mark.parametrize(
    ("signum", "status"),
    [
        (signal.SIGINT, 130),
        # SIGTERM ends a run in the test of one that hears no signal, too.
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.full),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.full),
    ],
    ids=str,
)
def test_a_signal_says_how_to_go_on_and_resuming_ends_as_if_nothing_had_happened(
    run, place, whole, waiting, signum, status
):
    process = waiting("runs/stopped")
    for _ in range(2):  # twice at once, as from a terminal and from a parent that passes it on
        process.kill(signum)
    (place / "go").touch()
    done, stopped = process.ended.result(), process.run
    assert (done.returncode, done.stdout) == (status, "")
    err = done.stderr
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "Go on with: cnnlab train --out runs/stopped --resume"
    assert "1 of 4 epochs and 3 of 10 steps of the next are done" in err.splitlines()[-2]
    assert stopped.state == "unfinished"
    # The settings come from the run; `make demo` says no more than this.
    assert run("train", "--out", "runs/stopped", "--resume")[0] == 0
    assert_same(stopped, whole)
    shutil.rmtree(stopped.path)


@pytest.mark.full
def test_a_second_signal_ends_at_once_and_keeps_what_was_saved_last(place, waiting):
    process = waiting("runs/hurried")
    process.kill(signal.SIGINT)
    time.sleep(2 * interrupts.AGAIN)
    process.kill(signal.SIGINT)
    done, stopped = process.ended.result(), process.run
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-2:] == [
        "Stopped; what was saved last is kept.",
        "Go on with: cnnlab train --out runs/hurried --resume",
    ]
    assert len(stopped.history) == 1
    shutil.rmtree(stopped.path)


def test_what_hears_no_signal_is_ended_after_a_while_and_keeps_what_was_saved_last(place, waiting):
    """The bar that waits for a file stands for a step that takes for ever."""
    process = waiting("runs/hung")
    process.kill(signal.SIGTERM)
    done, stopped = process.ended.result(), process.run
    assert (done.returncode, done.stdout) == (143, "")
    assert done.stderr.splitlines()[-1] == "Go on with: cnnlab train --out runs/hung --resume"
    assert stopped.state == "unfinished"
    shutil.rmtree(stopped.path)


def test_kill_9_and_resume_end_as_if_nothing_had_happened(run, whole, waiting):
    process = waiting("runs/killed")
    killed = process.run
    assert killed.state == "training"
    status, _, err = run("train", "--out", "runs/killed", "--resume")
    assert status == 1
    assert "is being trained by another process" in err
    process.kill()
    assert process.ended.result().returncode == -signal.SIGKILL
    assert killed.state == "unfinished"
    half = partial_name(".npz").replace(f"-{os.getpid()}-", f"-{process.pid}-")
    (killed.path / "checkpoint" / half).write_text("half")
    # Without --out it is the newest unfinished run; options that agree may be given again.
    status, out, err = run("train", "--resume", "--batch-size", "4", "--json")
    assert status == 0, err
    assert json.loads(out)["metrics"] == whole.metrics
    assert_same(killed, whole)
    assert not list(killed.path.rglob(".partial-*"))


# What a killed process may be doing: so long after its first step, or when a file of such a name appears.
MOMENTS = [
    *(("checkpoint", ".partial-*.npz"), ("", ".partial-*.csv"), ("", ".partial-*.keras"), ("", "model.keras")),
    *(("", name) for name in ("model", "curves.png", "confusion.png", "drawings.json")),
    *(float(seconds) for seconds in np.random.default_rng(11).uniform(0, 1.5, 12)),
]


def kill_at(moment, process: Training) -> None:
    """Kill what trains at a moment."""
    process.wait_for(process.run.history_path)
    if isinstance(moment, float):
        time.sleep(moment)
    else:
        while not process.ended.done() and not any((process.run.path / moment[0]).glob(moment[1])):
            pass
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.ended.result()


@pytest.mark.parametrize(
    "moment", [pytest.param(each, marks=[] if each == ("", "model") else pytest.mark.full) for each in MOMENTS], ids=str
)
def test_killed_at_any_moment_and_resumed_it_ends_as_if_nothing_had_happened(run, place, whole, training, moment):
    folder = Path("runs") / f"killed-{MOMENTS.index(moment)}"
    kill_at(moment, training(str(folder), {}))
    complete = Run(place / folder).complete
    assert not (complete and moment in MOMENTS[:8])
    status, _, err = run("train", "--out", folder, "--resume")
    assert status == 0, err
    assert ("complete already" in err) == complete
    assert_same(Run(place / folder), whole)
    assert not list((place / folder).rglob(".partial-*"))
    shutil.rmtree(place / folder)


def test_resume_begins_a_folder_that_does_not_exist_and_refuses_other_settings(run, whole):
    words = ("--dataset", "squares.npz", "--epochs", "1", "--limit", "40")
    status, out, err = run("train", *words, "--out", "runs/begun", "--resume")
    assert status == 0, err
    assert "mnist-cnn on squares: 1 epoch in" in out
    status, _, err = run("train", "--out", "runs/begun", "--resume", "--seed", "3", "--epochs", "1")
    assert status == 2
    assert "seed 0 (not 3)" in err
    assert "epochs" not in err.partition("started with")[2].partition(";")[0]
    status, _, err = run("train", *words, "--out", "runs/begun")
    assert status == 1
    assert "already holds a complete run" in err


def test_an_interrupted_evaluation_of_words_prints_no_traceback(run, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("cnnlab.training.train", stop)
    assert run("train")[0::2] == (130, "\nInterrupted.\n")


# Several seeds


@pytest.fixture
def seeds(run):
    """Runs of the seeds 1 and 0, with WORDS, in a folder that the tests share."""
    words = ("train", *WORDS, "--out", "several/squares", "--seeds")
    return lambda text, *more: run(*words, text, *more)


def test_each_seed_has_a_run_as_if_it_were_the_only_one_and_the_spread_is_told(seeds, run, place, whole):
    status, out, err = seeds("1,0")
    assert status == 0, err
    one, other = (Run(place / "several" / f"squares-seed{seed}") for seed in (0, 1))
    assert_same(one, whole)
    accuracies = [each.metrics["test_accuracy"] for each in (one, other)]
    assert f"mean over 2 seeds, standard deviation {percent(float(np.std(accuracies, ddof=1)), 2)}" in out
    assert out.startswith(f"{percent(float(np.mean(accuracies)), 2)} of the test images read correctly")
    for each in (one, other):
        assert f"{each.metrics['test_loss']:.4f}" in out
        assert f"  several/squares-seed{each.config['seed']}\n" in out
    records = [each.record_path.read_bytes() for each in (one, other)]
    status, out, err = seeds("1,0", "--json")
    assert [each.record_path.read_bytes() for each in (one, other)] == records, "complete runs are left as they are"
    assert err.count("complete already") == 2
    found = json.loads(out)
    assert [entry["seed"] for entry in found["runs"]] == found["over_seeds"]["seeds"] == [1, 0]
    losses = [each.metrics["test_loss"] for each in (one, other)]
    assert found["over_seeds"]["metrics"]["test_loss"] == {
        "mean": pytest.approx(np.mean(losses)),
        "standard_deviation": pytest.approx(np.std(losses, ddof=1)),
        "least": min(losses),
        "most": max(losses),
    }
    compared = run("compare", one.path, other.path, "--out", "seeds.png")[1]
    assert "squares: over the seeds 0, 1" in compared


def test_ctrl_c_among_several_seeds_says_how_to_go_on_and_what_is_done_is_kept(seeds, place, monkeypatch):
    from cnnlab.training import seeds as module

    asked = []

    def train(**given):
        asked.append((given["seed"], str(given["out"]), given["resume"]))
        if given["seed"] == 5:
            raise Interrupted("Stopped; 1 of 4 epochs are done and kept.\nGo on with: another command")
        return Run(place / "runs" / "whole")

    monkeypatch.setattr(module, "train", train)
    status, out, err = seeds("4,5,6")
    assert (status, out) == (130, "")
    assert "Stopped; 1 of 4 epochs are done and kept.\nGo on with: the same command again" in err
    assert asked == [(4, "several/squares-seed4", True), (5, "several/squares-seed5", True)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0,0"], "the seeds must differ"),
        (["0,x"], "seeds must be whole numbers from 0 on with commas between, such as 0,1,2; received 0,x."),
        (["-1"], "received -1"),
        (["0", "--seed", "1"], "--seed and --seeds exclude each other"),
        (["2,0", "--epochs", "3"], "squares-seed0 was started with epochs 4 (not 3)"),
    ],
    ids=" ".join,
)
def test_seeds_that_make_no_sense_are_refused_before_any_run(seeds, place, words, said):
    seeds("0")
    before = sorted((place / "several").iterdir())
    status, out, err = seeds(*words)
    assert (status, out) == (2, "")
    assert said in err
    assert sorted((place / "several").iterdir()) == before


# Refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epochs", "0"], "epochs must be an integer of at least 1; received 0."),
        (["--batch-size", "0"], "batch_size must be an integer of at least 1 and at most 1000000; received 0."),
        (["--learning-rate", "fast"], "learning_rate must be a number above 0 and at most 1000000; received fast."),
        (["--architecture", "mnist-cn"], "Did you mean 'mnist-cnn'?"),
        (["--dataset", "mnits"], "Did you mean 'mnist'?"),
        (["--precision", "float64"], "received float64"),
        (["--device", "tpu"], "device must be auto, all, cpu, cpu:2 or gpu:0"),
        (["--sede", "1"], "--seed"),
    ],
    ids=" ".join,
)
def test_a_wrong_word_is_one_sentence_and_leaves_nothing(run, place, words, said):
    before = sorted(place.rglob("*"))
    status, out, err = run("train", "--dataset", "squares.npz", "--out", "runs/refused", *words)
    assert status == 2
    assert out == ""
    assert said in err
    assert "Traceback" not in err
    assert sorted(place.rglob("*")) == before


def test_nothing_to_resume_is_said(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    status, _, err = run("train", "--resume")
    assert (status, list(tmp_path.iterdir())) == (1, []) or "no unfinished run" in err


@pytest.mark.parametrize("ending", ["", "raise ImportError('no such library')"])
def test_what_tensorflow_says_while_it_loads_is_shown_only_when_that_fails(place, tmp_path, ending):
    (tmp_path / "tensorflow.py").write_text(f"import os\nos.write(2, b'remark')\n{ending}\n")
    code = (
        "from cnnlab.silence_tensorflow import quieten_tensorflow; quieten_tensorflow()\n"
        "import os, tensorflow; os.write(2, b'after'); assert tensorflow.os is os"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={**os.environ}, timeout=60
    )
    assert (done.returncode == 0) == (not ending)
    assert done.stderr == "after" if not ending else done.stderr.startswith("remark")


# On a terminal


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_sees_a_bar_and_a_row_per_epoch(whole, width):
    reporter = RichReporter()
    console = Console(force_terminal=True, width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    reporter._console = console
    reporter.stage("Loading")
    reporter.started(Path("runs/x"), 100, 10, 0)
    reporter.epoch_started(1, 2, 50)
    reporter.progress(
        Progress(
            epoch=1,
            epochs=2,
            step=25,
            steps=50,
            loss=0.25,
            accuracy=0.9,
            images_per_second=1234.0,
            seconds_left=75.0,
        )
    )
    reporter._bar.refresh()
    shown = console.export_text(clear=False)
    for words in ("epoch 1/2", "batch 25/50", "loss 0.2500", "accuracy 90.00%", "1,234 img/s", "1:15 left"):
        assert words in shown
    assert ("━" in shown) == (width == 120)
    reporter.note("look [here]")
    reporter.epoch_finished(whole.history[0], 2)
    reporter.finished()
    assert "look [here]" in console.export_text(clear=False)
    assert f"{whole.history[0]['loss']:.4f}" in console.export_text()


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3601, "1 h 00 min")]
)
def test_times_are_said_as_people_do(seconds, said):
    assert duration(seconds) == said


# runs and compare


def test_runs_lists_the_newest_first(run, place, whole, monkeypatch):
    rows = json.loads(run("runs", "--json")[1])
    assert [row["created"] for row in rows] == sorted((row["created"] for row in rows), reverse=True)
    (row,) = [row for row in rows if row["name"] == "whole"]
    assert row["accuracy"] == whole.metrics["val_accuracy"]
    assert row["seconds_per_epoch"] == np.median([line["seconds"] for line in whole.history])
    (place / "runs" / "broken").mkdir()
    (place / "runs" / "broken" / "run.json").write_text("{")
    status, out, _ = run("runs")
    assert status == 0
    assert "damaged" in out
    seconds = f"{row['seconds_per_epoch']:.1f}"
    wanted = [
        "whole",
        "complete",
        "squares",
        "mnist-cnn",
        percent(row["accuracy"], digits=2),
        f"{row['loss']:.4f}",
        seconds,
    ]
    for word in [*wanted, row["created"][:10]]:
        assert word in out
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("runs")[1].splitlines()
    assert max(map(len, lines)) <= 80
    (line,) = [line for line in lines if line.startswith("whole")]
    assert all(word in line.split() for word in wanted)


def test_no_runs_is_said(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    status, out, err = run("runs")
    assert (status, out) == (0, "")
    assert "no run below runs yet" in err
    assert run("runs", "--json")[1] == "[]\n"


def test_compare_draws_all_runs_under_names_of_their_own(run, place, whole):
    status, out, err = run("compare", "whole", place / "runs" / "whole", "--out", "both.png", "--json")
    assert status == 0, err
    record = json.loads(out)
    assert [row["label"] for row in record["runs"]] == ["whole (1)", "whole (2)"]
    assert record["runs"][0]["history"] == whole.history
    with Image.open(place / record["figure"]) as image:
        assert min(image.size) > 200
    assert "both.png" in run("compare", "whole", "whole", "--out", "both.png")[1]


def test_compare_says_where_runs_were_validated_on_other_images(run, place, whole):
    other = place / "elsewhere"
    other.mkdir()
    record = {**whole.config, "validated_on": "held-out training images"}
    (other / "run.json").write_text(json.dumps(record))
    (other / "history.csv").write_bytes(whole.history_path.read_bytes())
    assert "not validated on the same images" in run("compare", "whole", other)[2]
    assert run("compare", "whole", "whole")[2] == ""


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["whole"], 2, "two runs or more"),
        (["whole", "hole"], 1, "Did you mean 'whole'?"),
        (["whole", "."], 1, "is no run folder"),
    ],
    ids=str,
)
def test_compare_refuses(run, place, whole, words, status, said):
    found, out, err = run("compare", *words, "--out", "refused.png")
    assert (found, out) == (status, "")
    assert said in err
    assert not (place / "refused.png").exists()


def test_labels_are_as_short_as_they_can_be(tmp_path):
    paths = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "b" / "other"]
    assert labels([Run(path) for path in paths]) == ["a/run", "b/run", "b/other"]
    assert labels([Run(path) for path in paths[1:]]) == ["run", "other"]


def test_on_a_narrow_terminal_the_row_of_an_epoch_and_its_progress_fit():
    row = {"epoch": 10, "loss": 1.25, "accuracy": 0.5, "val_loss": 1.5, "val_accuracy": 1.0, "seconds": 1234.5}
    assert len(live._HEADING) == len(live._row(row, 10)) <= 60
    progress = Progress(
        epoch=1,
        epochs=10,
        step=937,
        steps=938,
        loss=0.25,
        accuracy=0.999,
        images_per_second=4321.0,
        seconds_left=75.0,
    )
    whole = live._state(progress)
    assert whole == "batch 937/938, loss 0.2500, accuracy 99.90%, 4,321 img/s, 1:15 left"
    assert live._state(progress, 60) == "batch 937/938, loss 0.2500, accuracy 99.90%, 1:15 left"
    assert live._state(progress, 40) == "loss 0.2500, accuracy 99.90%, 1:15 left"
