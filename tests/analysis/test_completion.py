"""What the host makes of what a plugin handed over: declared arrays, their axes, rows of columns, drawings of data."""

from __future__ import annotations

import contextlib
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from cnnlab.analysis import host
from cnnlab.drawings import At, Curves, Image, Line, Picture, Scrub, Sheet, Tiles
from cnnlab.errors import CnnlabError
from cnnlab.inputs import from_arrays
from cnnlab.pluginhost.declarations import Array
from cnnlab.results.claims import Claims
from cnnlab.results.meanings import declared_as
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier

MODEL = FakeClassifier(lambda images: images.mean(axis=(1, 2, 3))[:, None] * np.arange(3), (2, 3, 1), 3)
IMAGES = np.random.default_rng(0).random((10, 2, 3, 1), dtype=np.float32)


def completed(analysis, result, count=10, **declared):
    made = analysis(lambda *_: result, **declared)
    return host.run(made, MODEL, from_arrays(MODEL, IMAGES[:count]), made.params())


class Odd:
    """An object that fails where it is looked at."""

    def __array__(self, *_, **__):
        raise KeyError("odd")


@pytest.mark.parametrize(
    ("result", "blame"),
    [
        (None, "returned NoneType where a cnnlab.plugin.Result was expected"),
        (Result(arrays={"other": np.zeros(1)}), "returned the array 'other', which it does not declare"),
        (Result(arrays={"a": [1, 2]}), "returned the array 'a' as list"),
        (Result(arrays={"a": np.array([object()])}), "returned the array 'a'"),
        (Result(metrics={"other": 1.0}), "returned the metric 'other', which it does not declare"),
        (Result(metrics={"m": "high"}), "returned the metric 'm' as str"),
        (
            Result(arrays={"a": np.array([1j])}),
            "returned the array 'a' as an array of complex128; expected a NumPy array of numbers, of booleans or",
        ),
        (Result(metrics={"m": 10**400}), "returned the metric 'm' as inf; expected a finite number, or NaN"),
        (Result(metrics={5: 1.0}), "gave metrics by the name 5; expected a text"),
        (Result(arrays=None), "gave arrays as NoneType; expected a dict of them by their names"),
        (Result(headline="\ud800"), "gave the headline .*, which is not a text of one line"),
        (Result(columns={"c": Odd()}), "gave a result that cannot be kept: KeyError: 'odd'"),
        (Result(metrics={"m": float("-inf")}), "returned the metric 'm' as -inf; expected a finite number, or NaN"),
    ],
)
def test_a_plugin_that_breaks_its_declaration_is_named(analysis, result, blame):
    with pytest.raises(CnnlabError, match=blame) as error:
        completed(analysis, result, arrays={"a": Array("an array", axes=("...",))}, metrics={"m": "a metric"})
    assert "cnnlab-one 3.1" in str(error.value)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (
            Result(drawings={"x": "a picture"}),
            "gave the drawing 'x' in a way that cannot be kept: .*'x' is str, no drawing",
        ),
        (Result(drawings={"x": Picture(values=At("a", 0))}), "refers to the array 'a', and there is none"),
        (
            Result(arrays={"a": np.zeros(2)}, drawings={"x": Picture(values=At("a", 5))}),
            r"refers to a\[5\], and the array is \[2\]",
        ),
        (
            Result(drawings={"x": Curves(lines=(Line(name="a", x=(1,), y=("b",)),), x_label="", y_label="")}),
            "gave the drawing 'x' in a way that cannot be kept",
        ),
        (Result(drawings={"x": Picture(values=np.zeros((2, 2)), title="\ud800")}), "hold half of a character"),
        (Result(drawings={5: Picture(values=np.zeros((2, 2)))}), "gave the drawing 5 in a way .* its name is no text"),
        (Result(show=lambda index: sys.exit(4)), "gave its pictures of the images in a way .* SystemExit: 4"),
        (Result(show=lambda index: [Picture(values=np.zeros(2))]), "ValueError: a Picture needs values of 2 or 3 axes"),
        (Result(show=lambda index: 1 / 0), "gave its pictures of the images in a way .* ZeroDivisionError"),
        (
            Result(columns={"other": [1, 2, 3]}),
            "gave the column 'other' with 3 values where there are 2: it is left out",
        ),
        (Result(columns={"other": [1, object()]}), "gave the column 'other' of object, not of texts or numbers"),
        (Result(columns={"other": [1, 10**400]}), "the column 'other' of an integer larger than any float, not"),
        (Result(columns={"other": ["a", "\ud800"]}), "gave the column 'other' of half of a character, not of texts"),
        (Result(columns={"other": np.array(["a", "\ud800"])}), "gave the column 'other' of half of a character"),
        (Result(columns={5: [1, 2]}), "gave a column called 5, which is no name: it is left out"),
        (Result(rows=[{5: 1, "other": 2}]), "gave a row that holds a value called 5, which is no name: it is left out"),
        (Result(rows=[{"other": 1j}]), "gave a row that holds 'other' as complex, not as a text or a number"),
    ],
)
def test_what_cannot_be_kept_costs_itself_alone(analysis, tmp_path, monkeypatch, result, said):
    """The rest is whole, saved and read back; the warning names whose it was; strictly it is an error."""
    good = {"good": Picture(values=np.zeros((2, 2)))}
    whole = replace(
        result,
        arrays={"a": np.zeros(2), **result.arrays} if "there is none" not in said else {},
        metrics={"m": 1.0},
        drawings={**good, **result.drawings},
        columns={"one": [1, 2], **result.columns} if not result.rows else {},
        rows=[{"one": 1}, *result.rows] if result.rows else (),
    )
    declared = {"arrays": {"a": Array("an array", axes=("...",))}, "metrics": {"m": "a metric"}, "sometimes": ("a",)}
    found = completed(analysis, whole, count=2, **declared)
    (warning,) = found.warnings
    assert re.search(rf"^the analysis 'one' of cnnlab-one 3\.1 .*{said}", warning), warning
    found.save(tmp_path / "out")
    again = Result.load(tmp_path / "out")
    assert (set(again.drawings), again.metrics) == ({"good"}, {"m": 1.0})
    assert [row["one"] for row in again.rows] == ([1] if result.rows else [1, 2])
    assert all("other" not in row for row in again.rows)
    monkeypatch.setenv("CNNLAB_STRICT", "1")
    with pytest.raises(CnnlabError, match=said):
        completed(analysis, whole, count=2, **declared)


@pytest.mark.parametrize("values", [[1.0, float("inf")], np.array([-np.inf, 1]), [None, float("inf")]])
def test_an_infinity_in_a_column_becomes_null_and_it_is_said(analysis, values):
    found = completed(analysis, Result(columns={"other": values}), count=2)
    assert None in [row["other"] for row in found.rows]
    (warning,) = found.warnings
    said = "gave infinities in the column 'other', which its rows hold as null; expected finite numbers or NaN"
    assert warning.startswith(f"the analysis 'one' of cnnlab-one 3.1 {said}")
    assert not completed(analysis, Result(columns={"other": [1.0, float("nan")]}), count=2).warnings


def test_a_declared_array_that_is_not_there_is_noticed(analysis):
    arrays = {name: Array("an array", axes=("...",)) for name in ("a", "b", "kernel/<layer>", "seldom")}
    result = completed(analysis, Result(arrays={"a": np.zeros(2)}), arrays=arrays, sometimes=("seldom",))
    (warning,) = result.warnings
    assert warning.startswith("the analysis 'one' of cnnlab-one 3.1 declares the array 'b' and gave none; ")


@pytest.mark.parametrize(
    ("count", "given", "said", "noticed"),
    [
        (2, (), "", True),
        (2, ("b",), "", True),
        (2, ("b",), "both were skipped.", False),
        (2, (), "both were skipped.", True),
        (0, ("b",), "", False),
    ],
)
def test_all_arrays_of_images_may_be_missing_only_where_nothing_was_to_be_done(analysis, count, given, said, noticed):
    """So it is where no image was given, or the user was told of those that were left out."""

    def run(classifier, inputs, params, context):
        if said:
            context.warn(said)
        return Result(arrays={name: np.zeros(2) for name in given})

    axes = {"a": ("N",), "a2": ("N", "E"), "b": ("skipped",)}
    arrays = {name: Array("an array", axes=each) for name, each in axes.items()}
    made = analysis(run, arrays=arrays, inputs="optional")
    result = host.run(made, MODEL, from_arrays(MODEL, IMAGES[:count]), made.params())
    missing = [warning for warning in result.warnings if "and gave none" in warning]
    assert len(missing) == noticed, result.warnings


def test_a_figure_that_cannot_be_drawn_costs_itself_alone(analysis, tmp_path, monkeypatch):
    from cnnlab import render

    def save(drawing, path, dpi):
        if "bad" in path.name:
            raise ValueError("no such colour")
        path.write_bytes(b"drawn")

    monkeypatch.setattr(render, "save", save)
    drawings = {"bad": Picture(values=np.zeros((2, 2))), "good": Picture(values=np.ones((2, 2)))}
    result = completed(analysis, Result(drawings=drawings))
    result.save(tmp_path / "out")
    again = Result.load(tmp_path / "out")
    assert again.record["figures"] == ["figure-good.png"]
    said = "the drawing 'bad' of the analysis one (cnnlab-one 3.1) could not be drawn: ValueError: no such colour."
    assert again.warnings == result.warnings == [said]


# Axes.

AXES = {
    "score": Array("a score", axes=("N", "rows", "cols")),
    "rows": Array("edges", axes=("rows",)),
    "strong": Array("by strength", axes=("E?", "N")),
    "target": Array("a target", axes=("...", "N")),
}


@pytest.mark.parametrize(
    ("arrays", "blame"),
    [
        ({"score": np.zeros((10, 4))}, r"gave the array 'score' as \[10, 4\], which it declares as \[N, rows, cols\]"),
        (
            {"score": np.zeros((10, 4, 5)), "strong": np.zeros((2, 9))},
            "the axis N is 10 long in 'score' and 9 in 'strong'",
        ),
        ({"strong": np.zeros((10,))}, r"'strong' as \[10\], which it declares as \[\(E,\) N\]"),
        ({"target": np.zeros(())}, r"'target' as \[\], which it declares as"),
    ],
)
def test_arrays_have_the_axes_that_were_declared(analysis, arrays, blame):
    with pytest.raises(CnnlabError, match=blame):
        completed(analysis, Result(arrays=arrays), arrays=AXES)


def test_an_axis_of_one_strength_goes_and_references_with_it(analysis):
    strong = np.random.default_rng(1).random((1, 10))
    pictures = Picture(values=At("pictures", (0, 3)))
    declared = {**AXES, "pictures": Array("pictures", axes=("E?", "N", "H", "W"))}
    given = {"strong": strong, "pictures": np.random.default_rng(2).random((1, 10, 2, 3))}
    result = completed(analysis, Result(arrays=given, drawings={"x": pictures}), arrays=declared)
    np.testing.assert_array_equal(result.arrays["strong"], strong[0])
    np.testing.assert_array_equal(result.drawing("x").array, given["pictures"][0, 3])
    assert result.record["arrays"]["strong"]["axes"] == ["N"]
    two = {name: np.repeat(array, 2, axis=0) for name, array in given.items()}
    kept = completed(analysis, Result(arrays=two, drawings={"x": pictures}), arrays=declared)
    assert kept.arrays["strong"].shape == (2, 10)
    assert kept.record["arrays"]["strong"]["axes"] == ["E", "N"]


@pytest.mark.parametrize(
    ("inputs", "columns", "blame"),
    [
        ("required", {}, "gave arrays whose axis N is 7 long; expected 10, the number of images given; where they"),
        (
            "required",
            {"image": [0, 0, 1]},
            "whose axis N is 7 long; expected 3, the number of entries in its column 'image'",
        ),
        ("required", {"image": [0, 0, 1, 1, 2, 2, 3]}, ""),
        ("optional", {}, ""),
    ],
)
def test_there_is_an_entry_for_each_image_unless_it_is_said_which_they_are_about(analysis, inputs, columns, blame):
    given = Result(arrays={"target": np.zeros(7)}, columns=columns)
    with pytest.raises(CnnlabError, match=blame) if blame else contextlib.nullcontext():
        assert completed(analysis, given, inputs=inputs, arrays=AXES).arrays["target"].shape == (7,)


@pytest.mark.parametrize("leading", [(), (2,)])
def test_further_axes_may_be_left_open(analysis, leading):
    result = completed(analysis, Result(arrays={"target": np.zeros((*leading, 10))}), arrays=AXES)
    assert result.arrays["target"].shape == (*leading, 10)


# Rows of columns.


def test_columns_become_rows_with_the_sources_first(analysis):
    result = completed(analysis, Result(columns={"mean": np.arange(3.0), "word": list("abc")}), count=3)
    assert result.rows == [
        {"image": "array:0", "mean": 0.0, "word": "a"},
        {"image": "array:1", "mean": 1.0, "word": "b"},
        {"image": "array:2", "mean": 2.0, "word": "c"},
    ]
    assert result.record["rows"] == result.rows


def test_columns_of_several_strengths_become_a_row_for_each(analysis):
    columns = {"label": np.array([7, 8]), "after": np.array([[1, 2], [3, 4]])}
    claims = Claims(epsilons=(0.1, 0.2))
    declared = {"strong": Array("by strength", axes=("E?", "N"))}
    arrays = {"strong": np.zeros((2, 2))}
    result = completed(analysis, Result(columns=columns, claims=claims, arrays=arrays), count=2, arrays=declared)
    assert [tuple(row.values()) for row in result.rows] == [
        ("array:0", 0.1, 7, 1),
        ("array:0", 0.2, 7, 3),
        ("array:1", 0.1, 8, 2),
        ("array:1", 0.2, 8, 4),
    ]


# What is shown of each image.


def shown(analysis, count, show, **more):
    return completed(analysis, Result(columns={"a": np.arange(count)}, show=show, **more), count=count).drawing()


def test_the_first_eight_images_are_shown_and_it_is_said(analysis):
    drawing = shown(analysis, 10, lambda index: [Picture(values=IMAGES[index], title=str(index))], title="Ten")
    assert isinstance(drawing, Tiles)
    assert [tile.title for tile in drawing.tiles] == list("01234567")
    assert [tile.image for tile in drawing.tiles] == list(range(8))
    assert drawing.title == "Ten: the first 8 of 10 images"
    assert shown(analysis, 8, lambda index: [Picture(values=IMAGES[index])], title="Eight").title == "Eight"


@pytest.mark.parametrize(("count", "across", "columns"), [(1, 2, 2), (4, 2, 4), (4, 3, 3), (3, 1, 3), (9, 5, 5)])
def test_a_row_for_each_image_or_several_side_by_side(analysis, count, across, columns):
    drawing = shown(analysis, count, lambda index: [Picture(values=IMAGES[index])] * across)
    assert drawing.columns == columns
    assert len(drawing.tiles) == min(count, 8) * across


def test_rows_of_different_lengths_are_filled_up(analysis):
    drawing = shown(analysis, 2, lambda index: [Picture(values=IMAGES[index])] * (index + 1))
    assert [tile is None for tile in drawing.tiles] == [False, True, False, False]


def test_pictures_within_a_scrub_and_sheets_know_their_image(analysis):
    def show(index):
        frames = tuple((Picture(values=IMAGES[index] * level),) for level in (0.5, 1))
        return [Scrub(axis="level", stops=("a", "b"), frames=frames), Sheet(values=IMAGES[:3, ..., 0])]

    drawing = shown(analysis, 3, show)
    assert [[frame[0].image for frame in tile.frames] for tile in drawing.tiles[::2]] == [[0, 0], [1, 1], [2, 2]]
    assert [tile.image for tile in drawing.tiles[1::2]] == [0, 1, 2]
    assert drawing.columns == 2, "a scrub is as wide as its frames: one image a row"


def test_other_drawings_stand_beside_it_by_name(analysis):
    curves = Curves(lines=(Line(name="a", x=(1, 2), y=(3, 4)),), x_label="x", y_label="y")
    result = Result(columns={"a": [1]}, show=lambda index: [Picture(values=IMAGES[0])], drawings={"curves": curves})
    assert list(completed(analysis, result, count=1).drawings) == ["", "curves"]


def test_a_result_keeps_no_function_and_no_figure(analysis, tmp_path):
    figure = Figure(figsize=(2, 1))
    figure.text(0.5, 0.5, "mine")
    given = Result(columns={"a": [1]}, show=lambda index: [Picture(values=IMAGES[0])], drawings={"own": figure})
    result = completed(analysis, given, count=1)
    assert result.show is None
    assert isinstance(result.drawings["own"], Image)
    assert result.drawings["own"].data.startswith(b"\x89PNG")
    result.save(tmp_path)
    assert (tmp_path / "figure-own.png").read_bytes() == result.drawings["own"].data


def test_placeholders_in_declared_names():
    declared = {"accuracy@<epsilon>": "a", "kernel/<layer>": "k", "plain": "p"}
    assert declared_as(declared, "accuracy@0.1") == "a"
    assert declared_as(declared, "kernel/block/conv1") == "k"
    assert declared_as(declared, "kernel/") is None
    assert declared_as(declared, "plainly") is None
