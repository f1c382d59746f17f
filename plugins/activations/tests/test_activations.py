"""The contract, and maps, zeros and correlations against Keras and plain loops."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, strategies as st

import cnnlab
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.testing import AnalysisContract
from cnnlab_activations.sheets import units
from cnnlab_activations.tally import area_average, correlations, overlaps


class TestContract(AnalysisContract):
    analysis = "activations"


@pytest.mark.full
class TestContractByMap(AnalysisContract):
    analysis = "activations"
    params = {"scale": "map", "keep": 1, "most": 2, "layer": "conv1"}  # noqa: RUF012


SHAPE = (10, 9, 3)
NAMES = ("first", "norm", "shrink", "wise", "flat", "scores")


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(4)
    net = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="first"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.AveragePooling2D(2, name="shrink"),
            keras.layers.DepthwiseConv2D(2, activation="tanh", name="wise"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(5, name="scores"),
        ]
    )
    kernel, bias = net.get_layer("first").get_weights()
    bias[2] = -100  # a filter that no image wakes
    net.get_layer("first").set_weights([kernel, bias])
    return net


@pytest.fixture(scope="module")
def opened(net):
    """The same, opened: what is compiled for it is kept with it."""
    return cnnlab.load(net)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).random((7, *SHAPE), dtype=np.float32)


@pytest.fixture(scope="module")
def keras_says(net, images):
    values = keras.Model(net.inputs, [net.get_layer(name).output for name in NAMES])([images])
    return {name: value.numpy() for name, value in zip(NAMES, values, strict=True)}


def test_activations_are_those_of_keras_intermediate_model(opened, images, keras_says):
    result = cnnlab.analyze("activations", opened, images)
    found = {name.partition("/")[2] for name in result.arrays if name.startswith("activation/")}
    assert found == set(NAMES)
    for name, value in keras_says.items():
        np.testing.assert_allclose(result.arrays[f"activation/{name}"], value, rtol=1e-4, atol=1e-5)


def test_zeros_and_dead_maps_are_counted_as_in_plain_numpy(opened, images, keras_says):
    result = cnnlab.analyze("activations", opened, images)
    value = keras_says["first"]
    assert result.metrics["zeros/first"] == pytest.approx(np.mean(value == 0))
    np.testing.assert_allclose(result.arrays["zeros/first"], (value == 0).mean(axis=(0, 1, 2)), rtol=1e-6)
    assert 0.1 < result.metrics["zeros/first"] < 1
    assert result.metrics["dead/first"] == 1
    assert result.metrics["dead/scores"] == 0
    assert any("first: 1 of 6 filters give zero everywhere in all 7 images" in text for text in result.warnings)


def test_correlations_are_those_of_corrcoef(opened, images, keras_says):
    result = cnnlab.analyze("activations", opened, images)
    grey = images.mean(axis=3, dtype=np.float64)
    for name in ("first", "shrink"):
        value = keras_says[name]
        expected = np.full((7, 6), np.nan)
        for image in range(7):
            seen = slow_average(grey[image], value.shape[1:3])
            for channel in range(6):
                if np.ptp(value[image, :, :, channel]) > 0:
                    expected[image, channel] = np.corrcoef(seen.ravel(), value[image, :, :, channel].ravel())[0, 1]
        np.testing.assert_allclose(result.arrays[f"correlation/{name}"], expected, atol=1e-4)
        strongest = np.nanmax(np.abs(expected), axis=1)
        assert result.metrics[f"correlation/{name}"] == pytest.approx(strongest.mean(), abs=1e-4)
        assert result.metrics[f"typical_correlation/{name}"] == pytest.approx(np.nanmean(np.abs(expected)), abs=1e-4)
        if name == "first":
            assert np.isnan(expected[:, 2]).all()
            assert result.rows[3]["first_correlation"] == pytest.approx(strongest[3], abs=1e-4)


def slow_average(image, size):
    """Blow each pixel up so that both grids divide it, then take means of whole blocks."""
    for axis, new in enumerate(size):
        image = image.repeat(new, axis=axis)
    height, width = image.shape[0] // size[0], image.shape[1] // size[1]
    return image.reshape(size[0], height, size[1], width).mean(axis=(1, 3))


SIDES = st.integers(1, 9)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 99))
def test_area_averages_are_those_of_blown_up_images(height, width, high, wide, seed):
    image = np.random.default_rng(seed).random((height, width))
    np.testing.assert_allclose(
        area_average(image[None], (high, wide))[0], slow_average(image, (high, wide)), atol=1e-12
    )


@given(SIDES, SIDES)
def test_overlaps_cover_everything_once(old, new):
    parts = overlaps(old, new)
    np.testing.assert_allclose(parts.sum(axis=1), 1)
    np.testing.assert_allclose(parts.sum(axis=0), new / old)


def test_a_map_that_is_the_image_correlates_fully_and_a_constant_one_not_at_all():
    images = np.random.default_rng(0).random((2, 6, 8, 1))
    small = area_average(images[..., 0], (3, 4))
    maps = np.stack([small, -2 * small + 5, np.full_like(small, 0.1)], axis=-1)
    found = correlations(images, maps)
    np.testing.assert_allclose(found[:, :2], [[1, -1], [1, -1]], atol=1e-12)
    assert np.isnan(found[:, 2]).all()
    assert np.isnan(correlations(np.full((1, 6, 8, 1), 0.3), maps[:1])).all()


def test_batches_make_no_difference(net, images, monkeypatch):
    classifier = cnnlab.load(net)
    whole = cnnlab.analyze("activations", classifier, images)
    monkeypatch.setitem(classifier.__dict__, "batch_size", 2)
    parts = cnnlab.analyze("activations", classifier, images, keep=3)
    for name, array in whole.arrays.items():
        expected = array[:3] if name == "image" or name.startswith("activation/") else array
        np.testing.assert_allclose(parts.arrays[name], expected, atol=1e-5)
    for name, value in whole.metrics.items():
        assert parts.metrics[name] == pytest.approx(value, abs=1e-5)


def test_only_the_layers_asked_for_each_once(opened, images):
    result = cnnlab.analyze("activations", opened, images[:1], layer=["scores", "first", "first"])
    assert [name for name in result.arrays if name.startswith("activation/")] == [
        "activation/scores",
        "activation/first",
    ]
    assert list(result.drawings) == ["scores", "first"]


def test_an_unknown_layer_is_refused_with_the_nearest(opened, images):
    with pytest.raises(UsageError, match=r"no layer 'frist'.*first"):
        cnnlab.analyze("activations", opened, images, layer="frist")


def test_more_than_memory_holds_is_refused_with_what_fits(opened, images, monkeypatch):
    monkeypatch.setattr("cnnlab_activations.run.MEMORY", 12000)
    words = r"would take 0\.0 GiB; expected at most 1\.11759e-05\. Keep fewer with `keep=2`, or choose"
    with pytest.raises(UsageError, match=words):
        cnnlab.analyze("activations", opened, images)
    values = sum(np.prod(layer.output_shape) for layer in opened.layers)
    monkeypatch.setattr("cnnlab_activations.run.MEMORY", 4 * len(images) * values)
    assert cnnlab.analyze("activations", opened, images).arrays
    assert len(cnnlab.analyze("activations", opened, images, keep=2).arrays["activation/first"]) == 2
    assert cnnlab.analyze("activations", opened, images, layer="scores")


def drawn(result, name):
    return [axes.get_images()[0] for axes in result.figure(name).axes if axes.get_images()]


def words(figure):
    texts = (text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text")))
    return " ".join(" ".join(texts).split())


def test_scales_are_one_a_layer_or_one_a_map_and_said(opened, images, keras_says):
    result = cnnlab.analyze("activations", opened, images[:2])
    assert drawn(result, "first")[1].get_clim() == pytest.approx((0, keras_says["first"][:2].max()), rel=1e-4)
    largest = np.abs(keras_says["wise"][:2]).max()
    assert drawn(result, "wise")[1].get_clim() == pytest.approx((-largest, largest), rel=1e-4)
    assert "6 maps, 10×9, all on one scale" in words(result.figure("first"))
    by_map = cnnlab.analyze("activations", opened, images[:2], scale="map", most=5)
    assert "the first 5 of 6 maps, 10×9, each by its own largest value" in words(by_map.figure("first"))
    sheet = drawn(by_map, "first")[1].get_array()
    first = keras_says["first"][0, ..., 0]
    np.testing.assert_allclose(sheet[:10, :9], first / first.max(), rtol=1e-3, atol=1e-5)


def test_the_drawing_refers_to_the_activations_and_survives_saving(opened, images, keras_says, tmp_path):
    result = cnnlab.analyze("activations", opened, images, keep=2)
    files = {path.name for path in result.save(tmp_path / "out")}
    assert {f"figure-{name}.png" for name in NAMES} <= files
    # Maps are kept once, whatever the size of the layer.
    assert (tmp_path / "out" / "drawings.json").stat().st_size < 20_000
    loaded = cnnlab.Result.load(tmp_path / "out").drawing("first")
    sheets = loaded.tiles[1::2]
    assert len(sheets) == 2
    assert [list(sheet.units) == list(sheet.names) and sheet.layer for sheet in sheets] == ["first"] * 2
    for image, picture in zip(images, loaded.tiles[::2], strict=False):
        np.testing.assert_array_equal(picture.array, image)
    for sheet, value in zip(sheets, keras_says["first"], strict=False):
        np.testing.assert_allclose(sheet.array, value.transpose(2, 0, 1), rtol=1e-4, atol=1e-5)


def test_activations_that_are_no_numbers_are_refused_and_their_layer_named(images):
    blow_up = keras.layers.Lambda(lambda values: values / 0.0, name="blown")
    net = keras.Sequential([keras.Input(SHAPE), blow_up, keras.layers.Flatten(), keras.layers.Dense(3, name="out")])
    with pytest.raises(CnnlabError, match=r"logits for array:0 are not finite.*the first layer.* is (blown|out)"):
        cnnlab.analyze("activations", net, images[:1])


def test_the_terminal_shows_the_image_and_the_maps_of_the_first_layer(opened, images):
    from rich.console import Console

    from cnnlab.render import terminal

    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(terminal.render(cnnlab.analyze("activations", opened, images).drawing(), 78))
    first = capture.get().splitlines()[0]
    assert first.startswith("array:0")
    assert "first: 6 maps, 10×9" in first


def test_the_figure_says_how_many_images_it_shows(opened, images):
    assert "the first 4 of 7 images" in words(cnnlab.analyze("activations", opened, images).figure("scores"))


def test_maps_have_the_numbers_of_their_filters(opened, images):
    drawing = cnnlab.analyze("activations", opened, images[:1], most=5).drawing("first")
    assert drawing.tiles[1].names == tuple("01234")


def test_dense_units_are_bars_and_the_last_ones_have_the_names_of_the_classes(opened, images, keras_says):
    result = cnnlab.analyze("activations", opened, images[:2])
    classes = opened.class_names
    drawing = result.drawing("scores")
    for bars, values in zip(drawing.tiles[1::2], keras_says["scores"], strict=False):
        assert bars.names == tuple(classes)
        np.testing.assert_allclose(bars.series[0].values, values, rtol=1e-4, atol=1e-5)
    assert len({bars.limits for bars in drawing.tiles[1::2]}) == 1, "all images on one scale"


@given(st.integers(13, 300))
def test_of_many_units_the_largest_are_drawn(count):
    values = np.random.default_rng(count).normal(size=(1, 1, count))
    bars = units("wide", 0, values, (), (values.min(), values.max()))
    assert bars.title == f"wide: 1×{count} units, the 12 largest"
    assert sorted(values[0, 0, bars.shown]) == sorted(values[0, 0])[-12:]
