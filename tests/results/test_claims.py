"""What an attack promises of its images, and what its strengths are called."""

from __future__ import annotations

import json

import pytest

from cnnlab.errors import UsageError
from cnnlab.results.claims import Claims


def test_strengths_must_fit_and_differ():
    with pytest.raises(UsageError, match="one strength for each of 3"):
        Claims(epsilons=(0.1, 0.2)).names(3)
    with pytest.raises(UsageError, match="must differ"):
        Claims(epsilons=(0.1, 0.1)).names(2)
    assert Claims(epsilons=(0.1, 0.1 + 1e-9)).names(2) == ("0.1", "0.100000001")
    assert Claims().names(2) == ("0", "1")


def test_claims_survive_json():
    claims = Claims(norm="l2", epsilons=(1, 2), eight_bit=True, strengths=(3, 4), axis="beta")
    assert Claims.from_json(json.loads(json.dumps({**claims.to_json(), "bounds": [0, 1]}))) == claims


@pytest.mark.parametrize("axis", ["", "Beta", "beta@2", "1beta", "beta-2"])
def test_an_axis_is_a_word(axis):
    with pytest.raises(UsageError, match="the axis of strengths must be called by a lower-case word; received"):
        Claims(strengths=(1, 2), axis=axis)
