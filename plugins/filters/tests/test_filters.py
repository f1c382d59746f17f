"""The contract, and the energies, likenesses and climbs against closed forms and brute force."""

from __future__ import annotations

import itertools
import math

import keras
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays_of

import cnnlab
from cnnlab.classifier import load
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.testing import AnalysisContract
from cnnlab_filters.energy import PARTS, basis, chance, cosines, mean_alikeness, shares
from cnnlab_filters.maximize import noise


@pytest.mark.full
class TestContract(AnalysisContract):
    analysis = "filters"


class TestContractMaximizing(AnalysisContract):
    analysis = "filters"
    params = {"maximize": True, "steps": 3, "most": 2}  # noqa: RUF012
    undelivered = ()


KNOWN = {
    "constant": (np.ones((3, 3)), (1, 0, 0)),
    "ramp": ([[-1, 0, 1]] * 3, (0, 1, 0)),
    "tilted ramp": ([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]], (0, 1, 0)),
    "Prewitt": (np.outer([1, 1, 1], [-1, 0, 1]), (0, 1, 0)),
    # On the ramp (-1, 0, 1; ...)/sqrt 6 Sobel has the coefficient 8/sqrt 6, of an energy of 12.
    "Sobel": (np.outer([1, 2, 1], [-1, 0, 1]), (0, 64 / 6 / 12, 1 - 64 / 6 / 12)),
    "Laplacian": ([[0, 1, 0], [1, -4, 1], [0, 1, 0]], (0, 0, 1)),
    "spot": ([[0, 0, 0], [0, 1, 0], [0, 0, 0]], (1 / 9, 0, 8 / 9)),
    "step of 2": ([[-1, 1]], (0, 1, 0)),
    "point": ([[5.0]], (1, 0, 0)),
    "column": ([[1], [0], [0]], (1 / 3, 1 / 2, 1 / 6)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_kernels_have_known_energies(name):
    kernel, expected = KNOWN[name]
    np.testing.assert_allclose(shares(np.array(kernel, float)[..., None, None])[:, 0, 0], expected, atol=1e-12)


SIDES = st.integers(1, 7)


@given(st.data(), SIDES, SIDES)
def test_shares_are_those_of_least_squares_fits(data, height, width):
    weights = arrays_of.arrays(np.float64, (height, width), elements=st.floats(-1, 1, width=16))
    kernel = data.draw(weights.filter(np.any))
    found = shares(kernel[..., None, None])[:, 0, 0]
    rows, cols = np.mgrid[:height, :width].reshape(2, -1)
    ones, total = np.ones(height * width), np.square(kernel).sum()
    left = []
    for columns in ([ones], [ones, rows, cols]):
        design = np.stack(columns, 1)
        fit = design @ np.linalg.lstsq(design, kernel.ravel(), rcond=None)[0]
        left.append(np.square(kernel.ravel() - fit).sum() / total)
    np.testing.assert_allclose(found, [1 - left[0], left[0] - left[1], left[1]], atol=1e-9)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()


@given(SIDES, SIDES)
def test_the_basis_is_orthonormal(height, width):
    both = np.concatenate(basis(height, width))
    np.testing.assert_allclose(both @ both.T, np.eye(len(both)), atol=1e-12)


def test_energies_do_not_depend_on_scale_sign_or_transposition():
    kernel = np.random.default_rng(0).normal(size=(5, 3, 4, 6))
    for other in (kernel * -1e-30, kernel * 1e30, kernel.transpose(1, 0, 2, 3), kernel[::-1, ::-1]):
        np.testing.assert_allclose(shares(other), shares(kernel), atol=1e-9)


def test_random_kernels_are_as_alike_and_as_made_up_as_said():
    rng = np.random.default_rng(1)
    for height, width in ((3, 3), (5, 5), (1, 7)):
        kernels = rng.normal(size=(height, width, 1, 3000))
        expected = chance(kernels.shape)
        np.testing.assert_allclose(shares(kernels).mean(axis=(1, 2)), [expected[part] for part in PARTS], atol=0.015)
        alike = mean_alikeness(cosines(kernels.reshape(height * width, -1).T))
        assert alike == pytest.approx(expected["similarity"], abs=0.01)
    assert chance((1, 1, 1, 5))["similarity"] == pytest.approx(1)
    assert chance((1, 2, 7, 5))["slice_similarity"] == pytest.approx(2 / math.pi)
    assert chance((1, 1, 2, 5))["similarity"] == pytest.approx(2 / math.pi)


def model(*layers, shape=(9, 8, 2)):
    head = [keras.layers.Flatten(), keras.layers.Dense(3, name="scores")]
    return keras.Sequential([keras.Input(shape), *layers, *head])


@pytest.fixture(scope="module")
def deep():
    keras.utils.set_random_seed(2)
    return model(
        keras.layers.Conv2D(5, (3, 4), activation="relu", name="first"),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="wise"),
        keras.layers.Conv2D(4, 1, name="point"),
    )


def test_kernels_are_those_of_keras(deep):
    result = cnnlab.analyze("filters", deep)
    for name in ("first", "wise", "point"):
        np.testing.assert_array_equal(result.arrays[f"kernel/{name}"], deep.get_layer(name).kernel.numpy())
    assert result.arrays["energy/wise"].shape == (3, 1, 10)
    assert result.metrics["constant/point"] == 1


def test_likenesses_are_those_of_a_plain_loop(deep):
    result = cnnlab.analyze("filters", deep, layer="first")
    kernel = deep.get_layer("first").kernel.numpy().astype(np.float64)

    def alike(a, b):
        return abs(np.sum(a * b)) / math.sqrt(np.sum(a * a) * np.sum(b * b))

    pairs = list(itertools.combinations(range(5), 2))
    whole = [alike(kernel[..., i], kernel[..., j]) for i, j in pairs]
    slices = [alike(kernel[..., c, i], kernel[..., c, j]) for c in range(2) for i, j in pairs]
    assert result.metrics["similarity/first"] == pytest.approx(np.mean(whole))
    assert result.metrics["slice_similarity/first"] == pytest.approx(np.mean(slices))
    assert abs(result.arrays["similarity/first"][0, 1]) == pytest.approx(whole[0], abs=1e-6)
    assert set(result.drawings) == {"first"}


def test_a_map_of_the_shares_of_each_slice_averages_to_the_metrics(deep):
    result = cnnlab.analyze("filters", deep, layer="first")
    for part, share in zip(("constant", "edge", "higher"), result.arrays["energy/first"], strict=True):
        assert result.metrics[f"{part}/first"] == pytest.approx(share.mean(), abs=1e-6)


def test_kernels_of_zeros_are_told_and_left_out():
    layer = keras.layers.Conv2D(2, 3, name="conv")
    net = model(layer)
    weights = np.zeros((3, 3, 2, 2))
    weights[..., 0, 0] = 1
    layer.set_weights([weights, np.zeros(2)])
    result = cnnlab.analyze("filters", net)
    assert result.metrics["constant/conv"] == 1
    assert result.metrics["similarity/conv"] is None
    assert any("3 of 4 kernel slices are zero" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"layer": "frist"}, "Did you mean.*first"),
        ({"layer": "scores"}, "scores is Dense.*first"),
        ({"channel": 17}, "no input channel 17.*first has 2"),
        ({"channel": -1}, "at least 0"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(deep, params, sentence):
    with pytest.raises(UsageError, match=sentence):
        cnnlab.analyze("filters", deep, **params)


@pytest.mark.parametrize("channel", [2, 4])
def test_a_channel_that_some_layers_lack_is_drawn_for_the_others(deep, channel):
    result = cnnlab.analyze("filters", deep, channel=[channel, channel])
    assert set(result.drawings) == {"point"}
    assert any(f"first has 2 input channels; channel {channel} is not drawn" in each for each in result.warnings)
    assert "kernel/first" in result.arrays


def test_a_model_without_convolutions_is_refused_with_its_layers(tiny_models):
    with pytest.raises(CnnlabError, match=r"convolutional layers; this one has .*scores \(Dense\)"):
        cnnlab.analyze("filters", tiny_models.linear((8, 8, 1)))


def words(figure):
    texts = (text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text")))
    return " ".join(" ".join(texts).split())


def test_the_figure_says_how_many_of_the_filters_it_shows(deep):
    result = cnnlab.analyze("filters", deep, layer="first", most=3)
    assert "the first 3 of 5 filters, 3×4, all 2 input channels" in words(result.figure())


def test_three_input_channels_are_drawn_in_colour_with_grey_for_zero():
    layer = keras.layers.Conv2D(2, 3, name="conv")
    net = model(layer, shape=(8, 8, 3))
    weights = np.zeros((3, 3, 3, 2))
    weights[0, 0, 0, 0], weights[1, 1, 2, 1] = 2.0, -2.0
    layer.set_weights([weights, np.zeros(2)])
    figure = cnnlab.analyze("filters", net).figure()
    laid = figure.axes[0].get_images()[0].get_array()
    first, second = laid[:3, :3], laid[:3, 4:]
    np.testing.assert_allclose(first[0, 0], [1, 0.5, 0.5])
    np.testing.assert_allclose(second[1, 1], [0.5, 0.5, 0])
    np.testing.assert_allclose(first[2, 2], 0.5)
    one = cnnlab.analyze("filters", net, channel=0).figure()
    assert one.axes[0].get_images()[0].get_clim() == (-2, 2)
    assert "colour: the weights of red, green and blue, 0 is grey, the ends are ±2" in words(figure)


def test_filters_by_input_channels_are_a_table_on_one_scale(deep):
    result = cnnlab.analyze("filters", deep, layer="first")
    kernel = deep.get_layer("first").kernel.numpy()
    axes = result.figure().axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1", "2", "3", "4"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1"]
    laid = axes.get_images()[0].get_array()
    for number, channel in itertools.product(range(5), range(2)):
        tile = laid[4 * number : 4 * number + 3, 5 * channel : 5 * channel + 4]
        np.testing.assert_array_equal(tile, kernel[:, :, channel, number])
    assert axes.get_images()[0].get_clim() == pytest.approx((-np.abs(kernel).max(), np.abs(kernel).max()))


def test_of_a_large_layer_the_most_energetic_slices_are_drawn_with_their_numbers():
    layer = keras.layers.Conv2D(16, 3, name="conv")
    net = model(layer, shape=(8, 8, 20))
    kernel = layer.kernel.numpy()
    sheet = cnnlab.analyze("filters", net).drawing()
    energy = np.square(kernel.astype(np.float64)).sum(axis=(0, 1))
    assert len(sheet.rows) == 12
    assert len(sheet.names) == len(sheet.array) == 12 * 12
    assert (sheet.layer, tuple(sheet.units)) == ("conv", sheet.rows), "its units are the filters, not their channels"
    assert [energy[:, int(row)].sum() for row in sheet.rows] == pytest.approx(sorted(energy.sum(axis=0))[:-13:-1])
    for place, (name, tile) in enumerate(zip(sheet.names, sheet.array, strict=True)):
        row = int(sheet.rows[place // 12])
        np.testing.assert_array_equal(tile, kernel[:, :, int(name), row])
        assert energy[int(name), row] == pytest.approx(sorted(energy[:, row])[-1 - place % 12])
    assert "the 12 of 16 filters with the most energy, 4 left out" in sheet.title
    assert "the 12 of 20 channels with the most" in sheet.title


def test_the_scale_of_many_weights_ends_before_the_outliers_and_says_so():
    layer = keras.layers.Conv2D(32, 3, name="conv")
    net = model(layer, shape=(8, 8, 20))
    weights = np.full((3, 3, 20, 32), 0.5)
    weights[0, 0, 0, 0] = 100
    layer.set_weights([weights, np.zeros(32)])
    result = cnnlab.analyze("filters", net)
    assert result.drawing().ends == (-0.5, 0.5)
    assert "the ends of the scale also stand for the largest 0.5%" in words(result.figure())


def test_layers_of_nested_models_have_files_of_their_own(tmp_path):
    block = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="conv")], name="block")
    net = keras.Sequential([keras.Input((8, 8, 1)), block, keras.layers.Flatten(), keras.layers.Dense(2)])
    result = cnnlab.analyze("filters", net, maximize=True, steps=1)
    (name,) = (name for name in result.drawings if not name.endswith("-maximized"))
    assert "/" in name
    files = {path.name for path in result.save(tmp_path / "out")}
    assert {f"figure-{name.replace('/', '.')}.png", f"figure-{name.replace('/', '.')}-maximized.png"} <= files


def test_the_terminal_shows_the_first_layers_filters_and_of_many_as_many_as_it_has_room_for(deep):
    from rich.console import Console

    from cnnlab.render import terminal

    def shown(result):
        console = Console(width=80, color_system=None)
        with console.capture() as capture:
            console.print(terminal.render(result.drawing(), 78))
        return capture.get()

    assert "first: 5" in shown(cnnlab.analyze("filters", deep))
    wide = model(keras.layers.Conv2D(40, 3, name="conv"), shape=(8, 8, 30))
    assert " of 800" in shown(cnnlab.analyze("filters", wide, channel=tuple(range(20)), most=40))


def linear_convolution(bias=0.1):
    layer = keras.layers.Conv2D(3, 3, padding="same", name="conv")
    net = model(layer, shape=(9, 9, 2))
    layer.set_weights([np.random.default_rng(5).normal(size=(3, 3, 2, 3)), np.full(3, bias)])
    return net, layer.kernel.numpy()


def test_the_middle_unit_of_a_linear_filter_is_climbed_to_its_closed_form_top():
    """Where a weight is positive the best pixel is the range's upper end, else the lower one; the rest is no matter."""
    net, kernel = linear_convolution()
    result = cnnlab.analyze("filters", net, maximize=True, objective="unit", steps=60)  # of 0.02 of the range
    top = np.maximum(kernel, 0).sum(axis=(0, 1, 2)) + 0.1
    np.testing.assert_allclose(result.arrays["excitation/conv"][1], top, rtol=1e-5)
    images = result.arrays["maximizing/conv"]
    np.testing.assert_array_equal(images[:, 3:6, 3:6], (kernel > 0).transpose(3, 0, 1, 2))
    outside = np.ones((9, 9), bool)
    outside[3:6, 3:6] = False
    np.testing.assert_array_equal(images[:, outside], 0.5)


def test_the_mean_of_a_linear_map_is_climbed_to_its_closed_form_top():
    net, kernel = linear_convolution()
    result = cnnlab.analyze("filters", net, maximize=True, steps=60)
    # How often a weight meets a pixel depends on how near the border that is: sum what each pixel is worth.
    worth = np.zeros((9, 9, 2, 3))
    for row, col, down, across in itertools.product(range(9), range(9), range(3), range(3)):
        y, x = row + down - 1, col + across - 1
        if 0 <= y < 9 and 0 <= x < 9:
            worth[y, x] += kernel[down, across]
    top = np.maximum(worth, 0).sum(axis=(0, 1, 2)) / 81 + 0.1
    np.testing.assert_allclose(result.arrays["excitation/conv"][1], top, rtol=1e-4)


def test_excitations_are_what_the_model_says_of_the_images(deep):
    result = cnnlab.analyze("filters", deep, maximize=True, steps=5, layer="first")
    images = result.arrays["maximizing/first"]
    assert images.min() >= 0
    assert images.max() <= 1
    inner = keras.Model(deep.inputs, deep.get_layer("first").output)
    maps = inner([images]).numpy()
    own = maps[np.arange(5), :, :, np.arange(5)].mean(axis=(1, 2))
    np.testing.assert_allclose(result.arrays["excitation/first"][1], own, rtol=1e-4)
    assert (result.arrays["excitation/first"][1] >= result.arrays["excitation/first"][0]).all()


def test_choosing_layers_does_not_change_what_is_found(deep):
    every = cnnlab.analyze("filters", deep, maximize=True, steps=2)
    one = cnnlab.analyze("filters", deep, maximize=True, steps=2, layer="point")
    np.testing.assert_array_equal(every.arrays["maximizing/point"], one.arrays["maximizing/point"])


def test_a_filter_that_nothing_excites_is_told():
    layer = keras.layers.Conv2D(2, 3, activation="relu", name="conv")
    net = model(layer)
    layer.set_weights([np.full((3, 3, 2, 2), 0.1), np.array([-100.0, 0.0])])
    result = cnnlab.analyze("filters", net, maximize=True, steps=3)
    assert result.metrics["excited/conv"] == 0.5
    assert any("no input was found that excites filters 0 more" in warning for warning in result.warnings)


def test_the_climb_is_drawn_beside_each_filter(deep):
    result = cnnlab.analyze("filters", deep, maximize=True, steps=2, layer="first", most=3)
    drawn = result.drawing("first-maximized")
    titles = [f"{reached:.3g}" for reached in result.arrays["excitation/first"][1]]
    assert [tile.title for tile in drawn.tiles] == ["filter 0", titles[0], "filter 1", titles[1], "filter 2", titles[2]]
    for image, tile in zip(result.arrays["maximizing/first"], drawn.tiles[1::2], strict=True):
        np.testing.assert_array_equal(tile.values, image)
    assert "the mean of its map" in words(result.figure("first-maximized"))


def test_a_model_with_open_sides_is_climbed():
    net = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            keras.layers.Conv2D(2, 3, name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    result = cnnlab.analyze("filters", net, maximize=True, steps=1)
    assert result.arrays["maximizing/conv"].shape == (2, 64, 64, 1)


def test_a_model_for_a_fixed_number_of_images_and_another_range_is_climbed(tmp_path):
    image = keras.Input(batch_shape=(2, 8, 8, 1))
    hidden = keras.layers.Conv2D(3, 3, name="conv", bias_initializer="ones")(image)
    net = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(hidden)))
    classifier = load(net)
    classifier.bounds = (-1.0, 3.0)
    result = cnnlab.analyze("filters", classifier, maximize=True, objective="unit", steps=60)
    kernel = net.get_layer("conv").kernel.numpy()
    top = np.where(kernel > 0, 3 * kernel, -kernel).sum(axis=(0, 1, 2)) + 1
    np.testing.assert_allclose(result.arrays["excitation/conv"][1], top, rtol=1e-4)


@pytest.mark.parametrize("grain", [1, 2, 4])
def test_noise_is_made_of_blocks(grain):
    images = noise(np.random.default_rng(0), 3, (7, 9, 2), grain, (-2.0, 1.0))
    assert images.shape == (3, 7, 9, 2)
    assert images.min() >= -2
    assert images.max() <= 1
    assert (images[:, 0, 0] == images[:, grain - 1, grain - 1]).all()
    assert (images[:, 0, 0] != images[:, grain, grain]).all()
