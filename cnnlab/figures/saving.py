"""Writing a figure to a file."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.figure import Figure

from cnnlab.figures.style import DPI, styled
from cnnlab.files import write_beside


@styled
def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all, the same bytes every time.

    Args:
        figure: A matplotlib figure.
        path: Where to; ``.png``, ``.svg`` and ``.pdf`` are usual.

    Raises:
        CnnlabError: The disk is full.
    """
    path = Path(path)
    # Without these a file would hold its date and matplotlib's version.
    metadata = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with write_beside(path) as beside:
        figure.savefig(beside, dpi=DPI, metadata=metadata.get(path.suffix.lower(), {}))
