"""Intervals of differences over pairs: published cases, and how often they hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.numerics import mean_interval, paired_share_interval


def pairs(both, only_first, only_second, neither):
    cells = [[True, True], [True, False], [False, True], [False, False]]
    return np.repeat(np.array(cells), [both, only_first, only_second, neither], axis=0).T


@pytest.mark.parametrize(
    ("table", "published"),
    [
        ((36, 2, 12, 0), (0.0569, 0.3404)),  # Newcombe 1998, method 10
        ((14, 0, 5, 22), (0.0115, 0.2265)),  # Altman et al., Statistics with Confidence (2000), table 6.2
    ],
)
def test_published_intervals_of_paired_shares(table, published):
    first, second = pairs(*table)
    assert paired_share_interval(first, second) == pytest.approx(published, abs=5e-5)
    low, high = paired_share_interval(second, first)
    assert (-high, -low) == pytest.approx(published, abs=5e-5)


def test_pairs_that_all_agree_leave_a_doubt():
    low, high = paired_share_interval(*pairs(20, 0, 0, 0))
    assert -0.2 < low < 0 < high < 0.2
    low, high = paired_share_interval(*pairs(10, 0, 0, 10))
    assert low <= 0 <= high


def test_the_interval_of_paired_shares_holds_the_truth_as_often_as_it_says():
    drawn, truth, held = np.random.default_rng(0), 0.1, 0
    for _ in range(500):
        # The second is right wherever the first is, and in a quarter of the other images: 0.6 and 0.7.
        first = drawn.random(80) < 0.6
        second = first | (drawn.random(80) < 0.25)
        low, high = paired_share_interval(first, second)
        held += low <= truth <= high
    assert 0.92 <= held / 500 <= 0.99


def test_the_interval_of_a_mean_is_that_of_a_table_of_t():
    # 2.262 is the 97.5% point of t with 9 degrees of freedom.
    values = np.arange(10.0)
    half = 2.262 * np.sqrt(sum((value - 4.5) ** 2 for value in values) / 9 / 10)
    assert mean_interval(values) == pytest.approx((4.5 - half, 4.5 + half), rel=1e-3)
