"""How sections choose images and conclude on most of them."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.datasets import Dataset, Split
from cnnlab.numerics import wilson_interval
from cnnlab.plugin import Conclusion, Subject
from cnnlab.testing import FakeClassifier


@pytest.mark.parametrize("total", [1, 5, 10, 100])
def test_most_are_where_the_whole_interval_lies_on_one_side(total):
    for count in range(total + 1):
        low, high = wilson_interval(count / total, total)
        expected = True if low > 0.5 else False if high < 0.5 else None
        found = Conclusion.on_most(np.arange(total) < count, "red", "They are to be red.")
        assert found.holds is expected
        assert f"red: {count} of {total} " in found.says
        turned = Conclusion.on_most(np.arange(total) < count, "red", "They are to be red.", hoped=False)
        assert turned.holds is (None if expected is None else not expected)
        assert turned.says == found.says


def test_of_nothing_nothing_is_concluded():
    found = Conclusion.on_most([], "red", "They are to be red.", nouns="balls")
    assert (found.holds, found.says) == (None, "There are no balls to tell by whether most are red.")
    assert found.rule.startswith("They are to be red. ")


def test_images_that_follow_one_another_are_a_range_in_the_command(tmp_path):
    images = np.random.default_rng(0).random((9, 2, 2, 1)).astype(np.float32)
    path = tmp_path / "dots.npz"
    labels = np.arange(9) % 2
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    split = Split(images, labels)
    dataset = Dataset(name="dots", train=split, test=split, class_names=("dark", "bright"), source=str(path))
    classifier = FakeClassifier.of_brightness()
    classifier.path = tmp_path / "model"
    subject = Subject(classifier=classifier, profile="quick", dataset=dataset)
    assert subject.first(4) == [0, 1, 2, 3]
    assert subject.first(100) == list(range(9))
    answer = subject.ask("occlusion", [7, 0, 1, 2, 5], patch=1)
    assert [entry["source"].rpartition(":")[2] for entry in answer.result.record["inputs"]] == ["7", "0", "1", "2", "5"]
    assert "--index 7 --index 0:3 --index 5" in answer.command
