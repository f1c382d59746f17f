"""The untargeted fast gradient sign method and its iterated forms: make a model misread an image."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from cnnlab.analysis import Analysis, Doc, Params, hookimpl
from cnnlab.analysis.adversarial_names import ADVERSARIAL_ARRAYS, ADVERSARIAL_METRICS
from cnnlab.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class FgsmUntargetedParams(Params):
    """How far and in which steps an image may move."""

    epsilon: Annotated[
        tuple[Annotated[float, Ge(0)], ...],
        Doc(
            "How far an image may move, in the model's units; may be given several times. By default 0.1, 0.2 and "
            "0.3 of the value range, for L2 0.05, 0.1 and 0.15 of the image space's diagonal."
        ),
    ] = ()
    norm: Annotated[
        Literal["linf", "l2"], Doc("What epsilon bounds: the largest change of a pixel, or the Euclidean length.")
    ] = "linf"
    steps: Annotated[
        int, Ge(1), Doc("Steps: 1 is the fast gradient sign method, more are the iterated attack (BIM, PGD).")
    ] = 1
    step_size: Annotated[
        float | None,
        Gt(0),
        Doc("Length of a step, in the model's units; by default epsilon for one step, 2.5 epsilon / steps for more."),
    ] = None
    random_start: Annotated[bool, Doc("Begin at a random point of the ball instead of at the image.")] = False
    restarts: Annotated[
        int, Ge(0), Doc("How often an image that was not fooled is tried again from another random point.")
    ] = 0
    eight_bit: Annotated[
        bool, Doc("Search among 8-bit images only, so that what is found outlives being saved as a PNG.")
    ] = False

    def check(self) -> None:
        """Refuse restarts that would all begin at the image."""
        if self.restarts and not self.random_start:
            raise UsageError("--restarts needs --random-start: begun anew at the image, the attack does the same.")


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    return [
        Analysis(
            name="fgsm-untargeted",
            summary="Move every pixel by at most epsilon so that the model misreads the image.",
            params=FgsmUntargetedParams,
            run="cnnlab_fgsm_untargeted.run:run",
            requires=("gradients",),
            arrays={
                **{name: text for name, text in ADVERSARIAL_ARRAYS.items() if name != "target"},
                "steps": "steps taken until the image was misread, or all of them, [(E,)N]",
            },
            metrics=ADVERSARIAL_METRICS,
            sometimes=("accuracy_after", "success", "success_8bit", "confidence_after", "linf", "l2"),
        )
    ]
