"""The calibration error against a loop over bins, by hand, and of models whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.inspection import calibration as module
from cnnlab.inspection.calibration import BINS, bins_of, calibration


def sample(count, seed, lift=0.0):
    """Confidences of a model that is right that often, less ``lift``."""
    drawn = np.random.default_rng(seed)
    confidence = drawn.uniform(0.3, 1.0, count).astype(np.float32)
    return confidence, drawn.random(count) < confidence - lift


def by_loop(confidence, right):
    """The expected calibration error, as Guo et al. define it: the bins are (0, 1/15], (1/15, 2/15], ..."""
    error = 0.0
    for number in range(15):
        inside = [i for i, value in enumerate(confidence) if number / 15 < float(value) <= (number + 1) / 15]
        if inside:
            accuracy = sum(bool(right[i]) for i in inside) / len(inside)
            error += abs(accuracy - sum(float(confidence[i]) for i in inside) / len(inside)) * len(inside)
    return error / len(confidence)


@pytest.mark.parametrize(("count", "lift"), [(1, 0.0), (17, 0.0), (500, 0.1), (500, -0.3)])
def test_the_error_is_that_of_a_loop_over_bins(count, lift):
    confidence, right = sample(count, seed=count, lift=lift)
    found = calibration(confidence, right)
    assert found.error == pytest.approx(by_loop(confidence, right), abs=1e-12)
    assert found.images.sum() == count
    assert found.right.sum() == right.sum()


def test_a_case_worked_out_by_hand():
    # Three images in the bin (0.6, 0.667] of which one is right, one image in the last bin that is right.
    found = calibration(np.array([0.61, 0.63, 0.65, 0.97]), np.array([False, True, False, True]))
    assert np.flatnonzero(found.images).tolist() == [9, 14]
    assert found.accuracy[[9, 14]].tolist() == [pytest.approx(1 / 3), 1.0]
    assert found.confidence[9] == pytest.approx(0.63)
    assert found.error == pytest.approx((3 * (0.63 - 1 / 3) + 0.03) / 4)
    assert np.isnan(found.accuracy[0])
    # Signed residuals: 0.61, -0.37, 0.65 (the bin says too much), 0.03 (the last says too little).
    assert found.standard_error == pytest.approx(np.std([0.61, -0.37, 0.65, 0.03]) / 2)


def test_a_confidence_between_two_bins_belongs_to_the_lower():
    assert bins_of(np.arange(1, BINS + 1) / BINS).tolist() == list(range(BINS))
    assert bins_of(np.array([1e-9, np.float32(1)])).tolist() == [0, BINS - 1]


def test_a_calibrated_model_shows_what_chance_does_and_another_more():
    errors = [calibration(*sample(2000, seed)).error for seed in range(100)]
    found = calibration(*sample(2000, seed=0))
    assert found.chance == pytest.approx(np.mean(errors), rel=0.1)
    beyond = np.mean(np.array(errors) > np.quantile(found.by_chance, 0.95))
    assert beyond <= 0.12
    overconfident = calibration(*sample(2000, seed=0, lift=0.1))
    assert overconfident.error > 2 * np.quantile(overconfident.by_chance, 0.95)


def test_the_standard_error_is_the_spread_over_samples():
    found = [calibration(*sample(1000, seed, lift=0.2)) for seed in range(200)]
    assert np.mean([each.standard_error for each in found]) == pytest.approx(np.std([f.error for f in found]), rel=0.15)


def test_what_chance_does_is_seeded_and_drawn_less_often_for_many_images(monkeypatch):
    one, other = (calibration(*sample(50, seed=1)) for _ in range(2))
    np.testing.assert_array_equal(one.by_chance, other.by_chance)
    assert len(one.by_chance) == 500
    monkeypatch.setattr(module, "DRAWS", 50 * 200)
    assert len(calibration(*sample(50, seed=1)).by_chance) == 200
