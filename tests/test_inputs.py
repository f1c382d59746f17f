"""The images of an analysis: what fits a model, what is refused, and that only what is asked for is read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.inputs import Inputs, from_arrays, from_files
from cnnlab.testing import FakeClassifier

MODEL = FakeClassifier(lambda images: images.mean(axis=(1, 2, 3))[:, None] * np.arange(3), (2, 3, 1), 3)
IMAGES = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 2, 3, 1)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 3, 3, 1)), r"shape \[1, 3, 3, 1\].*expected numbers \[N, 2, 3, 1\]"),
        (np.full((1, 2, 3, 1), 200.0), "values from 200 to 200, but the model takes 0 to 1"),
        (np.array([["a"]]), "type <U1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, message):
    with pytest.raises(UsageError, match=message):
        from_arrays(MODEL, images)


def test_values_that_are_not_finite_are_refused():
    images = IMAGES.copy()
    images[2, 0, 0, 0] = np.nan
    with pytest.raises(CnnlabError, match="array:2 holds values that are not finite"):
        _ = from_arrays(MODEL, images).images


@pytest.mark.parametrize("shape", [(4, 2, 3, 1), (4, 2, 3), (2, 3, 1), (2, 3)])
def test_grey_images_may_leave_out_what_is_one(shape):
    inputs = from_arrays(MODEL, np.zeros(shape))
    assert inputs.images.shape[1:] == (2, 3, 1)
    assert inputs.images.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 1], "4 images and labels"), ([0, 1, 2, 3], "label 3 is none of"), ([0.5] * 4, "must be integers")],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(UsageError, match=message):
        from_arrays(MODEL, IMAGES, labels)


def test_batches_and_selection_read_only_what_is_asked_for():
    asked = []

    def read(indices):
        asked.append(list(indices))
        return IMAGES[indices]

    inputs = Inputs(read, np.arange(4) % 3, [f"i{n}" for n in range(4)])
    assert [len(images) for images, _ in inputs.batches(3)] == [3, 1]
    assert asked == [[0, 1, 2], [3]]
    chosen = inputs.select([3, 1])
    assert chosen.sources == ["i3", "i1"]
    np.testing.assert_array_equal(chosen.images, IMAGES[[3, 1]])
    np.testing.assert_array_equal(chosen.labels, [0, 1])


def test_what_is_handed_out_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        from_arrays(MODEL, IMAGES).images[0] = 0


def test_an_image_is_shown_in_its_own_range():
    inputs = Inputs(lambda indices: IMAGES[indices] * 2 - 1, np.zeros(4), list("abcd"), bounds=(-1.0, 1.0))
    np.testing.assert_allclose(inputs.unit_image(2), IMAGES[2], atol=1e-6)
    picture = inputs.picture(2)
    assert (picture.title, picture.ends) == ("c", (-1.0, 1.0))
    np.testing.assert_allclose(picture.unit_plane, IMAGES[2, ..., 0], atol=1e-6)


def test_files_of_several_sizes_for_a_model_that_takes_any_are_not_put_together(tmp_path):
    for name, shape in (("small", (4, 5)), ("large", (6, 7))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{name}.png")
    model = FakeClassifier.of_brightness((None, None, 1))
    files = [tmp_path / "small.png", tmp_path / "large.png"]
    with pytest.raises(UsageError, match=r"different sizes \(5x4, 7x6\), and the model takes any: analyse them one at"):
        from_files(model, files)
    assert from_files(model, files[:1]).images.shape == (1, 4, 5, 1)
