"""An evaluation as a result: its numbers against the images' own, its drawings, its folder, what tools make of it."""

from __future__ import annotations

import csv
import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import cnnlab
from cnnlab.cli import cli
from cnnlab.datasets import Dataset, Split
from cnnlab.errors import CnnlabError, GateError
from cnnlab.inspection import evaluation_result
from cnnlab.inspection.evaluation import METRICS, evaluate
from cnnlab.numerics import softmax, wilson_interval
from cnnlab.results.meanings import declared_as
from cnnlab.results.result import Result

NAMES = ("ant", "bee", "cat", "dog")
COUNT = 150


def split_of(count, seed=0):
    drawn = np.random.default_rng(seed)
    return Split(drawn.integers(0, 256, (count, 6, 6, 1)).astype(np.uint8), drawn.integers(0, 4, count))


@pytest.fixture(scope="module")
def data():
    return Dataset(name="toy", train=split_of(7, 1), test=split_of(COUNT), class_names=NAMES)


@pytest.fixture(scope="module")
def opened():
    start = keras.initializers.RandomNormal(stddev=1.0, seed=0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(4, kernel_initializer=start)]
    return cnnlab.load(keras.Sequential([keras.Input((6, 6, 1)), *layers]))


@pytest.fixture(scope="module")
def found(opened, data):
    return evaluate(opened, data, batch_size=40)


@pytest.fixture(scope="module")
def result(found):
    return found.result()


def test_the_arrays_and_numbers_are_those_of_the_images(result, opened, data):
    images, labels = data.test.images, data.test.labels
    probabilities = softmax(opened.logits(images)).astype(np.float64)
    arrays, metrics = result.arrays, result.metrics
    np.testing.assert_array_equal(arrays["index"], np.arange(COUNT))
    np.testing.assert_array_equal(arrays["label"], labels)
    np.testing.assert_array_equal(arrays["predicted"], probabilities.argmax(axis=1))
    np.testing.assert_allclose(arrays["confidence"], probabilities.max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(arrays["probability_of_label"], probabilities[np.arange(COUNT), labels], rtol=1e-4)
    assert metrics["brier_score"] == pytest.approx(((probabilities - np.eye(4)[labels]) ** 2).sum(axis=1).mean())
    assert metrics["mean_confidence"] == pytest.approx(probabilities.max(axis=1).mean())
    right = arrays["predicted"] == labels
    low, high = wilson_interval(right.mean(), COUNT)
    assert (metrics["accuracy_low"], metrics["accuracy_high"]) == (pytest.approx(low), pytest.approx(high))
    weights = arrays["bin_images"] / COUNT
    assert metrics["expected_calibration_error"] == pytest.approx(
        np.nansum(weights * abs(arrays["bin_accuracy"] - arrays["bin_confidence"]))
    )
    assert metrics["calibration_error_by_chance"] < metrics["calibration_error_by_chance_high"]
    for name in metrics:
        assert declared_as(METRICS, name), f"nobody says what {name} means"


def test_the_most_confident_mistakes_are_kept_and_captioned(result, data):
    arrays = result.arrays
    wrong = [i for i in range(COUNT) if arrays["predicted"][i] != data.test.labels[i]]
    by_confidence = sorted(wrong, key=lambda i: -arrays["confidence"][i])[:12]
    assert arrays["mistakes_index"].tolist() == by_confidence
    np.testing.assert_array_equal(arrays["mistakes"], data.test.batch(by_confidence))
    drawn = result.drawing("mistakes")
    first = by_confidence[0]
    label, said = NAMES[data.test.labels[first]], NAMES[arrays["predicted"][first]]
    assert drawn.tiles[0].title.startswith(f"{label}, said {said} (")
    assert drawn.title == f"The 12 most confident of {len(wrong)} mistakes in {COUNT} images"


def test_the_reliability_diagram_leaves_empty_bins_out(result):
    line, diagonal = result.drawing("calibration").lines
    filled = result.arrays["bin_images"] > 0
    np.testing.assert_array_equal(line.y, result.arrays["bin_accuracy"][filled])
    assert list(line.points) == [str(count) for count in result.arrays["bin_images"][filled]]
    assert (np.array(line.low) <= line.y).all()
    assert (np.array(line.high) >= line.y).all()
    assert diagonal.x == diagonal.y


def test_the_bars_are_the_error_rates_of_the_classes_with_images(opened, data):
    chosen = data.test[data.test.labels != 2]
    bars = evaluate(opened, chosen).result().drawing("classes")
    assert bars.names == ("ant", "bee", "dog")
    right = opened.predict(chosen.images) == chosen.labels
    np.testing.assert_allclose(bars.series[0].values, [1 - right[chosen.labels == k].mean() for k in (0, 1, 3)])


def test_no_mistake_and_many_classes_are_not_drawn(opened, data, monkeypatch):
    right = data.test[opened.predict(data.test.images) == data.test.labels]
    monkeypatch.setattr(evaluation_result, "MOST_DRAWN", 3)
    result = evaluate(opened, right).result()
    assert list(result.drawings) == ["calibration", "classes"]
    assert "mistakes" not in result.arrays
    assert result.arrays["confusion"].shape == (4, 4)


def test_images_are_numbered_in_their_split_also_where_some_were_chosen(opened, data):
    chosen = [9, 3, 30]
    result = evaluate(opened, data.test[chosen]).result()
    assert result.arrays["index"].tolist() == chosen
    assert result.record["dataset"] == {
        "name": "toy",
        "source": None,
        "split": "test",
        "images": 3,
        "digest": data.digest,
    }
    assert evaluate(opened, data, limit=5).result().record["params"] == {"split": "test", "limit": 5}


def test_a_saved_one_is_read_back_and_names_no_image(result, tmp_path):
    files = result.save(tmp_path / "out")
    assert {file.name for file in files} == {
        "result.json",
        "arrays.npz",
        "drawings.json",
        "predictions.csv",
        *(f"figure-{name}.png" for name in ("confusion", "calibration", "classes", "mistakes")),
    }
    loaded = Result.load(tmp_path / "out")
    assert loaded.metrics == result.metrics
    assert loaded.tables == result.tables
    assert list(loaded.drawings) == list(result.drawings)
    assert (tmp_path / "out" / "result.json").stat().st_size < 20_000
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    arrays = result.arrays
    for row, index, label, predicted in zip(rows, range(COUNT), arrays["label"], arrays["predicted"], strict=True):
        assert (row["index"], row["label"], row["predicted"]) == (str(index), NAMES[label], NAMES[predicted])
        assert row["correct"] == str(label == predicted).lower()
        assert float(row["confidence"]) == pytest.approx(arrays["confidence"][index], rel=1e-5)


def test_only_what_is_shown_is_read_again(opened):
    asked = []

    class Counting(Split):
        def batch(self, indices):
            asked.append(len(indices))
            return super().batch(indices)

    plain = split_of(COUNT)
    counting = Counting(plain.images, plain.labels)
    found = evaluate(opened, Dataset(name="toy", train=plain, test=counting, class_names=NAMES), batch_size=50)
    found.result()
    assert asked == [50, 50, 50, 12]


# The command


@pytest.fixture(scope="module")
def files(tmp_path_factory, opened, data):
    """A saved model, and the data as a file."""
    folder = tmp_path_factory.mktemp("files")
    start = keras.initializers.RandomNormal(stddev=1.0, seed=0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(4, kernel_initializer=start)]
    keras.Sequential([keras.Input((6, 6, 1)), *layers]).save(folder / "model.keras")
    parts = {"train": data.train, "test": data.test}
    arrays = {f"{kind}_{name}": part for name, split in parts.items() for kind, part in pixels_of(split).items()}
    np.savez(folder / "toy.npz", **arrays)
    return folder


def pixels_of(split):
    return {"x": (split.images * 255).round().astype(np.uint8), "y": split.labels}


def run(*words):
    return CliRunner().invoke(cli, list(map(str, words)), env={"COLUMNS": "100"})


def test_the_command_saves_it_says_where_and_replaces_its_own(files, tmp_path):
    words = ("evaluate", "--model", files / "model.keras", "--dataset", files / "toy.npz", "--out", tmp_path / "out")
    first = run(*words)
    assert first.exit_code == 0, first.exception
    assert str(tmp_path / "out" / "predictions.csv") in first.stdout
    second = run(*words, "--json", "--limit", 9, "--fail-under", "brier_score=3")
    assert isinstance(second.exception, GateError)
    assert json.loads(second.stdout)["metrics"]["expected_calibration_error"] >= 0
    assert len(Result.load(tmp_path / "out").arrays["label"]) == 9
    verified = run("verify", tmp_path / "out")
    assert verified.exit_code == 0, verified.exception
    assert "not checked" in verified.stdout
    (tmp_path / "out" / "predictions.csv").write_text("mine")
    assert isinstance(run(*words).exception, CnnlabError)
