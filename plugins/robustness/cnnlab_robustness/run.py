"""Accuracy under the fast gradient sign method and projected gradient descent, block by block of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnlab.analysis import Context, Inputs, Result
from cnnlab.analysis.adversarial import Claims
from cnnlab.attacks import Norm, Outcome, distances, fgsm, pgd, smallest_epsilon, tolerance
from cnnlab.attacks.attack import largest_epsilon
from cnnlab.classifier import Classifier
from cnnlab.errors import CnnlabError
from cnnlab.figures import curves
from cnnlab_robustness import RobustnessParams

SHARES: dict[Norm, tuple[float, ...]] = {
    "linf": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
    "l2": (0.02, 0.04, 0.06, 0.08, 0.1),
}
"""The default strengths, as shares of the radius of the ball that holds every image of the model."""

BLOCK, BLOCK_BYTES = 500, 2**26
"""Images held at a time, and the most that their adversarial images of one attack may take."""

BISECTION_STEPS = 20
"""Steps of each round of the bisection: half of the default, for a median that differs by less than 1%."""

BISECTION_PARTS = 300
"""The bisection ends when its bracket is this part of the largest epsilon: 0.001 for 0.3."""

NAMES = {"fgsm": "FGSM", "pgd": "PGD"}


def run(classifier: Classifier, inputs: Inputs, params: RobustnessParams, context: Context) -> Result:
    """Attack the images block by block; what is kept of a block is a few numbers for each image."""
    shape = next(inputs.batches(1))[0].shape[1:]
    epsilons = strengths(params, classifier.bounds, shape)
    found: list[dict[str, np.ndarray]] = []
    with context.progress("steps", len(inputs) * steps_of(params, len(epsilons))) as advance:
        for images, labels in inputs.batches(block_size(shape, len(epsilons))):
            found.append(attack(classifier, images, labels, params, epsilons, context.seed, advance))
    arrays = {name: np.concatenate([part[name] for part in found], axis=-1) for name in found[0]}
    arrays["epsilon"] = np.array(epsilons)
    unknown = int((arrays["label"] < 0).sum())
    if unknown:
        context.warn(
            f"{unknown} of {len(inputs)} images have no label and no part in the accuracies, only in success@: give "
            "--label for each --image, or take images from a --dataset."
        )
    metrics = _metrics(arrays)
    return Result(
        arrays=arrays,
        metrics=metrics,
        figures=_figures(arrays, metrics, params),
        rows=list(_rows(classifier, inputs, arrays)),
    )


def strengths(params: RobustnessParams, bounds: tuple[float, float], shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return the radii to search, ascending, each once, in the model's units.

    Args:
        params: Their ``epsilon``; where it is empty, :data:`SHARES` of the ball that holds every image.
        bounds: The model's value range.
        shape: An image's [H, W, C].
    """
    whole = largest_epsilon(bounds, shape, params.norm)
    return tuple(sorted(set(params.epsilon))) or tuple(share * whole for share in SHARES[params.norm])


def block_size(shape: tuple[int, ...], count: int) -> int:
    """Return how many images of ``shape`` [H, W, C], attacked at ``count`` strengths, to hold at a time."""
    return int(np.clip(BLOCK_BYTES // (4 * np.prod(shape) * count), 1, BLOCK))


def steps_of(params: RobustnessParams, count: int) -> int:
    """Return how many steps an image is worth at ``count`` strengths; a bisection counts as one round of it."""
    single, iterated = params.attack != "pgd", params.attack != "fgsm"
    return count * (single + params.steps * iterated) + BISECTION_STEPS * params.minimal


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
    before, sure = _read(classifier, images)
    truth = np.where(labels >= 0, labels, before)
    arrays = {"label": labels, "label_before": before, "confidence_before": sure}
    fooled = np.zeros((len(epsilons), len(images)), bool) | (before != truth)
    found = _outcomes(classifier, images, truth, params, epsilons, seed, advance)
    for name, outcome in found.items():
        _check_norm(images, outcome.adversarial, epsilons, classifier, params)
        after, sure = _read(classifier, outcome.adversarial)
        arrays |= {f"{name}_label_after": after, f"{name}_confidence_after": sure}
        fooled |= after != truth
    if params.minimal:
        carried = found["pgd"] if "pgd" in found else found["fgsm"].carried()
        arrays["smallest"] = _smallest(classifier, images, truth, params, epsilons[-1], carried, seed, advance)
        fooled |= arrays["smallest"] <= np.array(epsilons)[:, None]
    # What lies in a small ball lies in a larger one.
    arrays["standing"] = ~np.logical_or.accumulate(fooled, axis=0)
    return arrays


def _outcomes(
    classifier: Classifier,
    images: np.ndarray,
    truth: np.ndarray,
    params: RobustnessParams,
    epsilons: tuple[float, ...],
    seed: int,
    advance: Callable[[int], None],
) -> dict[str, Outcome]:
    """Run the attacks asked for: rows [E, N]. FGSM is the bare formula; PGD takes over whatever else fooled."""
    radii = np.array(epsilons)[:, None]
    found = {}
    if params.attack != "pgd":
        found["fgsm"] = fgsm(norm=params.norm).run(classifier, images, truth, epsilon=radii, advance=advance)
    if params.attack != "fgsm":
        iterated = pgd(
            steps=params.steps, norm=params.norm, step_size=params.step_size, random_start=params.random_start
        )
        slow = iterated.run(classifier, images, truth, epsilon=radii, seed=seed, advance=advance)
        found["pgd"] = (slow.or_else(found["fgsm"]) if "fgsm" in found else slow).carried()
    return found


def _smallest(
    classifier: Classifier,
    images: np.ndarray,
    truth: np.ndarray,
    params: RobustnessParams,
    most: float,
    carried: Outcome,
    seed: int,
    advance: Callable[[int], None],
) -> np.ndarray:
    """Bisect the smallest epsilon that fools each image, float64 [N]: the distance of an image that is misread."""
    nearest = carried.reached.argmax(axis=0), np.arange(len(images))
    found = smallest_epsilon(
        pgd(steps=BISECTION_STEPS, norm=params.norm),
        classifier,
        images,
        truth,
        most=most,
        tolerance=(most or 1.0) / BISECTION_PARTS,
        found=(carried.adversarial[nearest], carried.reached[nearest]),
        seed=seed,
        advance=lambda settled: advance(settled * BISECTION_STEPS),
    )
    misread = _read(classifier, found.adversarial)[0] != truth
    return np.where(found.reached & misread, distances(images, found.adversarial, params.norm), np.nan)


def _read(classifier: Classifier, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read images [..., H, W, C] afresh: classes int64 [...] and their probabilities float32 [...]."""
    probabilities = classifier.probabilities(images.reshape(-1, *images.shape[-3:]))
    classes = probabilities.argmax(axis=1).astype(np.int64)
    sure = np.take_along_axis(probabilities, classes[:, None], axis=1)
    return classes.reshape(images.shape[:-3]), sure.reshape(images.shape[:-3])


def _check_norm(
    images: np.ndarray,
    adversarial: np.ndarray,
    epsilons: tuple[float, ...],
    classifier: Classifier,
    params: RobustnessParams,
) -> None:
    moved = distances(images, adversarial, params.norm).max(axis=1)
    allowed = np.array(epsilons) + tolerance(params.norm, images.shape[1:], classifier.bounds)
    if (moved > allowed).any():
        worst = int((moved - allowed).argmax())
        raise CnnlabError(
            f"an attack moved an image by {moved[worst]:g} where epsilon is {epsilons[worst]:g}: its accuracies would "
            "be wrong. Please report this."
        )


def _metrics(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    label, before = arrays["label"], arrays["label_before"]
    known = label >= 0
    right = (before == label) | ~known
    metrics = {
        "images": len(label),
        "labelled": int(known.sum()),
        "accuracy_before": _share(before == label, known),
        "misread_before": _share(before != label, known),
    }
    names = Claims(epsilons=tuple(arrays["epsilon"])).along(len(arrays["epsilon"]))
    for strength, epsilon in enumerate(names):
        metrics[f"accuracy@{epsilon}"] = _share(arrays["standing"][strength], known)
        for name in NAMES:
            if f"{name}_label_after" in arrays:
                metrics[f"{name}@{epsilon}"] = _share(arrays[f"{name}_label_after"][strength] == label, known)
        metrics[f"success@{epsilon}"] = _share(~arrays["standing"][strength], right)
    if "smallest" in arrays:
        found = arrays["smallest"][right]
        metrics["smallest_epsilon"] = median(found)
        metrics["smallest_found"] = _share(np.isfinite(found), np.ones(len(found), bool))
    return metrics


def median(smallest: np.ndarray) -> float:
    """Return the median of values [N] of which NaN ones are larger than any; NaN where that is one of these."""
    if not len(smallest):
        return float("nan")
    ordered = np.sort(np.nan_to_num(smallest, nan=np.inf))
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return float(middle) if np.isfinite(middle) else float("nan")


def _share(flags: np.ndarray, among: np.ndarray) -> float:
    return float(flags[among].mean()) if among.any() else float("nan")


def _rows(classifier: Classifier, inputs: Inputs, arrays: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    names, standing = classifier.class_names, arrays["standing"]
    fooled = ~standing
    for index, source in enumerate(inputs.sources):
        label, before = int(arrays["label"][index]), int(arrays["label_before"][index])
        misread = label >= 0 and label != before
        row: dict[str, Any] = {
            "image": source,
            "label": names[label] if label >= 0 else "",
            "before": names[before],
            "confidence_before": float(arrays["confidence_before"][index]),
            "fooled": "misread before" if misread else "yes" if fooled[-1, index] else "no",
            "fooled_at": float(arrays["epsilon"][fooled[:, index].argmax()]) if fooled[-1, index] else None,
        }
        if "smallest" in arrays:
            row["smallest"] = float(arrays["smallest"][index])
        yield row


def _figures(arrays: dict[str, np.ndarray], metrics: dict[str, float], params: RobustnessParams) -> dict[str, Any]:
    figures: dict[str, Any] = {"": lambda: _curve(arrays, params)}
    if "smallest" in arrays:
        figures["smallest"] = lambda: _distribution(arrays, metrics, params)
    return figures


def _axis(params: RobustnessParams) -> str:
    return f"epsilon ({'largest change of a pixel' if params.norm == 'linf' else 'Euclidean length'}, model's units)"


def _curve(arrays: dict[str, np.ndarray], params: RobustnessParams) -> Any:
    """Accuracy against epsilon; of images without labels, the share that is read as before."""
    label = arrays["label"]
    known = label >= 0 if (label >= 0).any() else np.ones(len(label), bool)
    truth = np.where(label >= 0, label, arrays["label_before"])
    clean = _share(arrays["label_before"] == truth, known)
    x = [0.0, *arrays["epsilon"]]
    lines = {}
    for name, title in NAMES.items():
        if f"{name}_label_after" in arrays:
            after = arrays[f"{name}_label_after"]
            words = f"{title}, {params.steps} steps" if name == "pgd" else title
            lines[words] = (x, [clean, *(_share(after[e] == truth, known) for e in range(len(after)))])
    return curves(
        lines,
        xlabel=_axis(params),
        ylabel="read correctly" if (label >= 0).any() else "read as before",
        title=f"Robustness of {len(label):,} images",
        percent=True,
        ylim=(-0.02, 1.02),
        horizontal={f"without attack, {clean:.2%}": clean},
    )


def _distribution(arrays: dict[str, np.ndarray], metrics: dict[str, float], params: RobustnessParams) -> Any:
    """The share of images that stand at every epsilon up to the largest."""
    ordered = np.sort(np.nan_to_num(arrays["smallest"], nan=np.inf))
    x = np.linspace(0, arrays["epsilon"][-1], 301)
    standing = 1 - np.searchsorted(ordered, x, side="right") / len(ordered)
    return curves(
        {"smallest epsilon larger than this": (x, standing)},
        xlabel=_axis(params),
        ylabel="images",
        title=f"Smallest epsilon that fools, {len(ordered):,} images",
        percent=True,
        marks=False,
        ylim=(-0.02, 1.02),
        vertical=_median_line(metrics),
    )


def _median_line(metrics: dict[str, float]) -> dict[str, float]:
    found = metrics.get("smallest_epsilon", float("nan"))
    return {f"median smallest epsilon, {found:.3g}": found} if np.isfinite(found) else {}
