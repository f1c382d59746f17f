"""Fractions in percent: no rounding to certainty, anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cnnlab.render.axis import axis_over
from cnnlab.words import percent

inside = st.floats(0, 1, exclude_min=True, exclude_max=True)


@given(inside, st.integers(0, 3))
def test_only_certainty_is_written_as_100_and_only_impossibility_as_0(fraction, digits):
    said = percent(fraction, digits)
    number, step = float(said.strip("<%")), 10.0**-digits
    assert 0 < number < 100
    assert abs(number - 100 * fraction) <= step
    assert said.startswith("<") == (fraction < 10.0 ** -(digits + 2))


def test_what_is_no_share_is_written_as_it_is():
    assert [percent(value) for value in (1.5, -0.25, float("nan"))] == ["150.0%", "-25.0%", "-"]


@given(inside)
def test_an_axis_rounds_none_of_its_values_to_certainty_either(fraction):
    words = axis_over([np.array([0.0, 1.0])], percent=True).word(fraction)
    assert words not in ("0%", "100%") or abs(fraction) < 1e-12


@pytest.mark.parametrize(
    ("fraction", "said"), [(0.2, "20%"), (0.9997, "99.97%"), (1.0, "100%"), (0.0, "0%"), (0.125, "12.5%")]
)
def test_the_ticks_of_an_axis_are_short(fraction, said):
    assert axis_over([np.array([0.0, 1.0])], percent=True).word(fraction) == said
