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
    Section,
    UsageError,
    hookimpl,
)

Method = Literal["vanilla", "smoothgrad", "integrated", "gradcam", "gradcam++", "scorecam", "all"]

OF_A_LAYER: tuple[Method, ...] = ("gradcam", "gradcam++", "scorecam")
"""The methods that weigh the feature maps of a layer; the others look at the gradient in the pixels."""

METHODS: tuple[Method, ...] = ("vanilla", "smoothgrad", "integrated", *OF_A_LAYER)
"""The methods, in the order in which they stand side by side."""

OWN_METRICS = {
    "logit_rise": "logit of the class less that of the baseline of integrated gradients, mean over the images",
    "completeness_gap": "distance of the sum of an image's integrated gradients from that rise, in logits, mean over "
    "the images; the more path_steps, the smaller",
    "agreement": "Spearman rank correlation of two methods' maps with method all, mean over pairs and images",
}
"""What is told of integrated gradients, and of all methods side by side."""


@dataclass(frozen=True, kw_only=True)
class MapParams(Params):
    """Which map is drawn."""

    method: Annotated[
        Method,
        Doc(
            "Gradient of the class' logit in the pixels (vanilla), averaged over noisy copies (smoothgrad), or on the "
            "way from a baseline, times the way (integrated); feature maps weighed by their gradient (gradcam, "
            "gradcam++) or by what the class scores where they are bright (scorecam); or all that apply, side by side."
        ),
    ] = "vanilla"
    layer: Annotated[
        str | None,
        ALayer(spatial=True),
        Doc("The layer whose feature maps are weighed; by default the last convolution."),
    ] = None
    target: Annotated[
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
    path_steps: Annotated[
        int, Ge(1), Le(1000), Doc("Points between baseline and image at which integrated takes the gradient.")
    ] = 50
    baseline: Annotated[
        Literal["min", "mean", "max"] | float,
        Doc(
            "The image that integrated sets out from, in which nothing is to be seen: min or max of the model's value "
            "range, mean (of each channel of the image), or a value in the range."
        ),
    ] = "min"

    def check(self) -> None:
        """Refuse a layer for a method that looks at no layer."""
        if self.layer is not None and self.method not in (*OF_A_LAYER, "all"):
            raise UsageError(
                f"layer is for the methods {', '.join(OF_A_LAYER)} and all; {self.method} looks at the pixels "
                f"themselves. Leave the layer {self.layer} out, or name one of those methods."
            )


@dataclass(frozen=True, kw_only=True)
class SaliencyParams(MapTestParams, MapParams):  # a dataclass lists the fields of its last base first
    """Which map is drawn, and how it is put to the test."""

    def check(self) -> None:
        """Refuse a layer for a method that looks at no layer, and a test of all methods at once."""
        super().check()
        if self.sanity and self.method == "all":
            raise UsageError(
                f"sanity tests the maps of one method; received method all. Name one: {', '.join(METHODS)}."
            )


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    return [
        Analysis(
            name="saliency",
            summary="Map which pixels a class rests on, by gradients or feature maps, and test the map.",
            params=SaliencyParams,
            run="cnnlab_saliency.run:run",
            sum_up="cnnlab_saliency.run:sum_up",
            arrays={
                "map": Array(
                    "importance of each pixel for the target class; at least 0 unless signed", axes=("N", "H", "W")
                ),
                "map/<method>": Array("the same by each method, with method all", axes=("N", "H", "W")),
                "target": Array("the class that is explained", axes=("N",)),
                "logit_rise": Array(
                    "logit of the class less that of the baseline, of integrated gradients", axes=("N",)
                ),
                "completeness_gap": Array("distance of the sum of these from that rise, in logits", axes=("N",)),
                "methods": Array("the methods that stand side by side, with method all", axes=("M",)),
                "rank_correlation": Array(
                    "Spearman rank correlation of any two of their maps; NaN where one is flat", axes=("M", "M", "N")
                ),
                **MAP_TEST_ARRAYS,
            },
            metrics={**OWN_METRICS, **MAP_TEST_METRICS},
            sometimes=(
                "map",
                "map/<method>",
                "logit_rise",
                "completeness_gap",
                "methods",
                "rank_correlation",
                *OWN_METRICS,
                *MAP_TEST_ARRAYS,
                *MAP_TEST_METRICS,
            ),
        )
    ]


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what this package adds to reports."""
    return [
        Section(
            name="saliency-extremes",
            summary="What speaks for and against a class where the model is surest, least sure, and wrong.",
            title="What speaks for and against a class",
            write="cnnlab_saliency.report:write",
            requires=("dataset",),
        ),
        Section(
            name="sanity",
            summary="Whether maps depend on what was learned, and name the pixels that count.",
            title="Are the maps to be believed?",
            write="cnnlab_saliency.report_sanity:write",
            requires=("dataset",),
        ),
    ]
