"""Drawings as matplotlib figures: how large each is, and where in a figure its parts go."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib import image as image_files
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.transforms import ScaledTranslation

from cnnlab.drawings import Bars, Curves, Drawing, Image, Matrix, Panel, Picture, Scrub, Sheet, Tiles, changed
from cnnlab.progress import in_notebook
from cnnlab.render.charts import draw_bars, draw_curves, draw_matrix
from cnnlab.render.files import png_of
from cnnlab.render.pictures import color_bar, draw_picture, draw_sheet, wrapped
from cnnlab.render.scales import on_one_scale
from cnnlab.render.style import DPI, styled
from cnnlab.spelling import visible
from cnnlab.words import shortened

LINE = 0.16
"""Inches that a line of text takes."""

Cell = Panel | Tiles | Image | None


@dataclass(frozen=True)
class Room:
    """What a drawing takes on paper, in inches.

    Attributes:
        width: Of the field itself.
        height: Of the field itself.
        beside: Width of what stands beside it: ticks, a colour bar.
        above: Height of what stands above and below it: a title, ticks.
    """

    width: float
    height: float
    beside: float = 0.0
    above: float = 0.0


@styled
def figure(drawing: Drawing) -> Figure:
    """Draw a drawing.

    Args:
        drawing: What, its values arrays (see :func:`cnnlab.drawings.resolved`).

    Returns:
        A figure of its own, unknown to pyplot.
    """
    drawing = changed(drawing, visible, str)  # matplotlib warns of a name that holds what a terminal would obey
    if isinstance(drawing, Scrub):
        drawing = Tiles(tiles=(drawing,), columns=1, title=drawing.title)
    room = _room(drawing, 2.6)
    width, height = room.width + room.beside, room.height + room.above
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)
    made = Figure(figsize=(max(width, 2.4), max(height, 0.3)), layout=layout)
    _fill(made, drawing)
    _lay_out(made, layout)
    if in_notebook():
        _let_notebooks_show()
    return made


def _let_notebooks_show() -> None:
    """Tell a notebook how to show figures, which it learns with pyplot alone; who told it otherwise is heard."""
    from IPython import get_ipython
    from IPython.core.pylabtools import select_figure_formats

    shell = get_ipython()
    if not any(Figure in formatter for formatter in shell.display_formatter.formatters.values()):
        select_figure_formats(shell, {"png"})


def _lay_out(made: Figure, layout: ConstrainedLayoutEngine) -> None:
    """Give titles and heads their room, once and for all: left to itself, matplotlib does it anew at every turn.

    Pictures keep their proportions, so that what stands around one moves when its room changes: a single run leaves
    heads cut off at the border.
    """
    layout.execute(made)
    layout.execute(made)
    made.set_layout_engine(None)  # "none" would stand for one that was, for which each file is drawn twice


def _fill(place: FigureBase, drawing: Cell) -> None:
    """Draw into a figure, or a part of one."""
    if isinstance(drawing, Tiles):
        _fill_tiles(place, Grid(drawing))
    elif drawing is not None:
        axes = place.subplots()
        _panel(axes, drawing, _title(drawing), bar=True, legend=True)
        if isinstance(drawing, Sheet):  # the layout takes a title for as high as if the sheet filled its place
            axes.set_anchor("N")


class Grid:
    """Tiles as rows of cells, every scrub laid out side by side."""

    def __init__(self, tiles: Tiles) -> None:
        self.tiles, self.columns = tiles, tiles.across

    @cached_property
    def rows(self) -> list[list[Cell]]:
        """The cells, row by row, all rows of one length."""
        starts = range(0, len(self.tiles.tiles), self.columns)
        laid = [list(_cells(self.tiles.tiles[start : start + self.columns])) for start in starts]
        longest = max(map(len, laid), default=1)
        return [row + [None] * (longest - len(row)) for row in laid] or [[None]]

    @cached_property
    def heads(self) -> list[str | None]:
        """What stands above each column of cells: of a scrub, its stops; None where the head before goes on."""
        heads: list[str | None] = []
        for number, tile in enumerate(self.tiles.tiles[: self.columns]):
            if isinstance(tile, Scrub):
                for stop in tile.stops:
                    heads += [f"{tile.axis} {stop}", *[None] * (len(tile.frames[0]) - 1)]
            else:
                heads.append(self.tiles.heads[number] if number < len(self.tiles.heads) else "")
        return heads

    @cached_property
    def titles(self) -> list[list[str]]:
        """What stands above each cell, broken to its width; what all cells of a column say is said once.

        But for numbers, which are each picture's own, also where they happen to be equal.
        """
        titles = [[_title(cell, self.side) for cell in row] for row in self.rows]
        for column in range(len(titles[0])):
            if len({row[column] for row in titles}) == 1 and not re.search(r"\d", titles[0][column]):
                for row in titles[1:]:
                    row[column] = ""
        return titles

    @property
    def title(self) -> str:
        """The heading, broken to the width of all columns."""
        return wrapped(self.tiles.title, sum(self.sizes[0])) if self.tiles.title else ""

    @property
    def side(self) -> float:
        """The side of a picture, in inches."""
        across = len(self.rows[0])
        few = 2.6 if len(self.rows) <= 4 else 1.9
        return self.tiles.size or (few if across <= 4 else 1.5 if across <= 8 else 1.1)

    @cached_property
    def rooms(self) -> list[list[Room]]:
        """The room that each cell takes."""
        return [
            [
                _room(cell, self.side, title, (number, column) in self.alone)
                for column, (cell, title) in enumerate(zip(row, titles, strict=True))
            ]
            for number, (row, titles) in enumerate(zip(self.rows, self.titles, strict=True))
        ]

    @cached_property
    def scales(self) -> list[list[tuple[int, int]]]:
        """Where the pictures lie whose colours stand for numbers, those on one scale together."""
        return on_one_scale(
            ((row, column), cell) for row, cells in enumerate(self.rows) for column, cell in enumerate(cells)
        )

    @cached_property
    def alone(self) -> set[tuple[int, int]]:
        """Where the pictures lie that have a colour bar of their own."""
        return {group[0] for group in self.scales if len(group) == 1}

    @cached_property
    def shared(self) -> list[list[tuple[int, int]]]:
        """Where the pictures lie that share one."""
        return [group for group in self.scales if len(group) > 1]

    @property
    def sizes(self) -> tuple[list[float], list[float]]:
        """The widths of the columns and the heights of the rows in inches, with what stands around the cells."""
        widths = [max(room.width + room.beside for room in column) for column in zip(*self.rooms, strict=True)]
        return widths, [max(room.height + room.above for room in row) for row in self.rooms]

    @property
    def fields(self) -> tuple[list[float], list[float]]:
        """The same without what stands around them, as matplotlib's layout counts."""
        widths = [max(room.width for room in column) for column in zip(*self.rooms, strict=True)]
        return widths, [max(room.height for room in row) for row in self.rooms]


def _cells(row: tuple[Any, ...]) -> Iterator[Cell]:
    for tile in row:
        if isinstance(tile, Scrub):
            for frame in tile.frames:
                yield from frame
        else:
            yield tile


def _room(cell: Cell, side: float, title: str | None = None, bar: bool = True) -> Room:
    """Say how much room a cell takes, whose pictures have this side."""
    match cell:
        case Tiles():
            return Room(*_size_of_tiles(Grid(cell)))
        case Picture():
            height, width = cell.plane.shape[:2]
            above = LINE * (_lines(cell.caption) if title is None else _lines(title)) + 0.08
            with_bar = cell.scale == "classes" or (bar and cell.measured)
            return Room(side, side * min(max(height / width, 0.3), 3.0), 0.3 * side if with_bar else 0.06 * side, above)
        case Sheet():
            return _room_of_sheet(cell, _title(cell) if title is None else title, bar)
        case Bars():
            return Room(max(1.8 * side, 3.2) - 0.6, max(0.85 * side, 1.9) - 0.4, 0.6, 0.6)
        case Matrix(rows=rows, columns=columns):
            return Room(max(4.2, 2.2 + 0.52 * min(len(columns), 12)), max(3.0, 1.3 + 0.46 * min(len(rows), 14)))
        case Curves():
            return Room(5.7, 3.2, 0.7, 0.7)
        case Image():
            height, width = _pixels(cell).shape[:2]
            return Room(width / DPI, height / DPI)
    return Room(side, 0.1)


def _title(cell: Cell, side: float | None = None) -> str:
    """What stands above a cell, broken to its width; a chart has its title itself, and a picture by itself as it is."""
    if isinstance(cell, Sheet):
        return wrapped(cell.title, 1.25 * _width_of_sheet(cell))
    title = "" if cell is None else cell.caption if isinstance(cell, Picture) else cell.title
    return title if side is None else wrapped(title, side)


def _lines(text: str) -> int:
    return text.count("\n") + 1 if text else 0


def _room_of_sheet(sheet: Sheet, title: str, bar: bool) -> Room:
    height, width = sheet.mosaic.shape[:2]
    down = sheet.across * _cell_of_sheet(sheet) * height / width
    beside = 0.1 + (0.5 if sheet.rows else 0.0) + (0.8 if bar and sheet.measured else 0.0)
    around = 0.15 + (0.4 if sheet.heads else 0.0) + (0.15 if sheet.names else 0.0)
    return Room(_width_of_sheet(sheet), min(max(down, 0.5), 12.0), beside, around + LINE * _lines(title))


def _width_of_sheet(sheet: Sheet) -> float:
    """The width of its pictures together, in inches."""
    return max(sheet.across * _cell_of_sheet(sheet), 3.6 if sheet.title else 2.4)


def _cell_of_sheet(sheet: Sheet) -> float:
    if sheet.names:
        return 0.85 if sheet.across <= 8 else 0.5
    if sheet.rows or sheet.heads:
        return 0.25 if max(len(sheet.rows), len(sheet.heads)) > 12 else 0.5
    return 5.6 / sheet.across


def _size_of_tiles(grid: Grid) -> tuple[float, float]:
    widths, heights = grid.sizes
    above = (0.4 + 0.2 * grid.title.count("\n") if grid.title else 0.08) + 0.2 * any(grid.heads)
    shared = 0.8 * _bars_beside(grid)
    legend = 0.3 if _shared_legend(grid) else 0.0
    return (sum(widths) + (0.5 if grid.tiles.rows else 0.0) + shared, sum(heights) + above + legend)


def _fill_tiles(place: FigureBase, grid: Grid) -> None:
    if grid.title:
        place.suptitle(grid.title)
    nested = any(isinstance(cell, Tiles) for row in grid.rows for cell in row)
    widths, heights = grid.sizes if nested else grid.fields
    ratios: dict[str, Any] = {"width_ratios": widths, "height_ratios": heights, "squeeze": False}
    rows, columns = len(heights), len(widths)
    if nested:
        parts = place.subfigures(rows, columns, **ratios)
        for part, cell in zip(parts.flat, (cell for row in grid.rows for cell in row), strict=True):
            _fill(part, cell)
        return
    axes = place.subplots(rows, columns, **ratios)
    legend = _shared_legend(grid)
    for row, cells in enumerate(grid.rows):
        for column, cell in enumerate(cells):
            axes[row, column].set_axis_off()
            if cell is not None:
                title = grid.titles[row][column]
                alone = (row, column) in grid.alone
                _panel(axes[row, column], cell, title, bar=alone, legend=not legend and row == 0)
    _write_heads(axes, grid)
    for group in grid.shared:
        _share_bar(axes, grid, group)
    if legend:
        handles, words = axes[0, 0].get_legend_handles_labels()
        across = 2 if max(map(len, words)) < 60 else 1
        place.legend(handles, words, loc="outside lower center", ncols=across, frameon=False)


class Head(Text):
    """Words over one column or several, in their middle: where that is, is known when the layout is done."""

    def __init__(self, words: str, over: list[Axes], points: float) -> None:
        raised = over[0].transAxes + ScaledTranslation(0, points / 72, over[0].figure.dpi_scale_trans)
        place: dict[str, Any] = {"ha": "center", "va": "bottom", "transform": raised, "clip_on": False}
        super().__init__(0.5, 1.0, words, fontsize=9.5, fontweight="bold", **place)
        self._over = over

    def draw(self, renderer: Any) -> None:
        """Draw it in the middle."""
        first, last = self._over[0].bbox, self._over[-1].bbox
        self.set_x((last.x1 - first.x0) / 2 / first.width)
        super().draw(renderer)


def _write_heads(axes: Any, grid: Grid) -> None:
    heads = grid.heads[: axes.shape[1]]
    starts = [number for number, words in enumerate(heads) if words is not None]
    lines = max(map(_lines, grid.titles[0]))
    for start, end in itertools.pairwise([*starts, len(heads)]):
        axes[0, start].add_artist(Head(heads[start] or "", list(axes[0, start:end]), 4 + 12 * lines))
    for number, words in enumerate(grid.tiles.rows[: axes.shape[0]]):
        axes[number, 0].set_anchor("W")  # or the words move out of the figure as the picture shrinks
        axes[number, 0].text(
            -0.08, 0.5, shortened(words, 28), transform=axes[number, 0].transAxes, rotation=90, ha="right", va="center"
        )


def _shared_legend(grid: Grid) -> bool:
    """Whether all cells are charts of the same lines, so that one legend serves them."""
    cells = [cell for row in grid.rows for cell in row]
    names = [tuple(line.name for line in cell.lines) for cell in cells if isinstance(cell, Curves)]
    return len(cells) > 1 and len(names) == len(cells) and len(set(names)) == 1 and len(names[0]) > 1


def _bars_beside(grid: Grid) -> int:
    """How many shared colour bars stand side by side."""
    rows = [{row for row, _ in group} for group in grid.shared]
    return max((sum(row in those for those in rows) for row in range(len(grid.rows))), default=0)


def _share_bar(axes: Any, grid: Grid, group: list[tuple[int, int]]) -> None:
    """One colour bar for pictures of one scale: beside their rows, or beside themselves where others have theirs."""
    rows = sorted({row for row, _ in group})
    rivals = [other for other in grid.scales if other is not group and {row for row, _ in other} & set(rows)]
    beside = [axes[place] for place in group] if rivals else list(axes[rows].flat)
    picture: Any = grid.rows[group[0][0]][group[0][1]]
    extend = "both" if getattr(picture, "clipped", False) else "neither"
    color_bar(axes[group[0]].images[-1], beside, picture, extend)


def _panel(axes: Axes, panel: Any, title: str, *, bar: bool, legend: bool) -> None:
    match panel:
        case Picture():
            draw_picture(axes, panel, title=title, bar=bar)
            return
        case Image():
            axes.set_axis_off()
            axes.imshow(_pixels(panel), interpolation="none")
            return
    axes.set_axis_on()
    match panel:
        case Sheet():
            draw_sheet(axes, panel, title=title, bar=bar)
        case Curves():
            draw_curves(axes, panel, legend=legend)
        case Bars():
            draw_bars(axes, panel, title=title, legend=legend)
        case _:
            draw_matrix(axes, panel, title=title, bar=bar)


def _pixels(image: Image) -> np.ndarray:
    return np.asarray(image_files.imread(io.BytesIO(png_of(image)), format="png"))
