"""The sections on a run: numbers beside the published ones, batch normalisation against none, conclusions that turn."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest

import cnnlab
from cnnlab.errors import CnnlabError
from cnnlab.inspection.summary import Summary
from cnnlab.reports.sections import architecture, batch_normalisation, predictions, training
from cnnlab.reports.subject import Subject

HISTORY = [{"epoch": 1, "val_loss": 0.1}, {"epoch": 2, "val_loss": 0.05}]


@pytest.fixture
def subject(trained_run, classifier):
    return Subject(classifier=classifier, profile="assignment", run=trained_run)


def final(accuracy: float, train_accuracy: float | None = None) -> dict[str, float]:
    return {"val_accuracy": accuracy, "train_accuracy": accuracy if train_accuracy is None else train_accuracy}


@pytest.mark.parametrize(
    ("history", "found", "holds"),
    [
        (HISTORY, final(0.99), [True, True, True]),
        (HISTORY, final(0.199), [False, True, True]),
        (HISTORY, final(0.98, 0.999), [True, False, True]),
        ([*HISTORY, {"epoch": 3, "val_loss": 0.0551}], final(0.99), [True, True, False]),
        ([*HISTORY, {"epoch": 3, "val_loss": 0.0549}], final(0.99), [True, True, True]),
    ],
)
def test_conclusions_on_training_turn(history, found, holds):
    assert [each.holds for each in training.conclusions(history, found, 10_000, 10)] == holds


def test_with_two_classes_more_than_luck_is_asked():
    assert training.lucky(2) == 0.75
    assert training.lucky(10) == 0.2
    assert not training.conclusions(HISTORY, final(0.7), 1000, 2)[0].holds


def test_training_shows_what_the_run_has_and_the_command_that_repeats_it(subject, trained_run):
    chapter = training.write(subject)
    assert chapter.figures[0].rows == trained_run.history
    assert shlex.split(chapter.figures[0].command)[:2] == ["cnnlab", "train"]
    assert "--limit 6000" in chapter.figures[0].command
    accuracy = chapter.metrics[2]
    assert accuracy.value == pytest.approx(trained_run.metrics["val_accuracy"])
    assert (accuracy.reported, accuracy.of) == (0.992, 10_000)


def test_the_command_trains_a_run_with_the_same_settings(trained_run):
    from cnnlab.cli.commands.train import train

    words = shlex.split(training.command_of(trained_run.config["settings"]))[2:]
    context = train.make_context("train", words)
    settings = {name: value for name, value in context.params.items() if name in trained_run.config["settings"]}
    read = cnnlab.training.settings.Settings.from_public(
        {name: value for name, value in settings.items() if context.get_parameter_source(name).name == "COMMANDLINE"}
    )
    assert (read.epochs, read.limit, read.seed) == (2, 6000, 0)


def test_the_architecture_is_counted_as_published(subject):
    chapter = architecture.write(subject)
    numbers = {metric.name: (metric.value, metric.reported) for metric in chapter.metrics}
    assert numbers["parameters"] == (799078, 799078)
    assert numbers["convolutional"] == (9568, 9568)
    assert numbers["kernel taps"] == (10014, 10014)
    ratio, reported = numbers["ratio"]
    assert round(ratio, 1) == reported == 82.5
    assert chapter.conclusions[0].holds
    sizes = {row[0]: row[2:4] for row in chapter.tables[0].rows}
    assert sizes["conv2"] == ("14×14×32", "14×14×32")
    assert sizes["fc1"] == ("1568", "500")


@pytest.mark.parametrize(
    ("wrong", "sure", "holds"), [(28, 9906, True), (300, 1000, False), (1, 12, None), (0, 0, None)]
)
def test_conclusions_on_predictions_turn(wrong, sure, holds):
    assert predictions.conclusion(wrong, sure).holds is holds


def test_without_another_run_the_section_says_which_command_makes_it(subject, trained_run):
    with pytest.raises(CnnlabError) as missing:
        batch_normalisation.write(subject)
    command = str(missing.value).split("`")[1]
    assert command.startswith("cnnlab train --batch-norm --epochs 2 ")
    assert command.endswith(f" --limit 6000 --precision float32 --out {trained_run.path}-bn")


@pytest.fixture
def normalised(trained_run, tmp_path):
    """The small run, and beside it one whose record is that of a better one with batch normalisation."""
    run, other = (cnnlab.runs.find(shutil.copytree(trained_run.path, tmp_path / name)) for name in ("plain", "bn"))
    record = {**run.config, "batch_norm": True, "seed": 1}
    record["settings"] = {**record["settings"], "batch_norm": True, "seed": 1}
    record["metrics"] = {**record["metrics"], "val_accuracy": record["metrics"]["val_accuracy"] + 0.01}
    other.record_path.write_text(json.dumps(record))
    return run, cnnlab.runs.find(other.path)


def test_a_run_that_differs_in_batch_normalisation_is_found(subject, normalised):
    run, other = normalised
    subject.run = run
    assert batch_normalisation.find_other(run).path == other.path
    assert batch_normalisation.find_other(other).path.resolve() == run.path.resolve()
    chapter = batch_normalisation.write(subject)
    heads, rows = chapter.tables[0].heads, {row[0]: row[1:] for row in chapter.tables[0].rows}
    assert list(heads) == ["", "plain", "bn (batch normalisation)"]
    assert rows["validation accuracy"] == (run.metrics["val_accuracy"], other.metrics["val_accuracy"])
    assert len(chapter.conclusions) == 2
    subject.compare = run
    with pytest.raises(CnnlabError, match="both without batch normalisation"):
        batch_normalisation.write(subject)


@pytest.mark.parametrize(
    ("plain", "normalised", "holds", "words"),
    [
        (0.98, 0.99, False, "improves accuracy by +1.00 percentage points"),
        (0.992, 0.993, True, "does not measurably improve"),
        (0.99, 0.97, True, "makes accuracy worse"),
    ],
)
def test_conclusions_on_batch_normalisation_turn(plain, normalised, holds, words):
    found = batch_normalisation.accuracy((plain, 10_000), (normalised, 10_000))
    assert found.holds is holds
    assert words in found.says


def test_the_interval_of_a_difference_is_newcombes():
    """His paper's example (Statistics in Medicine 17, 1998, table II, row a): 56/70 - 48/80 is 0.0524 to 0.3339."""
    low, high = batch_normalisation.difference_interval((56 / 70, 70), (48 / 80, 80))
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


@pytest.mark.parametrize(("plain", "normalised", "holds"), [(10.0, 19.0, True), (10.0, 10.4, False)])
def test_conclusions_on_time_turn(plain, normalised, holds):
    assert batch_normalisation.time_per_epoch(plain, normalised).holds is holds


def test_a_model_without_parameters_that_can_be_read_is_not_judged():
    found = architecture.conclusion(Summary(layers=(), input_shape=(8, 8, 1), classes=2))
    assert (found.holds, found.says) == (None, "The model has no parameters that could be read.")


def test_a_run_without_an_epoch_has_no_curves(trained_run, tmp_path, classifier):
    run = cnnlab.runs.find(shutil.copytree(trained_run.path, tmp_path / "run"))
    run.history_path.unlink()
    with pytest.raises(CnnlabError, match=r"history\.csv holds no epoch"):
        training.write(Subject(classifier=classifier, profile="assignment", run=run))


def test_a_run_that_differs_in_more_than_batch_normalisation_is_no_other(trained_run, tmp_path):
    run = cnnlab.runs.find(shutil.copytree(trained_run.path, tmp_path / "plain"))

    def beside(name, **settings):
        folder = tmp_path / name
        folder.mkdir()
        record = {**run.config, "batch_norm": True}
        record["settings"] = {**record["settings"], "batch_norm": True, **settings}
        (folder / "run.json").write_text(json.dumps(record))

    beside("longer", epochs=3)
    assert batch_normalisation.find_other(run) is None
    beside("bn", seed=5)
    assert batch_normalisation.find_other(run).name == "bn"
