"""Targeted attacks: make an image be read as another class while it stays like itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval, MinLen

from cnnlab.analysis import Analysis, Doc, Params, hookimpl
from cnnlab.analysis.adversarial_names import ADVERSARIAL_ARRAYS, ADVERSARIAL_METRICS
from cnnlab.errors import UsageError

MEASURES = {
    "reached": "share of the images that the model reads as the target with the wanted confidence",
    "reached_8bit": "the same, after rounding to 8 bits",
    "target_confidence": "probability of the target after the attack, mean over the images",
    "lowest_target_confidence": "probability of the target after the attack, of the image where that is lowest",
    "mean_squared_difference": "squared difference to the original, mean over pixels and images",
}
AT_STRENGTHS = {f"{name}@<strength>": f"{text}, at one strength" for name, text in MEASURES.items()}


@dataclass(frozen=True, kw_only=True)
class TargetedParams(Params):
    """What the images are to be read as, how surely, and what keeps them like the originals."""

    target: Annotated[
        Literal["all"] | Annotated[int, Ge(0)],
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
        Literal["adam", "pgd"], Doc("adam: the logit less beta times the change; pgd: within a ball of epsilon.")
    ] = "adam"
    epsilon: Annotated[
        tuple[Annotated[float, Ge(0)], ...],
        MinLen(1),
        Doc("For pgd: radius of the ball, in the units of the model's value range; may be given several times."),
    ] = (0.3,)
    norm: Annotated[Literal["linf", "l2"], Doc("For pgd: the norm of the ball.")] = "linf"
    steps: Annotated[int, Ge(0), Doc("Most steps.")] = 100
    step_size: Annotated[
        float, Gt(0), Doc("For adam: length of a step, as a share of the value range. pgd chooses its own.")
    ] = 0.02
    rounds: Annotated[int, Ge(1), Doc("For --closest: how many betas are tried for each image.")] = 8
    eight_bit: Annotated[bool, Doc("Search among 8-bit images, which are the same after saving as a PNG.")] = False

    def check(self) -> None:
        """Refuse a search for beta where there is none, or where betas are given to compare."""
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


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    return [
        Analysis(
            name="targeted",
            summary="Make an image be read as a class of your choice while it stays like the original.",
            params=TargetedParams,
            run="cnnlab_targeted.run:run",
            requires=("gradients",),
            arrays={
                **ADVERSARIAL_ARRAYS,
                "image": "which of the images given each row is about, [N]",
                "reached": "whether the target has the wanted confidence, [(E,)N]",
                "target_confidence_before": "probability of the target before the attack, [N]",
                "target_confidence": "probability of the target after it, [(E,)N]",
                "target_confidence_8bit": "the same, after rounding to 8 bits, [(E,)N]",
                "mean_squared_difference": "squared difference to the original, mean over the pixels, [(E,)N]",
                "steps": "steps taken until the confidence was reached, or at most, [(E,)N]; with closest in the round "
                "that found the image",
                "beta": "beta that the image was found with, [(E,)N]",
                "probabilities_before": "probabilities of all classes before the attack, [N, K]",
                "probabilities_after": "probabilities of all classes after it, [(E,)N, K]",
                "matrix_images": "images of each source class by target class, [K, K]; only where the target is all",
                "matrix_reached": "share of them that reached the confidence, [(E,)K, K]; NaN where there is none",
                "matrix_confidence": "probability of the target, mean over them, [(E,)K, K]",
                "matrix_l2": "Euclidean length of the change, mean over them, [(E,)K, K]",
            },
            metrics={
                **ADVERSARIAL_METRICS,
                "skipped": "how many images were left out because the target is their own class",
                **MEASURES,
                **AT_STRENGTHS,
            },
            sometimes=tuple(name for name in (*ADVERSARIAL_METRICS, *AT_STRENGTHS) if name.endswith("@<strength>")),
        )
    ]
