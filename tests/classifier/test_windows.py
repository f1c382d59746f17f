"""Windows as a graph holds them, and how far a change reaches through them, counted pixel by pixel."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, strategies as st
from keras import layers as L

import cnnlab
from cnnlab.classifier.windows import Reach, Window

LAYERS = [
    (lambda: L.Conv2D(4, (3, 2), strides=2, padding="same"), Window((3, 2), (2, 2), "same")),
    (lambda: L.Conv2D(4, 3, dilation_rate=(2, 1)), Window((3, 3), (1, 1), "valid", (2, 1))),
    (lambda: L.Conv2D(4, 3, dilation_rate=2, padding="same"), Window((3, 3), (1, 1), ((2, 2), (2, 2)), (2, 2))),
    (lambda: L.DepthwiseConv2D(5, padding="same"), Window((5, 5), (1, 1), "same")),
    (lambda: L.MaxPooling2D((2, 3), (1, 2)), Window((2, 3), (1, 2), "valid")),
    (lambda: L.AveragePooling2D(2, padding="same"), Window((2, 2), (2, 2), "same")),
    (lambda: L.ReLU(), None),
]


@pytest.mark.parametrize(("layer", "expected"), LAYERS)
def test_a_layer_says_its_window(layer, expected):
    model = keras.Sequential([keras.Input((11, 10, 2)), layer(), L.GlobalAveragePooling2D(), L.Dense(3)])
    found = cnnlab.load(model).layers[0].window
    if expected and isinstance(expected.padding, tuple):
        # Keras may write a dilation by way of the batch, as so many rows and columns, or leave it "same".
        assert found in (expected, Window(expected.kernel, expected.stride, "same", expected.dilation))
    else:
        assert found == expected


SIZE = st.integers(1, 4)


@given(
    side=st.integers(8, 20),
    kernel=SIZE,
    stride=SIZE,
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid", ((1, 2), (1, 2))]),
    low=st.integers(0, 20),
    size=st.integers(0, 9),
)
def test_a_change_reaches_what_sees_it(side, kernel, stride, dilation, padding, low, size):
    """Against each place of the output, asked for what it sees."""
    window = Window((kernel, kernel), (stride, stride), padding, (dilation, dilation))
    added = sum(padding[0]) if isinstance(padding, tuple) else 0
    out = -(-side // stride) if padding == "same" else (side + added - window.span[0]) // stride + 1
    before = window.before(0, side, out)
    low = min(low, side)
    high = min(low + size, side)
    reach = Reach.of(np.array([low]), np.array([high]), side).through(window, 0, out)
    for place in range(out):
        seen = place * stride - before + np.arange(kernel) * dilation
        changed = bool(((seen >= low) & (seen < high)).any())
        assert not changed or reach.low[0] <= place < reach.high[0]
        assert not changed or reach.start[0] <= place < reach.start[0] + reach.size
    first, rows = reach.seen(window, 0, side)
    assert first[0] == reach.start[0] * stride - before
    assert rows == (reach.size - 1) * stride + window.span[0]
