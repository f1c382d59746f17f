"""Attacks on disk whose record and folder lack something, or that no PNG can hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import cnnlab
from cnnlab.adversarial.judge import OTHER_DEVICE
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


def less_sure(folder: Path, share: float) -> None:
    """Change one confidence by a share of what a GPU may be off by."""
    with np.load(folder / "arrays.npz") as held:
        arrays = {name: held[name] for name in held.files}
    confidence = arrays["confidence_after"]
    place = np.unravel_index(np.abs(confidence - 0.5).argmin(), confidence.shape)
    found = float(confidence[place])
    confidence[place] = found + share * 2 * OTHER_DEVICE * found * (1 - found)
    np.savez(folder / "arrays.npz", **arrays)


@pytest.mark.parametrize("device", ["cpu", "gpu:0"])
def test_what_holds_as_closely_as_a_gpu_computes_alone_is_named(saved, opened, device):
    """Whoever forges confidences may say that a GPU gave them, but not in silence."""
    edited(saved, lambda record: record.update(device=device))
    assert said(saved, opened, "confidence_after")[0][0] == "holds"
    less_sure(saved, 0.9)
    (state, says) = said(saved, opened, "confidence_after")[0]
    assert state == ("fails" if device == "cpu" else "not checked")
    assert "(1 of 9; first: image " in says
    less_sure(saved, 200)
    assert said(saved, opened, "confidence_after")[0][0] == "fails"


@pytest.mark.parametrize("device", ["cpu", "gpu:0"])
def test_what_is_said_of_a_png_is_held_as_closely(saved, opened, device):
    def edit(record):
        record["device"] = device
        entry = min(record["images"], key=lambda each: abs(each["confidence_after"] - 0.5))
        found = entry["confidence_after"]
        entry["confidence_after"] += 0.9 * 2 * OTHER_DEVICE * found * (1 - found)

    edited(saved, edit)
    found = said(saved, opened, "images")
    assert [state for state, _ in found] == (["fails"] if device == "cpu" else ["holds", "not checked"])
    assert "is said to be read with confidence" in found[-1][1]


def test_an_entry_of_an_image_that_follows_from_nothing_is_found(saved, opened):
    edited(saved, lambda record: record["images"][0].update(certified=1))
    assert said(saved, opened, "images")[0][1].endswith("is said to be certified 1, and is None.")


def test_a_model_that_lies_elsewhere_is_named_and_one_of_another_kind_found(saved, opened):
    edited(saved, lambda record: record["model"].update(path="production", kind="savedmodel"))
    assert said(saved, opened, "model")[1][1].endswith(": model.path, model.kind.")
    edited(saved, lambda record: record["model"].update(path=str(opened.path)))
    assert said(saved, opened, "model") == [("fails", "It is of the kind keras, not savedmodel.")]


@pytest.mark.parametrize("fact", ["meaning", "axes"])
def test_an_array_that_is_said_to_mean_something_else_is_found(saved, opened, install_analysis, attack, fact):
    with pytest.MonkeyPatch.context() as patch:
        install_analysis(patch, attack, arrays=ADVERSARIAL_ARRAYS)
        assert [state for state, _ in said(saved, opened, "arrays")] == ["holds", "holds"]
        edited(saved, lambda record: record["arrays"]["label"].update({fact: "mine" if fact == "meaning" else ["E"]}))
        assert [state for state, _ in said(saved, opened, "arrays")] == ["holds", "fails"]
    assert said(saved, opened, "arrays")[1][0] == "not checked", "the plugin is gone"
