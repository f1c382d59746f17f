"""Occlusion: what a model looks at, found by covering it up."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from cnnlab.plugin import (
    MAP_TEST_ARRAYS,
    MAP_TEST_METRICS,
    AClass,
    Analysis,
    Array,
    Doc,
    MapTestParams,
    Params,
    Section,
    UsageError,
    hookimpl,
)


@dataclass(frozen=True, kw_only=True)
class PatchParams(Params):
    """How the patch moves, and which class is watched."""

    patch: Annotated[int, Ge(1), Doc("Side of the square patch, in pixels.")] = 4
    stride: Annotated[int, Ge(1), Doc("Step between patch positions, in pixels; at most the patch's side.")] = 1
    target: Annotated[
        int | None,
        AClass(),
        Doc("The class whose score is watched; by default the label where it is known, else the predicted class."),
    ] = None

    def check(self) -> None:
        """Refuse a stride that would leave pixels between the patches."""
        if self.stride > self.patch:
            raise UsageError(
                f"stride must be at most the patch's side, so that every pixel is covered; received stride "
                f"{self.stride} with patch {self.patch}."
            )


@dataclass(frozen=True, kw_only=True)
class OcclusionParams(MapTestParams, PatchParams):  # a dataclass lists the fields of its last base first
    """How the patch moves and what it is painted with, which score is watched, and how the map is put to the test."""

    precision: Annotated[
        Literal["float32", "bfloat16"],
        Doc("What covered images are computed in. bfloat16 is faster, and it is told by how much it is off."),
    ] = "float32"


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    at_positions = ("N", "rows", "cols")
    return [
        Analysis(
            name="occlusion",
            summary="Slide a patch over the image and map how the score of its class falls.",
            params=OcclusionParams,
            run="cnnlab_occlusion.run:run",
            sum_up="cnnlab_occlusion.run:sum_up",
            arrays={
                "score": Array("{score} of the target class with the patch at each position", axes=at_positions),
                "predicted": Array("predicted class with the patch at each position", axes=at_positions),
                "baseline": Array("{score} of the target class without a patch", axes=("N",)),
                "read": Array("predicted class without a patch", axes=("N",)),
                "target": Array("the class whose score is watched", axes=("N",)),
                "rows": Array("upper edge of the patch at each row of positions, in pixels", axes=("rows",)),
                "cols": Array("left edge of the patch at each column of positions, in pixels", axes=("cols",)),
                "heatmap": Array(
                    "at each pixel, the mean over the patches that cover it of baseline minus score; positive where "
                    "the model needs the pixel",
                    axes=("N", "H", "W"),
                ),
                "margin": Array(
                    "logit of the target class less the largest other, with the patch at each position",
                    axes=at_positions,
                ),
                "margin_baseline": Array("the same without a patch", axes=("N",)),
                "margin_heatmap": Array(
                    "the map of the fall of the margin, made as `heatmap` is", axes=("N", "H", "W")
                ),
                **MAP_TEST_ARRAYS,
            },
            metrics={
                "baseline": "{score} of the target class without a patch, mean over the images",
                "largest_drop": "largest fall of the score under any patch, mean over the images",
                "largest_margin_drop": "largest fall of the margin under any patch, mean over the images",
                "flipped": "share of all positions at which the patch changes the predicted class",
                **MAP_TEST_METRICS,
            },
            sometimes=(*MAP_TEST_ARRAYS, *MAP_TEST_METRICS),
        )
    ]


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what this package adds to reports."""
    return [
        Section(
            name="occlusion",
            summary="What the model loses where the object is covered, and where the ground is.",
            title="Occlusion: what the model looks at",
            write="cnnlab_occlusion.report:write",
            requires=("dataset",),
        ),
        Section(
            name="occlusion-extremes",
            summary="Occlusion of the most certain images, the least certain ones, and the surest mistakes.",
            title="Occlusion of extremes",
            write="cnnlab_occlusion.report_extremes:write",
            requires=("dataset",),
        ),
    ]
