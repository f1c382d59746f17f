"""Adversarial results: what an attack claims, and what a fresh forward pass says of its images.

Every adversarial analysis hands its images to :func:`measure`, which looks at the arrays alone. The host measures them
once more before it believes a Result (:mod:`cnnlab.analysis.verify`), and ``cnnlab verify`` does so again from disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cnnlab.errors import UsageError

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

UNKNOWN = -1


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What an attack promises of its images beyond their labels.

    Attributes:
        norm: In which norm the change is bounded; None where it is not.
        epsilons: The bounds, in the units of the model's value range: one for each entry of the leading axis E of
            ``adversarial``, or a single one.
        eight_bit: Whether every adversarial image lies on the model's 8-bit grid.
        strengths: What the axis E stands for where that is no epsilon (beta, or the target), one number for each entry.
        axis: The name of what it stands for: the key in the rows, and part of the names of the image files.
    """

    norm: Literal["linf", "l2"] | None = None
    epsilons: tuple[float, ...] | None = None
    eight_bit: bool = False
    strengths: tuple[float, ...] | None = None
    axis: str = "epsilon"

    def __post_init__(self) -> None:
        for name in ("epsilons", "strengths"):
            values = getattr(self, name)
            if values is not None:
                object.__setattr__(self, name, tuple(float(value) for value in values))
        if not re.fullmatch("[a-z][a-z_]*", self.axis):
            raise UsageError(f"the axis of strengths must be called by a lower-case word; received {self.axis!r}.")

    def to_json(self) -> dict[str, Any]:
        """Return the claims as ``result.json`` holds them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Claims:
        """Read the claims back; what the host wrote beside them is left out."""
        known = {name: record[name] for name in cls.__dataclass_fields__ if name in record}
        return cls(**known)

    def along(self, count: int | None) -> tuple[str, ...]:
        """Name the strengths along the axis E of length ``count``, each as ``%g``; one empty name without that axis.

        Raises:
            UsageError: There is not one strength for each entry, or two are alike.
        """
        if count is None:
            return ("",)
        values = self.strengths if self.strengths is not None else self.epsilons
        if values is None:
            values = tuple(range(count))
        if len(values) != count:
            raise UsageError(f"there must be one strength for each of {count} along axis E; received {len(values)}.")
        names = tuple(f"{value:g}" for value in values)
        if len(set(names)) < count:
            names = tuple(repr(float(value)) for value in values)
        if len(set(names)) < count:
            raise UsageError(f"the strengths must differ; received {', '.join(names)}.")
        return names


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What :func:`measure` found: the arrays, metrics and rows of a Result, to be added to."""

    arrays: dict[str, np.ndarray]
    metrics: dict[str, float]
    rows: list[dict[str, Any]]


def measure(
    classifier: Classifier,
    original: np.ndarray,
    adversarial: np.ndarray,
    label: np.ndarray,
    target: np.ndarray | None = None,
    *,
    claims: Claims | None = None,
    sources: Sequence[str] | None = None,
) -> Measured:
    """Say what adversarial images are worth, from a forward pass of the arrays alone.

    Args:
        classifier: The model that was attacked.
        original: The images before the attack, [N, H, W, C] float32 in the model's value range.
        adversarial: The images after it, [N, H, W, C], or [E, N, H, W, C] for several strengths.
        label: The true labels, [N]; -1 where unknown, and then the label predicted before the attack stands for it.
        target: The labels wanted, [N] or [E, N]; None where any wrong label will do.
        claims: What the attack promises; it names the strengths along the axis E.
        sources: Where each image came from, for the rows; its number by default.

    Returns:
        The arrays and metrics that :mod:`cnnlab.analysis.adversarial_names` explains, and one row for each image (and
        strength). An image that is misread before the attack counts as wrong in every accuracy, and in no success rate.

    Raises:
        UsageError: The shapes do not fit each other or the model.
    """
    from cnnlab.attacks.balls import distances

    original = np.asarray(original, np.float32)
    adversarial = np.asarray(adversarial, np.float32)
    leading = _leading(original, adversarial)
    arrays = {"original": original, "adversarial": adversarial, "label": _labels("label", label, leading[-1:])}
    if target is not None:
        shape = leading if np.ndim(target) > 1 else leading[-1:]
        arrays["target"] = _labels("target", target, shape)
    arrays |= readings(logits_of(classifier, original, adversarial))
    arrays["linf"] = distances(original, adversarial, "linf")
    arrays["l2"] = distances(original, adversarial, "l2")
    return derive(arrays, claims, sources)


def derive(arrays: Mapping[str, np.ndarray], claims: Claims | None, sources: Sequence[str] | None = None) -> Measured:
    """Work out successes, metrics and rows from labels, confidences and distances, without a model.

    Args:
        arrays: What an adversarial result holds, but for ``counted``, ``success`` and ``success_8bit``.
        claims: What names the strengths.
        sources: Where each image came from.
    """
    claims = claims or Claims()
    counted = _counted(arrays)
    success, success_8bit = (_succeeded(arrays, counted, arrays[f"label_after{kind}"]) for kind in ("", "_8bit"))
    whole = {**arrays, "counted": counted, "success": success, "success_8bit": success_8bit}
    return Measured(arrays=whole, metrics=dict(_metrics(whole, claims)), rows=list(_rows(whole, claims, sources or ())))


def logits_of(classifier: Classifier, original: np.ndarray, adversarial: np.ndarray) -> dict[str, np.ndarray]:
    """Run the model once over everything that is judged.

    Args:
        classifier: The model.
        original: [N, H, W, C].
        adversarial: [N, H, W, C] or [E, N, H, W, C].

    Returns:
        Logits ``before`` [N, K], ``after`` and, of the images rounded to 8 bits, ``after_8bit`` [(E,)N, K].
    """
    from cnnlab.attacks.balls import round_8bit

    groups = adversarial if adversarial.ndim > original.ndim else adversarial[None]
    after = np.stack([classifier.logits(images) for images in groups])
    rounded = np.stack([classifier.logits(round_8bit(images, classifier.bounds)) for images in groups])
    if adversarial.ndim == original.ndim:
        after, rounded = after[0], rounded[0]
    return {"before": classifier.logits(original), "after": after, "after_8bit": rounded}


def readings(logits: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Read ``label_*`` int64 and the softmax probabilities ``confidence_*`` float32 of those labels off logits."""
    found: dict[str, np.ndarray] = {}
    for name, values in logits.items():
        shifted = values.astype(np.float64) - values.max(axis=-1, keepdims=True)
        found[f"label_{name}"] = values.argmax(axis=-1).astype(np.int64)
        found[f"confidence_{name}"] = (1 / np.exp(shifted).sum(axis=-1)).astype(np.float32)
    return found


def known_label(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The label of each image, [N]: the true one, or the one predicted before the attack where nobody knows it."""
    return np.where(arrays["label"] == UNKNOWN, arrays["label_before"], arrays["label"])


def _counted(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    before, label = arrays["label_before"], known_label(arrays)
    if "target" not in arrays:
        return np.asarray(before == label)
    return np.asarray((arrays["target"] != before) & (arrays["target"] != label))


def _succeeded(arrays: Mapping[str, np.ndarray], counted: np.ndarray, after: np.ndarray) -> np.ndarray:
    hit = after == arrays["target"] if "target" in arrays else after != known_label(arrays)
    return np.asarray(counted & hit)


def _metrics(arrays: Mapping[str, np.ndarray], claims: Claims) -> Iterator[tuple[str, float]]:
    after = arrays["label_after"]
    known = arrays["label"] != UNKNOWN
    right = (arrays["label_before"] == arrays["label"])[known]
    yield "images", len(known)
    yield "misread_before", 1 - _mean(right)
    yield "accuracy_before", _mean(right)
    for index, name in enumerate(claims.along(len(after) if after.ndim > 1 else None)):
        at = f"@{name}" if name else ""
        one = {key: _at(arrays[key], index) for key in ("label_after", "counted", *_MEANS, "success", "success_8bit")}
        still = right & (one["label_after"] == arrays["label"])[known]
        yield f"accuracy{at or '_after'}", _mean(still)
        for key in ("success", "success_8bit"):
            yield f"{key}{at}", _mean(one[key][one["counted"]])
        for key in _MEANS:
            yield f"{key}{at}", _mean(one[key])


_MEANS = ("confidence_after", "linf", "l2")


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=np.float64)) if values.size else float("nan")


def _at(values: np.ndarray, index: int) -> np.ndarray:
    """One strength of an array [E, N]; an array [N] holds for every strength."""
    return values[index] if values.ndim > 1 else values


def _rows(arrays: Mapping[str, np.ndarray], claims: Claims, sources: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One flat record for each image and strength; the strengths of one image follow each other."""
    after = arrays["label_after"]
    strengths = claims.along(len(after) if after.ndim > 1 else None)
    for image in range(after.shape[-1]):
        label, before = int(arrays["label"][image]), int(arrays["label_before"][image])
        for index, strength in enumerate(strengths):
            one = {key: _at(values, index)[image] for key, values in arrays.items() if key in _IN_ROWS}
            row: dict[str, Any] = {"image": sources[image] if sources else image}
            row |= {claims.axis: float(strength)} if strength else {}
            row |= {"label": None if label == UNKNOWN else label}
            row |= {"target": int(one["target"])} if "target" in one else {}
            row |= {"before": before, "after": int(one["label_after"])}
            row |= {"confidence_before": float(arrays["confidence_before"][image])}
            row |= {key: float(one[key]) for key in _MEANS}
            words = not one["counted"] and _why_not_counted(one, label)
            row["success"] = words or ("yes" if one["success"] else "no")
            undone = "undone by rounding" if one["success"] else "no"
            row["success_8bit"] = words or ("yes" if one["success_8bit"] else undone)
            yield row


_IN_ROWS = ("target", "label_after", *_MEANS, "counted", "success", "success_8bit")


def _why_not_counted(one: Mapping[str, Any], label: int) -> str:
    if "target" not in one:
        return "misread before"
    return "its own class" if one["target"] == label else "read so before"


def _leading(original: np.ndarray, adversarial: np.ndarray) -> tuple[int, ...]:
    """The shape of the labels after the attack: (N,) or (E, N)."""
    if original.ndim != 4 or adversarial.ndim not in (4, 5) or adversarial.shape[-4:] != original.shape:
        raise UsageError(
            "adversarial images must be [N, H, W, C] or [E, N, H, W, C] like the originals [N, H, W, C]; received "
            f"{list(adversarial.shape)} and {list(original.shape)}."
        )
    return adversarial.shape[:-3]


def _labels(name: str, labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != shape or (labels.size and labels.dtype.kind not in "iu"):
        raise UsageError(
            f"{name} must be whole numbers of shape {list(shape)}; received {labels.dtype} of shape "
            f"{list(labels.shape)}."
        )
    return labels.astype(np.int64)
