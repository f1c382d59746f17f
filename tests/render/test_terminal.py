"""Drawings in the terminal: in colour and without, at any width."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.columns import Columns
from rich.console import Console

from cnnlab.drawings import Bars, Curves, Line, Matrix, Picture, Series, Tiles
from cnnlab.render import terminal


def printed(drawing, width: int, colour: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=100, force_terminal=colour, color_system="truecolor" if colour else None
    )
    console.print(terminal.render(drawing, width))
    return console.file.getvalue()


def test_without_colour_a_picture_is_shades_in_characters():
    lines = printed(Picture(values=np.array([[0.0, 0.5, 1.0]] * 2), title="dark to light"), 3).splitlines()
    assert lines[0].startswith("dark to li")
    assert lines[1].rstrip() == " =@" or lines[1].rstrip() == " +@"


def test_with_colour_every_cell_holds_two_pixels():
    checks = np.indices((8, 6)).sum(axis=0) % 2
    text = printed(Picture(values=checks.astype(float)), 6, colour=True)
    assert text.count("▀") == 4 * 6
    assert "38;2;0;0;0" in text
    assert "48;2;255;255;255" in text


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", [1, 5, 20, 56])
def test_every_scale_fits_any_width(picture, colour, width):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(terminal.render(picture, width))
    assert max(map(len, console.file.getvalue().splitlines())) <= max(width, 16)
    assert printed(picture, width, colour)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_every_drawing_fits(drawing, width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(terminal.render(drawing, width))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines), default=0) <= width


def test_signs_tell_above_from_below_zero():
    text = printed(Picture(values=np.array([[-1.0, 0.0, 1.0]] * 2), scale="diverging"), 3)
    assert text.splitlines()[0].rstrip() == f"{terminal.NEGATIVE[-1]} {terminal.RAMP[-1]}"


def test_values_further_apart_than_the_largest_number_have_their_signs_and_give_no_warning():
    text = printed(Picture(values=np.array([[-1e308, 0.0, 1e308, np.inf]] * 2), scale="diverging"), 4)
    assert text.splitlines()[0].rstrip() == f"{terminal.NEGATIVE[-1]} {terminal.RAMP[-1]}{terminal.RAMP[-1]}"


def test_large_pictures_shrink_and_small_ones_grow():
    for side, width in ((200, 40), (4, 40)):
        lines = printed(Picture(values=np.ones((side, side))), width).splitlines()
        assert max(map(len, lines)) == 40
        assert len(lines) == 20


def test_pictures_stand_side_by_side():
    console = Console(file=io.StringIO(), width=80, color_system=None)
    pictures = [Picture(values=np.ones((8, 8)), title=name) for name in ("left", "right")]
    console.print(Columns([terminal.render(picture, 20) for picture in pictures]))
    first = console.file.getvalue().splitlines()[0]
    assert "left" in first
    assert "right" in first


def test_tiles_show_as_much_of_their_first_row_as_fits(drawings):
    wide, narrow = (printed(drawings["tiles"], width) for width in (100, 30))
    assert "grey" in wide
    assert "colour" in wide
    assert "grey" in narrow
    assert "colour" not in narrow


def test_lines_rise_and_their_axes_say_from_where_to_where():
    curves = Curves(lines=(Line(name="up", x=(1, 9), y=(0.25, 0.75)),), x_label="epoch", y_label="share", percent=True)
    lines = printed(curves, 60).splitlines()
    plot = [line for line in lines if "▏" in line]
    left, right = plot[-1].partition("▏")[2], plot[0].partition("▏")[2]
    assert left[0] != "⠀"
    assert right.rstrip("⠀ ")[-1] != "⠀"
    assert len(right.rstrip("⠀ ")) > len(left.rstrip("⠀ ")), "the last point is high, the first is low"
    assert any(line.lstrip().startswith("30%") for line in plot)
    assert any("70%" in line for line in plot)
    below = lines[lines.index(plot[-1]) + 1].split()
    assert (below[0], below[-1]) == ("1", "9")
    assert "━ up" in lines[-1]


def test_bars_and_cells_say_their_numbers():
    bars = Bars(names=("cat", "dog"), series=(Series(name="s", values=(0.25, 1.0)),), label="share", percent=True)
    text = printed(bars, 60)
    assert "cat" in text
    assert "25.0%" in text
    assert text.splitlines()[-1].count("█") > 3 * text.splitlines()[-2].count("█")
    matrix = Matrix(values=np.array([[1.0, np.nan]]), rows=("a",), columns=("b", "c"), row_label="r", column_label="c")
    assert "1" in printed(matrix, 60)
    assert "nan" not in printed(matrix, 60)


def test_headings_are_never_cut_and_pictures_side_by_side_begin_in_one_line():
    pictures = [
        Picture(values=np.ones((28, 28)), limits=(0.0, 1.0), title=title)
        for title in ("7", "fall of the margin of seven (23.86 without)")
    ]
    text = printed(Tiles(tiles=tuple(pictures), columns=2), 60)
    assert "…" not in text
    assert "(23.86" in text
    assert "without)" in text
    lines = text.splitlines()
    first = next(index for index, line in enumerate(lines) if "@" in line)
    assert lines[first].count("@") == 56
