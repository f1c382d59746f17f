"""The package's own tests, as its author runs them."""

from cnnlab.testing import AnalysisContract, ArchitectureContract, DatasetContract, SectionContract


class TestLight(AnalysisContract):
    analysis = "light"


class TestHalves(DatasetContract):
    dataset = "halves"


class TestOneLayer(ArchitectureContract):
    architecture = "one-layer"


class TestSection(SectionContract):
    section = "light"
