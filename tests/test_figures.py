"""Pictures: colour scales, layouts, files that are the same every time, and the same pictures in the terminal."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from rich.columns import Columns
from rich.console import Console

from cnnlab import figures
from cnnlab.figures import Picture, curves, matrix, mosaic, save, terminal, tiles

RAMP = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)


@pytest.mark.parametrize(
    ("values", "scale", "limits", "ends"),
    [
        (RAMP, "grey", None, (0, 1)),
        (RAMP / 2, "grey", None, (0, 1)),
        (RAMP * 255, "grey", None, (0, 255)),
        (RAMP - 1, "rgb", None, (-1, 0)),
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
    shaped = np.repeat(values[..., None], 3, axis=-1) if scale == "rgb" else values
    picture = Picture(shaped, scale=scale, limits=limits)
    assert picture.ends == pytest.approx(ends)
    unit = picture.unit_plane
    assert np.nanmin(unit, initial=0) >= 0
    assert np.nanmax(unit, initial=1) <= 1


def test_zero_is_the_middle_of_a_diverging_scale():
    unit = Picture(np.array([[-1.0, 0.0, 3.0]]), scale="diverging").unit_plane
    np.testing.assert_allclose(unit, [[1 / 3, 0.5, 1]])


def test_an_image_is_grey_or_colour_by_its_channels():
    assert Picture.of_image(np.zeros((4, 4, 1)), (0, 255)).ends == (0, 255)
    assert Picture.of_image(np.zeros((4, 4, 3)), (0, 1)).scale == "rgb"
    assert Picture(np.ones((4, 4, 5))).plane.shape == (4, 4)


@pytest.mark.parametrize("colour", [False, True])
def test_a_mosaic_keeps_every_pixel_in_its_place(colour):
    stack = np.random.default_rng(0).random((7, 3, 4, *([3] if colour else []))).astype(np.float32)
    laid = mosaic(stack, columns=3)
    assert laid.shape[:2] == (3 * 4 - 1, 3 * 5 - 1)
    for index, image in enumerate(stack):
        top, left = index // 3 * 4, index % 3 * 5
        np.testing.assert_array_equal(laid[top : top + 3, left : left + 4], image)
    assert np.isnan(laid[3]).all()
    assert np.isfinite(laid).sum() == stack.size


def every_picture() -> list[Picture]:
    labels = np.arange(35).reshape(5, 7) % 3
    return [
        Picture(RAMP, "grey"),
        Picture(np.stack([RAMP] * 3, -1), "colour", "rgb"),
        Picture(RAMP - 0.5, "a title that is much longer than its tile is wide", "diverging", unit="drop", under=RAMP),
        Picture(RAMP * 1e-6, "small", "sequential"),
        Picture(labels, "classes", "classes", names=("cat", "dog", "a very long class name")),
        Picture(labels * 0 + 30, "one class", "classes"),
    ]


def every_figure():
    yield tiles(every_picture(), title="All", row_titles=["first", "second"], columns=3)
    yield tiles(every_picture()[:1], bars="none")
    yield tiles([])
    yield curves({"a": ([1, 2, 3], [0.1, 0.2, 0.9]), "b": ([1, 2], [0.5, 0.5])}, xlabel="x", ylabel="y", percent=True)
    yield curves({str(i): ([1, 2], [i, i]) for i in range(12)}, xlabel="x", ylabel="y", vertical={"here": 1.5})
    yield matrix(RAMP, rows=list("abcde"), columns=list("1234567"), row_label="r", column_label="c", unit="u")
    holes = np.where(RAMP > 0.8, np.nan, RAMP - 0.5)
    names = [f"class {i}" for i in range(7)]
    yield matrix(holes, rows=names[:5], columns=names, row_label="r", column_label="c", scale="diverging")


def test_figures_are_drawn_without_pyplot_and_are_the_same_every_time(tmp_path):
    for first, second in zip(every_figure(), every_figure(), strict=True):
        save(first, tmp_path / "1.png")
        save(second, tmp_path / "2.png")
        assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()
        assert Image.open(tmp_path / "1.png").size[0] >= 300
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.png", "2.png"]
    code = "import sys, cnnlab.figures as f; f.tiles([]); assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_nothing_is_written_outside_the_figure():
    """No title, tick or label is cut off at the border: the outermost pixels are white."""
    for figure in itertools.islice(every_figure(), 7):
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=100)
        pixels = np.asarray(Image.open(buffer).convert("L"))
        edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert edges.min() == 255


def test_a_users_settings_change_nothing_and_are_left_alone(tmp_path):
    import matplotlib as mpl

    save(tiles(every_picture()), tmp_path / "plain.png")
    with mpl.rc_context({"font.size": 30.0, "image.cmap": "hot", "axes.facecolor": "black"}):
        save(tiles(every_picture()), tmp_path / "settings.png")
        assert mpl.rcParams["font.size"] == 30.0
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "settings.png").read_bytes()


def test_importing_the_package_imports_no_matplotlib():
    code = "import sys, cnnlab.figures; assert 'matplotlib' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError):
        _ = figures.nothing


def printed(picture: Picture, width: int, colour: bool) -> str:
    console = Console(
        file=io.StringIO(), width=100, force_terminal=colour, color_system="truecolor" if colour else None
    )
    console.print(terminal.render(picture, width))
    return console.file.getvalue()


def test_without_colour_a_picture_is_shades_in_characters():
    lines = printed(Picture(np.array([[0.0, 0.5, 1.0]] * 2), "dark to light"), 3, colour=False).splitlines()
    assert lines[0].startswith("dark to li")
    assert lines[1].rstrip() == " =@" or lines[1].rstrip() == " +@"


def test_with_colour_every_cell_holds_two_pixels():
    checks = np.indices((8, 6)).sum(axis=0) % 2
    text = printed(Picture(checks.astype(float)), 6, colour=True)
    assert text.count("▀") == 4 * 6
    assert "38;2;0;0;0" in text
    assert "48;2;255;255;255" in text


@pytest.mark.parametrize("picture", every_picture(), ids=lambda picture: picture.title[:12])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", [1, 5, 20, 56])
def test_every_scale_fits_any_width(picture, colour, width):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(terminal.render(picture, width))
    assert max(map(len, console.file.getvalue().splitlines())) <= max(width, 16)
    assert printed(picture, width, colour)


def test_signs_tell_above_from_below_zero():
    text = printed(Picture(np.array([[-1.0, 0.0, 1.0]] * 2), scale="diverging"), 3, colour=False)
    assert text.splitlines()[0].rstrip() == f"{terminal.NEGATIVE[-1]} {terminal.RAMP[-1]}"


def test_large_pictures_shrink_and_small_ones_grow():
    for side, width in ((200, 40), (4, 40)):
        lines = printed(Picture(np.ones((side, side))), width, colour=False).splitlines()
        assert max(map(len, lines)) == 40
        assert len(lines) == 20


def test_pictures_stand_side_by_side():
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(Columns([terminal.render(Picture(np.ones((8, 8)), name), 20) for name in ("left", "right")]))
    first = console.file.getvalue().splitlines()[0]
    assert "left" in first
    assert "right" in first
