"""Pictures in the terminal: two pixels in every character cell, or characters for shades where there is no colour."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from cnnlab.figures.picture import COLORMAPS, Picture

RAMP = " .:-=+*#%@"
"""Shades from black to white, or from little to much, where there is no colour."""

NEGATIVE = " .,~<coOQW"
"""The same for values below zero."""

CLASS_SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"

MOST_LINES = 30


def render(picture: Picture, width: int) -> Rendered:
    """Return a Rich renderable of a picture, at most ``width`` characters wide."""
    return Rendered(picture, width)


class Rendered:
    """A picture as Rich prints it: with colours if the console has any, else in characters."""

    def __init__(self, picture: Picture, width: int) -> None:
        self._picture = picture
        self._height, self._width = _size(picture.plane.shape[:2], width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Tell Rich how wide it is."""
        return Measurement(self._cells(), self._cells())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title, the lines of the picture, and the ends of its scale."""
        colourful = console.color_system is not None and not console.legacy_windows
        yield from _line(self._picture.title, self._cells(), Style(bold=colourful))
        yield from self._coloured() if colourful else self._plain()
        yield from _line(self._legend(colourful), self._cells(), Style(dim=colourful))

    def _cells(self) -> int:
        return max(self._width, 16)

    def _coloured(self) -> Iterator[Segment]:
        colors = _resized(_colors(self._picture), self._height, self._width, smooth=self._picture.scale != "classes")
        for top, bottom in zip(colors[0::2], colors[1::2], strict=True):
            for above, below in zip(top, bottom, strict=True):
                yield Segment("▀", Style.parse(f"rgb({_rgb(above)}) on rgb({_rgb(below)})"))
            yield Segment.line()

    def _plain(self) -> Iterator[Segment]:
        picture = self._picture
        values = picture.plane.mean(axis=-1) if picture.plane.ndim == 3 else picture.plane
        values = np.nan_to_num(values.astype(np.float64))
        smooth = picture.scale != "classes"
        # A character is twice as high as wide, and has one shade.
        values = _resized(values, self._height // 2, self._width, smooth=smooth)
        for row in values:
            yield Segment("".join(_sign(picture, value) for value in row).rstrip())
            yield Segment.line()

    def _legend(self, colourful: bool) -> str:
        picture = self._picture
        if picture.scale in ("grey", "rgb"):
            return ""
        if picture.scale == "classes":
            present = [int(label) for label in np.unique(picture.plane)][:6]
            named = [picture.names[label] if label < len(picture.names) else str(label) for label in present]
            return ", ".join(named)
        low, high = picture.ends
        if colourful:
            ends = f"blue {low:.3g}, red {high:.3g}" if picture.scale == "diverging" else f"{low:.3g} to {high:.3g}"
        else:
            ends = f"{NEGATIVE[-1] if picture.scale == 'diverging' else 'blank'} {low:.3g}, {RAMP[-1]} {high:.3g}"
        return ends


def _size(shape: tuple[int, ...], width: int) -> tuple[int, int]:
    """Height (even) and width in pixels: enlarged by a whole number where that fits, else made smaller."""
    height, across = shape
    factor = max(1, min(width // across, 2 * MOST_LINES // height)) if across <= width else width / across
    factor = min(factor, 2 * MOST_LINES / height)
    rows = max(2, round(height * factor))
    return (rows + rows % 2, max(1, round(across * factor)))


def _colors(picture: Picture) -> np.ndarray:
    """The picture's colours, float [H, W, 3] in [0, 1]; NaN becomes the middle grey of a dark or light terminal."""
    unit = picture.unit_plane
    if picture.scale == "rgb":
        return np.nan_to_num(unit, nan=0.5)
    if picture.scale == "grey":
        return np.repeat(np.nan_to_num(unit, nan=0.5)[..., np.newaxis], 3, axis=2)
    if picture.scale == "classes":
        from matplotlib.colors import to_rgb

        from cnnlab.figures.tiles import class_color

        labels = picture.plane.astype(int)
        palette = {label: to_rgb(class_color(label)) for label in np.unique(labels)}
        return np.array([[palette[label] for label in row] for row in labels])
    from matplotlib import colormaps

    colors: np.ndarray = colormaps[COLORMAPS[picture.scale]](np.ma.masked_invalid(unit))[..., :3]
    return colors


def _resized(values: np.ndarray, height: int, width: int, *, smooth: bool) -> np.ndarray:
    """Bring [H, W] or [H, W, 3] to another size: pixels repeated where it grows, averaged where it shrinks."""
    planes = values[..., np.newaxis] if values.ndim == 2 else values
    method = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    resized = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), method))
        for plane in np.moveaxis(planes, 2, 0)
    ]
    stacked = np.stack(resized, axis=2)
    return stacked[..., 0] if values.ndim == 2 else stacked


def _rgb(color: np.ndarray) -> str:
    return ",".join(str(round(255 * float(part))) for part in np.clip(color, 0, 1))


def _sign(picture: Picture, value: float) -> str:
    if picture.scale == "classes":
        return CLASS_SIGNS[int(value) % len(CLASS_SIGNS)]
    low, high = picture.ends
    if picture.scale == "diverging":
        ramp, strength = (RAMP, value / high) if value >= 0 else (NEGATIVE, value / low)
    else:
        ramp, strength = RAMP, (value - low) / (high - low)
    return ramp[round(min(max(strength, 0.0), 1.0) * (len(ramp) - 1))]


def _line(text: str, width: int, style: Style) -> Iterator[Segment]:
    if text:
        text = text.replace("\n", " ")
        yield Segment(text if len(text) <= width else f"{text[: width - 1]}…", style)
        yield Segment.line()
