"""A small network, a dataset that can be read again, and a run, for whatever is verified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnnlab


@pytest.fixture(scope="module")
def network(save_model, tmp_path_factory):
    """A small network, opened."""
    return cnnlab.load(save_model(tmp_path_factory.mktemp("network") / "network.keras", seed=3))


@pytest.fixture(scope="module")
def spots(tmp_path_factory) -> Path:
    """A dataset that can be read again, of images that are read correctly for the most part."""
    drawn = np.random.default_rng(4)
    images, labels = drawn.integers(0, 256, (24, 8, 8)).astype(np.uint8), np.arange(24) % 4
    path = tmp_path_factory.mktemp("data") / "spots.npz"
    np.savez(path, x_train=images[:16], y_train=labels[:16], x_test=images[16:], y_test=labels[16:])
    return path


@pytest.fixture(scope="session")
def learned(tmp_path_factory) -> Path:
    """A run on a small dataset of its own, some of which it was validated on."""
    drawn, folder = np.random.default_rng(2), tmp_path_factory.mktemp("learned")
    images = drawn.integers(0, 256, (60, 8, 8)).astype(np.uint8)
    labels = (images.mean(axis=(1, 2)) > 127).astype(int)
    np.savez(folder / "spots.npz", x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    cnnlab.train(folder / "spots.npz", epochs=2, validation=10, seed=0, out=folder / "run")
    return folder
