"""What is said of a model, in files: what cannot be meant gets one sentence."""

from __future__ import annotations

import json
import os

import pytest

from cnnlab.classifier.hints import About, read_class_names, recall, sidecar
from cnnlab.errors import CnnlabError


@pytest.mark.parametrize(
    "said",
    [
        {"signature": 5},
        {"output": ["a"]},
        {"input_range": 3},
        {"input_range": [0, 10**400]},
        {"input_range": [0, 1, 2]},
        {"input_range": {"0": 1}},
        {"input_range": [[], {}]},
        {"layout": []},
        {"class_names": []},
        {"class_names": ["a", 1]},
        {"class_names": {"a": 1}},
        {"layout": "x" * 5000},
    ],
    ids=lambda said: json.dumps(said)[:40],
)
def test_a_memory_of_another_type_is_refused(tmp_path, said):
    sidecar(tmp_path).write_text(json.dumps(said))
    with pytest.raises(CnnlabError, match=r"cnnlab\.json cannot be understood: .*\. Mend or delete it\.") as refusal:
        recall(tmp_path)
    assert len(str(refusal.value)) < 600


def test_a_memory_that_is_no_file_is_refused(tmp_path):
    assert recall(tmp_path) == About()
    os.mkfifo(sidecar(tmp_path))
    with pytest.raises(CnnlabError, match="is a pipe, where a file was expected"):
        recall(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\n \n", "holds no class names"),
        ("a.txt", b"\xff", "no text in UTF-8"),
        ("a.json", b"{}", "a JSON list of names"),
        ("a.json", b"[[]]", "a JSON list of names"),
        ("a.json", b"[", "is no JSON"),
        ("none", None, "there is no file"),
    ],
)
def test_class_names_that_cannot_be_read_are_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CnnlabError, match=message):
        read_class_names(tmp_path / name)


def test_class_names_are_read_one_a_line_or_from_a_list(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\n two \n")
    (tmp_path / "a.json").write_text('["one", 2]')
    assert read_class_names(tmp_path / "a.txt") == ["one", "two"]
    assert read_class_names(tmp_path / "a.json") == ["one", "2"]
