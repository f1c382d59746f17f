"""Writing drawings to files."""

from __future__ import annotations

import io
import os
from typing import Any

from matplotlib.figure import Figure

from cnnlab.drawings import Drawing, Image
from cnnlab.files.places import FigureFormat, figure_format
from cnnlab.files.seals import BLANK, seal
from cnnlab.files.writing import write_beside
from cnnlab.render.figures import figure
from cnnlab.render.files import png_of
from cnnlab.render.style import DPI, styled

_MADE = f"made with cnnlab, sha256 {BLANK}"
_METADATA: dict[FigureFormat, dict[str, str | None]] = {
    "png": {"Software": _MADE},
    "svg": {"Creator": _MADE, "Date": None},
    "pdf": {"Creator": _MADE, "CreationDate": None},
}
"""Who made a file, by which it is known again; without these it would hold its date and matplotlib's version."""


@styled
def save(drawing: Drawing, path: str | os.PathLike[str], dpi: int | None = None) -> None:
    """Write a drawing, whole or not at all, the same bytes every time.

    Args:
        drawing: What, its values arrays (see :func:`cnnlab.drawings.resolved`).
        path: Where to: ``.png``, ``.svg`` or ``.pdf``.
        dpi: Dots per inch, of a PNG and of pictures within other files; 150 by default.

    Raises:
        UsageError: The path ends in something else.
        CnnlabError: The disk is full.
    """
    format = figure_format(path)
    with write_beside(path) as beside:
        if isinstance(drawing, Image) and format == "png":
            beside.write_bytes(png_of(drawing))
        else:
            beside.write_bytes(_sealed(figure(drawing), format, dpi or DPI))


@styled
def size(drawing: Drawing, dpi: int | None = None) -> tuple[int, int]:
    """Tell how wide and how high a drawing is as a PNG, in pixels, before it takes the memory of that many.

    Args:
        drawing: What, its values arrays (see :func:`cnnlab.drawings.resolved`); no image of somebody else's.
        dpi: Dots per inch; 150 by default.
    """
    width, height = figure(drawing).get_size_inches() * (dpi or DPI)
    return round(width), round(height)


def save_png(made: Figure, target: Any) -> None:
    """Write a figure that somebody else drew as a PNG, to an open file."""
    target.write(_sealed(made, "png", DPI))


def _sealed(made: Figure, format: FigureFormat, dpi: int) -> bytes:
    drawn = io.BytesIO()
    made.savefig(drawn, format=format, dpi=dpi, metadata=_METADATA[format])
    return seal(drawn.getvalue(), format)
