"""Accuracy under the fast gradient sign method and projected gradient descent, block by block of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnnlab.plugin import (
    UNKNOWN,
    Attack,
    Claims,
    Classifier,
    CnnlabError,
    Context,
    Curves,
    Inputs,
    Line,
    Norm,
    Outcome,
    Result,
    distances,
    fgsm,
    known_label,
    out_of,
    percent,
    pgd,
    softmax,
    sweep,
    tolerance,
    wilson_interval,
)
from cnnlab_robustness import RobustnessParams, smallest

SHARES: dict[Norm, tuple[float, ...]] = {
    "linf": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
    "l2": (0.02, 0.04, 0.06, 0.08, 0.1),
}
"""The default strengths, as shares of the radius of the ball that holds every image of the model."""

BLOCK, BLOCK_BYTES = 500, 2**26
"""Images held at a time, and the most that their adversarial images of one attack may take."""

NAMES = {"fgsm": "FGSM", "pgd": "PGD"}

Arrays = Mapping[str, np.ndarray]


def run(classifier: Classifier, inputs: Inputs, params: RobustnessParams, context: Context) -> Result:
    """Attack the images block by block; what is kept of a block is a few numbers for each image."""
    epsilons = params.radii(classifier.bounds, inputs.shape, SHARES)
    with context.progress("steps", len(inputs) * steps_of(params, len(epsilons))) as advance:
        arrays = context.gather(
            inputs,
            lambda images, labels: attack(classifier, images, labels, params, epsilons, context.seed, advance),
            description=None,
            size=block_size(inputs.shape, len(epsilons)),
            axis=-1,
        )
    arrays["epsilon"] = np.array(epsilons)
    unknown = int((arrays["label"] == UNKNOWN).sum())
    if unknown:
        context.warn(
            f"{unknown} of {len(inputs)} images have no label and no part in the accuracies, only in success@: give "
            "their `labels=`, or take images from a `dataset=`."
        )
    drawings = {"": curve(arrays, params)}
    if params.minimal:
        middle = smallest.median(arrays["smallest"][~misread_before(arrays)])
        drawings["smallest"] = smallest.curve(arrays["smallest"], middle, epsilons[-1], _axis(params))
    return Result(arrays=arrays, drawings=drawings)


def sum_up(classifier: Classifier, result: Result, params: RobustnessParams) -> Result:
    """Say how many images stand at each epsilon, and at which each falls."""
    return Result(
        headline=headline(result.arrays),
        metrics=measures(result.arrays),
        columns=columns(result.arrays, classifier.class_names),
    )


def headline(arrays: Arrays) -> str:
    """Say how many images are read correctly (without a label: as before) without attack and at the ends of epsilon."""
    label, standing = arrays["label"], arrays["standing"]
    names = Claims(epsilons=tuple(arrays["epsilon"])).strength_names(len(standing))
    known = label != UNKNOWN
    words = "read correctly"
    if not known.any():
        words, known = "read as before", np.ones(len(label), bool)
    right = known_label(label, arrays["label_before"]) == arrays["label_before"]
    clean, *told = [out_of(int(each[known].sum()), int(known.sum())) for each in (right, *standing)]
    last = f", {told[-1].partition(' ')[0]} at {names[-1]}" if len(names) > 1 else ""
    return f"{clean} {words} without attack, {told[0].partition(' ')[0]} at epsilon {names[0]}{last}"


def block_size(shape: tuple[int, ...], count: int) -> int:
    """Return how many images of ``shape`` [H, W, C], attacked at ``count`` strengths, to hold at a time."""
    return int(np.clip(BLOCK_BYTES // (4 * np.prod(shape) * count), 1, BLOCK))


def steps_of(params: RobustnessParams, count: int) -> int:
    """Return how many steps an image is worth at ``count`` strengths; a bisection counts as one round of it."""
    single, iterated = params.attack != "pgd", params.attack != "fgsm"
    return count * (single + params.steps * iterated) + smallest.STEPS * params.minimal


def attack(
    classifier: Classifier,
    images: np.ndarray,
    labels: np.ndarray,
    params: RobustnessParams,
    epsilons: tuple[float, ...],
    seed: int,
    advance: Callable[[int], None] = lambda steps: None,
) -> dict[str, np.ndarray]:
    """Attack a block of images at every strength, and read what came of it in a fresh forward pass.

    Args:
        classifier: The model.
        images: [N, H, W, C] in its value range.
        labels: int64 [N], -1 where unknown: there the class that the image is read as takes its place.
        params: Which attacks.
        epsilons: E strengths, ascending.
        seed: Seeds the random starts.
        advance: Called with the number of steps just done; they add up to those of :func:`steps_of`.

    Returns:
        The arrays that the analysis declares, but for ``epsilon``; the images' axis is the last one.
    """
    before, sure = read(classifier, images)
    truth = known_label(labels, before)
    arrays = {"label": labels, "label_before": before, "confidence_before": sure}
    fooled = np.broadcast_to(before != truth, (len(epsilons), len(images))).copy()
    outcome: Outcome | None = None
    for name, method in attacks(params).items():
        if name == "fgsm":
            radii = np.array(epsilons)[:, None]
            outcome = method.run(classifier, images, truth, epsilon=radii, seed=seed, advance=advance)
        else:
            # What fooled at a smaller strength, or by the formula, lies in this ball as well.
            outcome = sweep(
                method, classifier, images, truth, epsilons=epsilons, found=outcome, seed=seed, advance=advance
            )
        check_ball(images, outcome.adversarial, epsilons, params.norm, classifier.bounds)
        after, sure = read_once(classifier, outcome.adversarial)
        arrays |= {f"{name}_label_after": after, f"{name}_confidence_after": sure}
        fooled |= after != truth
    if params.minimal:
        assert outcome is not None
        nearest = smallest.search(classifier, images, truth, params.norm, epsilons[-1], outcome, seed, advance)
        arrays["smallest"] = nearest
        fooled |= nearest <= np.array(epsilons)[:, None]
    arrays["standing"] = ~np.logical_or.accumulate(fooled, axis=0)
    return arrays


def attacks(params: RobustnessParams) -> dict[str, Attack]:
    """Return the attacks asked for, the quick one first."""
    iterated = pgd(steps=params.steps, norm=params.norm, step_size=params.step_size, random_start=params.random_start)
    both = {"fgsm": fgsm(norm=params.norm), "pgd": iterated}
    return {name: method for name, method in both.items() if params.attack in ("both", name)}


def read(classifier: Classifier, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read images [..., H, W, C] afresh: classes int64 [...] and their probabilities float32 [...]."""
    logits = classifier.logits(images.reshape(-1, *images.shape[-3:])).reshape(*images.shape[:-3], -1)
    return logits.argmax(axis=-1), softmax(logits).max(axis=-1)


def read_once(classifier: Classifier, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Do as :func:`read` with images [E, N, H, W, C], and read what stands at the next smaller strength, too, once."""
    fresh = np.ones(images.shape[:2], bool)
    fresh[1:] = (images[1:] != images[:-1]).any(axis=(2, 3, 4))
    place = (np.cumsum(fresh.T).reshape(fresh.T.shape) - 1).T
    labels, sure = read(classifier, images.swapaxes(0, 1)[fresh.T])
    return labels[place], sure[place]


def check_ball(
    images: np.ndarray, adversarial: np.ndarray, epsilons: tuple[float, ...], norm: Norm, bounds: tuple[float, float]
) -> None:
    """Refuse to go on where an attack left its ball: the host cannot look at images that are not kept."""
    moved = distances(images, adversarial, norm).max(axis=1)
    beyond = moved - np.array(epsilons) - tolerance(norm, images.shape, bounds)
    worst = int(beyond.argmax())
    if not beyond[worst] <= 0:  # written so that NaN is beyond
        raise CnnlabError(
            f"an attack moved an image by {moved[worst]:g} where epsilon is {epsilons[worst]:g}: its accuracies would "
            "be wrong. Please report this."
        )


def measures(arrays: Arrays) -> dict[str, float]:
    """Work out the metrics that the analysis declares from its arrays."""
    label, before = arrays["label"], arrays["label_before"]
    known = label != UNKNOWN
    right = ~misread_before(arrays)
    metrics = {
        "images": len(label),
        "labelled": int(known.sum()),
        "accuracy_before": _share(before == label, known),
        "misread_before": _share(before != label, known),
    }
    names = Claims(epsilons=tuple(arrays["epsilon"])).strength_names(len(arrays["epsilon"]))
    for strength, epsilon in enumerate(names):
        metrics[f"accuracy@{epsilon}"] = _share(arrays["standing"][strength], known)
        for name in NAMES:
            if f"{name}_label_after" in arrays:
                metrics[f"{name}@{epsilon}"] = _share(arrays[f"{name}_label_after"][strength] == label, known)
        metrics[f"success@{epsilon}"] = _share(~arrays["standing"][strength], right)
    if "smallest" in arrays:
        metrics["smallest_epsilon"] = smallest.median(arrays["smallest"][right])
        metrics["smallest_found"] = _share(np.isfinite(arrays["smallest"]), right)
    return metrics


def _share(flags: np.ndarray, among: np.ndarray) -> float:
    return float(flags[among].mean()) if among.any() else float("nan")


def misread_before(arrays: Arrays) -> np.ndarray:
    """Return which images have a known label and are read as another class without any attack, bool [N]."""
    return np.asarray((arrays["label"] != UNKNOWN) & (arrays["label"] != arrays["label_before"]))


def columns(arrays: Arrays, names: tuple[str, ...]) -> dict[str, Any]:
    """Say of each image what it is, what it is read as, and from which strength on it is fooled, if at all.

    An image that is misread before was fooled by nothing, at no strength.
    """
    label, before = arrays["label"], arrays["label_before"]
    misread = misread_before(arrays)
    fooled = ~arrays["standing"] & ~misread
    found = {
        "label": [names[number] if number != UNKNOWN else "" for number in label],
        "before": [names[number] for number in before],
        "confidence_before": arrays["confidence_before"],
        "fooled": np.where(misread, "misread before", np.where(fooled[-1], "yes", "no")),
        "fooled_at": np.where(fooled[-1], arrays["epsilon"][fooled.argmax(axis=0)], np.nan),
    }
    nearest = {"smallest": np.where(misread, np.nan, arrays["smallest"])} if "smallest" in arrays else {}
    return found | nearest


def curve(arrays: Arrays, params: RobustnessParams) -> Curves:
    """Draw accuracy against epsilon; of images without labels, the share that is read as before."""
    label, before = arrays["label"], arrays["label_before"]
    labelled = bool((label != UNKNOWN).any())
    counted = label != UNKNOWN if labelled else np.ones(len(label), bool)
    truth = known_label(label, before)
    clean = _share(before == truth, counted)

    def line(name: str) -> Line:
        after = arrays[f"{name}_label_after"]
        shares = np.array([clean, *(_share(labels == truth, counted) for labels in after)])
        low, high = wilson_interval(shares, int(counted.sum()))
        words = f"{NAMES[name]}, {params.steps} steps" if name == "pgd" else NAMES[name]
        return Line(name=words, x=np.array([0.0, *arrays["epsilon"]]), y=shares, low=low, high=high)

    return Curves(
        lines=tuple(line(name) for name in NAMES if f"{name}_label_after" in arrays),
        x_label=_axis(params),
        y_label="read correctly" if labelled else "read as before",
        title=f"Robustness of {len(label):,} images, with 95% intervals",
        percent=True,
        y_limits=(-0.02, 1.02),
        horizontal={f"without attack, {percent(clean, 2)}": clean},
    )


def _axis(params: RobustnessParams) -> str:
    return f"epsilon ({'largest change of a pixel' if params.norm == 'linf' else 'Euclidean length'}, model's units)"
