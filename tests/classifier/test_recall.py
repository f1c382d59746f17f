"""What was just answered is recalled for the same bytes, and for nothing else."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import cnnlab
from cnnlab.classifier.recall import Recall
from cnnlab.plugin import ClassLogit, LogOdds

SHAPE = (6, 6, 1)


def test_the_same_question_of_the_same_bytes_is_answered_once():
    recall, images, asked = Recall(), np.zeros((2, 3), np.float32), []

    def answer():
        asked.append(1)
        return (images.copy(),)

    for what, of in (
        ("a", [images]),
        ("b", [images]),
        ("a", [images, images]),
        ("a", [images.reshape(3, 2)]),
        ("a", [images.astype(np.int32)]),
        ("a", [images + 1]),
    ):
        before = len(asked)
        recall(what, of, answer)
        recall(what, [array.copy() for array in of], answer)
        assert len(asked) == before + 1
    images[0, 0] = 7
    assert recall("a", [images], answer)[0][0, 0] == 7, "an array that was written to is another one"


def test_an_answer_answers_what_it_implies():
    recall, images, labels = Recall(), np.zeros((2, 3), np.float32), np.arange(2)

    def implied(answer):
        return [("half", [images], (answer[0] / 2,)), ("other", [images, labels + 1], answer)]

    whole = recall("whole", [images, labels], lambda: (images + 1,), implied)
    never = pytest.fail
    assert np.array_equal(recall("half", [images.copy()], lambda: never("asked"))[0], whole[0] / 2)
    assert recall("other", [images, np.array([1, 2])], lambda: never("asked")) is whole
    recall("whole", [images, labels], lambda: never("asked"), lambda answer: never("implied again"))


def test_no_more_is_kept_than_is_said():
    recall, asked = Recall(most=4 * 10), []

    def answer(size):
        asked.append(size)
        return (np.zeros(size, np.float32),)

    for _ in range(2):
        for place, size in enumerate((6, 5, 4)):
            recall("a", [np.array(place)], lambda size=size: answer(size))
    assert asked == [6, 5, 4, 5]


@pytest.fixture
def counted(tiny_models, monkeypatch):
    """A model, and how many images each of its passes was of."""
    model, passes = tiny_models.convolutional(SHAPE), []
    streamed = model._streamed

    def watched(function, *arrays, **more):
        def called(*batch):
            passes.append(len(batch[0]))
            return function(*batch)

        return streamed(called, *arrays, **more)

    monkeypatch.setattr(model, "_streamed", watched, raising=False)
    return model, passes


def test_a_gradient_brings_the_logits_and_is_recalled_by_the_class_that_was_read(counted, tiny_models):
    model, passes = counted
    images, _ = tiny_models.images(SHAPE, 40)
    read = model.predict(images)
    wanted = model.logits(images), model.input_gradient(images, read, of="logit")
    with model.recalling():
        passes.clear()
        found = model.logits_and_gradient(images, np.full(40, -1), ClassLogit())
        for one, other in zip(wanted, found, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
        assert np.array_equal(model.logits(images), found[0])
        assert np.array_equal(model.input_gradient(images, read, of="logit"), found[1])
        assert passes == [48]
        model.logits_and_gradient(images, read, LogOdds())
        model.logits(images[:20])
        assert passes == [48, 48, 32], "another value, and other images, are computed"
    model.logits(images)
    assert passes == [48, 48, 32, 48], "it is forgotten at the end"


def test_a_gradient_may_be_the_first_that_is_asked_of_a_model(monkeypatch):
    """Weights that functions share are made where the model is, not in what is being compiled."""
    monkeypatch.setattr("cnnlab.classifier.freeze.SHARED", 64)
    keras.utils.set_random_seed(0)
    layers = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)]
    model, images = cnnlab.load(keras.Sequential(layers)), np.full((2, *SHAPE), 0.5, np.float32)
    logits, gradient = model.logits_and_gradient(images, np.array([0, 2]), ClassLogit())
    np.testing.assert_allclose(logits, model.logits(images), atol=1e-6)
    kernel = layers[-1].kernel.numpy()
    np.testing.assert_allclose(gradient.reshape(2, -1), kernel[:, [0, 2]].T, atol=1e-6)


def test_what_is_recalled_cannot_be_written_to_by_whoever_was_told(counted, tiny_models):
    model, _ = counted
    images, _ = tiny_models.images(SHAPE, 4)
    with model.recalling():
        first = model.logits(images)
        kept = first.copy()
        first[:] = 0
        assert np.array_equal(model.logits(images), kept)


def test_an_attack_begins_with_what_was_looked_at(counted, tiny_models):
    model, passes = counted
    images, labels = tiny_models.images(SHAPE, 20)
    cnnlab.analyze("fgsm-untargeted", model, images, labels, epsilon=[0.1], progress=False)
    assert passes == [32] * 3, "the gradient with the logits, what was found, and that in 8 bits"
