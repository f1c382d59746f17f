"""Drawings as a model takes them: where the digits of MNIST have their ink, and what is shown of a model at once."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.datasets.images import Encoded
from cnnlab.lab.errors import RefusedError
from cnnlab.lab.images import BESIDE, Images, LabImage, as_mnist


def stroke(top: int, left: int, height: int, width: int, side: int = 280) -> np.ndarray:
    ink = np.zeros((side, side), np.uint8)
    ink[top : top + height, left : left + width] = 255
    return ink


def box_of(image: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (10, 150), (180, 60)])
@pytest.mark.parametrize("size", [20, 60, 100])
def test_a_drawing_has_its_place_and_size_wherever_it_was_drawn(top, left, size):
    assert box_of(as_mnist(stroke(top, left, size, size // 2))) == (4, 9, 20, 10)


def test_the_centre_of_mass_is_in_the_middle_and_nothing_is_cut_off():
    heavy_above = stroke(20, 40, 30, 120)
    heavy_above[50:220, 80:110] = 255
    image = as_mnist(heavy_above)
    assert abs((image.sum(axis=1) * np.arange(28)).sum() / image.sum() - 14) <= 0.5
    lopsided = stroke(0, 0, 90, 90) | stroke(265, 265, 15, 15)
    top, left, height, width = box_of(as_mnist(lopsided))
    assert top + height <= 28
    assert left + width <= 28
    assert max(height, width) == 20


def test_nothing_drawn_is_black_and_larger_models_have_the_same_place():
    assert not as_mnist(stroke(0, 0, 0, 0)).any()
    assert box_of(as_mnist(stroke(9, 9, 50, 50), (56, 56))) == (8, 8, 40, 40)


def test_the_digits_of_mnist_lie_as_a_drawing_of_them_is_laid():
    """A digit of MNIST, enlarged and drawn at another place, comes back nearly as it was."""
    from cnnlab.datasets import loading

    test = loading.load("mnist").test
    apart = []
    for digit in test.batch(range(20))[..., 0]:
        ink = np.zeros((280, 280), np.uint8)
        enlarged = np.kron(np.rint(digit * 255).astype(np.uint8), np.ones((8, 8), np.uint8))
        ink[3 : 3 + 224, 50 : 50 + 224] = enlarged
        apart.append(np.abs(as_mnist(ink) - digit).mean())
    assert np.median(apart) < 0.03  # half a pixel to the side: 0.067


def test_images_leave_where_they_take_too_much_room_the_least_used_first():
    images = Images(room=2 * (BESIDE + 100))
    one, other = (images.add(LabImage(Encoded(bytes(100), name))) for name in "ab")
    images.find(one)
    third = images.add(LabImage(Encoded(bytes(100), "c")))
    assert [images.find(name).source for name in (one, third)] == ["a", "c"]
    with pytest.raises(RefusedError, match="there is no image"):
        images.find(other)


def test_one_image_stays_however_large_it_is():
    images = Images(room=10)
    assert images.find(images.add(LabImage(Encoded(bytes(100), "a")))).source == "a"
