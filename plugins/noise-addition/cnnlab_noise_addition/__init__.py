"""Noise addition: one noise that turns whatever it is added to into a chosen class."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge

from cnnlab.plugin import (
    ADVERSARIAL_ARRAYS,
    ADVERSARIAL_METRICS,
    AClass,
    Analysis,
    Array,
    Doc,
    Params,
    Section,
    UsageError,
    hookimpl,
)


@dataclass(frozen=True, kw_only=True)
class NoiseAdditionParams(Params):
    """Which class the noise leads to, how large it may be, and what it is learned on."""

    target: Annotated[
        Literal["all"] | Annotated[int, AClass()] | None,
        Doc(
            "The class that noisy images are to be read as, or all: a noise for each class. By default 6 (the last "
            "class of a model that has fewer), or with --apply the class that the saved noise was learned for."
        ),
    ] = None
    epsilon: Annotated[
        float | None,
        Ge(0),
        Doc(
            "How large the noise may be in its norm, in the units of the model's value range. By default 0.3, or with "
            "--apply as large as the saved noise is."
        ),
    ] = None
    norm: Annotated[
        Literal["linf", "l2"],
        Doc("In which norm: the largest change of any pixel (linf), or the Euclidean length of the noise (l2)."),
    ] = "linf"
    steps: Annotated[
        int | None, Ge(1), Doc("Steps of learning. By default 300 for one noise, 40 with --per-image.")
    ] = None
    learn_on: Annotated[
        int,
        Ge(1),
        Doc(
            "How many training images, drawn at random, the noise is learned on; images that it is measured on are "
            "never among them."
        ),
    ] = 2000
    per_image: Annotated[bool, Doc("Learn a noise of its own for each image, from random noise on.")] = False
    apply: Annotated[
        Path | None,
        Doc(
            "Learn nothing, and add a saved noise: an earlier result, by its folder, or an .npz file with an array "
            "called noise, [H, W, C] or [H, W]."
        ),
    ] = None

    def check(self) -> None:
        """Refuse to learn while a saved noise is applied."""
        if self.apply is not None and self.per_image:
            raise UsageError("per-image learns noises and apply adds a saved one; give one of them.")


METRICS = {
    **ADVERSARIAL_METRICS,
    "left_out": "how many images are in no success rate, being labelled or read as the target without noise; with "
    "several targets, how many pairs of image and target",
    "success_learning": "share of the counted images that the noise was learned on that are read as the target",
    "success_shuffled": "share of the counted images read as the target with the noise's pixels in a random order: "
    "what its size alone does",
    "target_confidence": "softmax probability of the target, mean over the counted noisy images",
    "correlation": "Pearson correlation of the noise with the target's mean training image",
    "correlation_rank": "which place that has among the correlations with every class, 1 for the highest",
    "noise_alone": "softmax probability of the target for the noise alone, on a flat grey from the middle of the "
    "value range",
    "learned_on": "how many images the noise was learned on",
    "success/<class>": "share of the counted images of one source class on which it succeeds",
}


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides: with several targets, these are the strengths of the axis E."""
    image, by_class, by_step = ("E?", "H", "W", "C"), ("E?", "K"), ("E?", "steps")
    targeted = {name: Array(ADVERSARIAL_ARRAYS[name].meaning, axes=("E?", "N")) for name in ("target", "counted")}
    return [
        Analysis(
            name="noise-addition",
            summary="Learn one small noise that makes a model read any image as a chosen class.",
            params=NoiseAdditionParams,
            run="cnnlab_noise_addition.run:run",
            sum_up="cnnlab_noise_addition.run:sum_up",
            inputs="optional",
            requires=("gradients", "one-class"),
            arrays={
                **ADVERSARIAL_ARRAYS,
                **targeted,
                "noise": Array(
                    "the noise that is added to every image, in the units of the model's value range", axes=image
                ),
                "noise_target": Array("the class that the noise leads to", axes=("E?",)),
                "noise_bounds": Array(
                    "the model's value range, in whose units the noise is: lowest and highest value", axes=("ends",)
                ),
                "image_noise": Array("with --per-image, the noise of each image", axes=("E?", "N", "H", "W", "C")),
                "target_mean": Array("mean training image of the target class; NaN where none is known", axes=image),
                "correlation": Array(
                    "Pearson correlation of the noise with the mean training image of each class; with --per-image, "
                    "its mean over the counted images; NaN where one is flat",
                    axes=by_class,
                ),
                "success_by_class": Array(
                    "share of the counted images of each source class that are read as the target; NaN where there is "
                    "none",
                    axes=by_class,
                ),
                "success_learning_by_class": Array(
                    "the same on the images that the noise was learned on", axes=by_class
                ),
                "target_confidence": Array("softmax probability of the target for each noisy image", axes=("E?", "N")),
                "label_shuffled": Array("the class read with the noise's pixels in a random order", axes=("E?", "N")),
                "noise_alone": Array(
                    "softmax probability of the target for the noise alone, on a flat grey", axes=("E?",)
                ),
                "learning_label": Array(
                    "the class of each image that the noise was learned on; where unknown, what it is read as",
                    axes=("learned",),
                ),
                "learning_label_before": Array("the class that it is read as without noise", axes=("learned",)),
                "learning_label_after": Array("the class that it is read as with it", axes=("E?", "learned")),
                "trace_confidence": Array(
                    "softmax probability of the target, mean over the noisy images of each step", axes=by_step
                ),
                "trace_reached": Array(
                    "share of the noisy images of each step that are read as the target", axes=by_step
                ),
            },
            metrics=METRICS,
            sometimes=(
                *("image_noise", "accuracy@<strength>"),  # and with a noise for each image, or one from a file:
                *("noise", "success_learning_by_class", "trace_confidence", "trace_reached", "label_shuffled"),
                *("noise_alone", "learning_label", "learning_label_before", "learning_label_after"),
            ),
        )
    ]


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what this package adds to reports."""
    return [
        Section(
            name="noise-addition",
            summary="One noise for a class, on its own and on images that it was not learned on.",
            title="Noise addition",
            write="cnnlab_noise_addition.report:write",
            requires=("dataset",),
        )
    ]
