"""Adversarial images of a saved result, run through the model again: from the arrays, and from the PNG files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import inputs as reading_inputs
from cnnlab.adversarial.judge import (
    OTHER_DEVICE,
    SAME_DEVICE,
    Finding,
    confirms,
    is_adversarial,
    judge,
)
from cnnlab.adversarial.measure import Measured
from cnnlab.adversarial.names import ADVERSARIAL_ARRAYS
from cnnlab.devices.choice import current_device
from cnnlab.errors import CnnlabError
from cnnlab.perturbations import from_8bit, to_8bit
from cnnlab.results import images as saved_images
from cnnlab.results.result import Result
from cnnlab.verification.numbers import same
from cnnlab.verification.report import fails, judged, not_checked

if TYPE_CHECKING:
    from cnnlab.verification.of_result import Saved

JUDGED = set(ADVERSARIAL_ARRAYS)
"""The arrays of an attack that are held against the model."""


def attacked(saved: Saved) -> Iterator[Finding]:
    """Hold images, labels, confidences, distances and files against the model."""
    claims, record = saved.claims, saved.record
    if not is_adversarial(saved.arrays) or claims is None:
        yield fails("claims", "Adversarial images and what is claimed of them belong together; one is missing.")
        return
    result = Result(arrays=saved.arrays, claims=claims)
    bounds = list(saved.classifier.bounds)
    if bounds != record["claims"]["bounds"]:
        yield fails("range", f"The model takes {bounds}, and the result was made for {record['claims']['bounds']}.")
    found = judge(saved.classifier, result)
    findings = found.findings
    if found.failed and not _all_on_cpus(saved):
        findings = _eased(findings, judge(saved.classifier, result, slack=OTHER_DEVICE).findings)
    yield from (finding for finding in findings if finding.claim not in ("metrics", "rows"))
    if found.measured.arrays:
        yield from _originals(saved)
        yield from _images(saved, found.measured)


def _all_on_cpus(saved: Saved) -> bool:
    return bool(current_device() == saved.record["device"] == "cpu")


def _eased(strictly: Sequence[Finding], loosely: Sequence[Finding]) -> list[Finding]:
    """Name what holds within the short floats of a GPU alone: whoever writes a record may say that there was one."""
    return [
        loose if loose.state == first.state else not_checked(first.claim, f"{_ONLY_SO} {first.says}")
        for first, loose in zip(strictly, loosely, strict=True)
    ]


_ONLY_SO = "It holds only as closely as a GPU computes."


def _originals(saved: Saved) -> Iterator[Finding]:
    """Hold the originals against the digests of the images that were given, where they are those images."""
    origin, told = saved.record["claims"]["original"], saved.inputs
    if origin != "inputs":
        known = {"other": "They are noise or other images, not those that were given."}
        yield not_checked("original", known.get(origin, f"They are the {origin}, not the images that were given."))
        return
    again = reading_inputs.from_arrays(saved.classifier, saved.arrays["original"]).records()
    if len(again) != len(told):
        yield fails("original", f"There are {len(again):,}, and {len(told):,} images were given.")
        return
    labels = saved.arrays["label"]
    wrong = [
        f"image {index} or its label is not what was given"
        for index, (entry, found) in enumerate(zip(told, again, strict=True))
        if entry["digest"] != found["digest"] or entry["label"] not in (None, int(labels[index]))
    ]
    yield judged("original", wrong, "They are the images that were given, to the bit.")


def _images(saved: Saved, measured: Measured) -> Iterator[Finding]:
    """Hold the PNG files against the arrays, and what is said of them against what the model says of their pixels."""
    claims, classifier = saved.claims, saved.classifier
    assert claims is not None
    strengths, count, *_, channels = measured.arrays["adversarial"].shape
    places = saved_images.places(strengths, count, channels, claims)
    expected = saved_images.describe(measured.arrays, claims, channels)
    told = {entry["file"]: entry for entry in saved.record["images"]}
    unlisted = [place.file for place in places if place.file not in told]
    wrong: list[str] = []
    unsure: list[str] = []
    if unlisted or len(told) != len(places) or len(saved.record["images"]) != len(places):
        first = f"; {unlisted[0]} is not listed" if unlisted else ""
        wrong.append(f"result.json lists {len(saved.record['images'])} images where {len(places)} are due{first}")
    for place, entry in zip(places, expected, strict=True):
        try:
            pixels = saved_images.read(saved.directory / place.file)
        except CnnlabError as error:
            wrong.append(str(error).rstrip("."))
            continue
        due = to_8bit(place.of(measured.arrays["adversarial"]), classifier.bounds)
        if pixels.shape != due.shape or (pixels != due).any():
            wrong.append(f"{place.file} is not the image of the arrays")
        if pixels.shape == due.shape and place.file in told:
            logits = classifier.logits(from_8bit(pixels, classifier.bounds)[None])
            strictly = list(_missaid(told[place.file], entry, logits, SAME_DEVICE))
            loosely = strictly if _all_on_cpus(saved) else list(_missaid(told[place.file], entry, logits, OTHER_DEVICE))
            wrong += [f"{place.file} is said to be {what}" for what in loosely]
            unsure += [f"{place.file} is said to be {what}" for what in strictly if not loosely]
    if wrong or places:
        yield judged("images", wrong, f"{len(places)} PNG files hold the rounded images, and are read as listed.")
    if unsure:
        yield not_checked("images", f"{_ONLY_SO} {'; '.join(unsure)}.")


def _missaid(told: Mapping[str, Any], due: Mapping[str, Any], logits: np.ndarray, slack: float) -> Iterator[str]:
    """What ``result.json`` says wrongly of one image file, given the logits [1, K] of its pixels."""
    label, confidence = np.array([told["label_after"]]), np.array([told["confidence_after"]])
    if not 0 <= told["label_after"] < logits.shape[-1] or not confirms(logits, label, None, slack)[0]:
        yield f"read as {told['label_after']}, and is read as {logits.argmax()}"
    elif not confirms(logits, label, confidence, slack)[0]:
        yield f"read with confidence {told['confidence_after']:g}, and is with {due['confidence_after']:g}"
    elif told["label_after"] == due["label_after"] and told["success"] != due["success"]:
        yield f"{'a success' if told['success'] else 'no success'}"
    for key in {*told, *due} - {"file", "label_after", "confidence_after", "success"}:
        if key not in told or key not in due or not same(told[key], due[key]):
            yield f"{key} {told.get(key)}, and is {due.get(key)}"
