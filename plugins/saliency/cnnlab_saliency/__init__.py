"""Saliency: which pixels a class rests on, and whether the map that says so can be believed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from cnnlab.analysis import Analysis, Doc, Params, hookimpl
from cnnlab.errors import UsageError

OF_A_LAYER = ("gradcam", "gradcam++", "scorecam")
"""The methods that weigh the feature maps of a layer; the others look at the gradient in the pixels."""


@dataclass(frozen=True, kw_only=True)
class SaliencyParams(Params):
    """Which map is drawn, and how it is put to the test."""

    method: Annotated[
        Literal["vanilla", "smoothgrad", "gradcam", "gradcam++", "scorecam"],
        Doc(
            "Gradient of the class' logit in the pixels (vanilla), its average over noisy copies (smoothgrad), or "
            "feature maps weighed by their gradient (gradcam, gradcam++) or by what the class scores when only they "
            "are shown (scorecam)."
        ),
    ] = "vanilla"
    layer: Annotated[str | None, Doc("The layer whose feature maps are weighed; by default the last convolution.")] = (
        None
    )
    class_: Annotated[
        int | None,
        Ge(0),
        Doc("The class to explain; by default the label where it is known, else the predicted class."),
    ] = None
    signed: Annotated[
        bool, Doc("Keep the sign: what speaks against the class is below zero, and not dropped or counted as strength.")
    ] = False
    samples: Annotated[int, Ge(1), Doc("Noisy copies that smoothgrad averages over.")] = 25
    noise: Annotated[
        float, Ge(0), Le(1), Doc("Standard deviation of their noise, as a part of the image's own value range.")
    ] = 0.15
    sanity: Annotated[
        bool,
        Doc("Put the map to the test: shuffle the weights layer by layer, delete and insert pixels in its order."),
    ] = False
    steps: Annotated[int, Ge(1), Doc("Steps of the deletion and insertion curves.")] = 28
    fill: Annotated[
        Literal["min", "mean", "max"],
        Doc("What deleted pixels become: the least or largest value of the model's range, or the image's mean."),
    ] = "min"
    blur: Annotated[
        float, Gt(0), Le(1000), Doc("Standard deviation, in pixels, of the blur that insertion starts from.")
    ] = 5.0
    score: Annotated[
        Literal["probability", "logit"], Doc("Which score of the class the deletion and insertion curves follow.")
    ] = "probability"

    def check(self) -> None:
        """Refuse a layer for a method that looks at no layer."""
        if self.layer is not None and self.method not in OF_A_LAYER:
            raise UsageError(
                f"layer is for the methods {', '.join(OF_A_LAYER)}; {self.method} looks at the pixels themselves. "
                "Leave it out, or name one of those."
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
            arrays={
                "map": "importance of each pixel for the target class, [N, H, W]; at least 0 unless signed",
                "target": "the class that is explained, [N]",
                "sanity_map/<layer>": "the map once the weights of that layer and of all above it are shuffled, "
                "[N, H, W]",
                "sanity_layers": "the layers in the order in which they are shuffled, the top one first, [L]",
                "sanity_similarity": "Spearman rank correlation of each of these maps with the model's own, [L, N]; "
                "NaN where the model's own map is flat",
                "fraction": "which part of the pixels is deleted or inserted at each step, [S]",
                "deletion": "score of the target class with that part of the pixels deleted, the most important "
                "first, [N, S]",
                "insertion": "score of the target class with that part inserted into the blurred image, the most "
                "important first, [N, S]",
                "deletion_random": "the same as deletion, in a random order, [N, S]",
                "insertion_random": "the same as insertion, in a random order, [N, S]",
            },
            metrics={
                "sanity/<layer>": "Spearman rank correlation with the model's own map once that layer and all above "
                "it are shuffled, mean over the images: 1 is the same order of pixels, 0 an unrelated one",
                "sanity_all": "the same with every layer shuffled; near 1, the map does not show what was learned",
                "deletion_area": "area under the deletion curve over the part deleted, mean over the images; small "
                "is good",
                "insertion_area": "area under the insertion curve over the part inserted, mean over the images; "
                "large is good",
                "deletion_random_area": "area under the deletion curve of a random order, to compare with",
                "insertion_random_area": "area under the insertion curve of a random order, to compare with",
            },
            sometimes=(
                *("sanity_map/<layer>", "sanity_layers", "sanity_similarity", "sanity/<layer>", "sanity_all"),
                *("fraction", "deletion", "insertion", "deletion_random", "insertion_random"),
                *("deletion_area", "insertion_area", "deletion_random_area", "insertion_random_area"),
            ),
        )
    ]
