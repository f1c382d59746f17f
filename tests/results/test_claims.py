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
