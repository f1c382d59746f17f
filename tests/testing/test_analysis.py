"""The promise that numbers follow from the saved arrays is broken by an analysis that breaks it."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from cnnlab.plugin import Array, Result
from cnnlab.testing import AnalysisContract

ARRAYS = {"mean": Array("mean of the pixels", axes=("N",))}


def run(classifier, inputs, params, context):
    return Result(arrays={"mean": inputs.images.mean(axis=(1, 2, 3))})


def honest(classifier, result, params):
    return Result(headline="Well", metrics={"m": float(result.arrays["mean"].mean())}, columns=dict(result.arrays))


def remembering(classifier, result, params):
    """Says something else every time."""
    remembering.calls += 1
    return Result(metrics={"m": float(remembering.calls)})


def asking(classifier, result, params):
    return Result(metrics={"m": float(classifier.logits(np.zeros((1, 8, 8, 1), np.float32)).sum())})


@pytest.mark.parametrize(("sum_up", "broken"), [(honest, ""), (remembering, "m is 2"), (asking, "asked the model")])
def test_numbers_that_do_not_follow_are_found_out(analysis, tiny_models, tmp_path, monkeypatch, sum_up, broken):
    remembering.calls = 0
    module = types.ModuleType("summing_up")
    module.sum_up = sum_up
    monkeypatch.setitem(sys.modules, "summing_up", module)
    analysis(run, arrays=ARRAYS, metrics={"m": "mean of the means"}, sum_up="summing_up:sum_up")

    class Held(AnalysisContract):
        analysis = "one"

    promise = Held().test_the_numbers_follow_from_the_saved_arrays
    if broken:
        with pytest.raises(AssertionError, match=broken):
            promise(tiny_models, tmp_path, monkeypatch)
    else:
        promise(tiny_models, tmp_path, monkeypatch)
