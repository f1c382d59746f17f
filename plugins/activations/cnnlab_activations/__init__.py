"""Activations: what each layer makes of an image, and how much of the image can still be seen in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from cnnlab.analysis import Analysis, Doc, Params, hookimpl


@dataclass(frozen=True, kw_only=True)
class ActivationsParams(Params):
    """Which layers are looked at, and how their maps are drawn."""

    layer: Annotated[tuple[str, ...], Doc("A layer, by name; may be given several times. All of them by default.")] = ()
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
            arrays={
                "activation/<layer>": "the layer's output, [N, h, w, c] or [N, units] (N at most --keep)",
                "zeros/<layer>": "share of each map (or unit) that is exactly zero, over all images, [c]; 1 is dead",
                "correlation/<layer>": "where there are maps: Pearson's correlation of each map with the image, "
                "averaged over channels and over the area of each map pixel, [N, c]; NaN where either is constant",
            },
            metrics={
                "zeros/<layer>": "share of the layer's values that are exactly zero, over all images",
                "dead/<layer>": "maps (or units) that are zero everywhere in every image, a count",
                "correlation/<layer>": "largest |correlation| of a map with the image, mean over the images",
                "typical_correlation/<layer>": "|correlation| of a map with the image, mean over maps and images",
            },
        )
    ]
