"""Outlines against discs, whose outline is a circle."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.render.outlines import MOST, outlines


def disc(side: int, radius: float) -> np.ndarray:
    """A light disc in the middle, its border a ramp one pixel wide."""
    along = np.arange(side) + 0.5 - side / 2
    return np.clip(radius - np.hypot(along[:, None], along) + 0.5, 0, 1)


@pytest.mark.parametrize(("side", "radius"), [(28, 9.0), (64, 20.0), (256, 80.0), (1000, 300.0)])
def test_the_outline_of_a_disc_is_a_circle(side, radius):
    (line,) = outlines(disc(side, radius))
    distances = np.hypot(*(line - side / 2).T)
    pixel = max(1.0, side / MOST)
    np.testing.assert_allclose(distances, radius, atol=0.3 * pixel)
    x, y = line.T
    area = abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2
    np.testing.assert_allclose(area, np.pi * radius**2, rtol=0.02)


@pytest.mark.parametrize(
    "image", [np.zeros((5, 7)), np.ones((1, 9)), np.full((3, 3), np.nan), np.ones((1, 1))], ids=str
)
def test_an_image_without_edges_has_none(image):
    assert outlines(image) == []


def test_wide_images_keep_their_axes():
    image = np.zeros((4, 300))
    image[:, 150:] = 1
    points = np.concatenate(outlines(image))
    np.testing.assert_allclose(points[:, 0], 150, atol=300 / MOST)
    assert points[:, 1].max() <= 4
