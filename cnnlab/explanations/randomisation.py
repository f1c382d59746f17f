"""Does a map depend on what the model has learned? Its weights are shuffled layer by layer (Adebayo et al., 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

MOST_STAGES = 16
"""Stages of the cascade; where a model has more layers with weights, some are shuffled together."""


def stages(classifier: Classifier, most: int = MOST_STAGES) -> list[tuple[str, list[str]]]:
    """List the stages of the cascade: the name of each, and all layers that are shuffled in it, from the top down.

    A stage is named after the lowest of its layers; the last one holds every layer with weights.
    """
    weighted = [layer.name for layer in reversed(classifier.layers) if layer.constants]
    count = min(most, len(weighted))
    ends = [-(-len(weighted) * (stage + 1) // count) for stage in range(count)]
    return [(weighted[end - 1], weighted[:end]) for end in ends]


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each map with its counterpart, float64 [N] in [-1, 1].

    Equal values share their mean rank. A flat second map ranks no pixel before another: 0. A flat first one leaves
    nothing to compare with: NaN.

    Args:
        first: [N, H, W].
        second: [N, H, W].
    """
    from scipy.stats import rankdata

    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    one, other = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    product = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    found = np.divide((one * other).sum(axis=1), product, out=np.zeros(len(first)), where=product > 0)
    return np.where(np.ptp(first, axis=(1, 2)) > 0, found, np.nan)
