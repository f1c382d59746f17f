"""What several rooms compute, once: softmax, correlation, and the label that counts."""

from __future__ import annotations

import math

import numpy as np

UNKNOWN = -1
"""The label of an image whose class nobody told: -1.

Example:
    >>> import numpy as np
    >>> (np.array([3, UNKNOWN]) != UNKNOWN).tolist()
    [True, False]
"""


def known_label(label: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return each image's label, and where nobody told it, what the model reads, int64 [...].

    Args:
        label: Labels [...]; :data:`UNKNOWN` where nobody told.
        predicted: The classes that the model reads, [...] or what broadcasts against it.

    Example:
        >>> import numpy as np
        >>> known_label(np.array([3, -1]), np.array([5, 7])).tolist()
        [3, 7]
    """
    return np.where(np.asarray(label) == UNKNOWN, predicted, label).astype(np.int64)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis, float32; computed in float64.

    Args:
        logits: [..., K].

    Returns:
        Probabilities [..., K].

    Example:
        >>> import numpy as np
        >>> softmax(np.array([0.0, 0.0])).tolist()
        [0.5, 0.5]
    """
    logits = np.asarray(logits, np.float64)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-logit)) of each logit [...], float32; computed in float64.

    Example:
        >>> import numpy as np
        >>> sigmoid(np.array([0.0, 1000.0, -1000.0])).tolist()
        [0.5, 1.0, 0.0]
    """
    return np.asarray((1 + np.tanh(np.asarray(logits, np.float64) / 2)) / 2, np.float32)


def of_class(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Pick from values of every class [..., K] that of each image's class, [...].

    Args:
        values: Probabilities, logits, correlations, ... by class.
        classes: int [...], or what broadcasts against it.

    Example:
        >>> import numpy as np
        >>> of_class(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 0])).tolist()
        [0.9, 0.8]
    """
    places = np.broadcast_to(classes, values.shape[:-1])[..., np.newaxis]
    return np.take_along_axis(values, places, axis=-1)[..., 0]


def known_mean(values: np.ndarray) -> float:
    """Return the mean of those of ``values``, of any shape, that are finite; NaN where none is.

    Example:
        >>> import numpy as np
        >>> known_mean(np.array([1.0, np.nan, 3.0])), known_mean(np.array([np.nan]))
        (2.0, nan)
    """
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def standardised(values: np.ndarray) -> np.ndarray:
    """Take the mean over the last axis off, and divide by the length of what is left, float64 [..., P].

    The product of two such vectors is Pearson's correlation. NaN where the values are all alike: their differences
    from the mean are rounding, and no pattern.

    Args:
        values: [..., P].

    Example:
        >>> import numpy as np
        >>> one, other = standardised(np.array([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]]))
        >>> round(float(one @ other), 12)
        1.0
    """
    values = np.asarray(values, np.float64)
    largest = np.abs(values).max(axis=-1, keepdims=True, initial=0.0)
    centred = values - values.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    constant = length <= 1e-12 * largest * np.sqrt(values.shape[-1])
    return np.where(constant, np.nan, centred / np.where(constant, 1.0, length))


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each image [N, ...] with its counterpart, float64 [N]; NaN where one is flat.

    Args:
        one: [N, ...].
        other: [N, ...], as many values for each image.

    Example:
        >>> import numpy as np
        >>> correlation(np.array([[1.0, 2.0], [3.0, 3.0]]), np.array([[2.0, 1.0], [1.0, 2.0]])).round(12).tolist()
        [-1.0, nan]
    """
    first, second = (standardised(images.reshape(len(images), -1)) for images in (one, other))
    return np.clip(np.einsum("np,np->n", first, second), -1.0, 1.0)


def wilson_interval(share: np.ndarray | float, count: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """Return between which two probabilities the one lies, with 95%, that showed as a share of independent trials.

    Wilson's score interval (1927): it stays within 0 and 1, and has a width also where every trial went one way.

    Args:
        share: In what fraction of the trials it happened, [...].
        count: How many trials there were, at least 1; for each share where they differ, [...].

    Returns:
        The lower and the upper end, each [...].

    Example:
        >>> low, high = wilson_interval(1.0, 100)
        >>> round(float(low), 3), float(high)
        (0.963, 1.0)
    """
    share, spread = np.asarray(share, np.float64), 1.959964**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = np.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return np.clip(middle - half, 0.0, share), np.clip(middle + half, share, 1.0)


def paired_share_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return between which two values the difference of two shares of the same trials lies, with 95%.

    Newcombe's square-and-add interval (1998, method 10): Wilson's intervals of both shares, put together with the
    correlation of the pairs.

    Args:
        first: Whether it happened under the first condition, bool [N]; one trial at least.
        second: The same under the second, [N].

    Returns:
        The lower and the upper end of the second share less the first.

    Example:
        >>> first, second = np.repeat([[True, True], [True, False], [False, True]], [36, 2, 12], axis=0).T
        >>> low, high = paired_share_interval(first, second)
        >>> round(low, 4), round(high, 4)
        (0.0569, 0.3404)
    """
    shares = np.array([np.mean(first), np.mean(second)])
    lows, highs = wilson_interval(shares, len(first))
    (down, other_down), (up, other_up) = (shares - lows).tolist(), (highs - shares).tolist()
    phi = _correlation_of_pairs(np.asarray(first, bool), np.asarray(second, bool))
    below = math.sqrt(max(0.0, other_down**2 - 2 * phi * other_down * up + up**2))
    above = math.sqrt(max(0.0, other_up**2 - 2 * phi * other_up * down + down**2))
    difference = float(shares[1] - shares[0])
    return difference - below, difference + above


def _correlation_of_pairs(first: np.ndarray, second: np.ndarray) -> float:
    """The phi coefficient, pulled to zero from above by half a trial as Newcombe has it."""
    both, neither = float((first & second).sum()), float((~first & ~second).sum())
    only_first, only_second = float((first & ~second).sum()), float((~first & second).sum())
    product = both * neither - only_first * only_second
    product = max(product - len(first) / 2, 0.0) if product > 0 else product
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    return product / math.sqrt(margins) if margins else 0.0


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Return between which two values the mean lies, with 95%, by Student's t: of differences, the paired interval.

    Args:
        values: [N]; two at least.

    Example:
        >>> low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    from scipy.stats import t

    values = np.asarray(values, np.float64)
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


def larger_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float] | None:
    """Return the probability that a number is larger in the second group than in the first, and its 95% interval.

    It is the Mann-Whitney statistic by the number of pairs; its variance is at most that of a share of as many trials
    as the smaller group has members (Birnbaum and Klose, 1957), so that Wilson's interval of that holds it.

    Args:
        first: [N]; NaN ones are left out.
        second: [M].

    Returns:
        The probability and both ends; None where a group is empty.

    Example:
        >>> import numpy as np
        >>> larger_interval(np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0]))[0]
        1.0
    """
    from scipy.stats import rankdata

    first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    if not len(first) or not len(second):
        return None
    ranks = rankdata(np.concatenate([first, second]))[len(first) :]
    share = float((ranks.sum() - len(second) * (len(second) + 1) / 2) / (len(first) * len(second)))
    low, high = wilson_interval(share, min(len(first), len(second)))
    return share, float(low), float(high)
