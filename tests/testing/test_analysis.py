"""The promise that numbers follow from the saved arrays is broken by an analysis that breaks it."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.plugin import Array, Doc, Params, Result
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
        with pytest.raises((AssertionError, CnnlabError), match=broken):
            promise(tiny_models, tmp_path, monkeypatch)
    else:
        promise(tiny_models, tmp_path, monkeypatch)


@dataclass(frozen=True, kw_only=True)
class Needed(Params):
    size: Annotated[int, Doc("A size.")]


def held(**params):
    class Held(AnalysisContract):
        analysis = "one"

    Held.params = params
    return Held()


def test_a_parameter_without_a_default_is_given_by_the_contract(analysis):
    analysis(run, params=Needed)
    held(size=1).test_the_defaults_are_valid()
    with pytest.raises(UsageError, match="size"):
        held().test_the_defaults_are_valid()
    analysis(run)
    held().test_the_defaults_are_valid()


def test_a_refusal_of_a_model_that_ignores_its_input_is_no_crash(analysis, tiny_models):
    def refuse(classifier, inputs, params, context):
        raise CnnlabError("nothing depends on the image.")

    analysis(refuse)
    held().test_a_model_that_ignores_its_input(tiny_models)
    analysis(lambda *_: 1 / 0)
    with pytest.raises(CnnlabError, match="ZeroDivisionError"):
        held().test_a_model_that_ignores_its_input(tiny_models)


def test_without_sum_up_there_is_nothing_to_hold_the_numbers_against(analysis, tiny_models, tmp_path, monkeypatch):
    analysis(run, arrays=ARRAYS)
    with pytest.raises(pytest.skip.Exception, match="declares no sum_up"):
        held().test_the_numbers_follow_from_the_saved_arrays(tiny_models, tmp_path, monkeypatch)
