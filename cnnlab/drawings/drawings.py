"""Drawings that hold drawings, and every drawing as data: checked, written, read back, made whole for a renderer."""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from cnnlab.drawings import values as encoding
from cnnlab.drawings.charts import Bars, Curves, Matrix
from cnnlab.drawings.picture import Picture, Sheet
from cnnlab.drawings.values import At
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.words import is_text

Panel = Picture | Sheet | Curves | Bars | Matrix
"""A drawing by itself."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scrub:
    """The same panels along an axis such as epsilon, beta or a step: side by side on paper, a slider on a page.

    Attributes:
        axis: What the axis is: ``epsilon``.
        stops: What each stop on it is called: ``0.1``.
        frames: The panels at each stop, as many at every one.
        title: A heading.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Picture
        >>> frames = tuple((Picture(values=np.full((2, 2), level)),) for level in (0.1, 0.2))
        >>> Scrub(axis="epsilon", stops=("0.1", "0.2"), frames=frames).kind
        'scrub'
    """

    axis: str
    stops: tuple[str, ...]
    frames: tuple[tuple[Panel, ...], ...]
    title: str = ""
    kind: Literal["scrub"] = "scrub"

    def __post_init__(self) -> None:
        if len(self.stops) != len(self.frames) or len({len(frame) for frame in self.frames}) != 1:
            raise ValueError(
                f"a scrub needs one frame for each stop, all of as many panels; received {len(self.stops)} stops and "
                f"frames of {', '.join(str(len(frame)) for frame in self.frames) or 'nothing'}."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Tiles:
    """Drawings in a grid, row by row. A :class:`Scrub` takes as many places of its row as it has panels on paper.

    Attributes:
        tiles: What is drawn; None leaves a place empty.
        columns: How many places a row has, a scrub counted as one; about a square grid by default.
        title: A heading over all.
        rows: What each row is, written to its left.
        heads: What each column is, written above the first row.
        size: Side of a picture in inches on paper; by default larger where there are few.

    Pictures whose colours stand for numbers on one scale share a colour bar on paper.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Picture
        >>> Tiles(tiles=(Picture(values=np.zeros((2, 2))),) * 4, columns=2, rows=("before", "after")).kind
        'tiles'
    """

    tiles: tuple[Panel | Scrub | Tiles | None, ...]
    columns: int | None = None
    title: str = ""
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    size: float | None = None
    kind: Literal["tiles"] = "tiles"

    @property
    def across(self) -> int:
        """How many places a row has."""
        count = max(len(self.tiles), 1)
        return self.columns or min(count, 4 if count <= 8 else math.ceil(math.sqrt(count * 1.5)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """A figure that a plugin drew itself, kept as it was: a PNG, base64.

    Attributes:
        png: The file.
        title: What it shows.
    """

    png: str
    title: str = ""
    kind: Literal["image"] = "image"

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return base64.b64decode(self.png)


Drawing = Picture | Sheet | Curves | Bars | Matrix | Tiles | Scrub | Image
"""Whatever a result can show.

Example:
    >>> from cnnlab.plugin import Bars, Series
    >>> def drawings(names: tuple[str, ...], values: tuple[float, ...]) -> dict[str, Drawing]:
    ...     return {"": Bars(names=names, series=(Series(name="energy", values=values),), label="energy")}
    >>> isinstance(drawings(("conv1",), (0.5,))[""], Drawing)
    True
"""

KINDS = (Picture, Sheet, Curves, Bars, Matrix, Tiles, Scrub, Image)


def changed(drawing: Any, change: Callable[[Any], Any], kinds: Any = At | np.ndarray) -> Any:
    """Return a drawing with ``change`` made to every value of these kinds in it: arrays and references to them."""
    if isinstance(drawing, kinds):
        return change(drawing)
    if isinstance(drawing, tuple):
        return tuple(changed(part, change, kinds) for part in drawing)
    if not dataclasses.is_dataclass(drawing) or isinstance(drawing, type):
        return drawing
    parts = {part.name: getattr(drawing, part.name) for part in dataclasses.fields(drawing)}
    return dataclasses.replace(drawing, **{name: changed(part, change, kinds) for name, part in parts.items()})


def resolved(drawing: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return a drawing in which arrays stand for the references to them, as renderers want it.

    Raises:
        CnnlabError: It refers to an array that is not there.
    """
    return changed(drawing, lambda value: value.of(arrays) if isinstance(value, At) else value)


def to_json(drawings: Mapping[str, Drawing]) -> str:
    """Write drawings, by name, as JSON that :func:`from_json` reads back whole.

    Raises:
        UsageError: One of them is no drawing, or holds what a drawing cannot.
    """
    try:
        checked = _checked(drawings).items()
        record = {name: _adapter().dump_python(drawing, warnings="error") for name, drawing in checked}
        text = json.dumps(record, default=encoding.to_json, allow_nan=False, ensure_ascii=False)
        if not is_text(text):
            raise ValueError("they hold half of a character (a lone surrogate)")
        return text
    except (TypeError, ValueError) as error:
        raise UsageError(f"the drawings cannot be saved: {_first_line(error)}.") from error


def from_json(text: str) -> dict[str, Drawing]:
    """Read drawings.

    Raises:
        CnnlabError: The text is no JSON, or says of something that it is a drawing and is not.
    """
    try:
        record = json.loads(text, object_hook=encoding.from_json)
        if not isinstance(record, dict):
            raise ValueError(f"expected an object of drawings by their names; received {type(record).__name__}")
        return {str(name): _adapter().validate_python(drawing) for name, drawing in record.items()}
    except RecursionError:
        raise CnnlabError("the drawings cannot be read: they are nested too deeply.") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise CnnlabError(f"the drawings cannot be read: {_first_line(error)}.") from error


def _checked(drawings: Mapping[str, Drawing]) -> Mapping[str, Drawing]:
    for name, drawing in drawings.items():
        if not isinstance(drawing, KINDS):
            raise TypeError(f"the drawing {name!r} is {type(drawing).__name__}, no drawing")
    return drawings


@functools.cache
def _adapter() -> Any:
    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Drawing, Field(discriminator="kind")])


def _first_line(error: Exception) -> str:
    """The first thing that is wrong, in one line: pydantic's errors have several."""
    details = getattr(error, "errors", None)
    if details is None:
        said = (line.strip().rstrip(".") for line in str(error).splitlines() if not line.endswith(":"))
        return next(said, type(error).__name__)
    first = details(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    what = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{where}: {what}" if where else what
