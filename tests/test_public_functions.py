"""What the commands do, as functions: the same answers to a library caller, nothing printed, nothing written."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import cnnlab
from cnnlab.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent


def test_the_public_names_are_listed():
    assert set(cnnlab.__all__) < set(dir(cnnlab))
    for name in ("train", "load", "analyze", "evaluate", "predict", "inspect", "verify", "compare", "datasets"):
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
    images, labels = (values[:1] for values in digits)
    cnnlab.analyze("fgsm-untargeted", trained_run, images, labels, epsilon=0.1).save(tmp_path / "out")
    report = cnnlab.verify(tmp_path / "out")
    assert report.failed == []
    status, out, _ = command_line("verify", tmp_path / "out", "--json")
    assert status == 0
    assert json.loads(out) == json.loads(json.dumps(report.to_json()))
    (tmp_path / "out" / "images" / "0.png").unlink()
    assert [finding.claim for finding in cnnlab.verify(tmp_path / "out").failed] == ["files", "images"]


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


def test_a_run_is_a_model_wherever_a_model_is_taken(trained_run, digits, tmp_path):
    images, labels = (values[:1] for values in digits)
    assert cnnlab.load(trained_run).digest == cnnlab.load(trained_run.path).digest
    result = cnnlab.analyze("fgsm-untargeted", trained_run, images, labels, epsilon=0.1)
    assert result.record["model"]["path"] == str(trained_run.path)
    result.save(tmp_path / "out")
    assert cnnlab.verify(tmp_path / "out", trained_run).failed == []
    assert cnnlab.evaluate(trained_run, limit=3).classifier.kind == "run"
    assert cnnlab.inspect(trained_run, images).classifier.path == trained_run.path
    assert cnnlab.compare(trained_run, cnnlab.Run(str(trained_run.path))).rows[0]["label"] == "small (1)"
    with pytest.raises(UsageError, match=r"compare takes runs: .* received a Classifier"):
        cnnlab.compare(trained_run, cnnlab.load(trained_run))


def test_a_live_model_is_a_model_too(trained_run, digits, tmp_path):
    import keras

    live = keras.models.load_model(trained_run.keras_path)
    images, labels = (values[:1] for values in digits)
    result = cnnlab.analyze("fgsm-untargeted", live, images, labels, epsilon=0.1)
    assert result.record["model"]["path"] is None
    result.save(tmp_path / "out")
    assert [found for found in cnnlab.verify(tmp_path / "out", live).failed if found.claim != "model"] == []
    assert cnnlab.evaluate(live, "mnist", limit=3).classifier.kind == "live"


def test_a_split_is_images_with_their_labels(trained_run, classifier):
    test = cnnlab.datasets.load("mnist").test
    result = cnnlab.analyze("occlusion", classifier, test[5:8], patch=14, stride=14)
    assert [row["source"] for row in result.record["inputs"]] == ["mnist/test:5", "mnist/test:6", "mnist/test:7"]
    assert [row["label"] for row in result.record["inputs"]] == test.labels[5:8].tolist()
    same = cnnlab.analyze("occlusion", classifier, test.batch([5, 6, 7]), test.labels[5:8], patch=14, stride=14)
    assert [row["digest"] for row in same.record["inputs"]] == [row["digest"] for row in result.record["inputs"]]
    found = cnnlab.evaluate(classifier, test[5:69])
    assert (found.split, found.dataset.name, len(found.counts.predicted)) == ("test[5:69]", "mnist", 64)
    homeless = cnnlab.datasets.Split(np.rint(test.batch(range(9)) * 255).astype(np.uint8), test.labels[:9])
    assert (
        cnnlab.evaluate(classifier, homeless).metrics["accuracy"]
        == cnnlab.evaluate(classifier, test, limit=9).metrics["accuracy"]
    )
    assert cnnlab.analyze("occlusion", classifier, homeless[3], patch=14).record["inputs"][0]["source"] == "array:3"


def test_numpy_integers_are_integers(classifier):
    test = cnnlab.datasets.load("mnist").test
    result = cnnlab.analyze(
        "occlusion", classifier, test[np.int64(3)], patch=np.int32(14), stride=np.uint8(14), seed=np.int64(5)
    )
    assert type(result.record["seed"]) is int
    assert json.loads(json.dumps(result.record))["params"]["patch"] == 14
    by_hand = cnnlab.analyze("occlusion", classifier, test.batch([3])[0], np.int64(0), target=np.int64(0), patch=14)
    assert by_hand.record["inputs"][0]["label"] == 0
    found = cnnlab.evaluate(classifier, test, limit=np.int32(5), batch_size=np.int64(2))
    assert json.loads(json.dumps(found.to_json()))["dataset"]["images"] == 5
    attacked = cnnlab.analyze("fgsm-untargeted", classifier, test[:2], epsilon=np.array([0.1, 0.2], np.float64))
    assert json.loads(json.dumps(attacked.record))["params"]["epsilon"] == [0.1, 0.2]
    said = cnnlab.load(classifier.path, input_range=np.array([0, 1]), class_names=np.array(list("abcdefghij")))
    assert (said.bounds, said.class_names[:2]) == ((0.0, 1.0), ("a", "b"))


@pytest.mark.parametrize("wrong", [True, np.bool_(True), 1.5, "many", -1])
def test_what_is_no_number_of_images_is_refused(classifier, wrong):
    with pytest.raises(UsageError, match="limit must be an integer of at least 1"):
        cnnlab.evaluate(classifier, "mnist", limit=wrong)
    with pytest.raises(UsageError, match="seed must be an integer of at least 0"):
        cnnlab.analyze("occlusion", classifier, np.zeros((28, 28)), seed=wrong)


def test_only_what_is_public_is_listed():
    assert sorted(dir(cnnlab)) == sorted([*cnnlab.__all__, "__version__"])
    assert not [name for name in dir(cnnlab) if name.startswith("_") and name != "__version__"]


def test_the_page_on_python_does_what_it_says(trained_run, tmp_path, monkeypatch, capsys, few_digits):
    """Its blocks, one after the other, in a folder with a run."""
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    shutil.copytree(trained_run.path, tmp_path / "runs" / "classic")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    said: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/python.md", "exec"), said)
    out = capsys.readouterr().out
    assert "Split(mnist/test[:100], 100 images of 28x28x1) ['mnist/test:0', 'mnist/test:17']\n" in out
    assert "Result(fgsm-untargeted of runs/classic, 3 images, " in out
    assert said["said"].sources == ("examples/7.png",)
    assert said["heads"] == (2, 3, 28, 28, 1)
    assert said["again"].rows == said["result"].rows
    assert repr(said["small"]).startswith("Run(runs/small, mnist-cnn on mnist, 1 epoch, ")
    assert len(said["comparison"].rows) == 2
