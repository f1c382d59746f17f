"""Preflight: whether the gradients that an analysis is going to use are there at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.classifier.finite import among
from cnnlab.numerics import known_label

if TYPE_CHECKING:
    from cnnlab.attacks.objectives import Objective
    from cnnlab.classifier.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What a look at the gradients found.

    Attributes:
        images: How many images were looked at.
        zero: How many have an input gradient of exactly zero, for what is looked at, for the logit of their class and
            for that of the next best alike.
        saturated: How many others have a cross-entropy whose gradient is exactly zero in float32, because the softmax
            is sure to the last bit: what works on logits works on them, what works on probabilities does not.
        not_finite: How many have an input gradient with NaN or infinity in it, for what is looked at; attacks take it
            for zero there.
        reasons: Why the gradients are zero, as far as it shows, and for how many images.
    """

    images: int
    zero: int
    saturated: int
    not_finite: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what ``result.json`` holds: shares between 0 and 1."""
        return {
            "images": self.images,
            "zero_gradients": self.zero / max(self.images, 1),
            "saturated": self.saturated / max(self.images, 1),
            "not_finite": self.not_finite / max(self.images, 1),
            "reasons": dict(self.reasons),
        }

    @property
    def warning(self) -> str | None:
        """What to tell the user; None where every image has a gradient."""
        if self.not_finite:
            return (
                f"{self.not_finite:,} of {self.images:,} images have an input gradient that is not finite (NaN or "
                "infinity), though their logits are; where it is not, it is taken for zero."
            )
        if not self.zero:
            return None
        reasons = "; ".join(f"{reason} ({count:,})" for reason, count in self.reasons.items())
        return (
            f"{self.zero:,} of {self.images:,} images have an input gradient of exactly zero, so that what follows the "
            f"gradient says nothing about them: {reasons}."
        )


def preflight(
    classifier: Classifier,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    sources: Sequence[str] = (),
    objective: Objective | None = None,
) -> Preflight:
    """Look for images whose input gradient is exactly zero.

    Args:
        classifier: The model.
        batches: Images [N, H, W, C] and their labels [N], a batch at a time; -1 stands for the predicted label.
        sources: Where each of all images came from.
        objective: Whose gradient is looked at; by default that of the logit of an image's class.

    Raises:
        NotFiniteError: Some logits are NaN or infinite.
        CnnlabError: Nothing differentiable leads from the image to the logits.
    """
    from cnnlab.attacks import ClassLogit

    objective = objective or ClassLogit()
    images = zero = saturated = not_finite = 0
    reasons: dict[str, int] = {}
    for batch, labels in batches:
        with among(images, sources):
            logits, gradients = classifier.logits_and_gradient(batch, labels, objective)
        own = known_label(labels, logits.argmax(axis=1))
        not_finite += int((~np.isfinite(gradients).all(axis=(1, 2, 3))).sum())
        flat = _flat(classifier, batch, logits, own, gradients)
        images += len(batch)
        zero += int(flat.sum())
        saturated += int((_saturated(logits, own) & ~flat).sum()) if classifier.exclusive else 0
        if flat.any():
            reason = _reason(classifier, batch, logits)
            reasons[reason] = reasons.get(reason, 0) + int(flat.sum())
    return Preflight(images=images, zero=zero, saturated=saturated, not_finite=not_finite, reasons=reasons)


def _flat(
    classifier: Classifier, images: np.ndarray, logits: np.ndarray, own: np.ndarray, gradients: np.ndarray
) -> np.ndarray:
    """Which images have no gradient, and none either for the logits of their class and of the next best."""
    flat = _all_zero(gradients)
    rest = logits.copy()
    rest[np.arange(len(own)), own] = -np.inf
    for classes in (own, rest.argmax(axis=1)):
        suspects = np.flatnonzero(flat)
        if suspects.size:
            slopes = classifier.input_gradient(images[suspects], classes[suspects], of="logit")
            flat[suspects] = _all_zero(slopes)
    return flat


def _all_zero(gradients: np.ndarray) -> np.ndarray:
    return np.asarray((gradients == 0).all(axis=(1, 2, 3)))


def _saturated(logits: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Whether the softmax of each image is exactly 1 for its class and exactly 0 for all others, in float32."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    left = exponentials >= np.finfo(np.float32).tiny
    return np.asarray(left[np.arange(len(own)), own] & (left.sum(axis=1) == 1))


def _reason(classifier: Classifier, images: np.ndarray, logits: np.ndarray) -> str:
    """Say why gradients are zero, from what can be seen: the outputs for these images, and for an empty one."""
    if classifier.output_kind == "untraced probabilities":
        return "the model gives probabilities without a softmax to take off, and they are saturated"
    middle = np.full_like(images[:1], np.mean(classifier.bounds))
    if (logits == classifier.logits(middle)).all():
        return "the model answers alike whatever the image"
    return "the network is flat around them (dead units, or rounding inside the model)"
