"""Applying a saved noise: read, picked by its class, and brought to the model's units and into its ball."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnlab.plugin import (
    Classifier,
    CnnlabError,
    Context,
    UsageError,
    add_noise,
    few,
    largest_epsilon,
    norms,
    read_npz,
    tolerance,
    whole_noise,
)
from cnnlab_noise_addition import NoiseAdditionParams
from cnnlab_noise_addition.learn import Noises, wanted_targets

MOST_CLASS = np.iinfo(np.int64).max

EXPECTED = (
    "the arrays.npz of a result of noise-addition (without `per_image=True`), or an .npz file with an array noise"
)


def saved_noise(
    classifier: Classifier, shape: tuple[int, ...], params: NoiseAdditionParams, context: Context
) -> Noises:
    """Read a saved noise, bring it to the model's units, and within epsilon where one was named.

    Args:
        classifier: The model.
        shape: Height, width and channels of the images.
        params: Which file, target and epsilon.
        context: For what the user should know.

    Raises:
        CnnlabError: The file cannot be read, or holds no noise of numbers.
        UsageError: The noise has another shape than the images, leads to none of the model's classes or not to the
            target, or epsilon is out of range.
    """
    assert params.apply is not None
    saved, known, bounds = read(params.apply, shape)
    targets, noise = _chosen(classifier, saved, known, params, context)
    if targets.max() >= classifier.num_classes:
        raise UsageError(
            f"the noise in {params.apply} leads to the class {targets.max()}, and the model has "
            f"{classifier.num_classes} classes, 0 to {classifier.num_classes - 1}; name another with `target=`."
        )
    low, high = classifier.bounds
    if bounds is not None and bounds != classifier.bounds:
        noise = _scaled(noise, (high - low) / (bounds[1] - bounds[0]), params.apply)
        context.warn(f"the noise was learned in the value range {bounds}; it was scaled to {classifier.bounds}.")
    if classifier.whole_numbers:
        noise = whole_noise(noise, None, params.norm)
    size = float(norms(noise, params.norm).max())
    if params.epsilon is None:
        return Noises(targets=targets, epsilon=size, noise=noise)
    most = largest_epsilon(classifier.bounds, shape, params.norm)
    if params.epsilon > most:
        raise UsageError(f"epsilon must be from 0 to {most:g}; received {params.epsilon:g}.")
    if size > params.epsilon + tolerance(params.norm, shape, classifier.bounds):
        context.warn(f"the saved noise is {size:.4g} large; it was brought within epsilon, {params.epsilon:g}.")
        # What is added to nothing, and is not clipped, is the noise itself within its ball.
        far = max(size, abs(low), abs(high))
        noise = add_noise(np.zeros_like(noise), noise, (-far, far), epsilon=params.epsilon, norm=params.norm)
        if classifier.whole_numbers:
            noise = whole_noise(noise, params.epsilon, params.norm)
    return Noises(targets=targets, epsilon=params.epsilon, noise=noise)


def _scaled(noise: np.ndarray, factor: float, path: Path) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (noise * factor).astype(np.float32)
    if not np.isfinite(scaled).all():
        raise CnnlabError(f"noise_bounds in {path} are too near to one another to scale the noise by.")
    return scaled


def read(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray | None, tuple[float, float] | None]:
    """Read the array ``noise`` of an .npz file, and ``noise_target`` and ``noise_bounds`` where it has them.

    Args:
        path: The file, or the folder of a result.
        shape: Height, width and channels of the images that the noise is for.

    Returns:
        The noises float32 [T, H, W, C]; the class that each leads to, int64 [T]; and the value range in whose units
        they are. The last two are None where the file does not say.

    Raises:
        CnnlabError: The file cannot be read, or holds no noise of numbers.
        UsageError: The noise has another shape than the images.
    """
    file = path / "arrays.npz" if path.is_dir() else path
    arrays = read_npz(file, ("noise", "noise_target", "noise_bounds"), needed=("noise",), expected=EXPECTED)
    noise = arrays["noise"]
    if noise.dtype.kind not in "fiu" or not np.isfinite(noise).all():
        raise CnnlabError(f"the noise in {path} must be finite numbers; received {noise.dtype}, some of them not.")
    image = noise[..., None] if noise.ndim == 2 else noise
    if image.ndim not in (3, 4) or image.shape[-3:] != shape or not len(image):
        raise UsageError(
            f"the noise in {path} has shape {list(noise.shape)}, and the images are {list(shape)}; a noise must have "
            "the shape of the images that it is added to."
        )
    with np.errstate(over="ignore"):
        noises = image.astype(np.float32).reshape(-1, *shape)
    if not np.isfinite(noises).all():
        raise CnnlabError(f"the noise in {path} holds numbers that are too large to be added to an image.")
    return noises, _target(arrays, image.shape[:-3], path), _bounds(arrays, path)


def _target(arrays: dict[str, np.ndarray], shape: tuple[int, ...], path: Path) -> np.ndarray | None:
    if "noise_target" not in arrays:
        return None
    array = arrays["noise_target"]
    if array.dtype.kind not in "iu" or array.shape != shape or array.min() < 0 or array.max() > MOST_CLASS:
        raise CnnlabError(
            f"noise_target in {path} must be classes of shape {list(shape)}, one for each noise; received "
            f"{array.dtype} {array.tolist()}."
        )
    return array.astype(np.int64).reshape(-1)


def _bounds(arrays: dict[str, np.ndarray], path: Path) -> tuple[float, float] | None:
    if "noise_bounds" not in arrays:
        return None
    array = arrays["noise_bounds"]
    if array.dtype.kind not in "fiu" or array.shape != (2,) or not np.isfinite(array).all() or array[0] >= array[1]:
        raise CnnlabError(f"noise_bounds in {path} must be two rising numbers; received {array.tolist()}.")
    return (float(array[0]), float(array[1]))


def _chosen(
    classifier: Classifier,
    noises: np.ndarray,
    known: np.ndarray | None,
    params: NoiseAdditionParams,
    context: Context,
) -> tuple[np.ndarray, np.ndarray]:
    """The targets [T] and noises [T, H, W, C] that are asked for: all, the one of a class, or a single one as it is."""
    path, count = params.apply, len(noises)
    named = None if params.target == "all" else params.target
    if known is None and count > 1:
        raise UsageError(
            f"{path} holds {count} noises and not the classes that they lead to (an array noise_target, [{count}]); "
            "save one of them, [H, W, C], in a file of its own."
        )
    if known is None and params.target == "all":
        raise UsageError(f"{path} holds one noise, so it has one target; name it with `target=`.")
    if known is None:
        return wanted_targets(classifier, params), noises
    if named is None:
        return known, noises
    if count > 1:
        found = np.flatnonzero(known == named)[:1]
        if not found.size:
            raise UsageError(f"{path} holds noises for the classes {few(known, count)} and none for {named}.")
        return known[found], noises[found]
    if known[0] != named:
        context.warn(f"the noise was learned for the class {known[0]}; success counts the class {named}.")
    return np.array([named]), noises
