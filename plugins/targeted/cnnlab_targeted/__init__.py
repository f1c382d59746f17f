"""Targeted attacks: make an image be read as another class while it stays like itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval, MinLen

from cnnlab.plugin import (
    ADVERSARIAL_ARRAYS,
    ADVERSARIAL_METRICS,
    AClass,
    Analysis,
    Array,
    AttackParams,
    Doc,
    Section,
    UsageError,
    hookimpl,
)


@dataclass(frozen=True, kw_only=True)
class TargetedParams(AttackParams):
    """What the images are to be read as, how surely, and what keeps them like the originals.

    The ball (``epsilon``, ``norm``) and its ``random_start`` are those of the method ``pgd``.
    """

    steps: Annotated[int, Ge(0), Doc("Most steps.")] = 100
    step_size: Annotated[
        float | None,
        Gt(0),
        Doc("Length of a step, as a share of the value range; by default 0.02, and with pgd 2.5 epsilon / steps."),
    ] = None
    target: Annotated[
        Literal["all"] | Annotated[int, AClass()],
        Doc("The class that the images are to be read as, or all: each image as every other class, and a matrix."),
    ] = "all"
    confidence: Annotated[float, Interval(gt=0, lt=1), Doc("The probability that the target is to be given.")] = 0.99
    beta: Annotated[
        tuple[Annotated[float, Ge(0)], ...],
        MinLen(1),
        Doc(
            "Taken off the target's logit: this times the sum of squared differences to the original, in shares of "
            "the value range. Given several times, each is run to its end, for the curve of confidence against "
            "change; given once, the nearest image that reached the confidence is kept."
        ),
    ] = (0.3,)
    closest: Annotated[
        bool, Doc("Search beta per image, for the smallest change that reaches the confidence; climbs the log-odds.")
    ] = False
    method: Annotated[
        Literal["adam", "pgd"],
        Doc(
            "What it climbs: the logit less beta times the change (adam), or the log-odds within the ball of epsilon "
            "and norm (pgd), by default 0.3 of the value range (l2: an eighth of the longest way across it)."
        ),
    ] = "adam"
    rounds: Annotated[int, Ge(1), Doc("For --closest: how many betas are tried for each image.")] = 8

    def check(self) -> None:
        """Refuse a search for beta where there is none, and what would be asked for twice or not at all."""
        if self.closest and self.method != "adam":
            raise UsageError("closest searches beta, which method pgd does not have; leave out one of them.")
        if self.closest and len(self.beta) > 1:
            raise UsageError(
                f"closest searches beta for each image, so that at most one is given, to begin with; received "
                f"{len(self.beta)}."
            )
        for name in ("beta", "epsilon"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise UsageError(f"{name} must not be given twice with one value; received {getattr(self, name)}.")
        if self.random_start and self.method != "pgd":
            raise UsageError("`random_start=True` draws from the ball of `method=pgd`; adam begins at the image.")


METRICS = {
    **ADVERSARIAL_METRICS,
    "skipped": "how many images were left out because the target is their own class",
    "reached": "share of the images that the model reads as the target with the wanted confidence",
    "reached_8bit": "share of the images that it still reads so after rounding to 8 bits",
    "target_confidence": "probability of the target after the attack, mean over the images",
    "lowest_target_confidence": "probability of the target after the attack, of the image where that is lowest",
    "mean_squared_difference": "squared difference to the original, mean over pixels and images",
}


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    of_attack, by_class = ("E?", "N"), ("E?", "K", "K")
    return [
        Analysis(
            name="targeted",
            summary="Make an image be read as a class of your choice while it stays like the original.",
            params=TargetedParams,
            run="cnnlab_targeted.attack:run",
            sum_up="cnnlab_targeted.attack:sum_up",
            requires=("gradients", "one-class"),
            arrays={
                **ADVERSARIAL_ARRAYS,
                "image": Array("which of the images given each row is about", axes=("N",)),
                "skipped": Array(
                    "which of them were left out because the target is their own class", axes=("skipped",)
                ),
                "reached": Array("whether the target has the wanted confidence", axes=of_attack),
                "target_confidence_before": Array("probability of the target before the attack", axes=("N",)),
                "target_confidence": Array("probability of the target after it", axes=of_attack),
                "target_confidence_8bit": Array("probability of the target once rounded to 8 bits", axes=of_attack),
                "mean_squared_difference": Array(
                    "squared difference to the original, mean over the pixels", axes=of_attack
                ),
                "steps": Array(
                    "steps taken until the confidence was reached, or at most; with closest in the round that found "
                    "the image",
                    axes=of_attack,
                ),
                "beta": Array("beta that the image was found with", axes=of_attack),
                "probabilities_before": Array("probabilities of all classes before the attack", axes=("N", "K")),
                "probabilities_after": Array("probabilities of all classes after it", axes=("E?", "N", "K")),
                "matrix_images": Array(
                    "images of each source class by target class; only where the target is all", axes=("K", "K")
                ),
                "matrix_reached": Array(
                    "share of them that reached the confidence; NaN where there is none", axes=by_class
                ),
                "matrix_confidence": Array("probability of the target, mean over them", axes=by_class),
                "matrix_l2": Array("Euclidean length of the change, mean over them", axes=by_class),
            },
            metrics=METRICS,
            sometimes=(
                "accuracy@<strength>",
                "beta",
                *(f"matrix_{of}" for of in ("images", "reached", "confidence", "l2")),
            ),
        )
    ]


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what this package adds to reports."""
    return [
        Section(
            name="targeted",
            summary="Images of each class, changed until they are read as others.",
            title="Targeted attacks",
            write="cnnlab_targeted.report:write",
            requires=("dataset",),
        )
    ]
