"""Tiles and scrubs for a browser: which places there are, and which sliders they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cnnlab.drawings import Curves, Matrix, Scrub, Sheet, Tiles


@dataclass(frozen=True)
class Slider:
    """A slider that moves every scrub along one axis.

    Attributes:
        axis: What the axis is.
        stops: What its stops are called.
    """

    axis: str
    stops: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """A place of a grid.

    Attributes:
        drawing: What is drawn there: a drawing or None.
        frames: Of a scrub, the panels at each stop.
        slider: The number of the slider that moves it; None where there is none.
    """

    drawing: Any
    frames: tuple[Any, ...] = ()
    slider: int | None = None


@dataclass(frozen=True)
class PageGrid:
    """Tiles as rows of cells, with the sliders above them.

    Attributes:
        title: The heading.
        sliders: What moves the scrubs; scrubs with the same axis and stops move together.
        heads: What stands above each column.
        rows: What each row is called, and its cells.
        wide: Whether the cells are charts, which want all the width there is.
    """

    title: str
    sliders: tuple[Slider, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    wide: bool


def grid_of(drawing: Tiles | Scrub) -> PageGrid:
    """Lay tiles out as a page shows them; a scrub alone is a grid of one."""
    tiles = drawing if isinstance(drawing, Tiles) else Tiles(tiles=(drawing,), columns=1, title=drawing.title)
    sliders = tuple(dict.fromkeys(Slider(tile.axis, tile.stops) for tile in tiles.tiles if isinstance(tile, Scrub)))
    columns = tiles.across
    cells = list(_cells(tiles, sliders))
    starts = range(0, len(cells), columns)
    names = (*tiles.rows, *[""] * len(starts))
    return PageGrid(
        title=tiles.title,
        sliders=sliders,
        heads=tiles.heads,
        rows=tuple((names[row], tuple(cells[start : start + columns])) for row, start in enumerate(starts)),
        wide=all(isinstance(tile, Curves | Matrix | Sheet) for tile in tiles.tiles),
    )


def _cells(tiles: Tiles, sliders: tuple[Slider, ...]) -> Iterator[Cell]:
    for tile in tiles.tiles:
        if isinstance(tile, Scrub):
            yield Cell(tile, tile.frames, sliders.index(Slider(tile.axis, tile.stops)))
        else:
            yield Cell(tile)
