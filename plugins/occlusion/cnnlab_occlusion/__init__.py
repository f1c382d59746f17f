"""Occlusion: what a model looks at, found by covering it up."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from cnnlab.analysis import Analysis, Doc, Params, hookimpl
from cnnlab.errors import UsageError

FILLS = ("min", "mean", "max")


@dataclass(frozen=True, kw_only=True)
class OcclusionParams(Params):
    """How the patch looks and moves, and which score is watched."""

    patch: Annotated[int, Ge(1), Doc("Side of the square patch, in pixels.")] = 4
    stride: Annotated[int, Ge(1), Doc("Step between patch positions, in pixels; at most the patch's side.")] = 1
    fill: Annotated[
        str,
        Doc(
            "What the patch is painted with: min or max of the model's value range, mean (of each channel of the "
            "image), or a value in the range."
        ),
    ] = "min"
    class_: Annotated[
        int | None,
        Ge(0),
        Doc("The class whose score is watched; by default the label where it is known, else the predicted class."),
    ] = None
    score: Annotated[Literal["probability", "logit"], Doc("Which score of that class.")] = "probability"

    def check(self) -> None:
        """Refuse a stride that would leave pixels between the patches, and a fill that is no word and no number."""
        if self.stride > self.patch:
            raise UsageError(
                f"stride must be at most the patch's side, so that every pixel is covered; received stride "
                f"{self.stride} with patch {self.patch}."
            )
        if self.fill not in FILLS:
            try:
                float(self.fill)
            except ValueError:
                raise UsageError(f"fill must be min, mean, max or a number; received {self.fill}.") from None


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    return [
        Analysis(
            name="occlusion",
            summary="Slide a patch over the image and map how the score of its class falls.",
            params=OcclusionParams,
            run="cnnlab_occlusion.run:run",
            arrays={
                "score": "score of the target class with the patch at each position, [N, rows, cols]",
                "predicted": "predicted class with the patch at each position, [N, rows, cols]",
                "baseline": "score of the target class without a patch, [N]",
                "target": "the class whose score is watched, [N]",
                "rows": "upper edge of the patch at each row of positions, in pixels, [rows]",
                "cols": "left edge of the patch at each column of positions, in pixels, [cols]",
                "heatmap": "at each pixel, the mean over the patches that cover it of baseline minus score, [N, H, W]; "
                "positive where the model needs the pixel",
            },
            metrics={
                "baseline": "score of the target class without a patch, mean over the images",
                "largest_drop": "largest fall of the score under any patch, mean over the images",
                "flipped": "share of all positions at which the patch changes the predicted class",
            },
        )
    ]
