"""A drawing of every kind, with what makes each difficult."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image as Pillow

from cnnlab.drawings import Bars, Curves, Image, Line, Matrix, Picture, Scrub, Series, Sheet, Tiles

RAMP = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)


def png_of(values: np.ndarray) -> str:
    file = io.BytesIO()
    Pillow.fromarray((values * 255).astype(np.uint8)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def every_picture() -> list[Picture]:
    labels = np.arange(35).reshape(5, 7) % 3
    long = "a title that is much longer than its tile is wide"
    return [
        Picture(values=RAMP, title="grey"),
        Picture(values=np.stack([RAMP] * 3, -1), title="colour"),
        Picture(values=RAMP - 0.5, title=long, scale="diverging", unit="drop", outline=RAMP),
        Picture(values=RAMP * 1e-6, title="small", scale="sequential"),
        Picture(values=labels, title="classes", scale="classes", names=("cat", "dog", "a very long class name")),
        Picture(values=labels * 0 + 30, title="one class", scale="classes"),
        Picture(values=np.stack([RAMP, -RAMP, RAMP * 0], -1), title="noise in colour", scale="diverging"),
        Picture(values=RAMP, outline=np.ones((9, 11)), place=(2.0, 2.0, 7.0, 9.0), title="placed", scale="sequential"),
        Picture(values=np.where(RAMP > 0.5, np.nan, RAMP), title="holes", scale="sequential", mark=True),
    ]


def every_drawing() -> dict[str, object]:
    pictures = every_picture()
    stops = ("0.1", "0.2")
    scrub = Scrub(axis="epsilon", stops=stops, frames=((pictures[2], pictures[0]), (pictures[2], pictures[8])))
    lines = (
        Line(name="a", x=(1, 2, 3), y=(0.1, 0.2, 0.9), low=(0.05, 0.1, 0.8), high=(0.2, 0.3, 1.0)),
        Line(name="b", x=(1, 2), y=(0.5, float("nan")), dash="dotted", points=("here",)),
    )
    chart = {"x_label": "x", "y_label": "y"}
    holes = np.where(RAMP > 0.8, np.nan, RAMP - 0.5)
    names = tuple(f"class {index}" for index in range(7))
    values = np.linspace(-1, 1, 6 * 9).reshape(6, 3, 3)
    return {
        "tiles": Tiles(tiles=tuple(pictures), columns=3, title="All", rows=("first", "second", "third")),
        "one": Tiles(tiles=(pictures[0],)),
        "shared": Tiles(tiles=(pictures[2], pictures[2], None), heads=("left", "right", "")),
        "nothing": Tiles(tiles=()),
        "scrub": scrub,
        "rows of scrubs": Tiles(tiles=(pictures[0], scrub, pictures[1], scrub), columns=2, title="An attack"),
        "nested": Tiles(tiles=(Tiles(tiles=tuple(pictures[:2]), title="inner"), pictures[3]), columns=1),
        "curves": Curves(lines=lines, **chart, percent=True, title="Curves", horizontal={"known": 0.4}, whole=True),
        "many curves": Curves(
            lines=tuple(Line(name=str(i), x=(1, 2), y=(i, i)) for i in range(12)), **chart, vertical={"here": 1.5}
        ),
        "logarithm": Curves(lines=(Line(name="loss", x=(1, 2, 3), y=(1.0, 0.01, 0.001)),), **chart, y_scale="log"),
        "flat": Curves(lines=(Line(name="flat", x=(1,), y=(0.5,)),), **chart, ticks=("only",)),
        "no points": Curves(lines=(Line(name="none", x=(), y=()),), **chart),
        "named": Curves(
            lines=(Line(name="a", x=tuple(range(9)), y=tuple(range(9))),),
            **chart,
            ticks=tuple(f"layer{index}" for index in range(9)),
        ),
        "bars": Bars(
            names=names,
            series=(
                Series(name="before", values=RAMP[0] - 0.1),
                Series(name="after", values=RAMP[1], low=RAMP[1] - 0.1, high=RAMP[1] + 0.1),
            ),
            label="share",
            percent=True,
            limits=(-0.2, 1),
            highlight=2,
        ),
        "few of many": Bars(
            names=tuple(map(str, range(30))), series=(Series(name="s", values=np.arange(30)),), label="count", most=5
        ),
        "matrix": Matrix(
            values=RAMP, rows=tuple("abcde"), columns=tuple("1234567"), row_label="r", column_label="c", unit="u"
        ),
        "counts": Matrix(
            values=np.arange(9).reshape(3, 3), rows=tuple("abc"), columns=tuple("abc"), row_label="true",
            column_label="read", number="d", plain_diagonal=True,
        ),
        "holes": Matrix(
            values=holes, rows=names[:5], columns=names, row_label="r", column_label="c", scale="diverging"
        ),
        "sheet": Sheet(values=values, scale="diverging", names=tuple("012345"), title="Kernels", unit="weight"),
        "table": Sheet(
            values=values, scale="diverging", columns=3, rows=("f0", "f1"), heads=("c0", "c1", "c2"),
            row_label="filters", head_label="channels", clipped=True,
        ),
        "sheet in colour": Sheet(values=np.random.default_rng(0).random((5, 3, 3, 3))),
        "maps": Sheet(values=values[:5], scale="diverging", columns=3, title="Maps"),
        "many cells": Matrix(
            values=np.ones((60, 60)), rows=("",) * 60, columns=("",) * 60, row_label="r", column_label="c", title="M"
        ),
        "beside a matrix": Tiles(
            tiles=(
                Tiles(tiles=(Matrix(values=RAMP[:2, :2], rows=("a", "b"), columns=("a", "b"), row_label="r",
                                    column_label="c"), pictures[4]), columns=1),
                None,
            )
        ),
        "gaps": Curves(
            lines=(Line(name="a", x=(1, 2, 3, 4, 5), y=(float("nan"), float("nan"), 0.5, float("nan"), 0.25)),), **chart
        ),
        "unknown": Bars(names=("a", "b"), series=(Series(name="s", values=(float("nan"), 0.5)),), label="share"),
        "no values": Picture(values=np.zeros((0, 0)), title="none", scale="sequential"),
        "no pictures": Sheet(values=np.zeros((0, 3, 3)), title="none"),
        "no bars": Bars(names=(), series=(), label="share"),
        "image": Image(png=png_of(np.kron(RAMP, np.ones((8, 8)))), title="An image"),
    }  # fmt: skip


@pytest.fixture
def drawings() -> dict[str, object]:
    return every_drawing()


def pytest_generate_tests(metafunc):
    if "drawing" in metafunc.fixturenames:
        found = every_drawing()
        metafunc.parametrize("drawing", list(found.values()), ids=list(found))
    if "picture" in metafunc.fixturenames:
        metafunc.parametrize("picture", every_picture(), ids=lambda picture: picture.title[:12])
