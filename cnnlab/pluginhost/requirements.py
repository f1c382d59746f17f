"""What an analysis asks of a model and of what is known of the images, checked before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlab.errors import CnnlabError
from cnnlab.numerics import UNKNOWN
from cnnlab.pluginhost.declarations import Analysis

if TYPE_CHECKING:
    import numpy as np

    from cnnlab.classifier import Classifier


def check_requirements(analysis: Analysis, classifier: Classifier) -> None:
    """Check what can be known before any image is seen.

    Raises:
        CnnlabError: The model lacks what the analysis needs.
    """
    if "one-class" in analysis.requires:
        classifier.check_exclusive(analysis.name)
    if "convolutions" in analysis.requires and not any(
        layer.kernel is not None and layer.kernel.ndim == 4 for layer in classifier.layers
    ):
        kinds = ", ".join(f"{layer.name} ({layer.kind})" for layer in classifier.layers) or "no layers"
        raise CnnlabError(f"{analysis.name} needs a model with convolutional layers; this one has {kinds}.")


def check_images(analysis: Analysis, labels: np.ndarray, dataset: object) -> None:
    """Check what is known of the images.

    Args:
        analysis: Which.
        labels: Their true labels, -1 where unknown, int64 [N].
        dataset: The one that they, or those that the model learned, are of; None where none is known.

    Raises:
        CnnlabError: It is less than the analysis needs.
    """
    unknown = int((labels == UNKNOWN).sum())
    if "labels" in analysis.requires and unknown:
        raise CnnlabError(
            f"{analysis.name} needs the true labels of the images, and {unknown:,} of {len(labels):,} have none. Take "
            "images of a dataset, or say what they are with `labels=`."
        )
    if "dataset" in analysis.requires and dataset is None:
        raise CnnlabError(
            f"{analysis.name} needs the dataset that the model learned, and none is known. Name it with `dataset=`."
        )
