"""The kinds of report: each a list of sections, in their order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cnnlab.errors import UsageError, did_you_mean
from cnnlab.pluginhost.declarations import Section


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A kind of report.

    Attributes:
        name: What users type.
        title: The heading, in which ``{model}`` stands for the model's name.
        summary: What it is for, in a sentence.
        sections: The sections by name. Plugins may add to them (:attr:`Section.profiles`).
    """

    name: str
    title: str
    summary: str
    sections: tuple[str, ...]


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="assignment",
            title="What {model} learned, and how it is fooled",
            summary="What a course asks of a small network: training, filters, occlusion, and three ways to fool it.",
            sections=(
                *("training", "predictions", "architecture", "batch-normalisation", "filters", "activations"),
                *("occlusion", "fooling", "targeted", "noise-addition"),
            ),
        ),
        Profile(
            name="audit",
            title="An audit of {model}",
            summary="What a review asks of somebody else's model: is it sound, calibrated, robust, and right for the "
            "right reasons?",
            sections=(
                *("model", "health", "accuracy", "calibration"),
                *("fgsm-untargeted", "robustness", "smallest-attacks"),
                *("occlusion-extremes", "saliency-extremes", "sanity", "fooling"),
            ),
        ),
        Profile(
            name="quick",
            title="{model} at a glance",
            summary="The first look: training, accuracy, what the model looks at, and how one step fools it.",
            sections=("training", "predictions", "architecture", "accuracy", "occlusion", "fgsm-untargeted"),
        ),
    )
}
"""The kinds of report, by name."""


def find_profile(name: str) -> Profile:
    """Return a kind of report by its name.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in PROFILES:
        raise UsageError(f"there is no profile {name!r}. {did_you_mean(name, PROFILES)}")
    return PROFILES[name]


def outline(profile: Profile, known: Iterable[Section]) -> tuple[str, ...]:
    """Return the names of a report's sections in their order: the profile's own, and those that plugins add.

    Args:
        profile: The kind of report.
        known: All sections that plugins provide.
    """
    names = list(profile.sections)
    for section in known:
        if profile.name in section.profiles and section.name not in names:
            names.insert(names.index(section.after) + 1 if section.after in names else len(names), section.name)
    return tuple(names)
