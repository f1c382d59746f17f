"""The command that repeats a request: the command line reads it back as the same request."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

import cnnlab
from cnnlab.analysis import request as requests
from cnnlab.analysis.command import command_of, params_of
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.analysis.request import Request
from cnnlab.pluginhost import registry

DIGITS = {"dataset": "mnist", "indices": ("3", "0:2")}


class AskedError(Exception):
    """Stops the command where it would begin to work, with what it was asked for."""


@pytest.fixture
def read_back(monkeypatch):
    """Read a command as the command line does: ``read_back(command) -> Request``."""

    def stop(request, *_):
        raise AskedError(request)

    monkeypatch.setattr(requests, "perform", stop)

    def read(command: str) -> Request:
        from cnnlab.cli import cli

        program, *words = shlex.split(command)
        assert program == "cnnlab"
        with pytest.raises(AskedError) as stopped:
            cli.main(words, standalone_mode=False)
        return stopped.value.args[0]

    return read


@pytest.mark.parametrize(
    ("name", "params", "images"),
    [
        ("occlusion", {"patch": 7, "stride": 3, "fill": "mean"}, DIGITS),
        ("occlusion", {"fill": 0.25}, {"images": [Path("a b.png"), Path("$c.png")], "labels": [3, 4]}),
        (
            "fgsm-untargeted",
            {"epsilon": (0.1, 0.25), "norm": "linf"},
            {"dataset": "mnist", "limit": 5, "split": "train"},
        ),
        ("saliency", {"method": "smoothgrad", "signed": True, "target": "7"}, DIGITS),
        ("saliency", {"signed": False}, {"dataset": "mnist", "mistakes": True, "class_": ("7", "2")}),
        ("filters", {}, {}),
        ("fooling", {"seeds": 2}, {}),
        (
            "activations",
            {"layer": ("conv1", "conv2")},
            {"dataset": "mnist", "least_certain": 4, "one_per_class": True},
        ),
    ],
)
def test_a_command_is_read_back_as_the_request(read_back, tmp_path, name, params, images):
    analysis = registry.find_analysis(name)
    asked = Request(
        analysis=analysis,
        params=params,
        model=ModelChoice(model=tmp_path, input_range="0,255", trust=True),
        images=ImageChoice(**images),
        seed=3,
    )
    read = read_back(command_of(asked))
    assert read.analysis is analysis
    assert analysis.params.from_public(dict(read.params)) == analysis.params.from_public(params)
    assert (read.seed, read.device) == (3, "auto")
    assert Path(read.model.model) == tmp_path
    assert (read.model.input_range, read.model.trust) == ("0,255", True)
    for field, value in images.items():
        assert (
            list(getattr(read.images, field)) == list(value)
            if isinstance(value, tuple | list)
            else (getattr(read.images, field) == value)
        )


def test_an_opened_model_and_a_loaded_dataset_are_called_by_where_they_came_from(opened):
    asked = Request(
        analysis=registry.find_analysis("occlusion"),
        model=ModelChoice(model=opened),
        images=ImageChoice(dataset=cnnlab.datasets.load("mnist"), indices=("7",)),
    )
    words = ["--model", str(opened.path), "--dataset", "mnist", "--index", "7"]
    assert shlex.split(command_of(asked)) == ["cnnlab", "analyze", "occlusion", *words]


def test_there_is_none_for_what_was_never_on_the_disk(tmp_path):
    asked = Request(
        analysis=registry.find_analysis("occlusion"),
        model=ModelChoice(model=tmp_path),
        images=ImageChoice(images=np.zeros((1, 28, 28, 1))),
    )
    assert command_of(asked) == ""


def test_what_nobody_gave_is_left_out():
    params = registry.find_analysis("saliency").params
    given = {"target": None, "signed": False, "method": "smoothgrad"}
    assert list(params_of(params, given)) == ["--no-signed", "--method", "smoothgrad"]
