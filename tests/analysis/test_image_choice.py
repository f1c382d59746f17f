"""Which images are asked about: ranges stay ranges until they are held against the dataset."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.datasets import Dataset, Split
from cnnlab.errors import UsageError
from cnnlab.testing import FakeClassifier

SPLIT = Split(np.zeros((4, 2, 2), np.uint8), [0, 1, 1, 0])
SPOTS = Dataset(
    name="spots", train=SPLIT, test=Split(np.zeros((0, 2, 2), np.uint8), []), class_names=("dark", "bright")
)


def sources(*indices: object) -> tuple[str, ...]:
    choice = ImageChoice(dataset=SPOTS, split="train", indices=indices)
    choice.check()
    return choice.read(FakeClassifier.of_brightness()).sources


def test_indices_and_ranges_are_read_in_their_order():
    assert sources("3", "0:2", 1) == ("spots/train:3", "spots/train:0", "spots/train:1", "spots/train:1")


@pytest.mark.parametrize(
    ("text", "missing"),
    [("4", 4), ("0:5", 4), ("9:99999999999999", 9), ("0:99999999999999", 99999999999998), ("9" * 18, int("9" * 18))],
)
def test_what_is_not_there_is_refused_before_it_is_counted_out(text, missing):
    with pytest.raises(UsageError) as refused:
        sources(text)
    assert str(refused.value) == f"there is no image {missing} in spots/train; it has 4 images, 0 to 3."


def test_where_there_is_none_none_is_promised():
    with pytest.raises(UsageError, match=r"there is no image 0 in spots/test; it has none\.$"):
        ImageChoice(dataset=SPOTS, split="test", indices=("0",)).read(FakeClassifier.of_brightness())


@pytest.mark.parametrize(
    "text", ["", "-1", "-3:2", "2:2", "3:1", ":", "1:", ":2", "0:2:1", "\u0663", "1_0", " 1", "+1", "9" * 5000]
)
def test_what_is_no_index_is_refused(text):
    with pytest.raises(UsageError, match="must be an index such as 7 or a range such as 0:10; received"):
        sources(text)
