"""Attacks on disk whose record and folder lack something, or that no PNG can hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import cnnlab
from cnnlab.adversarial.names import ADVERSARIAL_ARRAYS
from cnnlab.errors import CnnlabError
from cnnlab.verification.verify import verify


@pytest.fixture(scope="module")
def honest(opened, images, attack, install_analysis, tmp_path_factory):
    folder = tmp_path_factory.mktemp("honest") / "out"
    drawn, labels = images
    with pytest.MonkeyPatch.context() as patch:
        install_analysis(patch, attack, arrays=ADVERSARIAL_ARRAYS)
        cnnlab.analyze("one", opened, drawn[:3], labels[:3]).save(folder)
    return folder


@pytest.fixture
def saved(honest, tmp_path):
    return Path(shutil.copytree(honest, tmp_path / "out"))


def edited(folder: Path, edit) -> Path:
    record = json.loads((folder / "result.json").read_text())
    edit(record)
    (folder / "result.json").write_text(json.dumps(record))
    return folder


def said(folder: Path, model, claim: str) -> list[tuple[str, str]]:
    return [(each.state, each.says) for each in verify(folder, model).findings if each.claim == claim]


def test_an_image_less_than_were_given_is_found(saved, opened):
    edited(saved, lambda record: record["inputs"].pop())
    assert said(saved, opened, "original") == [("fails", "There are 3, and 2 images were given.")]


def test_a_figure_without_a_digest_is_found(saved, opened):
    edited(saved, lambda record: record["figures"].append("figure-mine.png"))
    assert ("fails", "The record holds no digest of figure-mine.png.") in said(saved, opened, "files")


def test_a_model_without_a_path_is_asked_for(saved, opened):
    edited(saved, lambda record: record["model"].update(path=None))
    with pytest.raises(CnnlabError, match="was made of a model without a path; name the model with `model=`"):
        verify(saved)
    assert said(saved, opened, "model")[0][0] == "holds"


def test_images_of_more_channels_than_a_png_has_are_in_the_arrays_alone(adversarial, attack, save_model, tmp_path):
    model = cnnlab.load(save_model(tmp_path / "five.keras", seed=1, shape=(8, 8, 5)))
    adversarial(attack)
    drawn = np.random.default_rng(0).random((2, 8, 8, 5), np.float32)
    cnnlab.analyze("one", model, drawn).save(tmp_path / "out")
    assert not (tmp_path / "out" / "images").exists()
    assert not verify(tmp_path / "out", model).failed
    assert said(tmp_path / "out", model, "images") == []
