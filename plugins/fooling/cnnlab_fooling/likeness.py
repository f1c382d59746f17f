"""How much images resemble those of a set: the nearest of them, and the mean of a class, in one pass over the set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cnnlab.plugin import UNKNOWN, At, Context, Inputs, Picture, Tiles, correlation, distances

BLOCK = 2048
"""Images of the set that are read at a time."""

REAL = 100
"""Images of the set whose own likeness to the rest of it gives the scale."""

MEASURES = ("nearest_distance", "nearest_correlation", "mean_distance", "mean_correlation")


def resemblance(
    images: np.ndarray, classes: np.ndarray, compared: Inputs, count: int, context: Context
) -> dict[str, np.ndarray]:
    """Compare images with a set and, for scale, a sample of the set with the rest of it.

    Args:
        images: [N, H, W, C].
        classes: Their classes, int64 [N].
        compared: The set, of one image at least.
        count: How many classes there are.
        context: Where progress is shown.

    Returns:
        The arrays of :func:`likeness`, and those of :data:`MEASURES` of the sample as ``real_...``.
    """
    sample = spread(len(compared))
    real = compared.select(sample)
    both = np.concatenate([images, real.images]), np.concatenate([classes, real.labels])
    own = np.concatenate([np.full(len(images), -1), sample])
    with context.progress("comparisons", len(compared)) as advance:
        found = likeness(*both, compared, count, own=own, advance=advance)
    of_classes = found.pop("class_mean").astype(np.float32)
    made, scale = np.split(np.arange(len(own)), [len(images)])
    alike = {name: values[made] for name, values in found.items()}
    return alike | {f"real_{name}": found[name][scale] for name in MEASURES} | {"class_mean": of_classes}


def means(arrays: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the means of what :func:`resemblance` gives as metrics, where anything is known."""
    names = [f"{prefix}{name}" for prefix in ("", "real_") for name in MEASURES]
    known = {name: arrays[name] for name in names if name in arrays and np.isfinite(arrays[name]).any()}
    return {name: float(np.nanmean(values)) for name, values in known.items()}


def likeness(
    images: np.ndarray,
    classes: np.ndarray,
    compared: Inputs,
    count: int,
    *,
    own: np.ndarray | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, np.ndarray]:
    """Measure how much images resemble those of a set, and those of their own class in it.

    Args:
        images: What is measured, [N, H, W, C].
        classes: Their classes, [N]; -1 where unknown.
        compared: The set, read once and never as a whole.
        count: How many classes there are.
        own: [N], each image's own place in the set, which does not count; -1 or None where they are not of it.
        advance: Called with the number of images of the set just compared.

    Returns:
        ``nearest`` int64 [N], the index of the image at the least L2 distance, -1 where there is none;
        ``nearest_image`` float32 [N, H, W, C]; ``class_mean`` float64 [K, H, W, C], NaN where the set holds none of a
        class; and to these images ``nearest_distance`` and ``mean_distance`` (L2), ``nearest_correlation`` and
        ``mean_correlation`` (Pearson's, of the pixels), float64 [N].
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    lengths = np.square(flat).sum(axis=1)
    own = np.full(len(images), -1) if own is None else own
    nearest, least = np.full(len(images), -1, np.int64), np.full(len(images), np.inf)
    nearest_image = np.full(images.shape, np.nan, np.float32)
    sums, members = np.zeros((count, flat.shape[1])), np.zeros((count, 1))
    first = 0
    for block, labels in compared.batches(BLOCK):
        others = block.reshape(len(block), -1).astype(np.float64)
        of_class = (np.arange(count)[:, None] == labels).astype(np.float64)
        sums += of_class @ others
        members += of_class.sum(axis=1, keepdims=True)
        squared = lengths[:, None] - 2 * flat @ others.T + np.square(others).sum(axis=1)
        squared[own[:, None] == first + np.arange(len(block))] = np.inf
        here = squared.argmin(axis=1)
        found = squared[np.arange(len(images)), here]
        closer = found < least
        least[closer], nearest[closer] = found[closer], first + here[closer]
        nearest_image[closer] = block[here[closer]]
        first += len(block)
        advance(len(block))
    with np.errstate(invalid="ignore"):
        means = (sums / members).reshape(count, *images.shape[1:])
    own_mean = np.where((classes != UNKNOWN)[:, None, None, None], means[classes], np.nan)
    # The expanded square loses digits where images are all but equal: measure the distance that is told anew.
    return {
        "nearest": nearest,
        "nearest_image": nearest_image,
        "nearest_distance": distances(nearest_image, images, "l2"),
        "nearest_correlation": correlation(images, nearest_image),
        "class_mean": means,
        "mean_distance": distances(own_mean, images, "l2"),
        "mean_correlation": correlation(images, own_mean),
    }


def spread(count: int, most: int = REAL) -> np.ndarray:
    """Return at most ``most`` indices spread evenly over ``count``, int64."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def beside(
    made: Sequence[Picture], indices: Sequence[int], arrays: Mapping[str, np.ndarray], bounds: tuple[float, float]
) -> Tiles:
    """Lay images over the nearest image compared with, and over the mean image of their class.

    Args:
        made: The images.
        indices: Which of the N they are.
        arrays: What the analysis declares.
        bounds: The model's value range.
    """

    def row(kind: str, shown: Sequence[At]) -> list[Picture]:
        far, alike = arrays[f"{kind}_distance"], arrays[f"{kind}_correlation"]
        titles = [
            f"distance {far[index]:.1f}\ncorr. {alike[index]:z.2f}" if np.isfinite(far[index]) else "none in the set"
            for index in indices
        ]
        return [
            Picture.of_image(image, bounds, title, image=index)
            for image, title, index in zip(shown, titles, indices, strict=True)
        ]

    nearest = row("nearest", [At("nearest_image", index) for index in indices])
    means = row("mean", [At("class_mean", arrays["target"][index]) for index in indices])
    return Tiles(
        tiles=(*made, *nearest, *means),
        columns=len(indices),
        title="What they resemble: L2 distance and correlation of pixels",
        rows=("made from noise", "nearest image", "mean of its class"),
        size=1.35,
    )
