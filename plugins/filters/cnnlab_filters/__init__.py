"""Filters: the kernels of the convolutional layers, what they are made of, and what excites them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from cnnlab.plugin import ALayer, Analysis, Array, Doc, Params, Section, hookimpl

CONVOLUTION = ALayer(convolutional=True)


@dataclass(frozen=True, kw_only=True)
class FiltersParams(Params):
    """Which kernels are shown, and whether to look for what excites them."""

    layer: Annotated[
        tuple[Annotated[str, CONVOLUTION], ...],
        Doc("A convolutional layer, by name; may be given several times. All of them by default."),
    ] = ()
    channel: Annotated[
        tuple[Annotated[int, Ge(0)], ...],
        Doc("Draw only the kernel slices that read this input channel; may be given several times."),
    ] = ()
    most: Annotated[
        int, Ge(1), Doc("Most filters of a layer, and most input channels, that are drawn; the arrays hold all.")
    ] = 32
    maximize: Annotated[bool, Doc("Also climb, for each filter drawn, to the input that excites it most.")] = False
    objective: Annotated[
        Literal["map", "unit"],
        Doc(
            "What --maximize makes large: the mean of the filter's whole map, or its one unit in the middle, which "
            "shows the receptive field."
        ),
    ] = "map"
    steps: Annotated[int, Ge(1), Doc("Steps of that climb.")] = 200
    smoothness: Annotated[
        float, Ge(0), Doc("Weight of the total variation that the climb keeps small; 0 leaves it free.")
    ] = 0.0


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    return [
        Analysis(
            name="filters",
            summary="Show the kernels of the convolutional layers, and measure what they are made of.",
            params=FiltersParams,
            run="cnnlab_filters.run:run",
            sum_up="cnnlab_filters.run:sum_up",
            inputs="none",
            requires=("convolutions",),
            arrays={
                "kernel/<layer>": Array(
                    "the weights; of a depthwise layer [h, w, in, multiplier]", axes=("h", "w", "in", "out")
                ),
                "energy/<layer>": Array(
                    "of each kernel slice the shares of its energy (sum of squares) that are constant, first-order "
                    "(edge-like) and higher-order; they sum to 1, and are NaN for a slice of zeros; of a depthwise "
                    "layer [3, 1, in x multiplier]",
                    axes=("shares", "in", "out"),
                ),
                "similarity/<layer>": Array(
                    "cosine of each pair of whole filters; NaN for a filter of zeros", axes=("out", "out")
                ),
                "maximizing/<layer>": Array(
                    "with --maximize: the input that excites each filter drawn, in the model's value range",
                    axes=("filters", "H", "W", "C"),
                ),
                "excitation/<layer>": Array(
                    "with --maximize: the objective at its random start and at its end", axes=("ends", "filters")
                ),
            },
            metrics={
                "constant/<layer>": "share of a kernel slice's energy that is constant, mean over the slices",
                "edge/<layer>": "share that is first-order, a linear ramp as in an edge detector, mean over the slices",
                "higher/<layer>": "share that is neither: lines, spots, corners and finer, mean over the slices",
                "similarity/<layer>": "|cosine| of two whole filters, mean over the pairs",
                "slice_similarity/<layer>": "|cosine| of the slices of two filters that read the same input channel, "
                "mean over pairs and channels",
                "excited/<layer>": "share of the filters drawn for which the climb of --maximize ended above where "
                "it began",
            },
            sometimes=("maximizing/<layer>", "excitation/<layer>", "excited/<layer>"),
        )
    ]


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what this package adds to reports."""
    return [
        Section(
            name="filters",
            summary="The kernels of the first and the last convolution, and what random ones would look like.",
            title="Filters",
            write="cnnlab_filters.report:write",
        )
    ]
