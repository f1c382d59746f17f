"""A model goes when nobody holds it any more: what was compiled for it is kept on it, and in no cache of a module."""

from __future__ import annotations

import gc
import weakref

import keras

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


def test_an_analysis_keeps_no_model_alive(tiny_models):
    """All are asked, each about a model of its own, before the garbage is collected, which takes long in tests."""
    results, models = {}, {}
    for name in ASK:
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        opened = cnnlab.load(model, input_range=(0, 1))
        images, _ = tiny_models.images((8, 8, 1), 2)
        results[name] = cnnlab.analyze(name, opened, images, **ASK[name])
        models[name] = weakref.ref(opened)
        del opened, model
    gc.collect()
    assert [name for name, model in models.items() if model() is not None] == []
    assert all(result.drawing() is not None for result in results.values())


def test_what_is_compiled_is_made_once(tiny_models):
    classifier = tiny_models.linear((5, 5, 1))
    made = []
    first, again, other = (
        classifier.compiled(key, lambda: made.append(1) or object()) for key in (("a", 1), ("a", 1), ("a", 2))
    )
    assert first is again
    assert first is not other
    assert len(made) == 2
