"""Memory is flat in the number of images: what is kept of each are numbers in arrays, and no object of Python's."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

import cnnlab
from cnnlab.datasets import Dataset, Split
from cnnlab.pluginhost.declarations import Array
from cnnlab.results import rows
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier

FEW, MANY = 5_000, 12_000
"""Both are more than are looked at a time."""

MOST = 250
"""Bytes that an image may take at the peak: it has 8 of label, 32 of digest, 8 for each number, some of them twice."""


class Made:
    """Images that are made of their indices: no array of them lies anywhere."""

    dtype = np.dtype(np.uint8)

    def __init__(self, count: int) -> None:
        self.shape = (count, 2, 2)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        return np.repeat(np.asarray(indices) * 37 % 256, 4).reshape(-1, 2, 2).astype(np.uint8)


def made(count: int) -> Dataset:
    split = Split(Made(count), np.arange(count) % 2)
    return Dataset(name="made", train=split[:0], test=split, class_names=("dark", "bright"))


def evaluated(count: int, folder) -> None:
    cnnlab.evaluate(FakeClassifier.of_brightness(), made(count)).result().save(folder, format=None)


def analysed(count: int, folder) -> None:
    cnnlab.analyze("one", FakeClassifier.of_brightness(), made(count).test).save(folder, format=None)


def predicted(count: int, folder) -> None:
    found = cnnlab.predict(FakeClassifier.of_brightness(), made(count).test)
    assert found.right + len(found.sources) > count


def read(count: int, folder) -> None:
    saved = Result.load(folder / str(count))
    tracemalloc.reset_peak()  # a text is read into as much room as the longest may take
    assert len(saved.inputs) == len(saved.rows) == count
    assert saved.inputs[-1]["source"] == saved.rows[-1]["image"] == f"made/test:{count - 1}"


def growth(work: Callable[..., None], folder) -> float:
    """By how many bytes the peak grows with each image."""
    work(FEW, folder if work is read else folder / "first")
    peaks = []
    for count in (FEW, MANY):
        tracemalloc.start()
        work(count, folder if work is read else folder / str(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (peaks[1] - peaks[0]) / (MANY - FEW)


@pytest.fixture
def mean(analysis):
    """An analysis that keeps a number of each image."""

    def run(classifier, inputs, params, context):
        found = context.gather(inputs, lambda images, labels: {"mean": images.mean(axis=(1, 2, 3))})
        return Result(arrays=found, columns={"label": inputs.labels, **found, "bright": found["mean"] > 0.5})

    return analysis(run, arrays={"mean": Array("mean value", axes=("N",))})


@pytest.mark.parametrize("work", [evaluated, analysed, predicted])
def test_an_image_takes_some_hundred_bytes(work, tmp_path, mean, monkeypatch):
    monkeypatch.setattr("cnnlab.results.lists._has_pyarrow", lambda: False)
    monkeypatch.setattr(rows, "MOST", 100)
    monkeypatch.setattr("cnnlab.results.lists.MOST", 100)
    assert growth(work, tmp_path) < MOST


def test_what_was_saved_is_read_into_arrays(tmp_path, mean, monkeypatch):
    monkeypatch.setattr("cnnlab.results.lists._has_pyarrow", lambda: False)
    for count in (FEW, MANY):
        with monkeypatch.context() as patch:
            patch.setattr(rows, "MOST", 100)
            patch.setattr("cnnlab.results.lists.MOST", 100)
            analysed(count, tmp_path / str(count))
    assert growth(read, tmp_path) < MOST
