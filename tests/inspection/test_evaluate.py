"""``cnnlab evaluate``: its numbers against Keras' and the run's own, its gates, what it refuses."""

from __future__ import annotations

import json
import shutil

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import cnnlab
from cnnlab.analysis import gates
from cnnlab.cli import cli
from cnnlab.datasets import Dataset, Split
from cnnlab.errors import CnnlabError, GateError, UsageError
from cnnlab.inputs import Inputs, from_split
from cnnlab.inspection.evaluation import evaluate, tally
from cnnlab.words import percent

CLASSES = 4


def network(scale=1.0, classes=CLASSES):
    start = keras.initializers.RandomNormal(stddev=scale, seed=0)
    stack = [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(classes, kernel_initializer=start)]
    return keras.Sequential(stack)


def images_of(count, seed=0, classes=CLASSES, shape=(6, 6, 1)):
    drawn = np.random.default_rng(seed)
    return drawn.integers(0, 256, (count, *shape)).astype(np.uint8), drawn.integers(0, classes, count)


def dataset_of(count=23, **facts):
    names = tuple("abcdefgh"[:CLASSES])
    return Dataset(name="toy", train=Split(*images_of(7, 1)), test=Split(*images_of(count)), class_names=names, **facts)


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def opened(model):
    return cnnlab.load(model)


@pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
def test_the_numbers_are_those_of_keras_whatever_the_batches(model, opened, batch_size):
    data = dataset_of()
    found = evaluate(opened, data, batch_size=batch_size).counts
    logits = model(data.test.images).numpy().astype(np.float64)
    own = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(data.test.labels, logits)
    assert found.loss == pytest.approx(float(own), rel=1e-5)
    np.testing.assert_array_equal(found.predicted, logits.argmax(axis=1))
    assert found.accuracy == pytest.approx(np.mean(logits.argmax(axis=1) == data.test.labels))
    for label, accuracy in enumerate(found.class_accuracy):
        of_class = data.test.labels == label
        assert accuracy == pytest.approx(np.mean(logits.argmax(axis=1)[of_class] == label))
    np.testing.assert_allclose(found.confidence, keras.ops.softmax(logits).numpy().max(axis=1), rtol=1e-5)
    assert found.confusion.sum() == 23
    assert found.images_per_second > 0


def test_logits_of_thousands_give_a_finite_loss():
    opened = cnnlab.load(network(scale=1000.0))
    data = dataset_of()
    found = evaluate(opened, data).counts
    logits = opened.logits(data.test.images).astype(np.float64)
    by_hand = [np.logaddexp.reduce(row) - row[label] for row, label in zip(logits, data.test.labels, strict=True)]
    assert found.loss == pytest.approx(np.mean(by_hand), rel=1e-9)
    assert found.loss > 100


def test_a_limit_takes_the_first_and_a_class_without_images_has_no_accuracy(opened):
    data = dataset_of()
    found = evaluate(opened, data, limit=2).counts
    np.testing.assert_array_equal(found.predicted, opened.predict(data.test.images[:2]))
    missing = sorted(set(range(CLASSES)) - set(data.test.labels[:2].tolist()))
    assert [label for label, accuracy in enumerate(found.class_accuracy) if accuracy is None] == missing != []


def test_no_more_than_a_batch_is_read_at_once(opened):
    asked = []

    class Counting(Split):
        def batch(self, indices):
            asked.append(len(indices))
            return super().batch(indices)

    data = Dataset(name="toy", train=Split(*images_of(7)), test=Counting(*images_of(23)), class_names=tuple("abcd"))
    evaluate(opened, data, batch_size=10)
    assert asked == [7, 8, 8]


def test_images_are_brought_to_the_models_range(opened):
    pixels, labels = images_of(5)
    symmetric = Split(pixels.astype(np.float32) / 127.5 - 1, labels)
    wide = Dataset(name="wide", train=symmetric, test=symmetric, class_names=tuple("abcd"), value_range=(-1.0, 1.0))
    np.testing.assert_allclose(from_split(opened, wide, "test", range(5)).images, pixels / 255, atol=1e-6)
    plain = Dataset(name="plain", train=Split(pixels, labels), test=Split(pixels, labels), class_names=tuple("abcd"))
    np.testing.assert_allclose(evaluate(opened, wide).counts.loss, evaluate(opened, plain).counts.loss, rtol=1e-6)


def test_what_does_not_fit_is_refused(opened):
    large = Split(*images_of(3, shape=(8, 8, 1)))
    with pytest.raises(UsageError, match="images of 8x8x1, but the model takes 6x6x1"):
        evaluate(opened, Dataset(name="large", train=large, test=large, class_names=tuple("abcd")))
    many = Split(images_of(3)[0], [0, 1, 6])
    with pytest.raises(UsageError, match="label 6 is none of the model's 4 classes, 0 to 3"):
        evaluate(opened, Dataset(name="many", train=many, test=many, class_names=tuple("abcdefg")))
    half = Dataset(name="half", train=large, test=Split(*images_of(0, shape=(8, 8, 1))), class_names=tuple("abcd"))
    with pytest.raises(UsageError, match="has no test images"):
        evaluate(opened, half)


def test_broken_weights_are_no_result():
    broken = network()
    broken.layers[-1].set_weights([np.full((36, CLASSES), np.nan, np.float32), np.zeros(CLASSES, np.float32)])
    opened = cnnlab.load(broken)
    with pytest.raises(CnnlabError, match="not finite"):
        evaluate(opened, dataset_of())


def test_images_of_one_class_are_noted(opened):
    pixels, _ = images_of(3)
    (note,) = evaluate(opened, Split(pixels, [2, 2, 2])).notes
    assert "all 3 images are of one class, 2:" in note
    assert evaluate(opened, Split(pixels, [2, 2, 1])).notes == []


# Gates

DECLARED = {"accuracy": "a", "class_accuracy/<class>": "b"}


def test_gates_are_read():
    assert gates.parse(["accuracy=0.9", "class_accuracy/a=b=1"], DECLARED, "it") == {
        "accuracy": 0.9,
        "class_accuracy/a=b": 1.0,
    }


@pytest.mark.parametrize("text", ["accuracy", "=1", "accuracy=", "accuracy=high", "accuracy=nan", "acuracy=1"])
def test_gates_that_make_no_sense(text):
    with pytest.raises(UsageError, match="--fail-under"):
        gates.parse([text], DECLARED, "it")


@pytest.mark.parametrize(("value", "met"), [(0.9, True), (0.95, True), (0.8999, False), (None, False)])
def test_gates_are_judged(value, met):
    if met:
        gates.judge({"accuracy": 0.9}, {"accuracy": value})
    else:
        with pytest.raises(GateError, match="accuracy"):
            gates.judge({"accuracy": 0.9}, {"accuracy": value})


# The command


def run(*words, columns=100):
    return CliRunner().invoke(cli, ["evaluate", *map(str, words)], env={"COLUMNS": str(columns)})


@pytest.fixture(scope="module")
def files(tmp_path_factory, model):
    """A saved model and a dataset of its own, as files."""
    folder = tmp_path_factory.mktemp("files")
    model.save(folder / "model.keras")
    (x_train, y_train), (x_test, y_test) = images_of(7, 1), images_of(23)
    np.savez(folder / "toy.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return folder


def test_a_run_is_evaluated_on_its_own_dataset_as_at_its_end(trained_run, tmp_path, monkeypatch):
    shutil.copytree(trained_run.path, tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    facts = json.loads(run("--json").stdout)
    assert facts["dataset"] == {
        "name": "mnist",
        "split": "test",
        "images": 10_000,
        "digest": trained_run.config["dataset"]["digest"],
    }
    assert facts["metrics"]["accuracy"] == pytest.approx(trained_run.metrics["test_accuracy"], abs=2e-4)
    assert facts["metrics"]["loss"] == pytest.approx(trained_run.metrics["test_loss"], rel=1e-4)
    for entry in trained_run.config["classes"]:
        assert facts["metrics"][f"class_accuracy/{entry['name']}"] == pytest.approx(entry["accuracy"], abs=2e-3)
    assert np.sum(facts["confusion"]) == 10_000


def test_the_tables_say_the_same_and_fit(files):
    result = run("--model", files / "model.keras", "--dataset", files / "toy.npz")
    assert result.exit_code == 0, result.exception
    opened = cnnlab.load(files / "model.keras")
    found = evaluate(opened, files / "toy.npz").counts
    words = result.stdout.split()
    assert percent(found.accuracy, digits=2) in words
    assert f"{found.loss:.4f}" in words
    for accuracy in found.class_accuracy:
        assert percent(accuracy, digits=2) in words
    body = [line for line in result.stdout.splitlines() if "model.keras" not in line]
    assert max(map(len, body)) <= 100
    assert "…" not in result.stdout


def test_json_is_all_there_is_on_stdout_and_a_gate_exits_with_3(files):
    words = ("--model", files / "model.keras", "--dataset", files / "toy.npz", "--json", "--batch-size", 4)
    result = run(*words, "--fail-under", "accuracy=1.01")
    assert isinstance(result.exception, GateError)
    assert result.exception.exit_code == 3
    facts = json.loads(result.stdout)
    assert result.exception.args[0].endswith(f"accuracy is {facts['metrics']['accuracy']:g}.")
    assert run(*words, "--fail-under", f"accuracy={facts['metrics']['accuracy']}").exit_code == 0
    assert run(*words, "--split", "train", "--limit", 3).exit_code == 0


def test_of_many_classes_the_worst_are_shown(tmp_path):
    network(classes=30).save(tmp_path / "model.keras")
    pixels, _ = images_of(60)
    np.savez(tmp_path / "toy.npz", x_train=pixels, y_train=np.arange(60) % 30, x_test=pixels, y_test=np.arange(60) % 30)
    result = run("--model", tmp_path / "model.keras", "--dataset", tmp_path / "toy.npz")
    assert result.exit_code == 0, result.exception
    assert "the 20 worst of 30 classes" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fail-under", "acuracy=1"], "Did you mean 'accuracy'"),
        (["--model", "model.keras"], "name a dataset with --dataset"),
        (["--model", "model.keras", "--dataset", "mnist"], "images of 28x28x1, but the model takes 6x6x1"),
        (["--model", "model.keras", "--dataset", "toy.npz", "--device", "tpu"], "device must be"),
    ],
)
def test_words_that_make_no_sense(files, monkeypatch, words, message):
    monkeypatch.chdir(files)
    result = run(*words)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


NAMES = ("robin", "wren", "crow", "owl")


@pytest.mark.parametrize("remembered", [False, True], ids=["given", "remembered"])
def test_the_classes_have_the_names_that_were_said_of_the_model(files, tmp_path, monkeypatch, remembered):
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    said = ["--class-names", "names.txt"]
    if remembered:
        CliRunner().invoke(cli, ["inspect", "model.keras", *said, "--remember"], catch_exceptions=False)
        said = []
    words = ("--model", "model.keras", *said, "--dataset", "toy.npz")
    table = run(*words)
    shown = [line.split()[0] for line in table.stdout.splitlines() if line.split()]
    assert [word for word in shown if word in NAMES] == list(NAMES)
    assert "other names" not in table.stderr, "an .npz file has numbers for its classes, and no names"
    facts = json.loads(run(*words, "--json").stdout)
    assert facts["classes"] == list(NAMES)
    assert [name for name in facts["metrics"] if "/" in name] == [f"class_accuracy/{name}" for name in NAMES]


def test_names_said_of_a_model_that_are_not_the_dataset_s_are_noted(model):
    opened = cnnlab.load(model, class_names=NAMES)
    found = evaluate(opened, dataset_of())
    assert found.class_names == NAMES
    assert [note for note in found.notes if "matched by number" in note]


def test_nothing_is_counted_of_no_image_and_of_labels_that_are_none(opened):
    pixels = np.zeros((2, 6, 6, 1), np.float32)
    with pytest.raises(CnnlabError, match="there is no image to evaluate the model on"):
        tally(opened, Inputs(lambda wanted: pixels[wanted], np.zeros(0), []), 10)
    for label in (-1, 4):
        with pytest.raises(
            UsageError, match=rf"the images have the label {label}, but the model has 4 classes, 0 to 3"
        ):
            tally(opened, Inputs(lambda wanted: pixels[wanted], np.array([0, label]), ["a", "b"]), 10)


@pytest.mark.parametrize("limit", [21, pytest.param(1, marks=pytest.mark.full)])
def test_processes_share_the_images_and_the_first_tells_what_one_would(tmp_path, model, together, limit):
    """Of two processes one has ten of 21 images and the other eleven; of one image one has none."""
    model.save(tmp_path / "model.keras")
    images, labels = images_of(21)
    np.savez(tmp_path / "toy.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    words = [
        "--model",
        tmp_path / "model.keras",
        "--trust",
        "--dataset",
        tmp_path / "toy.npz",
        "--limit",
        limit,
        "--json",
    ]
    done, other = together(2, "cnnlab", "evaluate", *words, "--out", tmp_path / "two")
    assert (done.returncode, other.returncode) == (0, 0), done.stderr + other.stderr
    alone = evaluate(cnnlab.load(tmp_path / "model.keras"), str(tmp_path / "toy.npz"), limit=limit)
    said, expected = json.loads(done.stdout), alone.to_json()
    assert said["metrics"].pop("images_per_second") > 0
    expected["metrics"].pop("images_per_second")
    assert said["metrics"] == expected["metrics"]
    assert said["confusion"] == expected["confusion"]
    arrays = cnnlab.Result.load(tmp_path / "two").arrays
    for name, value in alone.result().arrays.items():
        np.testing.assert_array_equal(arrays[name], value)
