"""Verification of adversarial results: every claim, held against the arrays and a fresh forward pass.

The host does this before it believes a plugin (:func:`verified`); :mod:`cnnlab.verification` does it again from
disk. Nothing is taken from the plugin but its arrays and what it claims of them.

Two forward passes of one image agree to rounding only, and less on other hardware: a label counts as confirmed when its
logit is the highest but for that much, and a confidence when it differs by no more than that much can cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cnnlab.adversarial.measure import Measured, derive, logits_of, readings, with_strengths
from cnnlab.devices.choice import current_device
from cnnlab.errors import UsageError
from cnnlab.numerics import UNKNOWN
from cnnlab.perturbations import Norm, distances, round_8bit, tolerance
from cnnlab.results import images as saved_images
from cnnlab.results.claims import Claims
from cnnlab.results.result import Result

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.inputs import Inputs

SAME_DEVICE, OTHER_DEVICE = 1e-4, 1e-2
"""How far logits of two passes may differ, relative to the largest: on CPUs, and with the short floats of GPUs."""

OUTSIDE_INPUT = 1e-3
"""By which share of the value range an original may lie outside of it; the host takes images that do."""

_GIVEN = ("original", "adversarial", "label", "target")
NORMS: tuple[Norm, ...] = ("linf", "l2")
NEEDED = ("label", "label_before", "label_after", "confidence_before", "confidence_after")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One claim, and whether it holds.

    Attributes:
        claim: What is claimed, in a word or two.
        state: Whether it holds; a note claims nothing.
        says: What was found, as a sentence.
    """

    claim: str
    state: Literal["holds", "fails", "note", "not checked"]
    says: str

    def to_json(self) -> dict[str, str]:
        """Return what ``cnnlab verify --json`` prints of it."""
        return {"claim": self.claim, "state": self.state, "says": self.says}


@dataclass(frozen=True, kw_only=True)
class Verified:
    """An adversarial result after verification.

    Attributes:
        findings: What was checked.
        measured: What the forward pass itself says; empty where the arrays' shapes forbid one.
        readings: What is left when the images are put away, and all numbers follow from: labels, distances, and what
            was confirmed of the result's own readings; int64 and float32, each [N] or [E, N].
        origins: What the originals may be: ``inputs``, ``inputs rounded to 8 bits``; neither where they are others.
    """

    findings: list[Finding]
    measured: Measured
    readings: Mapping[str, np.ndarray] = field(default_factory=dict)
    origins: frozenset[str] = frozenset()

    @property
    def failed(self) -> list[Finding]:
        """The claims that do not hold."""
        return [finding for finding in self.findings if finding.state == "fails"]


def is_adversarial(arrays: Mapping[str, Any]) -> bool:
    """Whether a result holds adversarial images."""
    return "original" in arrays and "adversarial" in arrays


def judge(classifier: Classifier, result: Result, *, slack: float = SAME_DEVICE) -> Verified:
    """Hold everything that a result says of its adversarial images against a forward pass of the host's own.

    Args:
        classifier: The model.
        result: With ``original`` and ``adversarial`` among its arrays.
        slack: How far logits may differ, relative to the largest; :data:`SAME_DEVICE` or :data:`OTHER_DEVICE`.
    """
    claims = result.claims or Claims()
    nothing = Measured(arrays={}, metrics={}, columns={})
    ill_formed = _ill_formed(classifier, result.arrays, claims)
    if ill_formed:
        return Verified(findings=[Finding(claim="arrays", state="fails", says=ill_formed)], measured=nothing)
    arrays = with_strengths(result.arrays)
    original, adversarial = arrays["original"], arrays["adversarial"]
    far = {norm: distances(original, adversarial, norm) for norm in NORMS}
    findings = [_range(original, adversarial, classifier.bounds), *_norm(original, far, claims, classifier.bounds)]
    findings += _grid(adversarial, claims, classifier.bounds)
    findings += _whole(classifier, adversarial)
    if not np.isfinite(adversarial).all() or not np.isfinite(original).all():
        return Verified(findings=findings, measured=nothing)
    logits = logits_of(classifier, original, adversarial)
    fresh = {name: arrays[name] for name in _GIVEN if name in arrays} | readings(logits)
    fresh |= {str(norm): each for norm, each in far.items()}
    for name in logits:
        findings += _readings(name, logits[name], arrays, slack)
    claimed = derive({**fresh, **_claimed(arrays)}, claims)
    findings += _derived(claimed, arrays)
    left = {name: values for name, values in claimed.arrays.items() if name not in ("original", "adversarial")}
    findings += _following(claimed, result)
    return Verified(findings=findings, measured=derive(fresh, claims), readings=left)


def numbers(result: Result, readings: Mapping[str, np.ndarray]) -> list[Finding]:
    """Hold the metrics and rows of a result against the readings of its images, and note what 8-bit files would lose.

    Args:
        result: With its claims.
        readings: See :attr:`Verified.readings`.
    """
    return _following(derive(readings, result.claims), result)


def _following(due: Measured, result: Result) -> list[Finding]:
    return [*_numbers(due, result, due.rows(result.claims or Claims())), *_undone(due)]


def _claimed(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The readings that a result gives itself: they were confirmed, or are listed as wrong, one by one."""
    return {name: values for name, values in arrays.items() if name.startswith(("label_", "confidence_"))}


def _ill_formed(classifier: Classifier, arrays: Mapping[str, np.ndarray], claims: Claims) -> str:
    """Say what keeps the arrays from being looked at; an empty text where nothing does."""
    missing = [name for name in NEEDED if name not in arrays]
    if missing:
        return f"adversarial results must hold {', '.join(missing)} too; cnnlab.plugin.measure gives them."
    original, adversarial = arrays["original"], arrays["adversarial"]
    if original.ndim != 4 or adversarial.ndim not in (4, 5) or adversarial.shape[-4:] != original.shape:
        return f"original is {list(original.shape)} and adversarial {list(adversarial.shape)}: they do not fit."
    wanted = classifier.input_shape
    if any(side not in (None, have) for side, have in zip(wanted, original.shape[1:], strict=True)):
        return f"the images are {list(original.shape[1:])}, and the model takes {list(wanted)}."
    if original.dtype != np.float32 or adversarial.dtype != np.float32:
        return f"original is {original.dtype} and adversarial {adversarial.dtype}; both must be float32."
    return _ill_shaped(arrays, classifier.num_classes) or _ill_named(adversarial, claims)


def _ill_shaped(arrays: Mapping[str, np.ndarray], classes: int) -> str:
    leading = arrays["adversarial"].shape[:-3]
    each = leading[-1:]
    for name, array in arrays.items():
        allowed: tuple[tuple[int, ...], ...] = (leading,)
        if name in ("label", "label_before", "confidence_before"):
            allowed = (each,)
        elif name in ("target", "counted"):
            allowed = (each, leading)
        elif name not in _PER_IMAGE:
            continue
        if array.shape not in allowed:
            return f"{name} is {list(array.shape)}; expected {' or '.join(str(list(shape)) for shape in allowed)}."
        is_label = name.startswith(("label", "target"))
        if is_label and array.size and (array.dtype.kind not in "iu" or array.min() < -1 or array.max() >= classes):
            return f"{name} holds what is no class of the model, which has {classes}."
    return ""


_PER_IMAGE = (
    "label_after",
    "confidence_after",
    "label_after_8bit",
    "confidence_after_8bit",
    "linf",
    "l2",
    "success",
    "success_8bit",
)


def _ill_named(adversarial: np.ndarray, claims: Claims) -> str:
    strengths = len(adversarial) if adversarial.ndim > 4 else 1
    try:
        claims.names(strengths)
    except UsageError as error:
        return str(error)
    if claims.norm is not None and claims.epsilons is None:
        return f"a bound in {claims.norm} is claimed, without its epsilons."
    if claims.epsilons is not None and len(claims.epsilons) not in (1, strengths):
        return f"{len(claims.epsilons)} epsilons are claimed for {strengths} strength(s)."
    return ""


def _finding(claim: str, wrong: np.ndarray, holds: str, fails: str) -> Finding:
    """Judge a claim by which images [(E,)N] break it; ``fails`` is told how many, of how many, and the first."""
    if not wrong.any():
        return Finding(claim=claim, state="holds", says=holds)
    first = np.argwhere(wrong)[0]
    where = f"image {first[-1]}" + (f" at strength {first[0]}" if wrong.ndim > 1 and len(wrong) > 1 else "")
    return Finding(claim=claim, state="fails", says=f"{fails} ({wrong.sum():,} of {wrong.size:,}; first: {where}).")


def _range(original: np.ndarray, adversarial: np.ndarray, bounds: tuple[float, float]) -> Finding:
    """Within the bounds; where an original reaches beyond them by a hair, its copies may reach as far."""
    low, high = (np.float32(bound) for bound in bounds)
    slack = OUTSIDE_INPUT * (bounds[1] - bounds[0])
    sane = (original >= low - slack) & (original <= high + slack)
    inside = (adversarial >= np.minimum(low, original)) & (adversarial <= np.maximum(high, original)) & sane
    wrong = ~inside.all(axis=(-3, -2, -1))
    told = f"{bounds[0]:g} to {bounds[1]:g}"
    return _finding("range", wrong, f"All pixels lie in the range {told}.", f"Pixels lie outside of {told}")


def _norm(
    original: np.ndarray, far: Mapping[Norm, np.ndarray], claims: Claims, bounds: tuple[float, float]
) -> Iterator[Finding]:
    if claims.norm is None or claims.epsilons is None:
        return
    allowed = np.asarray(claims.epsilons)[:, None] + tolerance(claims.norm, original.shape, bounds)
    # Written so that NaN is beyond every bound.
    wrong = ~(far[claims.norm] <= allowed)
    told = ", ".join(f"{epsilon:g}" for epsilon in claims.epsilons)
    where = f" Largest: {far[claims.norm].max(initial=0):.6g}."
    yield _finding(
        "norm",
        wrong,
        f"No change exceeds {told} in {claims.norm}.{where}",
        f"Changes exceed {told} in {claims.norm}",
    )


def _grid(adversarial: np.ndarray, claims: Claims, bounds: tuple[float, float]) -> Iterator[Finding]:
    if not claims.eight_bit or not np.isfinite(adversarial).all():
        return
    wrong = np.stack([(round_8bit(images, bounds) != images).any(axis=(1, 2, 3)) for images in adversarial])
    yield _finding("8-bit grid", wrong, "Every pixel is one of 256 levels.", "Pixels lie between the 256 levels")


def _whole(classifier: Classifier, adversarial: np.ndarray) -> Iterator[Finding]:
    """Of a model that takes whole numbers: whether it could be given the very images."""
    if classifier.whole_numbers and np.isfinite(adversarial).all():
        wrong = (np.rint(adversarial) != adversarial).any(axis=(-3, -2, -1))
        fails = "Pixels are no whole numbers, and the model takes no others"
        yield _finding("whole numbers", wrong, "Every pixel is a whole number, as the model takes them.", fails)


def confirms(logits: np.ndarray, label: np.ndarray, confidence: np.ndarray | None, slack: float) -> np.ndarray:
    """Say for which images logits [..., K] confirm a claimed label [...] and confidence [...], but for rounding.

    Args:
        logits: Of a fresh forward pass.
        label: What is claimed to be predicted.
        confidence: The softmax probability that it is claimed to have; None where nothing is claimed.
        slack: How far a logit may be off, relative to the largest of its image.
    """
    logits = logits.astype(np.float64)
    off = slack * (1 + np.abs(logits).max(axis=-1))
    own = np.take_along_axis(logits, np.maximum(label, 0)[..., None], axis=-1)[..., 0]
    good = (label >= 0) & (own >= logits.max(axis=-1) - 2 * off)
    if confidence is None:
        return np.asarray(good)
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found = np.exp(own - logits.max(axis=-1)) / shifted.sum(axis=-1)
    # A softmax moves by at most p (1 - p) times the change of a logit against the others: twice what each is off.
    spread = np.maximum(found * (1 - found), confidence * (1 - confidence.astype(np.float64)))
    return np.asarray(good & (np.abs(found - confidence) <= 2 * off * spread + 1e-5))


def _readings(name: str, logits: np.ndarray, arrays: Mapping[str, np.ndarray], slack: float) -> Iterator[Finding]:
    """Hold labels and confidences before, after or after rounding against logits."""
    told = {"before": "before the attack", "after": "after it", "after_8bit": "after rounding to 8 bits"}[name]
    label, confidence = arrays.get(f"label_{name}"), arrays.get(f"confidence_{name}")
    if label is not None:
        wrong = ~confirms(logits, label, None, slack)
        yield _finding(
            f"label_{name}", wrong, f"The model gives these labels {told}.", f"The model gives other labels {told}"
        )
    if label is not None and confidence is not None:
        wrong = ~confirms(logits, label, confidence, slack)
        yield _finding(
            f"confidence_{name}",
            wrong,
            f"The model is as sure {told}.",
            f"The model is not so sure, or gives other labels, {told}",
        )


def _derived(claimed: Measured, arrays: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Hold distances and successes against what follows from the arrays."""
    for name in ("linf", "l2", "counted", "success", "success_8bit"):
        if name in arrays:
            wrong = ~np.isclose(arrays[name].astype(float), claimed.arrays[name].astype(float), rtol=1e-5)
            yield _finding(name, np.asarray(wrong), "It follows from the arrays.", "It does not follow from the arrays")


def _numbers(claimed: Measured, result: Result, rows: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Hold metrics and rows against what follows from the arrays."""
    metrics = {name: value for name, value in result.metrics.items() if name in claimed.metrics}
    wrong_names = [name for name, value in metrics.items() if not same_number(value, claimed.metrics[name])]
    yield _named("metrics", wrong_names, len(metrics), lambda name: f"{name} is {claimed.metrics[name]:.6g}")
    if len(result.rows) == len(rows):
        wrong_rows = [
            f"row {index}: {key}"
            for index, (said, found) in enumerate(zip(result.rows, rows, strict=True))
            for key in found
            if key in said and key != "image" and said[key] != found[key] and not same_number(said[key], found[key])
        ]
        yield _named("rows", wrong_rows, len(rows), str)
    elif result.rows:
        says = f"There are {len(result.rows)} rows for {len(rows)} adversarial images."
        yield Finding(claim="rows", state="not checked", says=says)


def _named(claim: str, wrong: Sequence[str], count: int, tell: Callable[[str], str]) -> Finding:
    if wrong:
        says = f"They do not follow from the arrays: {'; '.join(map(tell, wrong[:3]))}{', ...' if wrong[3:] else ''}."
        return Finding(claim=claim, state="fails", says=says)
    return Finding(claim=claim, state="holds", says=f"All {count} follow from the arrays.")


def same_number(said: Any, found: Any) -> bool:
    """Whether two entries of a record say the same, None standing for a number that is undefined."""
    if isinstance(found, str) or isinstance(said, str):
        return bool(said == found)
    first, second = (math.nan if value is None else float(value) for value in (said, found))
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return math.isclose(first, second, rel_tol=1e-5, abs_tol=1e-7)


def _undone(claimed: Measured) -> Iterator[Finding]:
    """Report attacks that an 8-bit file would not keep."""
    success, still = claimed.arrays["success"], claimed.arrays["success_8bit"]
    lost, all_of_them = int((success & ~still).sum()), int(success.sum())
    if lost:
        says = f"Rounding to 8 bits undoes {lost:,} of {all_of_them:,} successful attacks."
        yield Finding(claim="8-bit images", state="note", says=says)


def slack_here() -> float:
    """Return how far the logits of two passes may differ on the device that is used, relative to the largest."""
    return SAME_DEVICE if current_device() == "cpu" else OTHER_DEVICE


def verified(classifier: Classifier, result: Result, inputs: Inputs) -> Verified:
    """Verify a plugin's adversarial images as the host does: against the images that it was given, too.

    Args:
        classifier: The model.
        result: Of these images.
        inputs: The images, or the part of them that the result is about.
    """
    found = judge(classifier, result, slack=slack_here())
    if found.failed:
        return found
    origins = _origins(classifier, result.arrays["original"], inputs)
    if origins and _mislabelled(result.arrays["label"], inputs.labels):
        wrong = Finding(claim="label", state="fails", says="The labels are not those of the images it was given.")
        return replace(found, findings=[*found.findings, wrong])
    return replace(found, origins=origins)


def recorded(
    classifier: Classifier, readings: Mapping[str, np.ndarray], claims: Claims, origins: frozenset[str]
) -> dict[str, Any]:
    """Make ``claims`` and ``images`` of ``result.json``.

    Args:
        classifier: The model.
        readings: See :attr:`Verified.readings`.
        claims: What is claimed.
        origins: See :attr:`Verified.origins`.
    """
    origin = next((name for name in _ORIGINS if name in origins), "other")
    return {
        "claims": {**claims.to_json(), "bounds": list(classifier.bounds), "original": origin},
        "images": saved_images.describe(readings, claims, classifier.input_shape[2]),
    }


def _mislabelled(label: np.ndarray, given: np.ndarray) -> bool:
    return bool((label != given)[given != UNKNOWN].any())


def _origins(classifier: Classifier, original: np.ndarray, inputs: Inputs) -> frozenset[str]:
    """Say what the originals may be; none where they are noise, or other images."""
    if len(original) != len(inputs):
        return frozenset()
    left, start = dict(_ORIGINS), 0
    for images, _ in inputs.batches(1024):
        part = original[start : start + len(images)]
        start += len(images)
        left = {
            name: change for name, change in left.items() if np.array_equal(part, change(images, classifier.bounds))
        }
        if not left:
            break
    return frozenset(left)


_ORIGINS: dict[str, Callable[[np.ndarray, tuple[float, float]], np.ndarray]] = {
    "inputs": lambda images, bounds: images,
    "inputs rounded to 8 bits": round_8bit,
}
