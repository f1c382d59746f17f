"""Drawings in the terminal: pictures as two pixels in every character cell, charts as dots of braille, bars and tables.

Where there is no colour, characters stand for shades.
"""

from __future__ import annotations

import io
import itertools
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotille
from matplotlib.colors import to_rgb
from PIL import Image as Pillow
from rich import box
from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from cnnlab.drawings import Bars, Curves, Drawing, Image, Matrix, Picture, Scale, Scrub, Sheet, Tiles, as_numbers
from cnnlab.render.axis import axes_of
from cnnlab.render.colors import colors_of
from cnnlab.render.files import png_of
from cnnlab.render.style import LINES
from cnnlab.words import percent, shortened

RAMP = " .:-=+*#%@"
"""Shades from black to white, or from little to much, where there is no colour."""

NEGATIVE = " .,~<coOQW"
"""The same for values below zero."""

CLASS_SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"

MOST_LINES = 30
WIDEST = 56
"""Characters that a picture takes at most."""

NARROWEST, WIDE_ENOUGH = 24, 40
"""Characters below which pictures side by side are too small; one for each pixel, up to so many, is better."""

LEGIBLE = 9
"""Pixels to which the sides of pictures on a sheet are made smaller; where that is not enough, fewer are shown."""

MOST_CELLS = 12
"""Rows and columns up to which a matrix is a table of numbers; larger ones are pictures."""


def render(drawing: Drawing, width: int) -> RenderableType:
    """Return a Rich renderable of a drawing: of tiles, as much of the first row as fits.

    Args:
        drawing: What, its values arrays (see :func:`cnnlab.drawings.resolved`).
        width: Characters that it may take.
    """
    match drawing:
        case Picture():
            return Pixels(drawing, min(width, WIDEST))
        case Image():
            return Pixels(_picture(drawing), min(width, WIDEST))
        case Sheet():
            return _sheet(drawing, min(width, WIDEST))
        case Curves():
            return _curves(drawing, min(width, 72))
        case Bars():
            return _bars(drawing, min(width, 72))
        case Matrix():
            return _matrix(drawing, width)
    return _row(list(_panels(drawing)), width)


def _panels(drawing: Any) -> Iterator[Any]:
    """What is shown of a drawing that holds others: the first row of tiles, the first stops of a scrub."""
    if isinstance(drawing, Scrub):
        for stop, frame in zip(drawing.stops, drawing.frames, strict=True):
            for panel in frame:
                yield replace(panel, title=f"{drawing.axis} {stop}: {panel.title}".rstrip(": "))
    elif isinstance(drawing, Tiles):
        for tile in drawing.tiles[: drawing.columns or len(drawing.tiles)]:
            if tile is not None:
                yield from _panels(tile)
    else:
        yield drawing


def _row(panels: Sequence[Any], width: int) -> RenderableType:
    """As many drawings side by side as are wide enough to be seen; charts and tables stand by themselves."""
    pictures = [panel for panel in panels if isinstance(panel, Picture | Sheet | Image)]
    if not pictures:
        return Group(*(render(panel, width) for panel in panels[:2]))
    needs = [_picture(panel).array.shape[1] for panel in pictures[:4]]
    least = [max(NARROWEST, min(need, WIDE_ENOUGH)) for need in needs]
    while len(least) > 1 and sum(least) + 2 * (len(least) - 1) > width:
        least.pop()
    # What is left goes to those that are made smaller, else to all.
    wanting = [need > given for need, given in zip(needs, least, strict=False)]
    growing = wanting if any(wanting) else [True] * len(least)
    spare = (width - 2 * (len(least) - 1) - sum(least)) // sum(growing)
    widths = [given + spare * grows for given, grows in zip(least, growing, strict=True)]
    shown = [render(panel, each) for panel, each in zip(pictures, widths, strict=False)]
    return Columns(level([each for each in shown if isinstance(each, Pixels)]), padding=(0, 2))


def _sheet(sheet: Sheet, width: int) -> Pixels:
    """As many pictures of a sheet, from its upper left, as there is room for where they can be made out."""
    count, height, wide = sheet.array.shape[:3]
    across = max(1, min(sheet.across, (width + 1) // (min(wide, LEGIBLE) + 1)))
    down = -(-count // sheet.across)
    if across == sheet.across and min(height, LEGIBLE) * down <= 2 * MOST_LINES:
        return Pixels(sheet.picture, width)
    down = max(1, min(down, (2 * MOST_LINES + 1) // (min(height, LEGIBLE) + 1)))
    places = np.arange(count)
    if sheet.rows or sheet.heads:
        shown = places[(places // sheet.across < down) & (places % sheet.across < across)]
    else:
        shown = places[: across * down]
    part = replace(sheet, values=sheet.array[shown], columns=across, channels_last=False, most=None, normalised=False)
    return Pixels(replace(part, limits=sheet.ends).picture, width, f"{len(part.array)} of {count}")


class Pixels:
    """A picture as Rich prints it: with colours if the console has any, else in characters, and a note below."""

    def __init__(self, picture: Picture, width: int, note: str = "") -> None:
        self._picture, self._note = picture, note
        self._height, self._width = _fitted(picture.plane.shape[:2], width)
        self.heading = _wrapped(picture.caption, self._cells())

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Tell Rich how wide it is."""
        return Measurement(self._cells(), self._cells())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title, the lines of the picture, and the ends of its scale."""
        colourful = console.color_system is not None and not console.legacy_windows
        yield from _lines(self.heading, Style(bold=colourful))
        yield from self._coloured() if colourful else self._plain()
        below = "; ".join(filter(None, (self._legend(colourful), self._note)))
        yield from _lines(_wrapped(below, self._cells()), Style(dim=colourful))

    def _cells(self) -> int:
        return max(self._width, 16)

    def _coloured(self) -> Iterator[Segment]:
        colors = _resized(colors_of(self._picture), self._height, self._width, smooth=self._picture.scale != "classes")
        for top, bottom in itertools.zip_longest(colors[0::2], colors[1::2]):
            for place, above in enumerate(top):
                ground = "" if bottom is None else f" on rgb({_rgb(bottom[place])})"
                yield Segment("▀", Style.parse(f"rgb({_rgb(above)}){ground}"))
            yield Segment.line()

    def _plain(self) -> Iterator[Segment]:
        picture = self._picture
        values = picture.plane if picture.scale == "classes" else picture.unit_plane
        values = values.mean(axis=-1) if values.ndim == 3 else values
        values = np.nan_to_num(values, nan=0.5 if picture.scale == "diverging" else 0.0)
        # A character is twice as high as wide, and has one shade.
        values = _resized(values, -(-self._height // 2), self._width, smooth=picture.scale != "classes")
        for row in values:
            yield Segment("".join(_sign(picture.scale, float(value)) for value in row).rstrip())
            yield Segment.line()

    def _legend(self, colourful: bool) -> str:
        picture = self._picture
        if picture.scale == "image" or picture.in_colour:
            return ""
        if picture.scale == "classes":
            present = [int(label) for label in np.unique(picture.plane)][:6]
            return ", ".join(picture.names[label] if label < len(picture.names) else str(label) for label in present)
        low, high = picture.ends
        if colourful:
            return f"blue {low:.3g}, red {high:.3g}" if picture.scale == "diverging" else f"{low:.3g} to {high:.3g}"
        return f"{NEGATIVE[-1] if picture.scale == 'diverging' else 'blank'} {low:.3g}, {RAMP[-1]} {high:.3g}"


def _fitted(shape: tuple[int, ...], width: int) -> tuple[int, int]:
    """Height and width in pixels: enlarged by a whole number where that fits, else made smaller."""
    height, across = shape
    factor = max(1, min(width // across, 2 * MOST_LINES // height)) if across <= width else width / across
    factor = min(factor, 2 * MOST_LINES / height)
    return (max(2, round(height * factor)), max(1, round(across * factor)))


def _resized(values: np.ndarray, height: int, width: int, *, smooth: bool) -> np.ndarray:
    """Bring [H, W] or [H, W, 3] to another size: pixels repeated where it grows, averaged where it shrinks."""
    planes = values[..., np.newaxis] if values.ndim == 2 else values
    method = Pillow.Resampling.BOX if smooth else Pillow.Resampling.NEAREST
    resized = [
        np.asarray(Pillow.fromarray(plane.astype(np.float32)).resize((width, height), method))
        for plane in np.moveaxis(planes, 2, 0)
    ]
    stacked = np.stack(resized, axis=2)
    return stacked[..., 0] if values.ndim == 2 else stacked


def _rgb(color: np.ndarray) -> str:
    return ",".join(str(round(255 * float(part))) for part in np.clip(color, 0, 1))


def _sign(scale: Scale, value: float) -> str:
    """The character of a class, or of where on its scale a value lies, from 0 to 1."""
    if scale == "classes":
        return CLASS_SIGNS[int(value) % len(CLASS_SIGNS)]
    if scale == "diverging":
        ramp, strength = (RAMP, 2 * value - 1) if value >= 0.5 else (NEGATIVE, 1 - 2 * value)
    else:
        ramp, strength = RAMP, value
    return ramp[round(min(max(strength, 0.0), 1.0) * (len(ramp) - 1))]


def level(pictures: Sequence[Pixels]) -> Sequence[Pixels]:
    """Give pictures side by side headings of as many lines, so that all begin in one line of the terminal."""
    lines = max(len(picture.heading) for picture in pictures)
    for picture in pictures:
        picture.heading += [""] * (lines - len(picture.heading))
    return pictures


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text at its blanks: no number and no name in it is cut that fits a line."""
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _lines(texts: Iterable[str], style: Style) -> Iterator[Segment]:
    for text in texts:
        yield Segment(text, style)
        yield Segment.line()


def _picture(panel: Picture | Sheet | Image) -> Picture:
    """Whatever can be shown in pixels, as one picture."""
    if isinstance(panel, Image):
        with Pillow.open(io.BytesIO(png_of(panel))) as opened:
            return Picture(values=np.asarray(opened.convert("RGB"), np.float32) / 255, title=panel.title)
    return panel.picture if isinstance(panel, Sheet) else panel


def _curves(curves: Curves, width: int) -> RenderableType:
    """Lines of braille dots, two by four in every character, with the ends of the axes and a legend."""
    across, up = axes_of(curves)
    lines = [(across.place(as_numbers(line.x)), up.place(as_numbers(line.y))) for line in curves.lines]
    labels = {round(11 * (1 - float(up.place(tick)))): word for tick, word in up.ticks()}
    margin = max(map(len, labels.values()), default=0)
    canvas = plotille.Canvas(width - margin - 2, 12, 0, 0, 1, 1, mode="rgb")
    colors = [_color(number if line.color is None else line.color) for number, line in enumerate(curves.lines)]
    for (x, y), color in zip(lines, colors, strict=True):
        known = np.isfinite(x) & np.isfinite(y)
        for start in np.flatnonzero(known[:-1] & known[1:]):
            ends = (x[start], np.clip(y[start], 0, 1), x[start + 1], np.clip(y[start + 1], 0, 1))
            canvas.line(*map(float, ends), color=color)
    drawn = [f"{labels.get(row, ''):>{margin}} ▏" for row in range(12)]
    rows = [Text(axis) + Text.from_ansi(dots) for axis, dots in zip(drawn, canvas.plot().splitlines(), strict=True)]
    first, last = (across.word(end) for end in (across.low, across.high))
    room = max(width - margin - 2 - len(first) - len(last), 1)
    below = f"{'':>{margin}}  {first}{curves.x_label:^{room}}{last}"
    legend = Text("  ").join(
        Text(f"━ {line.name}", style=f"rgb({','.join(map(str, color))})")
        for line, color in zip(curves.lines, colors, strict=True)
    )
    title = [Text(curves.title or curves.y_label, style="bold")]
    return Group(*title, *rows, Text(below[:width], style="dim"), legend)


def _color(number: int) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in to_rgb(LINES[number % len(LINES)]))
    return red, green, blue


def _bars(bars: Bars, width: int) -> RenderableType:
    """A table with a bar of blocks for each class and group."""
    values = bars.heights
    shown = bars.shown
    top = bars.limits[1] if bars.limits else float(np.nanmax(values[:, shown], initial=0)) or 1.0
    table = Table(box=None, padding=(0, 1, 0, 0), title=bars.title or None, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for series in bars.series:
        table.add_column(series.name if len(bars.series) > 1 else bars.label, no_wrap=True)
    length = max(4, (width - 14) // max(len(bars.series), 1) - 9)
    for label in shown:
        cells = [f"{_blocks(value / top, length)} {_number(value, bars)}" for value in values[:, label]]
        table.add_row(Text(shortened(bars.names[label]), style="bold" if label == bars.highlight else ""), *cells)
    return table


def _blocks(share: float, length: int) -> str:
    eighths = round(8 * length * min(max(float(np.nan_to_num(share)), 0.0), 1.0))
    return "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else "")


def _number(value: float, bars: Bars) -> str:
    return percent(float(value)) if bars.percent else f"{value:.4g}"


def _matrix(matrix: Matrix, width: int) -> RenderableType:
    """A table of coloured numbers; of many cells, a picture."""
    values = np.asarray(matrix.values, np.float64)
    if max(values.shape) > MOST_CELLS:
        return Pixels(matrix.picture, min(width, WIDEST))
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=matrix.title or None,
        title_justify="left",
        title_style="bold",
        caption=f"rows: {matrix.row_label}; columns: {matrix.column_label}",
    )
    table.add_column("", no_wrap=True)
    for name in matrix.columns:
        table.add_column(shortened(name, 8), justify="right", no_wrap=True)
    for name, row in zip(matrix.rows, values, strict=True):
        cells = ["" if not np.isfinite(value) else _cell(value, matrix) for value in row]
        table.add_row(shortened(name, 16), *cells)
    return table


def _cell(value: float, matrix: Matrix) -> str:
    return format(int(value) if matrix.number == "d" else float(value), matrix.number)
