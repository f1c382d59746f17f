"""What the host lends an analysis: progress, batches, warnings, the grid of 8-bit images."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from cnnlab.analysis.context import Context
from cnnlab.inputs import Inputs
from cnnlab.perturbations import from_8bit

IMAGES = np.linspace(0, 1, 42, dtype=np.float32).reshape(7, 2, 3, 1)
INPUTS = Inputs(lambda indices: IMAGES[indices], np.arange(7) % 3, list("abcdefg"))


class Bar:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def stage(self, description):
        return nullcontext()

    def task(self, description, total):
        self.told.append((description, total))
        return nullcontext(self.told.append)


def test_it_tracks_and_warns_once():
    bar = Bar()
    context = Context(0, bar)
    assert list(context.track([7, 8], "things")) == [7, 8]
    assert list(context.track(iter([7]), "unknown")) == [7]
    assert bar.told == [("things", 2), 1, 1, ("unknown", None), 1]
    context.warn("Once.")
    context.warn("Once.")
    assert context.warnings == ["Once."]


@pytest.mark.parametrize(("size", "expected"), [(3, [2, 2, 3]), (7, [7]), (100, [7]), (1, [1] * 7), (None, [3, 4])])
def test_it_gathers_batch_by_batch(size, expected):
    bar, seen = Bar(), []

    def function(images, labels):
        seen.append(len(images))
        return {"mean": images.mean(axis=(1, 2, 3)), "twice": 2 * labels[:, None]}

    found = Context(0, bar, batch_size=5).gather(INPUTS, function, "digits", size)
    assert seen == expected
    assert bar.told == [("digits", 7), *expected]
    np.testing.assert_array_equal(found["mean"], IMAGES.mean(axis=(1, 2, 3)))
    np.testing.assert_array_equal(found["twice"], 2 * INPUTS.labels[:, None])


def test_the_generator_is_seeded():
    first, again, other = (Context(seed).rng.random(5) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_images_are_rounded_to_8_bits_only_where_asked_and_it_is_said():
    context = Context()
    assert context.on_grid(INPUTS, eight_bit=False) is INPUTS.images
    assert context.warnings == []
    rounded = context.on_grid(INPUTS, eight_bit=True)
    np.testing.assert_array_equal(rounded, from_8bit(np.rint(IMAGES.astype(float) * 255).astype(np.uint8), (0, 1)))
    moved = (rounded != IMAGES).any(axis=(1, 2, 3)).sum()
    assert context.warnings == [
        f"{moved} of 7 images were no 8-bit images: with `eight_bit=True` they were rounded first."
    ]
