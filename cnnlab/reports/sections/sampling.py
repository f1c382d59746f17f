"""A few images to look at a model with, before anything is known of it."""

from __future__ import annotations

import numpy as np

from cnnlab.classifier.noise_probe import probe_images
from cnnlab.reports.subject import Subject

NOISE = "noise"


def sample_of(subject: Subject, count: int) -> tuple[np.ndarray, str]:
    """Return images to look at a model with, and what they are.

    Args:
        subject: The model and its data.
        count: How many; fewer where the dataset has no more.

    Returns:
        Images [N, H, W, C] in the model's value range, at equal distances through the dataset; of a model without one,
        noise.
    """
    if subject.dataset is None:
        return probe_images(subject.classifier, count), NOISE
    total = len(subject.dataset.split(subject.split))
    places = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    return subject.inputs(places.tolist()).images, f"{subject.dataset.name}/{subject.split}"
