"""Axes that may be left out go where they have one entry, and come back."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.pluginhost.axes import optional_axes, with_optional_axes
from cnnlab.pluginhost.declarations import Array

DECLARED = {
    "a": Array("a", axes=("E?", "N")),
    "b/<layer>": Array("b", axes=("N", "E?", "C?")),
    "c": Array("c", axes=("...", "N")),
    "d": Array("d", axes=("N",)),
}


@pytest.mark.parametrize(
    ("name", "shape", "flat"),
    [
        ("a", (1, 3), (3,)),
        ("a", (2, 3), (2, 3)),
        ("b/conv1", (3, 1, 1), (3,)),
        ("b/conv1", (3, 2, 4), (3, 2, 4)),
        ("c", (1, 3), (1, 3)),
        ("d", (1,), (1,)),
        ("unknown", (1, 3), (1, 3)),
    ],
)
def test_what_went_comes_back(name, shape, flat):
    whole = {name: np.arange(np.prod(shape)).reshape(shape)}
    gone = optional_axes(DECLARED, whole)
    squeezed = {name: np.squeeze(whole[name], gone.get(name, ()))}
    assert squeezed[name].shape == flat
    found = with_optional_axes(DECLARED, squeezed)
    assert found[name].shape == shape
    np.testing.assert_array_equal(found[name], whole[name])
    assert with_optional_axes(DECLARED, whole)[name].shape == shape, "what is whole stays so"
