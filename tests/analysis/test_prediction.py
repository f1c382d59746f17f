"""Predictions against Keras' own softmax, and as the command tells them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest

import cnnlab
from cnnlab.cli.views import prediction as view
from cnnlab.datasets import Split
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.testing import FakeClassifier

SHAPE = (6, 6, 1)


@pytest.fixture(scope="module")
def net():
    start = keras.initializers.RandomNormal(stddev=0.5, seed=0)
    return keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(5, kernel_initializer=start)]
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(size=(7, *SHAPE)).astype(np.float32)


def test_the_probabilities_are_those_of_keras_and_the_likeliest_come_first(net, images):
    found = cnnlab.predict(net, images)
    expected = keras.ops.softmax(net(images)).numpy()
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5)
    np.testing.assert_array_equal(found.predicted, expected.argmax(axis=1))
    for row, probabilities in zip(found.rows(top=4), expected, strict=True):
        assert row["label"] is None
        assert [each["class"] for each in row["top"]] == [str(place) for place in np.argsort(-probabilities)[:4]]
        said = [each["probability"] for each in row["top"]]
        np.testing.assert_allclose(said, np.sort(probabilities)[::-1][:4], rtol=1e-5)
    assert not found.known.any()


def test_labels_come_with_a_split_or_by_hand(net, images):
    read = net(images).numpy().argmax(axis=1)
    labels = np.where(np.arange(7) < 3, read, (read + 1) % 5)
    for found in (cnnlab.predict(net, images, labels), cnnlab.predict(net, Split(images, labels))):
        assert found.right == 3
        assert [row["label"] for row in found.rows()] == [str(label) for label in labels]


def test_the_table_of_all_probabilities_reads_back(net, images):
    found = cnnlab.predict(net, images, [0, -1, 2, 3, 4, 0, 1])
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [row["label"] for row in rows] == ["0", "", "2", "3", "4", "0", "1"]
    again = np.array([[row[f"probability of {label}"] for label in range(5)] for row in rows], np.float32)
    np.testing.assert_array_equal(again, found.probabilities)


def test_without_images_or_with_broken_weights_it_says_so(net, images):
    with pytest.raises(UsageError, match="no images to predict"):
        cnnlab.predict(net)
    broken = keras.models.clone_model(net)
    broken.set_weights([np.full_like(weights, np.nan) for weights in net.get_weights()])
    with pytest.raises(CnnlabError, match="not finite"):
        cnnlab.predict(broken, images)


def test_the_command_tells_the_same_as_table_json_and_csv(trained_run, command_line, digits):
    images, labels = digits
    found = cnnlab.predict(trained_run, images[:3], labels[:3])
    asked = ("predict", "--model", trained_run.path, "--dataset", "mnist", "--limit", 3)
    status, out, _ = command_line(*asked, "--json", "--top", 2)
    assert status == 0
    told = json.loads(out)
    assert [row["image"] for row in told["images"]] == ["mnist/test:0", "mnist/test:1", "mnist/test:2"]
    assert [row["top"] for row in told["images"]] == [
        [{**each, "probability": pytest.approx(each["probability"], rel=1e-4)} for each in row["top"]]
        for row in found.rows(top=2)
    ]
    status, out, _ = command_line(*asked, "--csv")
    assert status == 0
    assert len(out.splitlines()) == 4
    status, out, _ = command_line(*asked)
    assert status == 0
    assert f"{found.right} of 3 labelled images read correctly" in out
    assert all(f"mnist/test:{index}" in out for index in range(3))


def test_the_command_reads_files_and_refuses_what_makes_no_sense(trained_run, command_line):
    seven = Path(__file__).resolve().parents[2] / "examples" / "7.png"
    status, out, _ = command_line("predict", seven, "--model", trained_run.path, "--label", 7)
    assert status == 0
    assert out.startswith("Read as ")
    status, first, _ = command_line("predict", trained_run.path, seven, "--label", 7)
    assert (status, first) == (0, out)
    for words, said in (
        ((), "there are no images to predict"),
        ((seven, "--csv", "--json"), "exclude each other"),
        ((seven, "--dataset", "mnist"), "exclude each other"),
        ((trained_run.path, seven), "both name a model"),
        ((seven, trained_run.path), "one model is asked at a time"),
    ):
        status, _, error = command_line("predict", *words, "--model", trained_run.path)
        assert status == 2
        assert said in error


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (None, "2 of 3 images read as bright, the most frequent class"),
        ([1, 0, 0], "labelled images read correctly"),
    ],
)
def test_the_headline_of_several_images(capsys, labels, said):
    brightness = np.array([0.9, 0.1, 0.8], np.float32)
    images = np.ones((3, 2, 2, 1), np.float32) * brightness[:, None, None, None]
    view.show(cnnlab.predict(FakeClassifier.of_brightness(), images, labels), 1)
    assert said in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("label", "said"),
    [(None, "Read as bright, with a probability of "), (1, "Read as bright, with"), (0, "; it is dark")],
)
def test_the_headline_of_one_image(capsys, label, said):
    image = np.full((1, 2, 2, 1), 0.9, np.float32)
    view.show(cnnlab.predict(FakeClassifier.of_brightness(), image, None if label is None else [label]), 1)
    first = capsys.readouterr().out.splitlines()[0]
    assert said in first
    assert ("; it is" in first) is (label == 0)
