"""Drawings as figures: nothing is cut off, files are the same every time, and a user's settings change nothing."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cnnlab import render
from cnnlab.drawings import Curves, Line, Picture, Scrub, Tiles


def pixels_of(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    return np.asarray(Image.open(buffer).convert("L"))


def test_nothing_is_written_outside_the_figure(drawing):
    """No title, tick or label is cut off at the border: the outermost pixels are white."""
    pixels = pixels_of(render.figure(drawing))
    assert min(pixels.shape) >= 20
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert edges.min() == 255


def test_files_are_the_same_every_time_and_leave_nothing_beside_them(drawings, tmp_path):
    for suffix in ("png", "svg", "pdf"):
        for name in ("curves", "holes"):
            render.save(drawings[name], tmp_path / f"1.{suffix}")
            render.save(drawings[name], tmp_path / f"2.{suffix}")
            assert (tmp_path / f"1.{suffix}").read_bytes() == (tmp_path / f"2.{suffix}").read_bytes(), name
    assert len(list(tmp_path.iterdir())) == 6


def test_a_users_settings_change_nothing_and_are_left_alone(drawings, tmp_path):
    import matplotlib as mpl

    tiles = Tiles(tiles=tuple(drawings.values())[6:9], columns=1)
    render.save(drawings["tiles"], tmp_path / "plain.png")
    render.save(drawings["curves"], tmp_path / "plain-curves.png")
    with mpl.rc_context({"font.size": 30.0, "image.cmap": "hot", "axes.facecolor": "black", "lines.linewidth": 9.0}):
        render.save(drawings["tiles"], tmp_path / "settings.png")
        render.save(drawings["curves"], tmp_path / "settings-curves.png")
        assert mpl.rcParams["font.size"] == 30.0
    assert tiles.columns == 1
    for name in ("", "-curves"):
        assert (tmp_path / f"plain{name}.png").read_bytes() == (tmp_path / f"settings{name}.png").read_bytes()


def test_importing_the_package_imports_no_matplotlib_and_drawing_no_pyplot():
    code = "import sys, cnnlab.render, cnnlab.drawings; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    code = (
        "import sys; from cnnlab.drawings import Tiles; from cnnlab.render import figure; figure(Tiles(tiles=()));"
        "assert 'matplotlib.pyplot' not in sys.modules and 'matplotlib' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError):
        _ = render.nothing


def test_a_scrub_lies_side_by_side_under_its_stops():
    frames = tuple((Picture(values=np.full((3, 3), level), title="noise"),) * 2 for level in (0.1, 0.9))
    figure = render.figure(Tiles(tiles=(Scrub(axis="epsilon", stops=("0.1", "0.9"), frames=frames),) * 2, columns=1))
    assert len(figure.axes) == 8
    heads = [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]
    assert heads == ["epsilon 0.1", "epsilon 0.9"]
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["noise"] * 4 + [""] * 4, "what all say is said once"


def test_values_that_cover_a_part_of_an_image_lie_where_they_belong():
    image = np.zeros((10, 8))
    image[2:5, 1:4] = 1
    axes = render.figure(Picture(values=np.ones((2, 2)), outline=image, place=(1.0, 2.0, 3.0, 6.0))).axes[0]
    (values,) = axes.images
    assert tuple(values.get_extent()) == (1.5, 5.5, 2.5, 0.5)
    assert (axes.get_xlim(), axes.get_ylim()) == ((-0.5, 7.5), (9.5, -0.5)), "as much as the image covers"
    (lines,) = axes.collections
    corners = np.concatenate([path.vertices for path in lines.get_paths()])
    assert corners.min(axis=0).tolist() == [0.5, 1.5], "half a pixel outside the middles of those that are light"
    assert corners.max(axis=0).tolist() == [3.5, 4.5]


def test_marks_are_framed_and_a_diverging_bar_has_zero_in_the_middle():
    figure = render.figure(Picture(values=np.array([[-1.0, 3.0]]), scale="diverging", mark=True, unit="drop"))
    axes, bar = figure.axes
    assert axes.spines["left"].get_linewidth() == 2
    assert bar.get_ylabel() == "drop"
    assert bar.get_ylim() == (-3, 3)


@pytest.mark.parametrize(("values", "scale"), [((1.0, 0.1), "log"), ((1.0, 0.0), "linear")])
def test_zero_has_no_place_on_a_logarithmic_axis(values, scale):
    curves = Curves(lines=(Line(name="a", x=(1, 2), y=values),), x_label="", y_label="", y_scale="log")
    assert render.figure(curves).axes[0].get_yscale() == scale


def test_charts_of_the_same_lines_share_a_legend():
    curves = Curves(lines=tuple(Line(name=name, x=(1, 2), y=(1, 2)) for name in "ab"), x_label="", y_label="")
    figure = render.figure(Tiles(tiles=(curves, curves)))
    assert len(figure.legends) == 1
    assert all(axes.get_legend() is None for axes in figure.axes)


def test_a_name_that_holds_what_a_terminal_would_obey_is_spelled_out(recwarn):
    made = render.figure(Picture(values=np.zeros((3, 3)), title="cat\x1b[2J"))
    made.savefig(io.BytesIO())
    assert [axes.get_title() for axes in made.axes if axes.get_title()] == ["cat\\u001b[2J"]
    assert [str(warning.message) for warning in recwarn] == []
