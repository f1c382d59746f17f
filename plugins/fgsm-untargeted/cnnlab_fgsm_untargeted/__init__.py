"""The untargeted fast gradient sign method and its iterated forms: make a model misread an image."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from cnnlab.plugin import (
    ADVERSARIAL_ARRAYS,
    ADVERSARIAL_METRICS,
    Analysis,
    Array,
    AttackParams,
    Doc,
    Section,
    UsageError,
    hookimpl,
)


@dataclass(frozen=True, kw_only=True)
class FgsmUntargetedParams(AttackParams):
    """How far and in which steps an image may move; by default by 0.1, 0.2 and 0.3 of the value range."""

    epsilon: Annotated[
        tuple[Annotated[float, Ge(0)], ...],
        Doc(
            "How far an image may move, in the model's units; may be given several times. By default 0.1, 0.2 and 0.3 "
            "of the value range, for L2 0.05, 0.1 and 0.15 of the image space's diagonal."
        ),
    ] = ()
    restarts: Annotated[
        int, Ge(0), Doc("How often an image that was not fooled is tried again from another random point.")
    ] = 0

    def check(self) -> None:
        """Refuse restarts that would all begin at the image."""
        if self.restarts and not self.random_start:
            raise UsageError(
                "`restarts=` needs `random_start=True`: begun anew at the image, the attack does the same."
            )


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    return [
        Analysis(
            name="fgsm-untargeted",
            summary="Move every pixel by at most epsilon so that the model misreads the image.",
            params=FgsmUntargetedParams,
            run="cnnlab_fgsm_untargeted.run:run",
            sum_up="cnnlab_fgsm_untargeted.run:sum_up",
            independent=True,
            requires=("gradients", "one-class"),
            arrays={
                **{name: array for name, array in ADVERSARIAL_ARRAYS.items() if name != "target"},
                "steps": Array("steps taken until the image was misread, or all of them", axes=("E?", "N")),
            },
            metrics=ADVERSARIAL_METRICS,
            sometimes=("accuracy_after",),
        )
    ]


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what this package adds to reports."""
    return [
        Section(
            name="fgsm-untargeted",
            summary="One step along the sign of the gradient: how few images withstand it, by its size.",
            title="One step against the model",
            write="cnnlab_fgsm_untargeted.report:write",
            requires=("dataset",),
        )
    ]
