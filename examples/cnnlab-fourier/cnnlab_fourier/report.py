"""What a report says of frequencies: the map, its means, and whether coarse or fine noise misleads the model more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cnnlab.plugin import Chapter, CnnlabError, Conclusion, Metric, Subject, percent

IMAGES = 100
"""How many images noise is added to."""

MOST_PASSES = 100_000
"""Images that the model reads for this section: seconds of a small one, minutes of a large one."""

VISIBLE = 1 / 7
"""Root mean square of the noise, as a part of the value range: what the default is on images of 28x28."""

MOST = 0.5
"""Of the frequencies: noise of a kind misleads an image that is misread at more than half of them."""


def write(subject: Subject) -> Chapter:
    """Map the error rate under noise of each frequency, for as many images as can be afforded."""
    height, width = subject.inputs(subject.first(1)).images.shape[1:3]
    images = subject.first(affordable(height, width))
    norm = round(VISIBLE * float(np.sqrt(height * width)), 2)
    answer = subject.ask("fourier", images, norm=norm)
    count = len(images)
    return Chapter(
        says=f"Noise of a single spatial frequency is added to each of {count} images, at every frequency the same "
        f"amount of it: a root mean square of {percent(VISIBLE)} of the value range. The map shows the share of images "
        "that are then misread, frequency zero at the centre. A model that errs in the middle goes by coarse shapes, "
        "one that errs at the rim by fine texture (Yin et al., A Fourier Perspective on Model Robustness in Computer "
        "Vision, 2019).",
        figures=[answer.figure(caption="Error rate by frequency: how many cycles down and across the image.")],
        metrics=[
            answer.metric("clean_error", "misread without noise", of=count),
            answer.metric("low_frequency_error", "misread under coarse noise", of=count),
            answer.metric("high_frequency_error", "misread under fine noise", of=count),
            # The worst of many frequencies was looked for: an interval would be one of another number.
            Metric(
                name="misread at the worst frequency",
                value=answer.result.metrics["worst_error"],
                meaning="share of the images misread at the frequency where most are",
                of=count,
            ),
        ],
        conclusions=list(conclusions(answer.result.rows)),
    )


def affordable(height: int, width: int) -> int:
    """Return how many images can be tried at all frequencies of their size.

    Raises:
        CnnlabError: Not even ten.
    """
    # A frequency and its opposite are one noise.
    frequencies = height * width // 2 + 2
    count = min(IMAGES, MOST_PASSES // frequencies)
    if count < 10:
        raise CnnlabError(
            f"images of {height}x{width} have {frequencies:,} frequencies, too many for a report: "
            "ask `cnnlab analyze fourier`."
        )
    return count


def conclusions(rows: Sequence[Mapping[str, Any]]) -> Iterator[Conclusion]:
    """Say whether noise is borne, and which misleads more images: coarse or fine.

    Args:
        rows: Of each image, whether it is misread without noise, and at which share of low and of high frequencies.
    """
    # Of an image that is misread anyway, noise tells nothing.
    read = [row for row in rows if not row["clean_error"]]
    low = np.array([row["low_frequency_error"] for row in read])
    high = np.array([row["high_frequency_error"] for row in read])
    for errors, kind in ((low, "low"), (high, "high")):
        yield Conclusion.on_most(
            errors > MOST,
            f"misread under noise of most {kind} frequencies",
            "A model bears noise that leaves people in no doubt.",
            hoped=False,
            nouns="images that are read correctly without noise",
        )
    told_apart = low != high
    yield Conclusion.on_most(
        low[told_apart] > high[told_apart],
        "misread at more of the low frequencies than of the high ones",
        "A model that goes by shape is misled by coarse noise; fine noise people hardly see, and misleads one that "
        "goes by texture. Images that the two mislead alike, and those that are misread without noise, have no part "
        "in it.",
        nouns="images that the two mislead unequally",
    )
