"""What sums up is a plugin's code also where a saved result is verified: it is guarded as where it ran."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import cnnlab
from cnnlab.results.result import Result
from cnnlab.verification.verify import verify

SUMMED = Result(metrics={"mean": 1.0})


@pytest.fixture
def place(analysis, network, tmp_path):
    """A saved result of an analysis whose ``sum_up`` a test sets."""
    analysis(lambda *given: Result(arrays={"m": np.ones(1)}), sum_up="one_analysis:sum_up")
    sys.modules["one_analysis"].sum_up = lambda *given: SUMMED
    cnnlab.analyze("one", network, np.zeros((1, 8, 8, 1), np.float32)).save(tmp_path / "out")
    return tmp_path / "out"


def test_what_it_prints_is_not_on_standard_output(place, network, capfd):
    def sum_up(*given):
        print("summed up")
        return SUMMED

    sys.modules["one_analysis"].sum_up = sum_up
    assert not verify(place, network).failed
    assert capfd.readouterr() == ("", "cnnlab-one 3.1: summed up\n")


@pytest.mark.parametrize(
    ("does", "says"),
    [
        (lambda: {}["boom"], "failed: KeyError: 'boom'."),
        (lambda: sys.exit(7), "failed: SystemExit: 7."),
        (lambda: None, "returned NoneType where a cnnlab.plugin.Result was expected."),
    ],
)
def test_what_it_does_wrong_is_blamed_on_it(place, network, does, says):
    sys.modules["one_analysis"].sum_up = lambda *given: does()
    (finding,) = verify(place, network).failed
    assert finding.claim == "metrics"
    assert finding.says.startswith(f"the analysis 'one' of cnnlab-one 3.1 {says} Please report it ")
