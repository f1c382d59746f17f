"""Drawings that are the same but for the last digits of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.drawings import At, Curves, Line, Matrix, Picture, Tiles
from cnnlab.verification.likeness import alike


@pytest.mark.parametrize(
    ("said", "found", "same"),
    [
        ("as 3 (97.1%)", "as 3 (97.2%)", True),
        ("as 3 (97.1%)", "as 3 (97.3%)", False),
        ("as 3 (97%)", "as 3 (98%)", True),
        ("as 3 (97.1%)", "as 4 (97.1%)", False),
        ("of 1,000 images", "of 1,001 images", False),
        ("1.25e-05", "1.26e-05", True),
        ("1.25e-05", "1.25e-04", False),
        ("-0.5", "0.5", False),
        ("0.1", "0.0999", True),
        ("the 5", "the 5 and more", False),
        ("0.5", "0.5 0.6", False),
    ],
)
def test_texts_are_held_to_the_letter_and_rounded_numbers_to_a_unit(said, found, same):
    assert alike(Picture(values=At("x"), title=said), Picture(values=At("x"), title=found)) is same


def counted(count: int) -> Matrix:
    return Matrix(values=np.array([[count]]), rows=("a",), columns=("a",), row_label="true", column_label="said")


def curve(value: float) -> Curves:
    return Curves(lines=(Line(name="a", x=(1.0,), y=(value,)),), x_label="epoch", y_label="loss")


FLOATS = np.array([[0.5, 1.0]], np.float32)


@pytest.mark.parametrize(
    ("said", "found", "same"),
    [
        (Picture(values=FLOATS), Picture(values=FLOATS + np.float32(1e-5)), True),
        (Picture(values=FLOATS), Picture(values=FLOATS + np.float32(0.01)), False),
        (Picture(values=FLOATS), Picture(values=FLOATS.T), False),
        (Picture(values=FLOATS), Picture(values=FLOATS.astype(np.float64)), False),
        (Picture(values=FLOATS), Picture(values=At("x")), False),
        (Picture(values=At("x", 1)), Picture(values=At("x", 2)), False),
        (Picture(values=FLOATS), Picture(values=FLOATS, mark=True), False),
        (Picture(values=FLOATS), Picture(values=FLOATS, limits=(0.0, 1.0)), False),
        (Picture(values=FLOATS, limits=(0.0, 1.00001)), Picture(values=FLOATS, limits=(0.0, 1.0)), True),
        (counted(1), counted(2), False),
        (curve(2.0), curve(3.0), False),
        (curve(2.0), curve(2.0001), True),
        (Tiles(tiles=(None,)), Tiles(tiles=(None, None)), False),
        (Tiles(tiles=(None,)), Tiles(tiles=(None,)), True),
    ],
)
def test_what_they_hold_is_the_same_but_for_last_digits(said, found, same):
    assert alike(said, found) is same
