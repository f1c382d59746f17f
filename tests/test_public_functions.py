"""What the commands do, as functions: the same answers to a library caller, nothing printed, nothing written."""

from __future__ import annotations

import json

import numpy as np
import pytest

import cnnlab
from cnnlab.errors import UsageError


def test_the_public_names_are_listed():
    assert set(cnnlab.__all__) < set(dir(cnnlab))
    for name in ("train", "load", "analyze", "evaluate", "inspect", "verify", "compare", "datasets"):
        assert name in dir(cnnlab)
        assert getattr(cnnlab, name).__doc__


def test_evaluate_says_what_the_command_says(trained_run, command_line, classifier, digits, capsys):
    found = cnnlab.evaluate(trained_run, limit=64)
    images, labels = digits
    assert found.metrics["accuracy"] == np.mean(classifier.predict(images) == labels)
    assert capsys.readouterr().out == ""
    status, out, _ = command_line("evaluate", "--model", trained_run.path, "--limit", 64, "--json")
    assert status == 0
    facts = json.loads(out)
    own = found.to_json()
    for record in (facts, own):
        record.pop("seconds")
        record["metrics"].pop("images_per_second")
    assert facts == json.loads(json.dumps(own))


def test_a_model_without_a_dataset_is_asked_for_one(tiny_models):
    with pytest.raises(UsageError, match="does not say what it was trained on"):
        cnnlab.evaluate(tiny_models.linear((8, 8, 1)))


def test_inspect_says_what_the_command_says(trained_run, command_line):
    found = cnnlab.inspect(trained_run.path).to_json()
    status, out, _ = command_line("inspect", trained_run.path, "--json")
    assert status == 0
    assert json.loads(out) == json.loads(json.dumps(found))


def test_verify_says_what_the_command_says(classifier, digits, command_line, tmp_path, trained_run):
    images, labels = (values[:3] for values in digits)
    cnnlab.analyze("fgsm-untargeted", trained_run, images, labels, epsilon=0.1).save(tmp_path / "out")
    report = cnnlab.verify(tmp_path / "out")
    assert report.failed == []
    status, out, _ = command_line("verify", tmp_path / "out", "--json")
    assert status == 0
    assert json.loads(out) == json.loads(json.dumps(report.to_json()))
    (tmp_path / "out" / "images" / "0.png").unlink()
    assert [finding.claim for finding in cnnlab.verify(tmp_path / "out").failed] == ["images"]


def test_compare_puts_runs_side_by_side(trained_run, tmp_path):
    found = cnnlab.compare(trained_run, trained_run.path)
    assert [row["label"] for row in found.rows] == ["small (1)", "small (2)"]
    assert found.rows[0]["accuracy"] == trained_run.metrics["val_accuracy"]
    assert [curves.title for curves in found.drawing.tiles] == ["Loss", "Accuracy"]
    assert found.save(tmp_path / "compare.svg").read_text().startswith("<?xml")
    with pytest.raises(UsageError, match="two runs or more; received 1"):
        cnnlab.compare(trained_run)


def test_one_request_serves_command_and_caller(trained_run, digits, command_line, tmp_path):
    from cnnlab.analysis.image_choice import ImageChoice
    from cnnlab.analysis.model_choice import ModelChoice
    from cnnlab.analysis.request import Request, perform
    from cnnlab.pluginhost import registry

    asked = Request(
        analysis=registry.find_analysis("occlusion"),
        params={"patch": 8, "stride": 4},
        model=ModelChoice(model=trained_run.path),
        images=ImageChoice(dataset="mnist", limit=2),
        seed=1,
    )
    found = perform(asked)
    words = ("--model", trained_run.path, "--dataset", "mnist", "--limit", 2, "--patch", 8, "--stride", 4, "--seed", 1)
    status, _, _ = command_line("analyze", "occlusion", *words, "--out", tmp_path / "out")
    assert status == 0
    saved = cnnlab.Result.load(tmp_path / "out")
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(saved.arrays[name], array)
    for key in ("params", "metrics", "inputs", "model", "rows", "seed"):
        assert saved.record[key] == json.loads(json.dumps(found.record[key])), key
