"""The section on the model: where it comes from, what it takes and gives, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Mapping

from cnnlab.classifier.preprocessing import ASSUMED
from cnnlab.drawings.tables import Table
from cnnlab.inspection.facts import facts_of, headline
from cnnlab.inspection.inspect import SAMPLES, inspect
from cnnlab.reports.chapter import Chapter, Conclusion, Metric
from cnnlab.reports.sections.architecture import layers
from cnnlab.reports.sections.sampling import sample_of
from cnnlab.reports.subject import Subject


def write(subject: Subject) -> Chapter:
    """Tell what can be told of the model before anybody asks it a question."""
    images, sample = sample_of(subject, SAMPLES)
    found = inspect(subject.classifier, images, sample)
    model, summary = found.classifier, found.summary
    missing = {name: reason for name, reason in found.analyses.items() if reason is not None}
    return Chapter(
        says=[
            f"{headline(found)}. What follows was read off the model's files and its graph; margins and gradients were "
            f"looked at on {len(images)} images ({sample}). A margin is the lead of the largest logit over "
            "the next.",
            *(f"Note: {note}" for note in model.notes),
        ],
        tables=[
            Table(("fact", "value"), list(facts_of(found)), title="Facts", most=100),
            layers(summary),
            analyses(found.analyses),
        ],
        metrics=[
            Metric(name="parameters", value=summary.parameters, meaning="all stored numbers"),
            Metric(name="multiply-adds", value=summary.multiply_adds, meaning="multiply-adds for one image"),
            Metric(
                name="analyses",
                value=len(found.analyses) - len(missing),
                meaning="installed analyses that can run on it",
            ),
        ],
        conclusions=conclusions(model.output_kind, model.bounds, model.preparation.reason, missing),
    )


def analyses(reasons: Mapping[str, str | None]) -> Table:
    """Return a row for each installed analysis: whether it can run, and why not."""
    heads = ("analysis", "can run", "why not")[: 3 if any(reasons.values()) else 2]
    rows = [(name, reason is None, reason or "")[: len(heads)] for name, reason in reasons.items()]
    return Table(heads, rows, title="Analyses", most=len(rows))


def conclusions(output: str, bounds: tuple[float, float], reason: str, missing: Mapping[str, str]) -> list[Conclusion]:
    """Say whether the model is understood well enough for the rest to be believed.

    Args:
        output: What the model gives, as :attr:`~cnnlab.classifier.Classifier.output_kind`.
        bounds: The value range of its images.
        reason: How that range was decided.
        missing: Why each analysis that cannot run on it cannot.
    """
    traced, assumed = output != "untraced probabilities", reason == ASSUMED
    low, high = bounds
    why = "; ".join(f"{name}: {words}" for name, words in missing.items())
    return [
        Conclusion(
            says="Its logits are known: the model gives them, or they stand before its softmax or sigmoid."
            if traced
            else "Its logits are not known: no softmax was found behind its probabilities, whose logarithms stand for "
            "logits.",
            holds=traced,
            rule="The gradient of a probability near 1 vanishes in float32, and that of a logit does not: attacks and "
            "maps can be relied on where logits are found.",
        ),
        Conclusion(
            says=f"Its images are taken to range from {low:g} to {high:g}: {reason}.",
            holds=None if assumed else True,
            rule="The range is known where the run, the model's own layers or the user say it. Where none does it is a "
            "guess, and with a wrong one accuracy, attacks and maps are all wrong: say it (--input-range).",
        ),
        Conclusion(
            says=f"{len(missing)} installed analyses cannot run on it: {why}."
            if missing
            else "Every installed analysis can run on it.",
            holds=not missing,
            rule="An analysis can run where the model has the convolutions or gradients that it needs.",
        ),
    ]
