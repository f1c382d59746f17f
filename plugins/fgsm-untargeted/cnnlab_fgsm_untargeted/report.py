"""The section on FGSM: one step along the sign of the gradient, for several sizes of the step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnnlab.plugin import Chapter, Conclusion, Metric, Subject

STEPS = {"8/255": 8 / 255, "0.1": 0.1, "0.2": 0.2, "0.3": 0.3}
"""How far a pixel moves, as parts of the value range: what is customary for colour photographs, and more."""

SHOWN = 3
"""Images that are drawn, of as many classes."""

MOST_IMAGES, FEWEST_IMAGES, WORK = 100, 16, 2e9
"""How many images are attacked, and the multiply-adds of one forward pass over them that bring this number down."""


def write(subject: Subject) -> Chapter:
    """Show a few images at each size of the step, and count how many of more are misread."""
    low, high = subject.classifier.bounds
    epsilon = tuple(float(f"{share * (high - low):.5g}") for share in STEPS.values())
    images = subject.first(subject.affordable(MOST_IMAGES, least=FEWEST_IMAGES, work=WORK))
    shown = subject.ask("fgsm-untargeted", subject.one_per_class(SHOWN), epsilon=epsilon)
    counted = subject.ask("fgsm-untargeted", images, epsilon=epsilon)
    arrays = counted.result.arrays
    fooled = arrays["success"][:, arrays["counted"]]
    return Chapter(
        says="Every pixel moves by epsilon, up or down, as the sign of the loss' gradient says (Goodfellow et al., "
        "Explaining and Harnessing Adversarial Examples, 2015). It is the cheapest attack there is: what withstands it "
        "may fall to one that takes several steps. Images that are misread without it do not count.",
        figures=[shown.figure(caption="The image, the noise, and the image with it: by size, how it is read.")],
        metrics=list(metrics(fooled)),
        conclusions=[conclusion(fooled[place], name) for place, name in enumerate(STEPS) if place < 2],
    )


def metrics(fooled: np.ndarray) -> Iterator[Metric]:
    """Return how many images are misread at each size; bool [E, N]."""
    for name, each in zip(STEPS, fooled, strict=True):
        meaning = f"share of the images that are misread where each pixel moves by {name} of the value range"
        yield Metric.share(f"misread at {name}", int(each.sum()), len(each), meaning)


def conclusion(fooled: np.ndarray, size: str) -> Conclusion:
    """Say whether most images are misread at one size of the step; bool [N]."""
    return Conclusion.on_most(
        fooled,
        f"misread where each pixel moves by {size} of the value range, in one step",
        "One hopes that a change which hardly shows changes no reading.",
        hoped=False,
    )
