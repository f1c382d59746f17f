"""What an analysis asks of a model, held against the model before any image is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlab.errors import CnnlabError
from cnnlab.pluginhost.declarations import Analysis

if TYPE_CHECKING:
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
