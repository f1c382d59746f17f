"""Robustness: what share of a dataset a model still reads correctly when its images are attacked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from cnnlab.plugin import Analysis, Array, BallParams, Doc, Section, hookimpl


@dataclass(frozen=True, kw_only=True)
class RobustnessParams(BallParams):
    """Which attacks, and how far they may go."""

    epsilon: Annotated[
        tuple[Annotated[float, Ge(0)], ...],
        Doc(
            "How far an image may move, in the model's units; may be given several times. By default 0.05, 0.1 to 0.3 "
            "of the value range, for L2 0.02, 0.04 to 0.1 of the image space's diagonal."
        ),
    ] = ()
    attack: Annotated[
        Literal["both", "fgsm", "pgd"], Doc("The fast gradient sign method, projected gradient descent, or both.")
    ] = "both"
    steps: Annotated[int, Ge(1), Doc("Steps of projected gradient descent.")] = 40
    step_size: Annotated[
        float | None, Gt(0), Doc("Their length, in the model's units; by default 2.5 epsilon / steps.")
    ] = None
    random_start: Annotated[
        bool, Doc("Projected gradient descent begins at a random point of the ball instead of at the image.")
    ] = False
    minimal: Annotated[
        bool,
        Doc(
            "Also find, for each image, the smallest epsilon that fools, up to the largest given: by bisection with "
            "projected gradient descent of 20 steps."
        ),
    ] = False


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    each, by_strength = ("N",), ("E", "N")
    return [
        Analysis(
            name="robustness",
            summary="Measure accuracy against epsilon under attack, over a dataset.",
            params=RobustnessParams,
            run="cnnlab_robustness.run:run",
            sum_up="cnnlab_robustness.run:sum_up",
            requires=("gradients", "one-class"),
            arrays={
                "epsilon": Array("the strengths, ascending, in the model's units", axes=("E",)),
                "label": Array("true class, -1 where unknown", axes=each),
                "label_before": Array("the class each image is read as", axes=each),
                "confidence_before": Array("softmax probability of that class", axes=each),
                "fgsm_label_after": Array("the class read after the fast gradient sign method", axes=by_strength),
                "fgsm_confidence_after": Array("softmax probability of that class", axes=by_strength),
                "pgd_label_after": Array(
                    "the class read after projected gradient descent; see pgd@<epsilon>", axes=by_strength
                ),
                "pgd_confidence_after": Array("softmax probability of that class", axes=by_strength),
                "standing": Array(
                    "whether the image is read correctly (without a label: as before) under every attack asked for at "
                    "this and every smaller strength",
                    axes=by_strength,
                ),
                "smallest": Array(
                    "distance of the nearest image found that is misread, in the model's units; 0 where the image is "
                    "misread as it is, NaN where none was found up to the largest epsilon",
                    axes=each,
                ),
            },
            metrics={
                "images": "how many images",
                "labelled": "how many of them have a known label; accuracies are over these",
                "accuracy_before": "share read correctly without attack",
                "misread_before": "share misread without attack; these are misread at every epsilon",
                "accuracy@<epsilon>": "share read correctly, the robust accuracy, under every attack asked for "
                "(--minimal included), at this and every smaller epsilon",
                "fgsm@<epsilon>": "share read correctly after the fast gradient sign method alone",
                "pgd@<epsilon>": "share read correctly after projected gradient descent, which takes over what fooled "
                "at a smaller epsilon or, where both are asked for, by the fast gradient sign method",
                "success@<epsilon>": "share of the images read correctly before (without a label: of all) that some "
                "attack makes the model misread",
                "smallest_epsilon": "median over the images read correctly before of the smallest epsilon that fools; "
                "undefined where fewer than half were fooled",
                "smallest_found": "share of these images for which an epsilon that fools was found",
            },
            sometimes=("smallest", "smallest_epsilon", "smallest_found"),
        )
    ]


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what a report may say of it."""
    return [
        Section(
            name="robustness",
            summary="Accuracy against the size of a change, made by an attack and made at random.",
            title="Robustness",
            write="cnnlab_robustness.report:write",
            requires=("dataset",),
        ),
        Section(
            name="smallest-attacks",
            summary="How near to each image one lies that is misread.",
            title="The smallest attacks",
            write="cnnlab_robustness.report_smallest:write",
            requires=("dataset",),
        ),
    ]
