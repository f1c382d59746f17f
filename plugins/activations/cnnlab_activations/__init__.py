"""Activations: what each layer makes of an image, and how much of the image can still be seen in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from cnnlab.plugin import ALayer, Analysis, Array, Doc, Params, Section, hookimpl


@dataclass(frozen=True, kw_only=True)
class ActivationsParams(Params):
    """Which layers are looked at, and how their maps are drawn."""

    layer: Annotated[
        tuple[Annotated[str, ALayer()], ...],
        Doc("A layer, by name; may be given several times. All of them by default."),
    ] = ()
    scale: Annotated[
        Literal["layer", "map"],
        Doc(
            "What the colours of a figure span: the values of a whole layer over the images drawn, or of each map for "
            "itself, which shows faint maps but hides that they are faint."
        ),
    ] = "layer"
    most: Annotated[int, Ge(1), Doc("Most maps of a layer that are drawn; the arrays hold all.")] = 64
    keep: Annotated[
        int | None,
        Ge(1),
        Doc("Keep the activations of the first so many images alone; the metrics are of all. By default all are kept."),
    ] = None


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    return [
        Analysis(
            name="activations",
            summary="Show the feature maps of every layer, and measure what they keep of the image.",
            params=ActivationsParams,
            run="cnnlab_activations.run:run",
            sum_up="cnnlab_activations.run:sum_up",
            arrays={
                "image": Array("the images in the figures, the first of those given", axes=("drawn", "H", "W", "C")),
                "activation/<layer>": Array(
                    "the layer's output for each image kept: [kept, h, w, maps], [kept, units] or another shape",
                    axes=("kept", "..."),
                ),
                "zeros/<layer>": Array(
                    "share of each map (or unit) that is exactly zero, over all images; 1 is dead", axes=("maps",)
                ),
                "correlation/<layer>": Array(
                    "where there are maps: Pearson's correlation of each map with the image, averaged over channels "
                    "and over the area of each map pixel; NaN where either is constant",
                    axes=("N", "maps"),
                ),
            },
            metrics={
                "zeros/<layer>": "share of the layer's values that are exactly zero, over all images",
                "dead/<layer>": "maps (or units) that are zero everywhere in every image, a count",
                "correlation/<layer>": "largest |correlation| of a map with the image, mean over the images",
                "typical_correlation/<layer>": "|correlation| of a map with the image, mean over maps and images",
            },
        )
    ]


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what this package adds to reports."""
    return [
        Section(
            name="activations",
            summary="The maps of the first and the last convolution, and how much of the image is seen in them.",
            title="Activations",
            write="cnnlab_activations.report:write",
            requires=("dataset",),
        )
    ]
