"""Names with escape sequences, marks of direction, styles and HTML, through the commands: shown, and not obeyed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import cnnlab
from cnnlab.cli import cli, main

NAME = "cat\x1b[2J\x1b]0;owned\x07\x9b1m\u202e[red]<script>alert(1)</script>"
CLASSES = [f"{NAME}{number}" for number in range(10)]
SIZE = (6, 6, 1)
IMAGES = np.random.default_rng(0).random((4, *SIZE), dtype=np.float32)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, *SIZE), name="images")])
    def __call__(self, images):
        weights = tf.reshape(tf.cos(tf.range(360, dtype=tf.float32)), (36, 10))
        return tf.nn.softmax(tf.matmul(tf.reshape(images, (-1, 36)), weights))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model whose classes are called so, in a folder that is, with images, a result and an evaluation of it."""
    folder = tmp_path_factory.mktemp("names") / "a\x1b2J\u202eb"
    folder.mkdir()
    module = Model()
    tf.saved_model.save(module, str(folder / "model"), signatures=module.__call__.get_concrete_function())
    (folder / "model" / "cnnlab.json").write_text(json.dumps({"class_names": CLASSES}))
    np.save(folder / "image.npy", IMAGES[0])
    labels = np.arange(4)
    np.savez(folder / "data.npz", x_train=IMAGES, y_train=labels, x_test=IMAGES, y_test=labels)
    cnnlab.analyze("occlusion", cnnlab.load(folder / "model"), IMAGES).save(folder / "result")
    record = json.loads((folder / "result" / "result.json").read_text("utf-8"))
    record["headline"], record["warnings"] = NAME, [NAME]
    record["metrics"][NAME] = 1.0
    (folder / "forged").mkdir()
    for file in (folder / "result").iterdir():
        if file.is_file():
            (folder / "forged" / file.name).write_bytes(file.read_bytes())
    (folder / "forged" / "result.json").write_text(json.dumps(record))
    return folder


COMMANDS = {
    "summary": ["summary", "{}/model"],
    "inspect": ["inspect", "{}/model"],
    "inspect --json": ["inspect", "{}/model", "--json"],
    "predict": ["predict", "--model", "{}/model", "{}/image.npy"],
    "predict --json": ["predict", "--model", "{}/model", "{}/image.npy", "--json"],
    "evaluate": ["evaluate", "--model", "{}/model", "--dataset", "{}/data.npz"],
    "analyze": ["analyze", "occlusion", "--model", "{}/model", "--image", "{}/image.npy", "--out", "{}/out"],
    "compare": ["compare", "{}/result", "{}/forged", "--out", "{}/compare.png"],
    "report": ["report", "{}/model", "--dataset", "{}/data.npz", "--profile", "quick", "--out", "{}/page.html"],
    "verify": ["verify", "{}/forged"],
    "verify --json": ["verify", "{}/forged", "--json"],
}


@pytest.mark.parametrize(
    "command", [pytest.param(each, marks=[pytest.mark.full] if each == "verify --json" else []) for each in COMMANDS]
)
def test_names_are_shown_and_not_obeyed(folder, command):
    words = [word.replace("{}", str(folder)) for word in COMMANDS[command]]
    done = CliRunner().invoke(cli, words)
    assert not OBEYED.search(done.output)
    if "--json" in command and done.exception is None:
        json.loads(done.stdout)
    assert done.exception is None or command.startswith("verify")  # The forged result does not hold.
    if command in ("inspect", "predict", "evaluate"):
        assert "\\u001b" in done.stdout
    assert command not in ("predict", "evaluate") or "[red]" in done.stdout


def test_runs_with_such_names_are_listed(trained_run, tmp_path, monkeypatch):
    run = shutil.copytree(trained_run.path, tmp_path / "runs" / "a\x1b[2J\u202eb")
    record = json.loads((run / "run.json").read_text("utf-8"))
    record["dataset"]["name"] = record["architecture"] = record["device"] = NAME
    (run / "run.json").write_text(json.dumps(record))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["runs"])
    assert done.exit_code == 0, done.output
    assert not OBEYED.search(done.output)
    assert "\\u001b[2J" in done.output
    listed = CliRunner().invoke(cli, ["runs", "--json"])
    assert not OBEYED.search(listed.output)
    assert NAME in listed.stdout.encode().decode("unicode_escape")


@pytest.mark.parametrize(
    "words",
    [
        ["summary", f"{NAME}.keras"],
        ["analyze", "occlusion", "--model", "{}/model", "--image", f"{NAME}.png"],
        ["verify", "{}/forged\x1b[2J"],
        ["evaluate", "--model", "{}/model", "--dataset", "{}/data.npz", f"--{NAME}"],
        [NAME],
    ],
    ids=["model", "image", "result", "option", "command"],
)
def test_names_in_errors_are_shown_and_not_obeyed(folder, capsys, monkeypatch, words):
    monkeypatch.setattr("sys.argv", ["cnnlab", *(word.replace("{}", str(folder)) for word in words)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code in (1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert not OBEYED.search(err)
    assert "\\u001b" in err or "\\x1b" in err


def test_pages_escape_names_and_run_nothing_of_theirs(folder):
    page = cnnlab.load(folder / "model")
    shown = cnnlab.analyze("occlusion", page, IMAGES[:1])._repr_html_()
    assert "<script>alert" not in shown
