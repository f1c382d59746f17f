"""The images of a saved result, read again from where they came: files, or a dataset that can be named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from cnnlab.adversarial.judge import Finding
from cnnlab.analysis.again import choices
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.errors import CnnlabError
from cnnlab.verification.report import fails, judged, not_checked

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier


def choice_of(
    record: Mapping[str, Any], told: Sequence[Mapping[str, Any]], classifier: Classifier
) -> tuple[ImageChoice | None, list[str]]:
    """Find how the images of a result were asked for, and the sources of those that are not what they were.

    Args:
        record: ``result.json``.
        told: What it says of each image.
        classifier: The model that they are fitted to.

    Returns:
        The way in which the fewest differ, and which do; None and none where they cannot be read again.
    """
    best: tuple[ImageChoice | None, list[str]] = (None, [])
    for choice in choices(record, told):
        again: Sequence[Mapping[str, Any]] = []
        try:
            again = choice.read(classifier).records() if told else []
        except CnnlabError:
            if choice.images is None:
                continue
        facts = ("digest", "shape", "label")
        wrong = [
            entry["source"]
            for entry, found in zip_longest(told, again)
            if entry and (not found or any(found[fact] != entry[fact] for fact in facts))
        ]
        if best[0] is None or len(wrong) < len(best[1]):
            best = choice, wrong
        if not wrong:
            break
    return best


def inputs(told: Sequence[Mapping[str, Any]], choice: ImageChoice | None, wrong: list[str]) -> Iterator[Finding]:
    """Say whether the images are what was read then."""
    if choice is None:
        yield not_checked("inputs", f"The {len(told):,} images cannot be read again: {told[0]['source']}.")
    elif wrong:
        yield fails("inputs", f"{len(wrong):,} of {len(told):,} are not what was read then: {', '.join(wrong[:3])}.")
    elif told:
        yield judged("inputs", [], f"{len(told):,} of {len(told):,} are the same when read again, to the bit.")
        if choice.images is not None:
            yield not_checked("inputs", "What image files are of was said by somebody: inputs.label.")
