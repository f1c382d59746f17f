"""Rows, one for each image and strength, of columns."""

from __future__ import annotations

import numpy as np

from cnnlab.results.rows import rows_of


def test_the_strengths_of_an_image_follow_each_other_beside_its_name():
    columns = {"image": ["a", "b"], "before": np.array([1, 2]), "after": np.array([[3, 4], [5, 6]])}
    assert [list(row.items()) for row in rows_of(columns, "epsilon", ("0.1", "0.2"))] == [
        [("image", "a"), ("epsilon", 0.1), ("before", 1), ("after", 3)],
        [("image", "a"), ("epsilon", 0.2), ("before", 1), ("after", 5)],
        [("image", "b"), ("epsilon", 0.1), ("before", 2), ("after", 4)],
        [("image", "b"), ("epsilon", 0.2), ("before", 2), ("after", 6)],
    ]


def test_without_strengths_there_is_a_row_for_each_image():
    columns = {"image": np.array([0, 1]), "loss": np.array([np.inf, 0.5], np.float32)}
    assert rows_of(columns) == [{"image": 0, "loss": None}, {"image": 1, "loss": 0.5}]
    assert rows_of({}) == []
