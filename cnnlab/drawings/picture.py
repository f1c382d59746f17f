"""Values on a scale: one picture, or a sheet of many small ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from cnnlab.drawings.values import Values

Scale = Literal["image", "diverging", "sequential", "classes"]
"""How values become colours: an ``image`` is grey or in colour, as its channels say; ``diverging`` is centred at zero,
red above and blue below (three channels: colours around grey); ``sequential`` goes from little to much; ``classes``
are integers, a colour each."""

ARRAYS = {"arbitrary_types_allowed": True}
"""What pydantic must be told to hold arrays, wherever drawings are checked."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaled:
    """What pictures and sheets have in common.

    Attributes:
        values: The numbers; NaN stays uncoloured.
        title: A line above it.
        scale: How values become colours: ``image``, grey or in colour, as the channels say; ``diverging``, centred at
            zero, red above and blue below; ``sequential``, from little to much; ``classes``, integers with a colour
            each.
        limits: The values at the ends of the scale; by default [0, 1] for images within it, else the smallest and the
            largest value. Those of a diverging scale are made symmetric.
        unit: What the values are, for the colour bar.
    """

    values: Values
    title: str = ""
    scale: Scale = "image"
    limits: tuple[float, float] | None = None
    unit: str = ""

    __pydantic_config__ = ARRAYS
    _ranks: ClassVar[tuple[int, ...]] = ()

    @property
    def in_colour(self) -> bool:
        """Whether its three channels are red, green and blue."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        if isinstance(self.values, np.ndarray) and self.values.ndim not in self._ranks:
            raise ValueError(
                f"a {type(self).__name__} needs values of {' or '.join(map(str, self._ranks))} axes; received "
                f"{list(self.values.shape)}."
            )
        if self.limits is not None and not self.limits[0] <= self.limits[1]:
            raise ValueError(f"the limits of a picture must rise; received {self.limits[0]:g} and {self.limits[1]:g}.")

    @property
    def array(self) -> np.ndarray:
        """The values, once they are an array (see :func:`cnnlab.drawings.resolved`); of none, one that is unknown."""
        if not isinstance(self.values, np.ndarray):
            raise ValueError(f"a picture's values must be an array or At(...); received {type(self.values).__name__}.")
        return self.values if self.values.size else np.full([max(side, 1) for side in self.values.shape], np.nan)

    @property
    def ends(self) -> tuple[float, float]:
        """The values at the ends of the colour scale; the second is the larger one."""
        low, high = self.limits or self._natural_ends()
        if self.scale == "diverging":
            largest = max(abs(low), abs(high)) or 1.0
            return (-largest, largest)
        return (low, high) if high / 2 > low / 2 else (low, low + 1.0)

    @property
    def measured(self) -> bool:
        """Whether its colours stand for numbers, so that it needs a colour bar."""
        return self.scale in ("sequential", "diverging") and not self.in_colour

    def _natural_ends(self) -> tuple[float, float]:
        finite = self.array[np.isfinite(self.array)]
        if not finite.size:
            return (0.0, 1.0)
        low, high = float(finite.min()), float(finite.max())
        return (0.0, 1.0) if self.scale == "image" and low >= 0 and high <= 1 else (low, high)

    def unit_interval(self, values: np.ndarray) -> np.ndarray:
        """Map values to [0, 1] by the scale's ends, and clip them; NaN stays."""
        low, high = self.ends
        # By halves, which are exact: two finite numbers may lie further apart than the largest.
        return np.clip((np.asarray(values, np.float64) / 2 - low / 2) / (high / 2 - low / 2), 0.0, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture(Scaled):
    """Values over an image or a plane: [H, W], [H, W, 1] or, in colour, [H, W, 3]. Of other channels the mean is drawn.

    Attributes:
        names: The classes' names, for the scale ``classes``.
        outline: The image [H, W], [H, W, 1] or [H, W, 3] that the values are about; its outlines are drawn over them.
        place: Where the values lie on that image: top, left, bottom and right edge, in its pixels; None where they are
            as large as it.
        window: Height and width of what each value stands for, about its middle, in the image's pixels: the patch of an
            occlusion. On a page it is drawn on the image. None where a value stands for its own place.
        mark: Whether it is framed in red, as what stands out: a mistake, an image that fools.
        image: Which of the images given it is about, so that pictures of one image share a pointer on a page; the host
            sets it.

    Example:
        >>> import numpy as np
        >>> Picture(values=np.eye(3), title="the diagonal", scale="sequential").ends
        (0.0, 1.0)
    """

    names: tuple[str, ...] = ()
    outline: Values | None = None
    place: tuple[float, float, float, float] | None = None
    window: tuple[float, float] | None = None
    mark: bool = False
    image: int | None = None
    kind: Literal["picture"] = "picture"

    _ranks = (2, 3)

    @classmethod
    def of_image(cls, image: Values, /, bounds: tuple[float, float], title: str = "", **more: Any) -> Picture:
        """Make a picture of an ``image`` [H, W, C], in grey or, with three channels, in colour.

        ``bounds`` is its value range; it is called ``title``; ``more`` are other fields of a picture.
        """
        return cls(values=image, title=title, limits=(float(bounds[0]), float(bounds[1])), **more)

    @property
    def in_colour(self) -> bool:
        """Whether its three channels are red, green and blue."""
        return self.array.ndim == 3 and self.array.shape[-1] == 3 and self.scale in ("image", "diverging")

    @property
    def caption(self) -> str:
        """What stands above it: the title and, of values drawn as colours about grey, what these stand for."""
        if not (self.in_colour and self.scale == "diverging"):
            return self.title
        return f"{self.title}\ngrey is 0, full colour \u00b1{self.ends[1]:.3g}".strip()

    @property
    def plane(self) -> np.ndarray:
        """The values [H, W], or [H, W, 3] in colour."""
        if self.array.ndim == 3 and not self.in_colour:
            return self.array[..., 0] if self.array.shape[-1] == 1 else self.array.mean(axis=-1)
        return self.array

    @property
    def unit_plane(self) -> np.ndarray:
        """The plane mapped to [0, 1]."""
        return self.unit_interval(self.plane)

    @property
    def ends(self) -> tuple[float, float]:
        """The values at the ends of the colour scale; classes have a colour each, up to the last that has a name."""
        return (0.0, float(max(len(self.names) - 1, 1))) if self.scale == "classes" else super().ends

    @property
    def outlined(self) -> np.ndarray | None:
        """The image whose outlines are drawn, as one plane [H, W]; None where there is none."""
        outline = None if self.outline is None else np.asarray(self.outline)
        return outline.mean(axis=-1) if outline is not None and outline.ndim == 3 else outline


@dataclass(frozen=True, kw_only=True, eq=False)
class Sheet(Scaled):
    """Many small pictures on one scale, row by row: values [n, h, w] or, in colour, [n, h, w, 3].

    Attributes:
        channels_last: Whether the values are a layer's maps [h, w, n] as it gives them, each channel a picture.
        most: Of more than so many, the first are drawn.
        normalised: Whether each picture's values are divided by its own largest |value|: faint ones show, and it does
            not show that they are faint.
        columns: How many lie side by side; about twice as many as rows by default.
        names: What each of them is called, where they stand for themselves: filters by number.
        rows: What each row is called, where the sheet is a table: filters.
        heads: What each column is called, where the sheet is a table: input channels.
        row_label: What the rows are.
        head_label: What the columns are.
        clipped: Whether values beyond the limits take the colours of the ends; the colour bar says so.
        layer: The layer of which its pictures, or the rows of a table, show a unit each: its filters, its maps. On a
            page, choosing one shows it in every sheet of that layer. Empty where they show something else.
        image: See :class:`Picture`.

    Example:
        >>> import numpy as np
        >>> Sheet(values=np.zeros((6, 3, 3)), columns=3).mosaic.shape
        (7, 11)
    """

    channels_last: bool = False
    most: int | None = None
    normalised: bool = False
    columns: int | None = None
    names: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    row_label: str = ""
    head_label: str = ""
    clipped: bool = False
    layer: str = ""
    image: int | None = None
    kind: Literal["sheet"] = "sheet"

    _ranks = (3, 4)

    @property
    def array(self) -> np.ndarray:
        """What is drawn, [n, h, w] or [n, h, w, 3], once the values are an array."""
        stacked = np.moveaxis(super().array, -1, 0) if self.channels_last else super().array
        stacked = stacked[: self.most]
        if not self.normalised:
            return stacked
        largest = np.abs(stacked).max(axis=tuple(range(1, stacked.ndim)), keepdims=True, initial=0.0)
        return stacked / np.where(largest > 0, largest, 1.0)

    @property
    def in_colour(self) -> bool:
        """Whether the three channels of each are red, green and blue."""
        return self.array.ndim == 4 and self.array.shape[-1] == 3

    @property
    def across(self) -> int:
        """How many lie side by side."""
        count, height, width = self.array.shape[:3]
        natural = max(1, math.ceil(math.sqrt(2 * count * height / width)))
        return min(self.columns or natural, count) or 1

    @property
    def units(self) -> dict[str, tuple[int, int, int, int]]:
        """Where each unit of the layer lies in the mosaic: left, top, width and height, in its pixels."""
        if not self.layer:
            return {}
        count, height, width = self.array.shape[:3]
        across = self.across if self.rows else 1
        places = [divmod(index, self.across) for index in range(0, count, across)]
        return {
            name: (column * (width + 1), row * (height + 1), across * (width + 1) - 1, height)
            for name, (row, column) in zip(self.rows or self.names, places, strict=False)
        }

    @property
    def mosaic(self) -> np.ndarray:
        """All of them in one array [H, W] or [H, W, 3], float32, a pixel of NaN between them."""
        count, height, width, *channels = self.array.shape
        rows = math.ceil(count / self.across)
        shape: list[Any] = [rows * (height + 1) - 1, self.across * (width + 1) - 1, *channels]
        laid = np.full(shape, np.nan, np.float32)
        for index, small in enumerate(self.array):
            top, left = (index // self.across) * (height + 1), (index % self.across) * (width + 1)
            laid[top : top + height, left : left + width] = small
        return laid

    @property
    def picture(self) -> Picture:
        """The sheet as one picture, for those who draw it so."""
        return Picture(
            values=self.mosaic, title=self.title, scale=self.scale, limits=self.ends, unit=self.unit, image=self.image
        )
