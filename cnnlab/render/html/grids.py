"""Tiles and scrubs for a browser: which places there are, which sliders they share, and which colour bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cnnlab.drawings import Bars, Curves, Matrix, Scrub, Sheet, Tiles
from cnnlab.render.scales import on_one_scale

MOST_FRAMES = 6
"""Pictures' widths that the frames of a scrub take side by side on paper."""

Place = tuple[int, int, int]
"""Where a panel lies: the number of its tile, its stop, and which of the panels there it is."""


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
        bar: Whether it has a colour bar of its own, if it needs one.
        frames: Of a scrub, the panels at each stop.
        slider: The number of the slider that moves it; None where there is none.
    """

    drawing: Any
    bar: bool = True
    frames: tuple[tuple[Cell, ...], ...] = ()
    slider: int | None = None


@dataclass(frozen=True)
class PageGrid:
    """Tiles as rows of cells, with the sliders above them.

    Attributes:
        title: The heading.
        sliders: What moves the scrubs; scrubs with the same axis and stops move together.
        heads: What stands above each column.
        rows: What each row is called, and its cells.
        feet: The pictures whose colour bars stand below each column, for those in it; empty where there are none.
        shared: The pictures whose colour bars stand below all of it.
        across: How many pictures' widths a row takes on paper.
        wide: Whether the cells are charts, which want all the width there is.
    """

    title: str
    sliders: tuple[Slider, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    feet: tuple[tuple[Any, ...], ...]
    shared: tuple[Any, ...]
    across: int
    wide: bool


def grid_of(drawing: Tiles | Scrub) -> PageGrid:
    """Lay tiles out as a page shows them; a scrub alone is a grid of one."""
    tiles = drawing if isinstance(drawing, Tiles) else Tiles(tiles=(drawing,), columns=1, title=drawing.title)
    sliders = tuple(dict.fromkeys(Slider(tile.axis, tile.stops) for tile in tiles.tiles if isinstance(tile, Scrub)))
    columns, panels = tiles.across, dict(_panels(tiles))
    shared = _shared(panels, columns)
    places = {place for group in shared.values() for place in group}
    cells = [_cell(number, tile, sliders, places) for number, tile in enumerate(tiles.tiles)]
    starts = range(0, len(cells), columns)
    names = (*tiles.rows, *[""] * len(starts))
    below = {column: tuple(panels[place] for where, place in shared if where == column) for column, _ in shared}
    return PageGrid(
        title=tiles.title,
        sliders=sliders,
        heads=tiles.heads,
        rows=tuple((names[row], tuple(cells[start : start + columns])) for row, start in enumerate(starts)),
        feet=tuple(below.get(column, ()) for column in range(columns)) if set(below) - {None} else (),
        shared=below.get(None, ()),
        across=max((sum(map(_width, tiles.tiles[start : start + columns])) for start in starts), default=1),
        wide=all(isinstance(tile, Curves | Matrix | Sheet) for tile in tiles.tiles),
    )


def _width(tile: Any) -> int:
    """How many pictures' widths a tile takes on paper; of many frames, those beyond a row stand below."""
    match tile:
        case Scrub():
            frame = sum(map(_width, tile.frames[0]))
            return max(frame, min(frame * len(tile.stops), MOST_FRAMES))
        case Tiles():
            return grid_of(tile).across
        case Sheet() | Curves() | Bars() | Matrix():
            return 3
    return 1


def _panels(tiles: Tiles) -> Iterator[tuple[Place, Any]]:
    for number, tile in enumerate(tiles.tiles):
        if isinstance(tile, Scrub):
            for stop, frame in enumerate(tile.frames):
                yield from (((number, stop, index), panel) for index, panel in enumerate(frame))
        else:
            yield (number, 0, 0), tile


def _shared(panels: dict[Place, Any], columns: int) -> dict[tuple[int | None, Place], list[Place]]:
    """Say which pictures share a colour bar, by the column below which it stands (None: all) and the first of them.

    Where two bars of like colours would stand at one place, nobody could tell which is whose: each picture has its own.
    """
    groups: dict[tuple[int | None, Place], list[Place]] = {}
    for group in on_one_scale(panels.items()):
        under = {number % columns for number, _, _ in group}
        groups[under.pop() if len(under) == 1 else None, group[0]] = group
    several = {key: group for key, group in groups.items() if len(group) > 1}
    alike = Counter((column, panels[place].scale) for column, place in several)
    return {key: group for key, group in several.items() if alike[key[0], panels[key[1]].scale] == 1}


def _cell(number: int, tile: Any, sliders: tuple[Slider, ...], shared: set[Place]) -> Cell:
    if not isinstance(tile, Scrub):
        return Cell(tile, (number, 0, 0) not in shared)
    frames = tuple(
        tuple(Cell(panel, (number, stop, index) not in shared) for index, panel in enumerate(frame))
        for stop, frame in enumerate(tile.frames)
    )
    return Cell(tile, frames=frames, slider=sliders.index(Slider(tile.axis, tile.stops)))
