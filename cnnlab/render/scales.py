"""Which pictures of a grid share a colour bar, on paper and on pages."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

from cnnlab.drawings import Picture, Sheet

Place = TypeVar("Place", bound=Hashable)


def on_one_scale(cells: Iterable[tuple[Place, Any]]) -> list[list[Place]]:
    """Return where the pictures lie whose colours stand for numbers, those on one scale together.

    Args:
        cells: Places, and what is drawn there; what has no colour bar is passed over.
    """
    groups: dict[Any, list[Place]] = {}
    for place, cell in cells:
        if isinstance(cell, Picture | Sheet) and cell.measured:
            clipped = isinstance(cell, Sheet) and cell.clipped
            groups.setdefault((cell.scale, cell.ends, cell.unit, clipped), []).append(place)
    return list(groups.values())
