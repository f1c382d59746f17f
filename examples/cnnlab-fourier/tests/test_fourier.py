"""The contract that cnnlab promises its users, and the mathematics."""

import numpy as np
import pytest

from cnnlab.plugin import CnnlabError
from cnnlab_fourier import testing
from cnnlab_fourier.report import affordable, conclusions
from cnnlab_fourier.run import basis, by_frequency, half_plane


class TestAnalysis(testing.FourierContract):
    pass


class TestSection(testing.SpectrumContract):
    pass


SHAPES = [(8, 8), (7, 9), (6, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_noise_has_norm_one_and_one_frequency(shape):
    for i, j in half_plane(*shape):
        image = basis(i, j, *shape)
        assert np.linalg.norm(image) == pytest.approx(1)
        spectrum = np.abs(np.fft.fft2(image))
        spectrum[i, j] = spectrum[-i % shape[0], -j % shape[1]] = 0
        assert spectrum.max() < 1e-9


@pytest.mark.parametrize("shape", SHAPES)
def test_half_the_plane_and_its_mirror_are_the_whole(shape):
    half = half_plane(*shape)
    mirrored = {(-i % shape[0], -j % shape[1]) for i, j in half}
    assert set(half) | mirrored == {(i, j) for i in range(shape[0]) for j in range(shape[1])}
    assert len(set(half)) == len(half)


class Stripes:
    """Calls an image 1 when its highest horizontal frequency is strong: it relies on that frequency alone."""

    bounds = (0.0, 1.0)

    def predict(self, images):
        strength = np.abs(np.fft.fft2(images[..., 0], axes=(1, 2))[:, 0, 4])
        return (strength > 1).astype(np.int64)


def test_the_one_frequency_that_a_model_reads_is_the_one_that_errs():
    from cnnlab.plugin import Context, Inputs
    from cnnlab_fourier import FourierParams
    from cnnlab_fourier.run import run, sum_up

    images = np.full((5, 8, 8, 1), 0.5, np.float32)
    inputs = Inputs(lambda indices: images[indices], np.zeros(5, np.int64), list("abcde"))
    params = FourierParams(norm=1.0)
    result = run(Stripes(), inputs, params, Context(0))
    said = sum_up(Stripes(), result, params)
    expected = np.zeros((8, 8))
    expected[0, 4] = 1
    np.testing.assert_array_equal(result.arrays["error_rate"], np.fft.fftshift(expected))
    assert said.metrics["clean_error"] == 0
    assert said.metrics["worst_error"] == 1
    np.testing.assert_array_equal(said.columns["low_frequency_error"], np.zeros(5))
    np.testing.assert_allclose(said.columns["high_frequency_error"], 1 / (64 - 9))


def test_low_and_high_frequencies_are_told_apart():
    errors = np.zeros((8, 8))
    errors[0, 0] = errors[0, 1] = errors[7, 0] = 1
    found = by_frequency(errors)
    assert found["high_frequency_error"] == 0
    assert found["low_frequency_error"] > 0


def rows(count, low, high, clean=0.0):
    return [{"clean_error": clean, "low_frequency_error": low, "high_frequency_error": high}] * count


@pytest.mark.parametrize(
    ("found", "holds", "says"),
    [
        (
            rows(20, 0.2, 0.0),
            [True, True, True],
            "Fewer than half of the images that are read correctly without noise are misread under noise of most low "
            "frequencies: 0 of 20 (0% to 16.1%).",
        ),
        (
            rows(20, 0.9, 0.2) + rows(9, 1.0, 1.0, clean=1.0),
            [False, True, True],
            "Most images that are read correctly without noise are misread under noise of most low frequencies: 20 of "
            "20 (83.9% to 100%).",
        ),
        (
            rows(20, 0.2, 0.9),
            [True, False, False],
            "Fewer than half of the images that the two mislead unequally are misread at more of the low frequencies "
            "than of the high ones: 0 of 20 (0% to 16.1%).",
        ),
        (
            rows(10, 0.9, 0.2) + rows(10, 0.2, 0.9),
            [None, None, None],
            "It stays open whether most images that are read correctly without noise are misread under noise of most "
            "low frequencies: 10 of 20 (29.9% to 70.1%).",
        ),
        (
            rows(20, 1.0, 0.9, clean=1.0),  # right by accident, or never
            [None, None, None],
            "There are no images that the two mislead unequally to tell by whether most are misread at more of the "
            "low frequencies than of the high ones.",
        ),
    ],
)
def test_conclusions_follow_from_the_numbers(found, holds, says):
    concluded = list(conclusions(found))
    assert [each.holds for each in concluded] == holds
    assert says in [each.says for each in concluded]


def test_large_images_have_too_many_frequencies():
    assert affordable(28, 28) == 100
    assert affordable(96, 96) == 21
    with pytest.raises(CnnlabError, match="images of 224x224 have 25,090 frequencies"):
        affordable(224, 224)
