"""A model goes when nobody holds it any more: what was compiled for it is kept on it, and in no cache of a module."""

from __future__ import annotations

import gc
import weakref

import keras
import pytest

import cnnlab

ASK = {
    "occlusion": {"patch": 4, "stride": 4},
    "fgsm-untargeted": {"epsilon": 0.1, "steps": 2},
    "targeted": {"target": 1, "steps": 2},
    "fooling": {"steps": 2, "classes": (1,)},
    "saliency": {},
    "activations": {},
    "robustness": {"epsilon": 0.1, "steps": 2, "minimal": True},
    "noise-addition": {"target": 1, "steps": 2},
}


@pytest.mark.parametrize("name", ASK)
def test_an_analysis_keeps_no_model_alive(name, tiny_models):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    opened = cnnlab.load(model, input_range=(0, 1))
    images, _ = tiny_models.images((8, 8, 1), 2)
    result = cnnlab.analyze(name, opened, images, **ASK[name])
    gone = weakref.ref(opened)
    del opened, model
    gc.collect()
    assert gone() is None
    assert result.drawing() is not None


def test_what_is_compiled_is_made_once(tiny_models):
    classifier = tiny_models.linear((5, 5, 1))
    made = []
    first, again, other = (
        classifier.compiled(key, lambda: made.append(1) or object()) for key in (("a", 1), ("a", 1), ("a", 2))
    )
    assert first is again
    assert first is not other
    assert len(made) == 2
