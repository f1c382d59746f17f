"""Integrated gradients: the gradient of a class' logit, taken all along a straight path that ends at the image."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import leggauss

from cnnlab.plugin import Classifier, UsageError, fill_values, of_class
from cnnlab_saliency.gradients import gradient


def integrated_gradients(
    classifier: Classifier, images: np.ndarray, targets: np.ndarray, *, steps: int, baseline: str | float
) -> np.ndarray:
    """Return what each value of an image adds to its class' logit, after Sundararajan et al. (2017).

    It is the value's distance from the baseline, times the mean gradient on the way. The integral is a Gauss-Legendre
    sum: exact for a gradient that is a polynomial of degree below ``2 * steps`` along the path, and where a ReLU makes
    it jump, off by the order of ``1 / steps`` of the jump.

    Args:
        classifier: The model.
        images: [n, H, W, C].
        targets: Each image's class, int64 [n].
        steps: Points on the path, at least 1.
        baseline: Where it begins, as :func:`cnnlab.plugin.fill_values` takes it.

    Returns:
        In logits, float64 [n, H, W, C]; an image's sum is :func:`logit_rise`, but for the error of the sum.

    Raises:
        CnnlabError: Nothing differentiable leads to the logits.
    """
    start = fill_values(images, baseline, classifier.bounds).astype(np.float64)
    way = images - start
    places, weights = leggauss(steps)  # on [-1, 1]
    places, weights = (places + 1) / 2, weights / 2
    together = max(1, classifier.batch_size // len(images))
    total = np.zeros(way.shape)
    for first in range(0, steps, together):
        part = slice(first, first + together)
        points = start + places[part, None, None, None, None] * way
        slopes = gradient(classifier, points.reshape(-1, *way.shape[1:]), np.tile(targets, len(points)))
        total += np.tensordot(weights[part], slopes.reshape(points.shape).astype(np.float64), axes=1)
    return way * total


def logit_rise(classifier: Classifier, images: np.ndarray, targets: np.ndarray, baseline: str | float) -> np.ndarray:
    """Return each image's logit of its class less the baseline's, float64 [n]: what its attributions add up to.

    Args:
        classifier: The model.
        images: [n, H, W, C].
        targets: Each image's class, int64 [n].
        baseline: As :func:`integrated_gradients` takes it.
    """
    start = np.broadcast_to(fill_values(images, baseline, classifier.bounds), images.shape)
    end, begin = (of_class(classifier.logits(each), targets).astype(np.float64) for each in (images, start))
    return np.asarray(end - begin)


def check_baseline(baseline: str | float, bounds: tuple[float, float]) -> None:
    """Refuse a baseline that is no image of the model.

    Raises:
        UsageError: The number is outside the range.
    """
    low, high = bounds
    if not isinstance(baseline, str) and not low <= baseline <= high:
        raise UsageError(
            f"baseline must lie in the model's value range, {low:g} to {high:g}; received {baseline:g}. Name a value "
            "in it, or min, max or mean."
        )
