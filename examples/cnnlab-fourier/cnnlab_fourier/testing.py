"""What this package promises: its tests hold it to that, and so does ``cnnlab plugins check fourier``."""

from collections.abc import Mapping
from typing import ClassVar

from cnnlab.testing import AnalysisContract, SectionContract


class FourierContract(AnalysisContract):
    """What is promised of the analysis, but for images without labels."""

    analysis = "fourier"
    expected_failures: ClassVar[Mapping[str, str]] = {
        "test_images_without_labels": "an error rate needs the true labels"
    }


class SpectrumContract(SectionContract):
    """What is promised of the section of the report."""

    section = "spectrum"
