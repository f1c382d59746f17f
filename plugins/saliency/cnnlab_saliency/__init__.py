"""Saliency: which pixels a class rests on, and whether the map that says so can be believed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from cnnlab.plugin import (
    MAP_TEST_ARRAYS,
    MAP_TEST_METRICS,
    AClass,
    ALayer,
    Analysis,
    Array,
    Doc,
    MapTestParams,
    Params,
    UsageError,
    hookimpl,
)

OF_A_LAYER = ("gradcam", "gradcam++", "scorecam")
"""The methods that weigh the feature maps of a layer; the others look at the gradient in the pixels."""


@dataclass(frozen=True, kw_only=True)
class MapParams(Params):
    """Which map is drawn."""

    method: Annotated[
        Literal["vanilla", "smoothgrad", "gradcam", "gradcam++", "scorecam"],
        Doc(
            "Gradient of the class' logit in the pixels (vanilla), its average over noisy copies (smoothgrad), or "
            "feature maps weighed by their gradient (gradcam, gradcam++) or by what the class scores when only they "
            "are shown (scorecam)."
        ),
    ] = "vanilla"
    layer: Annotated[
        str | None,
        ALayer(spatial=True),
        Doc("The layer whose feature maps are weighed; by default the last convolution."),
    ] = None
    class_: Annotated[
        int | None,
        AClass(),
        Doc("The class to explain; by default the label where it is known, else the predicted class."),
    ] = None
    signed: Annotated[
        bool, Doc("Keep the sign: what speaks against the class is below zero, and not dropped or counted as strength.")
    ] = False
    samples: Annotated[int, Ge(1), Doc("Noisy copies that smoothgrad averages over.")] = 25
    noise: Annotated[
        float, Ge(0), Le(1), Doc("Standard deviation of their noise, as a part of the image's own value range.")
    ] = 0.15

    def check(self) -> None:
        """Refuse a layer for a method that looks at no layer."""
        if self.layer is not None and self.method not in OF_A_LAYER:
            raise UsageError(
                f"layer is for the methods {', '.join(OF_A_LAYER)}; {self.method} looks at the pixels themselves. "
                f"Leave the layer {self.layer} out, or name one of those methods."
            )


@dataclass(frozen=True, kw_only=True)
class SaliencyParams(MapTestParams, MapParams):  # a dataclass lists the fields of its last base first
    """Which map is drawn, and how it is put to the test."""


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    return [
        Analysis(
            name="saliency",
            summary="Map which pixels a class rests on, by gradients or feature maps, and test the map.",
            params=SaliencyParams,
            run="cnnlab_saliency.run:run",
            arrays={
                "map": Array(
                    "importance of each pixel for the target class; at least 0 unless signed", axes=("N", "H", "W")
                ),
                "target": Array("the class that is explained", axes=("N",)),
                **MAP_TEST_ARRAYS,
            },
            metrics=MAP_TEST_METRICS,
            sometimes=(*MAP_TEST_ARRAYS, *MAP_TEST_METRICS),
        )
    ]
