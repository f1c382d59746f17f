"""Adversarial images as files: read as what cnnlab writes, and as nothing else."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from cnnlab.errors import CnnlabError
from cnnlab.results import images
from cnnlab.results.claims import Claims


@pytest.mark.parametrize("channels", images.CHANNELS)
def test_what_is_written_is_read(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2, 5, 4, channels), dtype=np.uint8)
    names = images.write(tmp_path, pixels / np.float32(255), Claims(), (0.0, 1.0))
    assert names == ["images/0.png", "images/1.png"]
    for name, expected in zip(names, pixels[0], strict=True):
        assert images.read(tmp_path / name).tolist() == expected.tolist()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PPM", "ICNS"])
def test_another_kind_of_file_in_its_place_is_not_opened(tmp_path, kind):
    Image.new("L", (32, 32)).save(tmp_path / "0.png", format=kind)
    with pytest.raises(CnnlabError, match=r"^0\.png cannot be read as an image: .*cannot identify.*\.$"):
        images.read(tmp_path / "0.png")


def test_pixels_of_another_depth_pipes_and_missing_files_are_named(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "0.png")
    with pytest.raises(CnnlabError, match=r"0\.png holds pixels of the kind I;16, not of 8 bits"):
        images.read(tmp_path / "0.png")
    os.mkfifo(tmp_path / "2.png")
    with pytest.raises(CnnlabError, match=r"2\.png is a pipe, where a file was expected"):
        images.read(tmp_path / "2.png")
    with pytest.raises(CnnlabError, match=r"there is no file .*1\.png"):
        images.read(tmp_path / "1.png")
