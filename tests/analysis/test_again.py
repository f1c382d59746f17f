"""The request that gives a saved result again, as far as its record tells it."""

from __future__ import annotations

import pytest

import cnnlab
from cnnlab.analysis.again import request_of
from cnnlab.analysis.command import command_of


@pytest.fixture
def asked(classifier):
    """What an analysis found of test images: ``asked(name, indices, **params) -> (record, inputs)``."""

    def ask(name: str, indices=None, **params):
        images = None if indices is None else cnnlab.datasets.load("mnist").test[indices]
        found = cnnlab.analyze(name, classifier, images, seed=3, **params)
        return found.record, found.inputs

    return ask


def test_images_of_a_dataset_and_what_is_not_by_default_are_named(asked, classifier):
    record, told = asked("occlusion", [4, 5, 9], patch=5)
    words = f"--model {classifier.path} --dataset mnist --index 4:6 --index 9 --patch 5 --seed 3"
    assert command_of(request_of(record, told)) == f"cnnlab analyze occlusion {words}"


def test_of_the_model_alone_nothing_else_is_named(asked, classifier):
    assert command_of(request_of(*asked("filters"))) == f"cnnlab analyze filters --model {classifier.path} --seed 3"


def test_what_a_record_does_not_tell_is_no_request(asked):
    record, told = asked("occlusion", [4])
    model = record["model"]
    unknown = [
        (record | {"analysis": "of-nobody"}, told),
        (record | {"plugin": {"distribution": "cnnlab-other", "version": "1.0"}}, told),
        (record | {"model": model | {"path": None}}, told),
        (record | {"model": model | {"about": {"class_names": ["a"] * 10}}}, told),
        (record | {"params": {"patches": 4}}, told),
        (record, [told[0] | {"source": "drawing"}]),
        (record, [told[0] | {"source": __file__}]),
    ]
    assert request_of(record, told) is not None
    assert [request_of(*each) for each in unknown] == [None] * len(unknown)


def test_what_was_said_of_the_model_is_said_again(asked):
    record, told = asked("filters")
    about = {"signature": "serve", "input_range": [0.0, 255.0], "layout": None}
    command = command_of(request_of(record | {"model": record["model"] | {"about": about}}, told))
    assert "--signature serve --input-range 0,255" in command
