"""The section on occlusion: whether the model needs what stands out, and is undisturbed by what covers the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.plugin import Answer, Chapter, Conclusion, Metric, Subject
from cnnlab_occlusion.standing_out import COVERED, OUTSTANDING, compare

SHOWN = 4
"""Images that are drawn, of different classes."""

COUNTED, LEAST, SMALL = 40, 10, 28 * 28
"""Images that are counted over, where they have so many pixels; of larger ones fewer, but so many."""

LARGE = 64
"""Side of an image from which the drawn positions are as far apart as the counted ones."""


def write(subject: Subject) -> Chapter:
    """Draw a few images, and count over more."""
    shown = subject.ask("occlusion", subject.one_per_class(SHOWN), **patch(subject, fine=True))
    indices = subject.first(affordable(subject))
    answer = subject.ask("occlusion", indices, **patch(subject))
    found = compared(subject, indices, answer)
    return Chapter(
        says=explained(answer),
        figures=[
            shown.figure(
                caption="The image; the fall of the margin where it is covered; and the probability of the class by "
                "where the middle of the patch lies."
            )
        ],
        metrics=metrics(answer, found),
        conclusions=conclusions(found),
    )


def explained(answer: Answer) -> list[str]:
    """Say what was done, and how the object is told from its ground."""
    params = answer.result.record["params"]
    return [
        f"A patch of {params['patch']} pixels is slid over the image (Zeiler and Fergus, 2014), and at each place the "
        "model is asked again. What is red in the map is needed: with it covered, the margin falls, the logit of the "
        "class less the largest other. The patch is grey, midway between dark and light, so that it changes dark "
        "ground as well as light strokes; a black one on black ground would change nothing, and prove nothing.",
        f"What stands out differs from the image's border by more than {OUTSTANDING:.0%} of the value range. The patch "
        f"is on it where at least {COVERED:.0%} of the patch is, and beside it where none is. Images without a plain "
        "ground are left out.",
    ]


def patch(subject: Subject, *, fine: bool = False) -> dict[str, Any]:
    """Return the parameters: a patch of a seventh of the image, in steps of a fourteenth, or half of that if fine."""
    image = subject.inputs(subject.first(1))
    side = min(image.shape[:2])
    steps = 28 if fine and side <= LARGE else 14
    return {"patch": max(1, round(side / 7)), "stride": max(1, side // steps), "fill": sum(image.bounds) / 2}


def affordable(subject: Subject) -> int:
    """Return how many images are counted over: fewer of larger ones, in proportion to their pixels."""
    height, width, _ = subject.inputs(subject.first(1)).shape
    return max(LEAST, min(COUNTED, COUNTED * SMALL // (height * width)))


def compared(subject: Subject, indices: list[int], answer: Answer) -> dict[str, np.ndarray]:
    """Compare the patch on what stands out with the patch beside it, as :func:`compare` says."""
    inputs = subject.inputs(indices)
    return compare(answer.result.arrays, inputs.images, inputs.bounds, answer.result.record["params"]["patch"])


def metrics(answer: Answer, found: Mapping[str, np.ndarray]) -> list[Metric]:
    """Return what was measured, with its sample."""
    count = len(found["on"])
    meaning = "fall of the margin, in logits, mean over such positions and over the images"
    return [
        Metric.mean("fall on what stands out", found["on"], meaning),
        Metric.mean("fall beside it", found["beside"], meaning),
        Metric.share(
            "undisturbed beside it",
            int(found["right"].sum()),
            count,
            "share of the images read as their class wherever the patch lies beside what stands out",
        ),
        Metric.mean(
            "largest fall of the probability",
            np.array([row["largest_drop"] for row in answer.result.rows]),
            "largest fall of the class' probability under any patch, mean over the images",
        ),
    ]


def conclusions(found: Mapping[str, np.ndarray]) -> list[Conclusion]:
    """Say whether the course report's claims hold: it depends on the digit, and on nothing beside it.

    Args:
        found: Of :func:`compare`.
    """
    on, beside = found["on"], found["beside"]
    mean = f" ({on.mean():.2f} against {beside.mean():.2f} logits on average)" if len(on) else ""
    return [
        Conclusion.on_most(
            on > beside,
            f"hurt more by a patch on what stands out than by one beside it{mean}",
            "A model that looks at the object loses more margin where that is covered than where the ground is.",
            nouns="images with a plain ground",
        ),
        Conclusion.on_most(
            found["right"],
            "read as their class wherever the patch lies beside what stands out",
            "The claim is the course report's: the prediction is accurate where parts are occluded that do not "
            "include the digit. An image counts where its reading is right at every such place.",
            nouns="images with a plain ground",
        ),
    ]
