"""Arrays held against the axes that an analysis declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cnnlab.errors import UsageError
from cnnlab.pluginhost.declarations import Array
from cnnlab.results.meanings import declared_as

if TYPE_CHECKING:
    import numpy as np


def check_axes(declared: Mapping[str, Array], arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Hold arrays against what was declared of them.

    Returns:
        The length of each axis that is written with a capital letter, by its name.

    Raises:
        UsageError: One has another number of axes, or two have a different length along one axis; as the middle of a
            sentence whose subject is the analysis.
    """
    lengths: dict[str, tuple[int, str]] = {}
    for name, array in arrays.items():
        said = declared_as(declared, name)
        if said is None:
            continue
        axes = _axes(said, array.ndim)
        if axes is None:
            raise UsageError(f"gave the array {name!r} as {list(array.shape)}, which it declares as {said.shape}")
        for axis, length in zip(axes, array.shape, strict=True):
            letter = axis.rstrip("?")
            if not letter.isupper():
                continue
            known, where = lengths.setdefault(letter, (length, name))
            if known != length:
                raise UsageError(
                    f"gave arrays that do not fit together: the axis {letter} is {known} long in {where!r} and "
                    f"{length} in {name!r}"
                )
    return {letter: length for letter, (length, _) in lengths.items()}


def place_of(axis: str, declared: Mapping[str, Array], name: str, count: int) -> int | None:
    """Say which of an array's ``count`` axes is the one called ``axis``; None where it has no such axis."""
    said = declared_as(declared, name)
    axes = None if said is None else _axes(said, count)
    return axes.index(axis) if axes and axis in axes else None


def optional_axes(declared: Mapping[str, Array], arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Say of each array which of its axes go because they may be left out and have one entry, by name."""
    found = {}
    for name, array in arrays.items():
        said = declared_as(declared, name)
        axes = None if said is None else _axes(said, array.ndim)
        places = [place for place, axis in enumerate(axes or ()) if axis.endswith("?") and array.shape[place] == 1]
        if places:
            found[name] = tuple(places)
    return found


def with_optional_axes(declared: Mapping[str, Array], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give arrays the axes back that the host took away because they have one entry; whole arrays stay as they are."""
    import numpy as np

    found = dict(arrays)
    for name, array in arrays.items():
        said = declared_as(declared, name)
        if said is None or "..." in said.axes:
            continue
        places = tuple(place for place, axis in enumerate(said.axes) if axis.endswith("?"))
        if places and array.ndim == len(said.axes) - len(places):
            found[name] = np.expand_dims(array, places)
    return found


def _axes(said: Array, count: int) -> tuple[str, ...] | None:
    """The names of ``count`` axes; None where an array cannot have so many."""
    axes = said.axes
    if "..." in axes:
        place = axes.index("...")
        missing = count - (len(axes) - 1)
        axes = (*axes[:place], *("any",) * max(missing, 0), *axes[place + 1 :])
    return axes if len(axes) == count else None
