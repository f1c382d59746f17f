"""Contact sheets of kernels: one diverging scale a layer, centred at zero; colour tiles for three input channels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cnnlab.plugin import At, Picture, Sheet, Tiles
from cnnlab_filters import FiltersParams

MANY = 4096
"""Weights of a layer beyond which its scale ends at the quantile :data:`CLIPPED` of their sizes."""

CLIPPED = 0.995

STRONGEST = 12
"""Filters, and input channels of each, up to which all are drawn as a table; of more, those with the most energy."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What of a layer is drawn.

    Attributes:
        name: The layer.
        kernel: [h, w, in, out].
        channels: The input channels drawn.
        params: How many filters are drawn, and whether the channels were asked for; if not, three make colours.
    """

    name: str
    kernel: np.ndarray
    channels: list[int]
    params: FiltersParams

    @property
    def filters(self) -> int:
        """How many filters are drawn."""
        return min(self.kernel.shape[-1], self.params.most)

    @property
    def in_colour(self) -> bool:
        """Whether a filter's three slices are drawn as the red, green and blue of one tile."""
        return self.kernel.shape[2] == 3 and not self.params.channel and len(self.channels) == 3

    @cached_property
    def scale(self) -> dict[str, Any]:
        """The layer's scale: to its largest |weight|, or to a quantile of many, whose outliers would pale all."""
        sizes = np.abs(self.kernel[np.isfinite(self.kernel)])
        clipped = sizes.size > MANY
        end = float(np.quantile(sizes, CLIPPED) if clipped else sizes.max(initial=0.0)) or 1.0
        return {"scale": "diverging", "limits": (-end, end), "unit": "weight", "clipped": clipped}

    @property
    def is_large(self) -> bool:
        """Whether the table of filters by input channels would be too large to be read."""
        return not self.in_colour and not self.params.channel and max(self.filters, len(self.channels)) > STRONGEST

    @property
    def heading(self) -> str:
        """What is drawn, of what, and how."""
        height, width, inputs, outputs = self.kernel.shape
        filters = f"the first {self.filters} of {outputs} filters" if self.filters < outputs else f"{outputs} filters"
        text = f"{self.name}: {filters}, {height}×{width}"
        if self.in_colour:
            end = self.scale["limits"][1]
            return f"{text}; colour: the weights of red, green and blue, 0 is grey, the ends are ±{end:.2g}"
        if inputs == 1:
            return text
        if self.params.channel:
            return f"{text}, input channel{'s' * (len(self.channels) > 1)} {', '.join(map(str, self.channels))}"
        shown = f"the first {len(self.channels)} of {inputs}" if len(self.channels) < inputs else f"all {inputs}"
        return f"{text}, {shown} input channels"

    def sheet(self, summary: str) -> Sheet:
        """Draw the kernels: numbered tiles of one slice or colour each, or a table of filters by input channels.

        Args:
            summary: A second line for the heading.
        """
        numbers = tuple(map(str, range(self.filters)))
        ends = f"; the ends of the scale also stand for the largest {1 - CLIPPED:.1%}" if self.scale["clipped"] else ""
        title = f"{self.heading}{ends}\n{summary}"
        if self.in_colour or len(self.channels) == 1:
            tiles = np.array([self._slices(number)[0] for number in range(self.filters)])
            columns = 8 if len(tiles) <= 64 else 16
            return Sheet(values=tiles, title=title, columns=columns, names=numbers, layer=self.name, **self.scale)
        if self.is_large:
            return self.strongest(ends, summary)
        return Sheet(
            values=np.concatenate([self._slices(number) for number in range(self.filters)]),
            title=title,
            columns=len(self.channels),
            rows=numbers,
            heads=tuple(map(str, self.channels)),
            row_label="filter",
            head_label="input channel",
            layer=self.name,
            **self.scale,
        )

    def strongest(self, ends: str, summary: str) -> Sheet:
        """Draw, of a large layer, the filters with the most energy, and of each the slices with the most of it."""
        height, width, inputs, outputs = self.kernel.shape
        energy = np.nan_to_num(np.square(self.kernel, dtype=np.float64)).sum(axis=(0, 1))
        filters = np.argsort(-energy.sum(axis=0), kind="stable")[: min(STRONGEST, self.params.most)]
        channels = np.argsort(-energy, axis=0, kind="stable")[: min(STRONGEST, self.params.most)]
        most = f"the {len(filters)} of {outputs} filters" if len(filters) < outputs else f"all {outputs} filters"
        each = f"the {len(channels)} of {inputs} channels" if len(channels) < inputs else f"all {inputs} channels"
        left_out = f", {outputs - len(filters)} left out" if len(filters) < outputs else ""
        what = f"{self.name}: {most} with the most energy{left_out}, {height}×{width}"
        what += f"; of each {each} with the most, numbered"
        return Sheet(
            values=np.concatenate([self.kernel[:, :, channels[:, one], one].transpose(2, 0, 1) for one in filters]),
            title=f"{what}{ends}\n{summary}",
            columns=len(channels),
            rows=tuple(map(str, filters)),
            row_label="filter",
            names=tuple(map(str, channels[:, filters].T.reshape(-1))),
            layer=self.name,
            **self.scale,
        )

    def beside(self, excitation: np.ndarray, bounds: tuple[float, float]) -> Tiles:
        """Draw each filter beside the input that excites it most.

        Args:
            excitation: How much each filter is excited, [filters].
            bounds: The model's value range.
        """
        tiles: list[Picture] = []
        for number, reached in enumerate(excitation):
            slices = self._slices(number)
            filter_ = Sheet(values=slices, columns=math.ceil(math.sqrt(len(slices))), **self.scale).picture
            tiles += [
                replace(filter_, title=f"filter {number}"),
                Picture.of_image(At(f"maximizing/{self.name}", number), bounds, f"{reached:.3g}"),
            ]
        what = "the mean of its map" if self.params.objective == "map" else "its middle unit"
        return Tiles(
            tiles=tuple(tiles),
            columns=min(8, len(tiles)),
            title=f"{self.heading}\nBeside each filter the input that excites it most, and how much: {what}",
            size=1.1,
        )

    def _slices(self, number: int) -> np.ndarray:
        """The drawn slices of one filter, [channels, h, w], or as one in colour, [1, h, w, 3]."""
        if self.in_colour:
            return self.kernel[np.newaxis, ..., number]
        return self.kernel[:, :, self.channels, number].transpose(2, 0, 1)
