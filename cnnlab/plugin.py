"""Everything that a plugin author may import, in one place.

A package's ``__init__.py`` declares what it provides with the first group, and importing these is cheap; the module
that does the work imports from the other groups too, which bring NumPy and, the attacks, TensorFlow. Every name is
looked up when it is first used. docs/reference/plugin.md is generated from here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.adversarial.measure import Measured as Measured, derive as derive, measure as measure
    from cnnlab.adversarial.names import (
        ADVERSARIAL_ARRAYS as ADVERSARIAL_ARRAYS,
        ADVERSARIAL_METRICS as ADVERSARIAL_METRICS,
        SINGLE_METRICS as SINGLE_METRICS,
    )
    from cnnlab.adversarial.params import AttackParams as AttackParams, BallParams as BallParams
    from cnnlab.analysis.context import Context as Context
    from cnnlab.attacks import (
        Adam as Adam,
        AtImage as AtImage,
        Attack as Attack,
        ClassLogit as ClassLogit,
        Confident as Confident,
        CrossEntropy as CrossEntropy,
        Energy as Energy,
        Fooled as Fooled,
        GaussianNoise as GaussianNoise,
        Learned as Learned,
        LogOdds as LogOdds,
        Margin as Margin,
        Nearest as Nearest,
        NormalisedGradient as NormalisedGradient,
        Outcome as Outcome,
        Sign as Sign,
        Smallest as Smallest,
        SquaredDistance as SquaredDistance,
        TotalVariation as TotalVariation,
        UniformNoise as UniformNoise,
        fgsm as fgsm,
        largest_beta as largest_beta,
        learn_noise as learn_noise,
        pgd as pgd,
        smallest_epsilon as smallest_epsilon,
        stream as stream,
        sweep as sweep,
    )
    from cnnlab.classifier import Classifier as Classifier, Layer as Layer
    from cnnlab.datasets import Dataset as Dataset, Split as Split
    from cnnlab.datasets.idx import parse_idx as parse_idx
    from cnnlab.drawings import (
        At as At,
        Bars as Bars,
        Curves as Curves,
        Drawing as Drawing,
        Line as Line,
        Matrix as Matrix,
        Picture as Picture,
        Scrub as Scrub,
        Series as Series,
        Sheet as Sheet,
        Tiles as Tiles,
    )
    from cnnlab.drawings.tables import Table as Table
    from cnnlab.errors import CnnlabError as CnnlabError, UsageError as UsageError, did_you_mean as did_you_mean
    from cnnlab.explanations.exchange import fill_values as fill_values
    from cnnlab.explanations.names import MAP_TEST_ARRAYS as MAP_TEST_ARRAYS, MAP_TEST_METRICS as MAP_TEST_METRICS
    from cnnlab.explanations.params import MapTestParams as MapTestParams
    from cnnlab.explanations.sanity import (
        Explain as Explain,
        MapTest as MapTest,
        explained as explained,
        run_map_test as run_map_test,
    )
    from cnnlab.files.reading import read_npz as read_npz
    from cnnlab.inputs import Inputs as Inputs, from_split as from_split
    from cnnlab.numerics import (
        UNKNOWN as UNKNOWN,
        correlation as correlation,
        known_label as known_label,
        known_mean as known_mean,
        larger_interval as larger_interval,
        of_class as of_class,
        softmax as softmax,
        standardised as standardised,
        wilson_interval as wilson_interval,
    )
    from cnnlab.perturbations import (
        Norm as Norm,
        add_noise as add_noise,
        distances as distances,
        from_8bit as from_8bit,
        largest_epsilon as largest_epsilon,
        norms as norms,
        round_8bit as round_8bit,
        to_8bit as to_8bit,
        tolerance as tolerance,
        whole_noise as whole_noise,
    )
    from cnnlab.pluginhost.declarations import (
        Analysis as Analysis,
        Architecture as Architecture,
        Array as Array,
        DatasetSource as DatasetSource,
        Recipe as Recipe,
        Section as Section,
    )
    from cnnlab.pluginhost.hookspecs import hookimpl as hookimpl
    from cnnlab.pluginhost.of_model import AClass as AClass, ALayer as ALayer, AModel as AModel
    from cnnlab.pluginhost.params import Doc as Doc, Params as Params, Widget as Widget
    from cnnlab.reports.chapter import (
        Chapter as Chapter,
        Conclusion as Conclusion,
        Figure as Figure,
        Metric as Metric,
    )
    from cnnlab.reports.subject import Answer as Answer, Subject as Subject
    from cnnlab.results.claims import Claims as Claims
    from cnnlab.results.result import Result as Result
    from cnnlab.words import few as few, out_of as out_of, percent as percent

GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "Declaring": {
        "cnnlab.pluginhost.hookspecs": ("hookimpl",),
        "cnnlab.pluginhost.declarations": ("Analysis", "Array", "Architecture", "DatasetSource", "Recipe", "Section"),
        "cnnlab.pluginhost.params": ("Params", "Doc", "Widget"),
        "cnnlab.pluginhost.of_model": ("AClass", "ALayer", "AModel"),
        "cnnlab.adversarial.params": ("BallParams", "AttackParams"),
        "cnnlab.adversarial.names": ("ADVERSARIAL_ARRAYS", "ADVERSARIAL_METRICS", "SINGLE_METRICS"),
        "cnnlab.errors": ("UsageError", "CnnlabError", "did_you_mean"),
    },
    "Running": {
        "cnnlab.classifier": ("Classifier", "Layer"),
        "cnnlab.inputs": ("Inputs", "from_split"),
        "cnnlab.analysis.context": ("Context",),
        "cnnlab.results.result": ("Result",),
        "cnnlab.numerics": (
            "UNKNOWN",
            "known_label",
            "known_mean",
            "larger_interval",
            "of_class",
            "softmax",
            "correlation",
            "standardised",
            "wilson_interval",
        ),
    },
    "Drawing": {
        "cnnlab.drawings": (
            *("At", "Picture", "Sheet", "Tiles", "Scrub", "Curves", "Line", "Bars", "Series", "Matrix"),
            "Drawing",
        ),
        "cnnlab.words": ("percent", "out_of", "few"),
    },
    "Attacking": {
        "cnnlab.attacks": (
            *("Attack", "Outcome", "fgsm", "pgd", "learn_noise", "Learned"),
            *("sweep", "smallest_epsilon", "Smallest", "largest_beta", "Nearest"),
            *("LogOdds", "CrossEntropy", "ClassLogit", "Margin", "SquaredDistance", "TotalVariation", "Energy"),
            *("Fooled", "Confident", "Sign", "NormalisedGradient", "Adam", "AtImage", "UniformNoise", "GaussianNoise"),
            "stream",
        ),
        "cnnlab.perturbations": (
            *("Norm", "norms", "distances", "tolerance", "largest_epsilon", "add_noise"),
            *("whole_noise", "to_8bit", "from_8bit", "round_8bit"),
        ),
    },
    "Adversarial results": {
        "cnnlab.adversarial.measure": ("measure", "derive", "Measured"),
        "cnnlab.results.claims": ("Claims",),
    },
    "Testing explanations": {
        "cnnlab.explanations.params": ("MapTestParams",),
        "cnnlab.explanations.names": ("MAP_TEST_ARRAYS", "MAP_TEST_METRICS"),
        "cnnlab.explanations.sanity": ("explained", "Explain", "run_map_test", "MapTest"),
        "cnnlab.explanations.exchange": ("fill_values",),
    },
    "Reporting": {
        "cnnlab.reports.subject": ("Subject", "Answer"),
        "cnnlab.reports.chapter": ("Chapter", "Figure", "Metric", "Conclusion"),
        "cnnlab.drawings.tables": ("Table",),
    },
    "Datasets": {
        "cnnlab.datasets": ("Dataset", "Split"),
        "cnnlab.datasets.idx": ("parse_idx",),
        "cnnlab.files.reading": ("read_npz",),
    },
}
"""What there is, by what it is for and where it lives."""

_HOMES = {name: module for group in GROUPS.values() for module, names in group.items() for name in names}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:  # not one of the names for authors
    from cnnlab.pluginhost.deprecations import Deprecation

GOING: dict[str, Deprecation] = {}
"""Those of the names that are to go: importing one warns the author of a plugin."""


def __getattr__(name: str) -> Any:
    if name in GOING:
        import warnings

        warnings.warn(GOING[name].warning(), stacklevel=2)
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
