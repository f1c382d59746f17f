"""Norm balls and 8-bit grids, against closed forms and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from cnnlab.perturbations import (
    ULP,
    add_noise,
    distances,
    from_8bit,
    grid,
    largest_epsilon,
    norms,
    outside,
    round_8bit,
    shrunk,
    to_8bit,
    tolerance,
    whole_noise,
)

RANGE = (-2.0, 3.0)
IMAGES = np.random.default_rng(0).uniform(*RANGE, (4, 3, 2, 2)).astype(np.float32)
NOISE = np.random.default_rng(1).normal(0, 1, (4, 3, 2, 2)).astype(np.float32)


def test_norms_are_those_of_plain_loops():
    difference = np.stack([NOISE, -2 * NOISE])
    for index in np.ndindex(2, 4):
        values = [float(value) for value in difference[index].ravel()]
        assert norms(difference, "linf")[index] == max(map(abs, values))
        assert norms(difference, "l2")[index] == pytest.approx(math.sqrt(math.fsum(v * v for v in values)), rel=1e-12)
    assert norms(np.zeros((2, 0, 3, 1), np.float32), "linf").tolist() == [0, 0]


def test_distances_are_taken_in_double_precision():
    original = np.full((1, 1, 1, 1), 1e8, np.float64)
    assert distances(original, original + 1, "linf").tolist() == [1]
    several = distances(IMAGES, np.stack([IMAGES, IMAGES + NOISE]), "l2")
    assert several.shape == (2, 4)
    assert several[0].tolist() == [0] * 4
    np.testing.assert_allclose(several[1], norms(IMAGES.astype(np.float64) + NOISE - IMAGES, "l2"), rtol=1e-6)


def test_the_tolerance_is_one_bit_of_each_pixel_of_one_image():
    for shape in ((3, 2, 2), (9, 3, 2, 2), (5, 9, 3, 2, 2)):
        assert tolerance("linf", shape, RANGE) == 3 * ULP
        assert tolerance("l2", shape, RANGE) == pytest.approx(3 * ULP * math.sqrt(12), rel=1e-12)
    assert tolerance("linf", (1, 1, 1), (-5.0, 3.0)) == 5 * ULP
    assert np.spacing(np.float32(1)) == ULP


def test_the_radius_to_search_within_is_smaller_by_it():
    assert shrunk(0.5, "linf", (3, 2, 2), RANGE) == np.float32(0.5 - 3 * ULP)
    assert shrunk(0.5, "l2", (3, 2, 2), RANGE) == np.float32(0.5 - 3 * ULP * math.sqrt(12) - 4 * ULP * 0.5)
    assert shrunk(np.array([0.0, 1.0]), "linf", (1, 1, 1), (0, 1)).tolist() == [0.0, np.float32(1 - ULP)]
    assert shrunk(0.5, "l2", (3, 2, 2), RANGE).dtype == np.float32


def test_the_largest_ball_holds_the_box():
    assert largest_epsilon(RANGE, (3, 2, 2), "linf") == 5
    assert largest_epsilon(RANGE, (3, 2, 2), "l2") == pytest.approx(5 * math.sqrt(12), rel=1e-12)


def test_the_grid_holds_both_ends_and_steps_evenly():
    assert grid((0.0, 255.0)).tolist() == list(range(256))
    assert grid(RANGE)[[0, 255]].tolist() == list(RANGE)
    np.testing.assert_allclose(np.diff(grid(RANGE)), 5 / 255, rtol=1e-4)
    assert grid((0.0, 1.0), levels=2).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("epsilon", "norm", "expected"),
    [
        (None, None, [-3, -2, 0, 1, 2]),
        (2.0, "linf", [-2, -2, 0, 1, 2]),
        (1.999, "linf", [-1, -1, 0, 1, 1]),
        (5.0, "l2", [-2, -1, 0, 0, 2]),
    ],
)
def test_whole_noise(epsilon, norm, expected):
    assert whole_noise(np.array([-2.6, -1.6, 0.4, 0.6, 2.0]), epsilon, norm).tolist() == expected


def test_a_whole_radius_that_float32_rounds_down_is_whole():
    below = float(np.nextafter(np.float32(2), np.float32(0)))
    assert whole_noise(np.array([2.0]), below, "linf").tolist() == [2.0]


@given(arrays(np.uint8, (2, 3)), st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-2.5, 0.25)]))
def test_what_lies_on_the_grid_comes_back(pixels, bounds):
    assert (to_8bit(from_8bit(pixels, bounds), bounds) == pixels).all()
    assert (round_8bit(from_8bit(pixels, bounds), bounds) == from_8bit(pixels, bounds)).all()


def test_rounding_takes_the_nearest_level_and_the_nearer_end():
    values = np.array([-9.0, 0.4, 0.6, 254.4, 254.6, 300.0])
    assert to_8bit(values, (0.0, 255.0)).tolist() == [0, 0, 1, 254, 255, 255]
    assert to_8bit(values / 255 * 5 - 2, RANGE).tolist() == [0, 0, 1, 254, 255, 255]


@pytest.mark.parametrize("piece", [1, 7, 12, 1 << 20])
def test_what_is_done_in_pieces_gives_the_same_bits(monkeypatch, piece):
    moved = IMAGES + NOISE
    wanted = [distances(IMAGES, moved, "linf"), distances(IMAGES, moved, "l2"), to_8bit(moved, RANGE)]
    monkeypatch.setattr("cnnlab.perturbations.PIECE", piece)
    found = [distances(IMAGES, moved, "linf"), distances(IMAGES, moved, "l2"), to_8bit(moved, RANGE)]
    assert all(map(np.array_equal, found, wanted))
    assert np.array_equal(wanted[0], np.abs(moved.astype(np.float64) - IMAGES).max(axis=(1, 2, 3)))
    assert np.array_equal(round_8bit(moved, RANGE), grid(RANGE)[wanted[2]])
    assert distances(IMAGES[:0], moved[:0], "l2").shape == (0,)


def test_outside_is_beyond_an_end():
    images = np.zeros((4, 1, 2, 1), np.float32)
    images[:, 0, 1, 0] = [
        -2,
        3,
        np.nextafter(np.float32(-2), np.float32(-3)),
        np.nextafter(np.float32(3), np.float32(4)),
    ]
    assert outside(images, RANGE).tolist() == [False, False, True, True]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("epsilon", [0.0, 8 / 255, 0.7, 9.0])
def test_noise_keeps_its_ball_and_the_box_and_no_pixel_moves_the_other_way(norm, epsilon):
    moved = add_noise(IMAGES, NOISE, RANGE, epsilon=epsilon, norm=norm)
    assert (distances(IMAGES, moved, norm) <= epsilon).all()
    assert not outside(moved, RANGE).any()
    assert ((moved - IMAGES) * NOISE >= 0).all()
    if epsilon == 0.7:  # noise that is larger than its ball reaches the ball's edge, where the box lets it
        free = add_noise(IMAGES, NOISE, (-99.0, 99.0), epsilon=epsilon, norm=norm)
        np.testing.assert_allclose(distances(IMAGES, free, norm), epsilon, rtol=1e-4)


def test_noise_without_a_ball_is_added_and_clipped():
    np.testing.assert_array_equal(add_noise(IMAGES, NOISE, RANGE), np.clip(IMAGES + NOISE, *RANGE))
    np.testing.assert_array_equal(add_noise(IMAGES, NOISE[0], RANGE), np.clip(IMAGES + NOISE[0], *RANGE))
