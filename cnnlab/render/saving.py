"""Writing drawings to files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from cnnlab.drawings import Drawing, Image
from cnnlab.files.places import MARK
from cnnlab.files.writing import write_beside
from cnnlab.render.figures import figure
from cnnlab.render.style import DPI, styled

Format = Literal["png", "svg", "pdf"]

_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": MARK},
    ".svg": {"Creator": MARK, "Date": None},
    ".pdf": {"Creator": MARK, "CreationDate": None},
}
"""Who made a file, by which it is known again; without these it would hold its date and matplotlib's version."""


@styled
def save(drawing: Drawing, path: str | os.PathLike[str], dpi: int | None = None) -> None:
    """Write a drawing, whole or not at all, the same bytes every time.

    Args:
        drawing: What, its values arrays (see :func:`cnnlab.drawings.resolved`).
        path: Where to; ``.png``, ``.svg`` and ``.pdf`` are usual.
        dpi: Dots per inch, of a PNG and of pictures within other files; 150 by default.

    Raises:
        CnnlabError: The disk is full.
    """
    path = Path(path)
    with write_beside(path) as beside:
        if isinstance(drawing, Image) and path.suffix.lower() == ".png":
            beside.write_bytes(drawing.data)
        else:
            metadata = _METADATA.get(path.suffix.lower(), {})
            figure(drawing).savefig(beside, dpi=dpi or DPI, metadata=metadata)


def save_png(made: Figure, target: Any) -> None:
    """Write a figure that somebody else drew as a PNG, to a path or an open file."""
    made.savefig(target, format="png", dpi=DPI, metadata=_METADATA[".png"])
