"""The section on filters: its numbers against plain loops, random kernels, and what makes its conclusions turn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cnnlab.errors import CnnlabError
from cnnlab.plugin import Subject
from cnnlab.testing import SectionContract
from cnnlab_filters import energy, report

SHAPE = (8, 8, 1)


class TestContractOfFilters(SectionContract):
    section = "filters"


def random_kernel(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def edge_kernels(filters: int) -> np.ndarray:
    """Ramps in all directions, with a little noise."""
    rows, cols = np.mgrid[-1:2, -1:2]
    angles = np.linspace(0, np.pi, filters)
    ramps = np.stack([np.cos(angle) * rows + np.sin(angle) * cols for angle in angles], axis=-1)[:, :, None]
    return ramps + random_kernel(0, 3, 3, 1, filters) / 10


def test_the_section_tells_what_the_analysis_found(tiny_models):
    subject = Subject(classifier=tiny_models.convolutional(SHAPE), profile="assignment")
    written = report.write(subject)
    layers = report.ends(subject.classifier)
    assert [figure.params["layer"] for figure in written.figures] == [list(layers)] * len(layers)
    numbers = {metric.name: metric.value for metric in written.metrics}
    found = subject.ask("filters", layer=layers, most=report.MOST).result.metrics
    assert numbers[f"edge-like part of {layers[0]}"] == pytest.approx(found[f"edge/{layers[0]}"])


def test_a_model_without_convolutions_is_told_so(tiny_models):
    with pytest.raises(CnnlabError, match="no convolution with kernels larger than 1×1"):
        report.write(Subject(classifier=tiny_models.linear(SHAPE), profile="assignment"))


def test_alikeness_is_that_of_plain_loops():
    kernel = random_kernel(1, 3, 3, 2, 4)
    kernel[..., 3] = 0
    for out, found in enumerate(report.slices_alike(kernel)[:3]):
        values = []
        for other, channel in itertools.product(range(3), range(2)):
            if other != out:
                one, two = kernel[:, :, channel, out].ravel(), kernel[:, :, channel, other].ravel()
                values.append(abs(one @ two) / np.linalg.norm(one) / np.linalg.norm(two))
        assert found == pytest.approx(np.mean(values))
    assert np.isnan(report.slices_alike(kernel)[3])
    assert np.nanmean(report.slices_alike(kernel)) == pytest.approx(energy.slice_alikeness(kernel))


def test_the_standard_error_is_that_of_repeated_draws():
    kernels = [random_kernel(seed, 3, 3, 1, 40) for seed in range(200)]
    means, errors = zip(*(report.mean_and_error(report.slices_alike(each)) for each in kernels), strict=True)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.5)


@pytest.mark.parametrize(
    ("kernel", "holds", "said"),
    [
        (edge_kernels(32), True, "are edge-like: 9"),
        (np.ones((3, 3, 1, 32)) + random_kernel(0, 3, 3, 1, 32) / 20, False, "less edge-like than random ones"),
        (random_kernel(0, 3, 3, 1, 32), None, "cannot be told from random ones"),
        (np.zeros((3, 3, 1, 4)), None, "too few filters"),
    ],
)
def test_the_conclusion_on_edges_turns(kernel, holds, said):
    found = report.edges("conv1", kernel)
    assert found.holds is holds
    assert said in found.says


@pytest.mark.parametrize(
    ("last", "holds", "said"),
    [
        (
            np.repeat(random_kernel(2, 3, 3, 4, 1), 32, axis=3) + random_kernel(3, 3, 3, 4, 32) / 3,
            True,
            "are more alike",
        ),
        (random_kernel(4, 3, 3, 4, 32), None, "are as alike as those of conv1"),
        (np.eye(9).reshape(3, 3, 1, 9), False, "are less alike"),
        (np.zeros((3, 3, 4, 32)), None, "too few filters"),
    ],
)
def test_the_conclusion_on_alikeness_turns(last, holds, said):
    first = report.beyond_chance(random_kernel(1, 3, 3, 1, 32))
    found = report.alike("conv1", first, "conv2", report.beyond_chance(last))
    assert found.holds is holds
    assert said in found.says


def test_random_kernels_of_two_sizes_are_no_more_alike_than_each_other():
    large, small = (random_kernel(2, side, side, 4, 32) for side in (7, 3))
    assert report.slices_alike(small).mean() > report.slices_alike(large).mean() + 0.1
    assert report.alike("conv1", report.beyond_chance(large), "conv2", report.beyond_chance(small)).holds is None


def test_slices_of_one_number_are_alike_where_there_are_two():
    assert energy.slice_alikeness(np.ones((1, 1, 3, 2))) == 1.0
    assert np.isnan(energy.slice_alikeness(np.ones((1, 1, 3, 1))))
    assert np.isnan(energy.slice_alikeness(np.array([[[[1.0, 0.0], [0.0, 1.0]]]])))


def test_the_headline_names_the_layer_that_is_edge_like_beyond_chance():
    def layer(name: str, own: float, chance: float) -> list[dict[str, object]]:
        return [{"layer": name, "edge": own}, {"layer": f"{name}, by chance", "edge": chance}]

    first, second, point = layer("a", 0.9, 0.8), layer("b", 0.5, 0.1), layer("c", np.nan, np.nan)
    words = "50.0% of the energy of b's kernels is edge-like, where chance gives 10.0%"
    assert energy.headline([*first, *second, *point]) == f"{words}, the most of all layers beyond chance"
    assert energy.headline([*second, *point]) == words
    assert energy.headline(point) == ""
