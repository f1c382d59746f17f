"""The first kernels while a network is trained: told before the first step and after each epoch, drawn about zero."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import cnnlab
from cnnlab.datasets import Dataset, Split
from cnnlab.training import Reporter, artifacts, drawings, export


class Watching(Reporter):
    """Keeps what it hears of kernels and epochs."""

    def __init__(self):
        self.heard = []

    def kernels(self, layer, kernel):
        self.heard.append((layer, kernel.copy()))

    def epoch_finished(self, row, epochs):
        self.heard.append(row["epoch"])


def test_kernels_are_told_before_the_first_step_and_after_each_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "_drawings", lambda *_: {})
    monkeypatch.setattr(export, "save_savedmodel", lambda *_: None)
    rng = np.random.default_rng(0)
    train, test = (Split(rng.integers(0, 255, (n, 8, 8, 1), np.uint8), np.arange(n) % 2) for n in (24, 8))
    noise = Dataset(name="noise", train=train, test=test, class_names=("a", "b"))
    reporter = Watching()
    run = cnnlab.train(noise, epochs=2, batch_size=8, out=tmp_path / "run", reporter=reporter)
    (name, first), (_, second), one, (_, third), two = reporter.heard
    assert (name, one, two) == ("conv1", 1, 2)
    assert not np.array_equal(first, second)
    assert not np.array_equal(second, third)
    assert np.array_equal(third, keras.models.load_model(run.keras_path).get_layer("conv1").kernel)


@pytest.mark.parametrize(("inputs", "shape"), [(1, (5, 3, 2)), (3, (5, 3, 2, 3)), (2, (10, 3, 2))])
def test_kernels_are_drawn_on_one_scale_about_zero(inputs, shape):
    kernel = np.linspace(-2, 1, 3 * 2 * inputs * 5, dtype=np.float32).reshape(3, 2, inputs, 5)
    sheet = drawings.kernels("conv1", kernel, "after 1 epoch")
    assert sheet.title == "conv1: 5 filters, 3×2, after 1 epoch"
    assert (sheet.scale, sheet.ends) == ("diverging", (-2.0, 2.0))
    assert sheet.array.shape == shape
    last = sheet.array[-1] if inputs != 2 else np.stack(sheet.array[-2:], axis=-1)
    assert np.array_equal(last.reshape(3, 2, inputs), kernel[..., 4])


def test_of_many_kernels_the_first_are_drawn():
    sheet = drawings.kernels("stem", np.zeros((3, 3, 20, 100), np.float32), "after 2 epochs")
    assert sheet.title == "stem: the first 64 of 100 filters, 3×3, after 2 epochs"
    assert len(sheet.array) == 64 * 8
    assert (sheet.across, len(sheet.rows), sheet.ends) == (8, 64, (-1.0, 1.0))
