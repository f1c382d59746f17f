"""What a fresh forward pass says of an attack's images, whoever made them.

Every adversarial analysis hands its images to :func:`measure`, which looks at the arrays alone. The host measures them
once more before it believes a Result (:mod:`cnnlab.adversarial.judge`), and ``cnnlab verify`` does so again from disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.adversarial.names import ADVERSARIAL_ARRAYS
from cnnlab.errors import UsageError
from cnnlab.numerics import UNKNOWN, known_label, softmax
from cnnlab.perturbations import distances, round_8bit
from cnnlab.results.claims import Claims
from cnnlab.results.rows import rows_of

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What :func:`measure` found: the arrays, metrics and columns of a Result, to be added to.

    The arrays that have an axis E of strengths always have it, also where there is a single one.

    Attributes:
        arrays: What :data:`~cnnlab.plugin.ADVERSARIAL_ARRAYS` explains.
        metrics: What :data:`~cnnlab.plugin.ADVERSARIAL_METRICS` explains.
        columns: Values for each image (and strength).
        probabilities: The softmax probabilities of all classes, float32: ``before`` [N, K], ``after`` and, of the
            images rounded to 8 bits, ``after_8bit`` [E, N, K]; empty where no model was asked.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Result, measure
        >>> from cnnlab.testing import FakeClassifier
        >>> original = np.full((1, 2, 2, 1), 0.4, np.float32)
        >>> measured = measure(FakeClassifier.of_brightness(), original, original + 0.2, np.array([0]))
        >>> result = Result(arrays=measured.arrays, metrics=measured.metrics, columns=measured.columns)
        >>> result.columns["after"].tolist()
        [[1]]
    """

    arrays: dict[str, np.ndarray]
    metrics: dict[str, float]
    columns: dict[str, Any]
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)

    def rows(self, claims: Claims) -> Sequence[Mapping[str, Any]]:
        """Return a flat record for each image and strength that ``claims`` name."""
        return rows_of(self.columns, claims.axis, claims.names(len(self.arrays["label_after"])))


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
        adversarial: The images after it, [E, N, H, W, C] for E strengths, or [N, H, W, C] for one.
        label: The true labels, [N]; -1 where unknown, and then the label predicted before the attack stands for it.
        target: The labels wanted, [N] or [E, N]; None where any wrong label will do.
        claims: What the attack promises; it names the strengths along the axis E.
        sources: Where each image came from, for the rows; its number by default.

    Returns:
        The arrays and metrics that ``ADVERSARIAL_ARRAYS`` and ``ADVERSARIAL_METRICS`` explain, and columns of values
        for each image (and strength). An image that is misread before the attack counts as wrong in every accuracy,
        and in no success rate.

    Raises:
        UsageError: The shapes do not fit each other or the model.
        CnnlabError: The model's classes are not exclusive.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Claims
        >>> from cnnlab.testing import FakeClassifier
        >>> original = np.full((1, 2, 2, 1), 0.4, np.float32)
        >>> adversarial = np.stack([original + 0.05, original + 0.2])
        >>> claims = Claims(norm="linf", epsilons=(0.05, 0.2))
        >>> measured = measure(FakeClassifier.of_brightness(), original, adversarial, np.array([0]), claims=claims)
        >>> measured.metrics["success@0.05"], measured.metrics["success@0.2"]
        (0.0, 1.0)
    """
    classifier.check_exclusive("an attack")
    original, adversarial = np.asarray(original, np.float32), np.asarray(adversarial, np.float32)
    adversarial = adversarial if adversarial.ndim > 4 else adversarial[None]
    leading = _leading(original, adversarial)
    if classifier.whole_numbers and (np.rint(adversarial) != adversarial).any():
        raise UsageError("the adversarial images hold fractions, and the model takes whole numbers alone: round them.")
    arrays = {"original": original, "adversarial": adversarial, "label": _labels("label", label, leading[-1:])}
    if target is not None:
        arrays["target"] = _labels("target", target, leading if np.ndim(target) > 1 else leading[-1:])
    logits = logits_of(classifier, original, adversarial)
    arrays |= readings(logits)
    arrays["linf"] = distances(original, adversarial, "linf")
    arrays["l2"] = distances(original, adversarial, "l2")
    probabilities = {name: softmax(values) for name, values in logits.items()}
    return replace(derive(arrays, claims, sources), probabilities=probabilities)


def derive(arrays: Mapping[str, np.ndarray], claims: Claims | None, sources: Sequence[str] | None = None) -> Measured:
    """Work out successes, metrics and columns from labels, confidences and distances, without a model.

    This is what :func:`measure` does at its end; an analysis calls it where it sums up
    (:attr:`cnnlab.plugin.Analysis.sum_up`).

    Args:
        arrays: What an adversarial result holds, [E, N, ...]; ``counted``, ``success`` and ``success_8bit`` are
            worked out anew.
        claims: What names the strengths.
        sources: Where each image came from, for the column ``image``; its number by default.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import measure
        >>> from cnnlab.testing import FakeClassifier
        >>> original = np.full((1, 2, 2, 1), 0.4, np.float32)
        >>> measured = measure(FakeClassifier.of_brightness(), original, original + 0.2, np.array([0]))
        >>> derive(measured.arrays, None).metrics == measured.metrics
        True
    """
    claims = claims or Claims()
    counted = _counted(arrays)
    success, success_8bit = (_succeeded(arrays, counted, arrays[f"label_after{kind}"]) for kind in ("", "_8bit"))
    whole = {**arrays, "counted": counted, "success": success, "success_8bit": success_8bit}
    return Measured(
        arrays=whole,
        metrics=dict(_metrics(whole, claims.names(len(arrays["label_after"])))),
        columns=_columns(whole, sources),
    )


def with_strengths(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give saved arrays the axis E back that the host took away because it had one entry."""
    flat = arrays["adversarial"].ndim == arrays["original"].ndim
    strong = [name for name, array in ADVERSARIAL_ARRAYS.items() if array.axes[0] == "E?"]
    return {name: array[None] if flat and name in strong else array for name, array in arrays.items()}


def logits_of(classifier: Classifier, original: np.ndarray, adversarial: np.ndarray) -> dict[str, np.ndarray]:
    """Run the model once over everything that is judged.

    Args:
        classifier: The model.
        original: [N, H, W, C].
        adversarial: [E, N, H, W, C].

    Returns:
        Logits ``before`` [N, K], ``after`` and, of the images rounded to 8 bits, ``after_8bit`` [E, N, K].
    """
    after = np.stack([classifier.logits(images) for images in adversarial])
    rounded = [_rounded(classifier, *pair) for pair in zip(adversarial, after, strict=True)]
    return {"before": classifier.logits(original), "after": after, "after_8bit": np.stack(rounded)}


def _rounded(classifier: Classifier, images: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return the logits of images rounded to 8 bits: those of the images where this changes nothing."""
    rounded = round_8bit(images, classifier.bounds)
    changed = (rounded != images).any(axis=(1, 2, 3))
    if changed.all():
        return classifier.logits(rounded)
    found = logits.copy()
    found[changed] = classifier.logits(rounded[changed])
    return found


def readings(logits: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Read ``label_*`` int64 and the softmax probabilities ``confidence_*`` float32 of those labels off logits."""
    found: dict[str, np.ndarray] = {}
    for name, values in logits.items():
        found[f"label_{name}"] = values.argmax(axis=-1).astype(np.int64)
        found[f"confidence_{name}"] = softmax(values).max(axis=-1, initial=0)
    return found


def _counted(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    before, label = arrays["label_before"], known_label(arrays["label"], arrays["label_before"])
    if "target" not in arrays:
        return np.asarray(before == label)
    return np.asarray((arrays["target"] != before) & (arrays["target"] != label))


def _succeeded(arrays: Mapping[str, np.ndarray], counted: np.ndarray, after: np.ndarray) -> np.ndarray:
    if "target" in arrays:
        return np.asarray(counted & (after == arrays["target"]))
    return np.asarray(counted & (after != known_label(arrays["label"], arrays["label_before"])))


_MEANS = ("confidence_after", "linf", "l2")


def _metrics(arrays: Mapping[str, np.ndarray], strengths: Sequence[str]) -> Iterator[tuple[str, float]]:
    known = arrays["label"] != UNKNOWN
    right = (arrays["label_before"] == arrays["label"])[known]
    yield "images", len(known)
    yield "misread_before", 1 - _mean(right)
    yield "accuracy_before", _mean(right)
    for index, name in enumerate(strengths or [""]):
        at = f"@{name}" if name else ""
        still = right & (arrays["label_after"][index] == arrays["label"])[known]
        counted = arrays["counted"][index] if arrays["counted"].ndim > 1 else arrays["counted"]
        yield f"accuracy{at or '_after'}", _mean(still)
        for key in ("success", "success_8bit"):
            yield f"{key}{at}", _mean(arrays[key][index][counted])
        for key in _MEANS:
            yield f"{key}{at}", _mean(arrays[key][index])


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=np.float64)) if values.size else float("nan")


def _columns(arrays: Mapping[str, np.ndarray], sources: Sequence[str] | None) -> dict[str, Any]:
    """The values of each image [N] and of each strength of it [E, N], in the order in which they are read."""
    label = arrays["label"]
    columns: dict[str, Any] = {
        "image": sources or list(range(len(label))),
        "label": [None if value == UNKNOWN else int(value) for value in label],
    }
    columns |= {"target": arrays["target"]} if "target" in arrays else {}
    columns |= {"before": arrays["label_before"], "after": arrays["label_after"]}
    columns |= {"confidence_before": arrays["confidence_before"], **{name: arrays[name] for name in _MEANS}}
    success, kept = arrays["success"], arrays["success_8bit"]
    words = _not_counted(arrays)
    columns["success"] = np.where(words != "", words, np.where(success, "yes", "no"))
    undone = np.where(success, "undone by rounding", "no")
    columns["success_8bit"] = np.where(words != "", words, np.where(kept, "yes", undone))
    return columns


def _not_counted(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Why each image is in no success rate, [N] or [E, N] as ``counted``; an empty text where it is in one."""
    if "target" not in arrays:
        return np.where(arrays["counted"], "", "misread before")
    own = arrays["target"] == arrays["label"]
    return np.where(arrays["counted"], "", np.where(own, "its own class", "read so before"))


def _leading(original: np.ndarray, adversarial: np.ndarray) -> tuple[int, ...]:
    """The shape of the labels after the attack: (E, N)."""
    if original.ndim != 4 or adversarial.ndim != 5 or adversarial.shape[-4:] != original.shape:
        raise UsageError(
            "adversarial images must be [E, N, H, W, C] or [N, H, W, C] like the originals [N, H, W, C]; received "
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
