"""Drawings as data: checked when they are made, written and read back whole, references resolved."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays_of

from cnnlab.drawings import (
    At,
    Bars,
    Curves,
    Image,
    Line,
    Matrix,
    Picture,
    Scrub,
    Series,
    Sheet,
    Tiles,
    from_json,
    resolved,
    to_json,
)
from cnnlab.errors import CnnlabError, UsageError

RAMP = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)


@pytest.mark.parametrize(
    ("values", "scale", "limits", "ends"),
    [
        (RAMP, "image", None, (0, 1)),
        (RAMP / 2, "image", None, (0, 1)),
        (RAMP * 255, "image", None, (0, 255)),
        (np.repeat(RAMP[..., None] - 1, 3, axis=-1), "image", None, (-1, 0)),
        (RAMP - 0.25, "diverging", None, (-0.75, 0.75)),
        (RAMP, "diverging", (-0.1, 0.2), (-0.2, 0.2)),
        (RAMP * 0, "diverging", None, (-1, 1)),
        (RAMP * 4 + 1, "sequential", None, (1, 5)),
        (RAMP * 0 + 3, "sequential", None, (3, 4)),
        (RAMP * np.nan, "sequential", None, (0, 1)),
        (np.where(RAMP > 0.5, np.nan, RAMP * 2), "sequential", (0, 9), (0, 9)),
    ],
)
def test_the_ends_of_a_scale(values, scale, limits, ends):
    picture = Picture(values=values, scale=scale, limits=limits)
    assert picture.ends == pytest.approx(ends)
    unit = picture.unit_plane
    assert np.nanmin(unit, initial=0) >= 0
    assert np.nanmax(unit, initial=1) <= 1


def test_zero_is_the_middle_of_a_diverging_scale():
    unit = Picture(values=np.array([[-1.0, 0.0, 3.0]]), scale="diverging").unit_plane
    np.testing.assert_allclose(unit, [[1 / 3, 0.5, 1]])


def test_an_image_is_grey_or_colour_by_its_channels():
    assert Picture.of_image(np.zeros((4, 4, 1)), (0, 255)).ends == (0, 255)
    assert Picture.of_image(np.zeros((4, 4, 3)), (0, 1)).in_colour
    assert not Picture.of_image(np.zeros((4, 4, 1)), (0, 1)).in_colour
    assert Picture(values=np.ones((4, 4, 5))).plane.shape == (4, 4)


def test_colours_of_a_diverging_picture_are_about_grey():
    noise = np.zeros((1, 2, 3))
    noise[0, 0] = (0.1, -0.1, 0)
    picture = Picture(values=noise, scale="diverging", limits=(-0.1, 0.1))
    np.testing.assert_allclose(picture.unit_plane[0], [[1, 0, 0.5], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize("colour", [False, True])
def test_a_sheet_keeps_every_pixel_in_its_place(colour):
    stack = np.random.default_rng(0).random((7, 3, 4, *([3] if colour else []))).astype(np.float32)
    laid = Sheet(values=stack, columns=3).mosaic
    assert laid.shape[:2] == (3 * 4 - 1, 3 * 5 - 1)
    for index, image in enumerate(stack):
        top, left = index // 3 * 4, index % 3 * 5
        np.testing.assert_array_equal(laid[top : top + 3, left : left + 4], image)
    assert np.isnan(laid[3]).all()
    assert np.isfinite(laid).sum() == stack.size


def test_a_sheet_says_where_each_unit_of_its_layer_lies():
    values = np.zeros((4, 3, 5))
    numbered = Sheet(values=values, columns=2, names=tuple("abcd"), layer="conv1")
    assert numbered.units == {"a": (0, 0, 5, 3), "b": (6, 0, 5, 3), "c": (0, 4, 5, 3), "d": (6, 4, 5, 3)}
    table = Sheet(values=values, columns=2, names=tuple("abcd"), rows=("7", "9"), layer="conv1")
    assert table.units == {"7": (0, 0, 11, 3), "9": (0, 4, 11, 3)}
    assert Sheet(values=values, names=tuple("abcd")).units == {}


def test_drawings_of_before_a_field_was_there_are_read():
    record = json.loads(to_json({"a": Picture(values=RAMP), "b": Sheet(values=np.zeros((1, 2, 2)))}))
    del record["a"]["window"], record["b"]["layer"]
    read = from_json(json.dumps(record))
    assert (read["a"].window, read["b"].layer) == (None, "")


def test_bars_show_the_largest_classes_in_their_order():
    values = [0.1, 0.9, np.nan, 0.5, 0.7]
    bars = Bars(names=tuple("abcde"), series=(Series(name="s", values=values),), label="", most=3)
    assert bars.shown.tolist() == [1, 3, 4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Picture(values=np.zeros(3)), r"Picture needs values of 2 or 3 axes; received \[3\]"),
        (lambda: Sheet(values=np.zeros((3, 3))), "Sheet needs values of 3 or 4 axes"),
        (lambda: Picture(values=RAMP, limits=(1, 0)), "limits of a picture must rise"),
        (lambda: Line(name="loss", x=(1, 2), y=(1,)), "line 'loss' needs as many values of each kind; received 2 of x"),
        (
            lambda: Matrix(values=RAMP, rows=("a",), columns=("b",), row_label="", column_label=""),
            r"names of \[1, 1\] cells got \[5, 7\] values",
        ),
        (lambda: Scrub(axis="epsilon", stops=("0.1",), frames=()), "one frame for each stop"),
    ],
)
def test_what_is_no_drawing_is_refused_when_it_is_made(make, message):
    with pytest.raises(ValueError, match=message) as refused:
        make()
    assert not isinstance(refused.value, CnnlabError), "it is the author's mistake, and no sentence for users"


def every_drawing() -> dict[str, object]:
    picture = Picture(values=RAMP - 0.5, title="Ä <title>", scale="diverging", unit="drop", outline=RAMP, mark=True)
    placed = Picture(values=At("a", (1, 2)), place=(1.0, 2.0, 3.0, 4.0), image=3)
    line = Line(name="n", x=(1, 2), y=np.array([1.5, np.nan]), low=At("b"), high=[2, 3], points=("a", "b"), color=2)
    return {
        "": Tiles(tiles=(picture, None, placed), columns=3, rows=("r",), heads=("h",), size=1.5),
        "scrub": Scrub(axis="epsilon", stops=("0.1", "0.2"), frames=((picture, placed), (placed, picture))),
        "nested": Tiles(tiles=(Tiles(tiles=(picture,)), Scrub(axis="a", stops=("1",), frames=((picture,),)))),
        "curves": Curves(
            lines=(line,), x_label="x", y_label="y", horizontal={"h": 1.0}, y_limits=(0, 1), y_scale="log"
        ),
        "bars": Bars(names=("a", "b"), series=(Series(name="s", values=(0.25, 0.5)),), label="l", highlight=1),
        "matrix": Matrix(
            values=np.arange(4).reshape(2, 2), rows=("a", "b"), columns=("c", "d"), row_label="r", column_label="c"
        ),
        "sheet": Sheet(values=np.zeros((3, 2, 2), np.float16), names=("1", "2", "3"), clipped=True),
        "classes": Picture(values=np.arange(6).reshape(2, 3), scale="classes", names=("a", "b")),
        "image": Image(png="iVBORw0KGgo=", title="own"),
    }


def same(first, second) -> bool:
    """Whether two drawings hold the same, arrays to the bit."""
    if isinstance(first, np.ndarray):
        return (
            isinstance(second, np.ndarray)
            and first.dtype == second.dtype
            and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
        )
    if hasattr(first, "__dataclass_fields__"):
        return type(first) is type(second) and all(
            same(getattr(first, name), getattr(second, name)) for name in first.__dataclass_fields__
        )
    if isinstance(first, (tuple, list)):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def test_every_drawing_is_written_and_read_back_whole():
    drawings = every_drawing()
    read = from_json(to_json(drawings))
    assert list(read) == list(drawings)
    for name, drawing in drawings.items():
        assert same(drawing, read[name]), name


@settings(max_examples=60, deadline=None)
@given(
    arrays_of.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64, np.bool_]),
        arrays_of.array_shapes(min_dims=2, max_dims=2, max_side=4),
    )
)
def test_values_of_any_kind_survive_to_the_bit(values):
    (read,) = from_json(to_json({"x": Picture(values=values)})).values()
    assert read.array.dtype == values.dtype
    assert read.array.tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("drawing", "message"),
    [
        ("picture", "'x' is str, no drawing"),
        (Picture(values=np.array([["a", "b"]])), "no number"),
        (Picture(values=np.array([[object()]])), "no number"),
        (Tiles(tiles=("picture",)), "cannot be saved"),
        (Picture(values=RAMP, limits=(np.float32(0), np.float32(1))), r"saved: .*float32"),
        (Picture(values=RAMP, title="\ud800"), "saved: they hold half of a character"),
    ],
)
def test_what_cannot_be_kept_is_refused(drawing, message):
    with pytest.raises(UsageError, match=message):
        to_json({"x": drawing})


def hostile(**change) -> str:
    record = json.loads(to_json({"x": Picture(values=RAMP.astype(float))}))
    return json.dumps({"x": {**record["x"], **change}})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "{",
        '{"x": 1}',
        '{"x": {}}',
        '{"x": {"kind": "film"}}',
        '{"x": {"kind": "picture"}}',
        hostile(scale="rainbow"),
        hostile(limits=[1]),
        hostile(limits=[2, 1]),
        hostile(values={"dtype": "float64", "shape": [5, 7], "base64": "AAAA"}),
        hostile(values={"dtype": "float64", "shape": [-5, -7], "base64": ""}),
        hostile(values={"dtype": "float64", "shape": [10**9, 10**9], "base64": "AAAA"}),
        hostile(values={"dtype": "object", "shape": [1, 1], "base64": "AAAAAAAAAAA="}),
        hostile(values={"dtype": "no", "list": [1]}),
        hostile(values={"dtype": "(1,", "list": [1]}),
        hostile(values={"dtype": "a", "list": [1]}),
        hostile(values={"dtype": "float64", "list": [1]}).replace("[1]", "[" * 100 + "1" + "]" * 100),
        hostile(values={"dtype": "float64", "shape": [1e400], "base64": ""}),
        hostile(values={"array": "x", "index": ["y"]}),
        '{"array": "x", "index": []}',
        "7",
        hostile(values={"dtype": "float64", "list": ["x"]}),
        hostile(values={"dtype": "float64", "shape": [1, 1], "base64": "not base64!"}),
        hostile(values=[1, 2]),
        hostile(title=7),
    ],
)
def test_what_is_no_drawing_on_disk_is_one_sentence(text):
    with pytest.raises(CnnlabError, match=r"the drawings cannot be read: .+") as error:
        from_json(text)
    assert "\n" not in str(error.value)
    assert ".." not in str(error.value)
    assert ": :" not in str(error.value)


@pytest.mark.parametrize("nested", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_what_is_nested_too_deeply_is_said_in_words_of_our_own(nested):
    with pytest.raises(CnnlabError) as error:
        from_json(f'{{"x": {nested}}}')
    assert str(error.value) == "the drawings cannot be read: they are nested too deeply."


def test_references_are_resolved_and_missing_ones_named():
    held = {"a": np.arange(24.0).reshape(2, 3, 4), "b": np.array([1.0, 2.0])}
    tiles = Tiles(
        tiles=(Picture(values=At("a", 1)), Scrub(axis="s", stops=("1",), frames=((Picture(values=At("a", (0,))),),)))
    )
    whole = resolved(tiles, held)
    np.testing.assert_array_equal(whole.tiles[0].array, held["a"][1])
    np.testing.assert_array_equal(whole.tiles[1].frames[0][0].array, held["a"][0])
    with pytest.raises(CnnlabError, match="refers to the array 'c', and there is none"):
        resolved(Picture(values=At("c")), held)
    with pytest.raises(CnnlabError, match=r"refers to a\[5\], and the array is \[2, 3, 4\]"):
        resolved(Picture(values=At("a", 5)), held)
    with pytest.raises(ValueError, match=r"must be an array or At"):
        _ = Picture(values=At("a", 1)).array


def test_numbers_of_numpy_are_numbers():
    line = Line(name="a", x=(np.int64(1), 2), y=(np.float32(0.5), np.float64(4)))
    (read,) = from_json(to_json({"x": Curves(lines=(line,), x_label="x", y_label="y")})).values()
    assert (list(read.lines[0].x), list(read.lines[0].y)) == ([1, 2], [0.5, 4.0])


def test_a_reference_has_no_numbers_until_it_is_resolved():
    bars = Bars(names=("a", "b"), series=(Series(name="s", values=At("counts")),), label="images", most=1)
    with pytest.raises(CnnlabError, match="the drawing refers to 'counts', whose values are not in it"):
        _ = bars.shown
