"""Values of options that several commands share."""

from __future__ import annotations

import re

import click
import pytest

from cnnlab.cli.commands.options import Bytes


@pytest.mark.parametrize(
    ("text", "amount"), [("512M", 512 * 2**20), ("2g", 2 * 2**30), ("3 KiB", 3072), ("4096", 4096), ("1GB", 2**30)]
)
def test_an_amount_of_memory_is_read(text, amount):
    assert Bytes().convert(text, None, None) == amount


@pytest.mark.parametrize("text", ["", "0", "M", "-1M", "1.5G", "1T", "\u0663M", "1M\n"])
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(click.BadParameter, match="expected an amount of memory such as 512M or 2G; received"):
        Bytes().convert(text, None, None)


SEVERAL_LINES = "a\nError: b\tc\u2028d"

TYPED = {
    "an index": ["predict", "--index"],
    "a label": ["predict", "nowhere", "--label"],
    "a model": ["evaluate", "--model"],
    "a dataset": ["train", "--out", "out", "--dataset"],
    "epochs": ["train", "--epochs"],
    "seeds": ["train", "--seeds"],
    "a device": ["train", "--device"],
    "a gate": ["evaluate", "--fail-under"],
    "memory": ["evaluate", "--memory"],
    "a parameter": ["analyze", "occlusion", "--model", "nowhere", "--image", "7.png", "--patch"],
    "an image to export": ["datasets", "export", "mnist", "out.png", "--index"],
    "a run": ["summary"],
    "an analysis": ["analyze"],
    "an option": ["runs"],
    "a name": ["plugins", "new"],
    "a plugin": ["plugins", "show"],
}


@pytest.mark.parametrize("words", TYPED.values(), ids=TYPED)
def test_a_sentence_stays_one_line_whatever_is_in_what_it_received(command_line, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = f"--{SEVERAL_LINES}" if words == ["runs"] else SEVERAL_LINES
    status, out, err = command_line(*words, value)
    assert (status in (1, 2), out) == (True, "")
    (said,) = (line for line in err.splitlines() if "Error: " in line)
    assert err.splitlines()[-1] == said
    assert "a\\nError: b\\tc\\u2028d" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "nowhere", "7.png", "--label", "-1"], "'--label': -1 is not in the range x>=0"),
        (
            ["datasets", "export", "mnist", "out.png", "--index", "test:\u0663"],
            "must be SPLIT:I, such as test:0; received",
        ),
        (["datasets", "export", "mnist", "out.png", "--index", f"test:{'9' * 5000}"], "must be SPLIT:I"),
        (
            ["datasets", "export", "mnist", "out.png", "--index", "test:99999999999999"],
            "no image 99999999999999 in mnist/test; it has 10,000 images, 0 to 9999.",
        ),
    ],
)
def test_a_value_that_means_nothing_is_wrong_usage(command_line, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = command_line(*words)
    assert (status, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_a_signature_without_a_name_is_none(command_line, trained_run):
    status, out, err = command_line("inspect", trained_run.path, "--signature", "")
    assert (status, out) == (2, "")
    assert err.endswith("has no signature ''. There is: 'logits', 'serving_default'.\n")


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "", "7.png"],
        ["predict", "7.png", "--model", ""],
        ["analyze", "occlusion", "--image", ""],
        ["analyze", "occlusion", "--image", "7.png", "--class-names", ""],
        ["analyze", "filters", "--model", ""],
        ["evaluate", "--model", ""],
        ["inspect", ""],
        ["summary", ""],
        ["compare", "", ""],
        ["report", ""],
        ["verify", ""],
        ["verify", "result", "--model", ""],
        ["train", "--dataset", ""],
        ["datasets", "export", "", "7.png", "--index", "test:0"],
    ],
    ids=" ".join,
)
def test_an_empty_path_is_not_the_current_folder(command_line, words, tmp_path, monkeypatch):
    """As a shell gives for a variable that is not set."""
    monkeypatch.chdir(tmp_path)
    status, out, err = command_line(*words)
    assert (status, out) == (2, "")
    assert re.search(r"a path; received an empty one\.$", err.splitlines()[-1])
    assert not list(tmp_path.iterdir())
