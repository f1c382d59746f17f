"""Pictures, sheets and matrices as a browser takes them: a PNG within the page, the values beside it, and words."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image as Pillow

from cnnlab.drawings import Matrix, Picture, Sheet
from cnnlab.render.colors import cell_colors, colors_of, is_dark, shades, written
from cnnlab.render.html.addresses import data_url
from cnnlab.render.outlines import outlines
from cnnlab.render.style import COLORMAPS, class_color
from cnnlab.words import percent, shortened

MOST_VALUES = 64 * 64
"""Pixels up to which a page holds a picture's numbers, for the pointer; they weigh four bytes each."""

MOST_CELLS = 1600
"""Cells of a matrix up to which it is a table with its numbers."""

STOPS = 33
"""Colours of a colour bar."""


@dataclass(frozen=True)
class PageImage:
    """A picture in a page.

    Attributes:
        source: The PNG, as a data URI.
        height: Its pixels.
        width: Its pixels.
        words: What those who do not see it are told.
        place: Which part of its image it covers, ``top left bottom right`` in shares of what is drawn.
        window: Height and width of what each value stands for, in shares of that image; empty where there is none.
        values: The numbers [H, W] in base64, float32 or, where ``levels`` says so, bytes; empty where there are too
            many, or colours.
        levels: What the bytes 0 and 255 stand for; empty where the values are float32.
        names: The classes' names, where the values are classes.
        outline: The outlines of the image that it is about, as an SVG path over its pixels; empty where there are none.
        size: Height and width of that image, or of the picture itself.
    """

    source: str
    height: int
    width: int
    words: str
    place: tuple[float, float, float, float]
    window: tuple[float, ...]
    values: str
    levels: tuple[float, ...]
    names: tuple[str, ...]
    outline: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Legend:
    """What the colours of a picture stand for.

    Attributes:
        unit: What the values are.
        gradient: Colours from the low end to the high one.
        ends: What the ends are called, low to high.
        classes: Colours and names of classes; empty where there are none.
    """

    unit: str
    gradient: tuple[str, ...]
    ends: tuple[str, ...]
    classes: tuple[tuple[str, str], ...]


def image_of(picture: Picture, words: str = "") -> PageImage:
    """Draw a picture for a page; what those who do not see it are told is made of its numbers, unless given."""
    colors = colors_of(picture, unknown=0.8)
    outlined, plane = picture.outlined, picture.plane
    place, size = (0.0, 0.0, 1.0, 1.0), plane.shape[:2]
    if outlined is not None:
        size = outlined.shape
        colors, place = _laid(colors, size, picture.place)
    values, levels = _held(picture)
    window = (picture.window[0] / size[0], picture.window[1] / size[1]) if picture.window else ()
    return PageImage(
        source=_data_uri(colors),
        height=len(colors),
        width=colors.shape[1],
        words=words or _described(picture),
        place=place,
        window=window,
        values=values,
        levels=levels,
        names=picture.names if picture.scale == "classes" else (),
        outline="" if outlined is None else _path(outlines(outlined)),
        size=size,
    )


def _held(picture: Picture) -> tuple[str, tuple[float, ...]]:
    """Return the numbers of a picture for the pointer, and what the ends of bytes stand for, where these say it all."""
    plane = picture.plane
    if plane.ndim != 2 or plane.size > MOST_VALUES:
        return "", ()
    low, high = picture.ends
    levels = 255 * (plane.astype(np.float64) - low) / (high - low)
    whole = np.rint(levels)
    if picture.scale == "image" and np.allclose(levels, whole, 0, 1e-3) and whole.min() >= 0 and whole.max() <= 255:
        return base64.b64encode(whole.astype(np.uint8).tobytes()).decode(), (low, high)
    return base64.b64encode(np.ascontiguousarray(plane, "<f4").tobytes()).decode(), ()


def _laid(
    colors: np.ndarray, size: tuple[int, int], place: tuple[float, float, float, float] | None
) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """Lay colours where they belong on an image, at a size at which its pixels and theirs show; the rest is white."""
    height, width = size
    top, left, bottom, right = place or (0.0, 0.0, float(height), float(width))
    grow = max(1, round(max(len(colors) / max(bottom - top, 1), 1)), -(-2 * len(colors) // height))
    rows = round((bottom - top) * grow), round((right - left) * grow)
    laid = np.ones((height * grow, width * grow, 3))
    y, x = round(top * grow), round(left * grow)
    part = laid[max(y, 0) : y + rows[0], max(x, 0) : x + rows[1]]
    part[:] = _repeated(colors, rows)[max(-y, 0) :, max(-x, 0) :][: len(part), : part.shape[1]]
    return laid, (top / height, left / width, bottom / height, right / width)


def _path(lines: list[np.ndarray]) -> str:
    """Write lines of points (x, y) as an SVG path."""
    return "".join("M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in line) for line in lines)


def _repeated(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring [H, W, ...] to another size by repeating pixels or leaving some out."""
    rows = np.arange(size[0]) * len(values) // max(size[0], 1)
    columns = np.arange(size[1]) * values.shape[1] // max(size[1], 1)
    return np.asarray(values[rows][:, columns], np.float64)


def _data_uri(colors: np.ndarray) -> str:
    buffer = io.BytesIO()
    Pillow.fromarray(np.rint(255 * np.clip(colors, 0, 1)).astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return data_url(buffer.getvalue(), "image/png")


def _described(picture: Picture) -> str:
    """Say in words what a picture shows, from its numbers."""
    height, width = picture.plane.shape[:2]
    title, size = _titled(picture.caption or "Picture"), f"{height} by {width}"
    if picture.scale == "classes":
        labels, counts = np.unique(picture.plane.astype(int), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        shares = [f"{_name(picture, labels[n])} at {percent(counts[n] / picture.plane.size)}" for n in order[:4]]
        others = f", {len(order) - 4} more" if len(order) > 4 else ""
        return f"{title}: classes at {size} places, {', '.join(shares)}{others}."
    what = "pixels" if picture.scale == "image" or picture.in_colour else "places"
    return f"{title}: {size} {what}, {_spread(picture.plane, ('row', 'column'))}."


def _titled(text: str) -> str:
    return shortened(" ".join(text.split()), 200)


def _spread(values: np.ndarray, axes: tuple[str, ...]) -> str:
    """Say the smallest and the largest value, where these lie along the axes that have names, and the mean."""
    if not np.isfinite(values).any():
        return "no values"
    known = np.where(np.isfinite(values), values, np.nan)

    def said(flat: Any) -> str:
        place = zip(axes, np.unravel_index(flat, values.shape), strict=False)
        where = f" ({', '.join(f'{axis} {index}' for axis, index in place)})" if values.ndim == len(axes) else ""
        return f"{known.flat[flat]:.3g}{where}"

    return f"from {said(np.nanargmin(known))} to {said(np.nanargmax(known))}, mean {np.nanmean(known):.3g}"


def _name(picture: Picture, label: Any) -> str:
    return picture.names[label] if 0 <= label < len(picture.names) else str(label)


def legend_of(picture: Picture) -> Legend | None:
    """Say what a picture's colours stand for; None where they are an image's own."""
    if picture.scale == "image" or picture.in_colour:
        return None
    if picture.scale == "classes":
        present = [int(label) for label in np.unique(picture.plane)]
        classes = tuple((class_color(label), shortened(_name(picture, label), 24)) for label in present)
        return Legend(picture.unit, (), (), classes)
    low, high = picture.ends
    colors = shades(np.linspace(0, 1, STOPS), COLORMAPS[picture.scale])
    middle = ("0",) if picture.scale == "diverging" else ()
    return Legend(picture.unit, tuple(map(written, colors)), (f"{low:.3g}", *middle, f"{high:.3g}"), ())


@dataclass(frozen=True)
class PageSheet:
    """A sheet in a page: its mosaic, and where in it each small picture lies.

    Attributes:
        image: The mosaic.
        picture: The mosaic as a picture.
        parts: How many pictures, how many side by side, and the height and width of each, for the pointer.
        labels: Names of the small pictures, with the place of each in percent: left, top.
    """

    image: PageImage
    picture: Picture
    parts: tuple[int, int, int, int]
    labels: tuple[tuple[str, float, float], ...]


def sheet_of(sheet: Sheet) -> PageSheet:
    """Draw a sheet for a page."""
    count, height, width = sheet.array.shape[:3]
    picture = sheet.picture
    laid = picture.plane
    labels = [
        (name, 100 * left * (width + 1) / laid.shape[1], 100 * top * (height + 1) / laid.shape[0])
        for name, (top, left) in zip(sheet.names, (divmod(n, sheet.across) for n in range(count)), strict=False)
    ]
    spread = _spread(sheet.array, () if sheet.in_colour else ("picture", "row", "column"))
    words = f"{_titled(sheet.title or 'Sheet')}: {count} pictures of {height} by {width}, {spread}."
    return PageSheet(image_of(picture, words), picture, (count, sheet.across, height, width), tuple(labels))


def is_small(matrix: Matrix) -> bool:
    """Whether a matrix is small enough for its numbers to be read."""
    return len(matrix.rows) * len(matrix.columns) <= MOST_CELLS


def as_picture(matrix: Matrix) -> Picture:
    """Return a matrix whose numbers are too many as a picture."""
    axes = f"rows: {matrix.row_label}, columns: {matrix.column_label}"
    return replace(matrix.picture, title=f"{matrix.title}\n{axes}".strip())


def matrix_of(matrix: Matrix) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Return a matrix' rows: the name of each, and its cells as number, colour, and whether that is dark."""
    values = np.asarray(matrix.values, np.float64)
    colors = cell_colors(matrix.picture, matrix.scale)
    return [
        (
            name,
            [(_number(value, matrix), written(color), is_dark(color)) for value, color in zip(row, line, strict=True)],
        )
        for name, row, line in zip(matrix.rows, values, colors, strict=True)
    ]


def _number(value: float, matrix: Matrix) -> str:
    if not np.isfinite(value):
        return ""
    return format(int(value) if matrix.number == "d" else float(value), matrix.number)
