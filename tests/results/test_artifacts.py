"""Files that an analysis writes itself: staged, moved with the result, listed, linked, and gone with it."""

from __future__ import annotations

import gc
import json
import os

import numpy as np
import pytest

from cnnlab.analysis import host
from cnnlab.analysis.context import Context
from cnnlab.drawings import Picture
from cnnlab.errors import CnnlabError, FailedError
from cnnlab.inputs import from_arrays
from cnnlab.reports import page
from cnnlab.reports.subject import Answer
from cnnlab.results.artifacts import EMBEDDED, Attached
from cnnlab.results.keeping import kept_of
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier

MODEL = FakeClassifier.of_brightness()
IMAGES = np.zeros((2, 2, 2, 1), np.float32)


@pytest.fixture
def animated(analysis):
    """Runs an analysis that writes an animation, and one file of another kind."""

    def run(write=lambda context: None, **options):
        def mathematics(classifier, inputs, params, context):
            context.artifact("frames.gif").write_bytes(b"GIF89a")
            context.artifact("notes").write_text("seen")
            write(context)
            return Result(metrics={"one": 1.0}, drawings={"": Picture(values=np.eye(2))})

        declared = analysis(mathematics, metrics={"one": "a metric"})
        return host.run(declared, MODEL, from_arrays(MODEL, IMAGES), declared.params(), **options)

    return run


def test_they_are_moved_with_the_result_and_listed(animated, tmp_path):
    result = animated()
    files = result.save(tmp_path / "out")
    assert tmp_path / "out" / "artifacts" / "frames.gif" in files
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["artifacts"] == [
        {"file": "artifacts/frames.gif", "media_type": "image/gif"},
        {"file": "artifacts/notes", "media_type": "application/octet-stream"},
    ]
    assert {"artifacts/frames.gif", "artifacts/notes"} <= set(record["files"])
    again = Result.load(tmp_path / "out")
    assert {name: path.read_bytes() for name, path in again.artifacts.items()} == {
        "frames.gif": b"GIF89a",
        "notes": b"seen",
    }
    again.save(tmp_path / "copy")
    assert (tmp_path / "copy" / "artifacts" / "notes").read_text() == "seen"


def test_a_result_that_takes_the_place_of_another_takes_its_files_along(animated, tmp_path):
    animated().save(tmp_path / "out")
    other = animated()
    kept_of(other, "metrics").save(tmp_path / "out")
    assert not (tmp_path / "out" / "artifacts").exists()


def test_what_was_written_and_not_saved_is_gone_with_the_result(animated):
    result = animated()
    (path, _) = result.artifacts.values()
    assert path.read_bytes() == b"GIF89a"
    folder = path.parent
    del result, path, _
    gc.collect()
    assert not folder.exists()


@pytest.mark.parametrize("make", [lambda path: None, os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/hosts", path)])
def test_what_is_no_file_costs_itself_alone(animated, tmp_path, make):
    result = animated(lambda context: make(context.artifact("odd.bin")))
    said = "the analysis 'one' of cnnlab-one 3.1 asked for the artifact 'odd.bin' and wrote no such file."
    assert result.warnings == [said]
    result.save(tmp_path / "out")
    assert set(Result.load(tmp_path / "out").artifacts) == {"frames.gif", "notes"}


@pytest.mark.parametrize("name", ["", "../frames.gif", "a/b", ".hidden", "-x", "a b", "x" * 101, "a\n", "/etc/passwd"])
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(ValueError, match=r"an artifact's name is letters, digits, .* received"):
        Context().artifact(name)


def test_a_record_that_leads_elsewhere_is_refused(animated, tmp_path):
    animated().save(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    record["artifacts"][0]["file"] = "artifacts/../../secret"
    (tmp_path / "out" / "result.json").write_text(json.dumps(record))
    with pytest.raises(CnnlabError, match=r"result\.json"):
        Result.load(tmp_path / "out")


def test_they_are_linked_on_pages_and_in_notebooks(animated):
    result = animated()
    link = 'download="frames.gif"'
    assert link in result._repr_html_()
    figure = Answer(result).figure()
    assert [file.media_type for file in figure.attached] == ["image/gif", "application/octet-stream"]
    links = list(page._links(figure, 1, {}))
    assert ("frames.gif", "data:image/gif;base64,R0lGODlh") in [(each.name, each.href) for each in links]


def test_a_large_one_is_told_and_not_held_by_a_page(tmp_path):
    (tmp_path / "large.bin").write_bytes(b"\0" * (EMBEDDED + 1))
    attached = Attached.of("large.bin", tmp_path / "large.bin")
    assert (attached.size, attached.address) == (EMBEDDED + 1, "")


def test_with_metrics_alone_none_is_kept(animated):
    kept = kept_of(animated(), "metrics")
    assert not kept.artifacts
    assert "artifacts" not in kept.record
    assert {"artifacts/frames.gif", "artifacts/notes"} <= set(kept.record["left_out"])


def test_a_wrong_name_is_the_plugins_mistake_and_no_wrong_command_line(animated):
    with pytest.raises(FailedError, match=r"cnnlab-one 3\.1 failed: ValueError: an artifact's name is letters"):
        animated(lambda context: context.artifact("../frames.gif"))


def test_an_analysis_of_some_images_at_a_time_gives_none():
    with pytest.raises(ValueError, match="an `independent` analysis sees some of the images at a time"):
        Context().part(0, None).artifact("frames.gif")
