"""What bounds files, held against the page that promises it."""

from __future__ import annotations

from pathlib import Path

from cnnlab.files import reading
from cnnlab.trust import keras_files, savedmodel, trial


def test_the_limits_are_those_that_the_page_promises():
    page, most = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8"), keras_files
    mib = most.LARGEST_CONFIGURATION / 2**20
    assert f"a Keras configuration {mib:g} MiB, {most.MOST_PARTS:,} parts and {most.DEEPEST} levels" in page
    assert f"`saved_model.pb` has at most {savedmodel.LARGEST_GRAPH / 2**20:g} MiB" in page
    assert reading.MEMORY_SHARE == 0.5
    assert f"or to more than {reading.FREE_BYTES / 2**20:g} MB and {reading.MOST_PACKED} times its size" in page
    assert f"{trial.MEMORY / 2**30:g} GiB" in page
    assert f"{trial.OPEN_FILES} open files" in page
