"""Filters: the kernels of the convolutional layers, what they are made of, and what excites them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from cnnlab.analysis import Analysis, Doc, Params, hookimpl


@dataclass(frozen=True, kw_only=True)
class FiltersParams(Params):
    """Which kernels are shown, and whether to look for what excites them."""

    layer: Annotated[
        tuple[str, ...], Doc("A convolutional layer, by name; may be given several times. All of them by default.")
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
            inputs="none",
            requires=("convolutions",),
            arrays={
                "kernel/<layer>": "the weights, [h, w, in, out]; of a depthwise layer [h, w, in, multiplier]",
                "energy/<layer>": "of each kernel slice the shares of its energy (sum of squares) that are constant, "
                "first-order (edge-like) and higher-order, [3, in, out] ([3, 1, in x multiplier] for a depthwise "
                "layer); they sum to 1, and are NaN for a slice of zeros",
                "similarity/<layer>": "cosine of each pair of whole filters, [out, out]; NaN for a filter of zeros",
                "maximizing/<layer>": "with --maximize: the input that excites each filter drawn, [filters, H, W, C], "
                "in the model's value range",
                "excitation/<layer>": "with --maximize: the objective at its random start and at its end, [2, filters]",
            },
            metrics={
                "constant/<layer>": "share of a kernel slice's energy that is constant, mean over the slices",
                "edge/<layer>": "share that is first-order, a linear ramp as in an edge detector, mean over the slices",
                "higher/<layer>": "the rest: lines, spots, corners and finer, mean over the slices",
                "similarity/<layer>": "|cosine| of two whole filters, mean over the pairs",
                "slice_similarity/<layer>": "|cosine| of the slices of two filters that read the same input channel, "
                "mean over pairs and channels",
                "excited/<layer>": "with --maximize: share of the filters drawn for which the climb ended above where "
                "it began",
            },
            sometimes=("maximizing/<layer>", "excitation/<layer>", "excited/<layer>"),
        )
    ]
