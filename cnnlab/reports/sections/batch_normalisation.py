"""The section on batch normalisation: a run with it beside one without."""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Mapping
from typing import Any

from cnnlab.drawings.tables import Table
from cnnlab.errors import CnnlabError
from cnnlab.numerics import wilson_interval
from cnnlab.pluginhost.sources import command
from cnnlab.reports.chapter import Chapter, Conclusion, Figure
from cnnlab.reports.sections.training import command_of
from cnnlab.reports.subject import Subject
from cnnlab.runs import Run, list_runs
from cnnlab.runs.comparison import compare_runs

SLOWER = 1.05
"""From this ratio of the median times of an epoch, training takes longer: epochs of one run differ by less."""

ALIKE = ("dataset", "architecture", "recipe", "epochs", "batch_size", "learning_rate", "validation", "limit")
"""The settings that two runs must share for their difference to be that of batch normalisation."""


def write(subject: Subject) -> Chapter:
    """Hold a run with batch normalisation against one without."""
    assert subject.run is not None
    other = subject.compare or find_other(subject.run)
    if other is None:
        raise CnnlabError(_how_to_make(subject.run))
    runs = {bool(run.config["batch_norm"]): run for run in (subject.run, other)}
    if len(runs) == 1:
        raise CnnlabError(
            f"{subject.run.path} and {other.path} are both {'with' if other.config['batch_norm'] else 'without'} batch "
            "normalisation: name a run of the other kind with `compare=`."
        )
    plain, normalised = runs[False], runs[True]
    compared = compare_runs([plain, normalised])
    rows = {run.path: row for run, row in zip((plain, normalised), compared.rows, strict=True)}
    images = [int(run.config["dataset"]["validation_images"]) for run in (plain, normalised)]
    return Chapter(
        says=[
            "Batch normalisation shifts and scales each feature map to mean 0 and variance 1 over the batch, and "
            "learns a scale and an offset (Ioffe and Szegedy, 2015). Two runs that differ in it, one seed each: how "
            "much the numbers vary with the seed is not in their intervals (`cnnlab train --seeds 0,1,2` tells).",
            *compared.notes,
            *_unlike(plain, normalised),
        ],
        figures=[
            Figure(
                drawing=compared.drawing,
                caption="Loss and accuracy of both runs against epoch.",
                command=command("compare", str(plain.path), str(normalised.path)),
                params={"batch normalisation": command_of(normalised.config["settings"])},
                seed=normalised.config["seed"],
                rows=[{"run": row["label"], **line} for row in compared.rows for line in row["history"]],
            )
        ],
        tables=[_table(rows[plain.path], rows[normalised.path])],
        conclusions=[
            accuracy((plain.metrics["val_accuracy"], images[0]), (normalised.metrics["val_accuracy"], images[1])),
            time_per_epoch(*(statistics.median(row["seconds"] for row in run.history) for run in (plain, normalised))),
        ],
    )


def find_other(run: Run) -> Run | None:
    """Find the newest complete run beside ``run`` that differs in batch normalisation and nothing but that and seed."""
    for other in list_runs(run.path.resolve().parent):
        if other.state != "complete" or other.config.get("batch_norm") == run.config["batch_norm"]:
            continue
        if not _differing(run, other):
            return other
    return None


def _differing(one: Run, other: Run) -> list[str]:
    first, second = one.config.get("settings", {}), other.config.get("settings", {})
    return [name for name in ALIKE if first.get(name) != second.get(name)]


def _unlike(one: Run, other: Run) -> list[str]:
    names = [name.replace("_", " ") for name in _differing(one, other)]
    return [f"The runs differ in other settings too: {', '.join(names)}."] if names else []


def _how_to_make(run: Run) -> str:
    settings = {**run.config["settings"], "batch_norm": not run.config["batch_norm"]}
    out = f"{run.path}-{'without-bn' if run.config['batch_norm'] else 'bn'}"
    return (
        f"no complete run beside {run.path} differs from it in batch normalisation alone. "
        f"`{command_of(settings)} --out {shlex.quote(out)}` makes one; or name one with `compare=`."
    )


def _table(plain: Mapping[str, Any], normalised: Mapping[str, Any]) -> Table:
    names = {
        "accuracy": "validation accuracy",
        "loss": "validation loss (nats)",
        "train_loss": "training loss (nats)",
        "seconds_per_epoch": "median seconds per epoch",
    }
    rows = [(words, plain[name], normalised[name]) for name, words in names.items()]
    return Table(("", plain["label"], f"{normalised['label']} (batch normalisation)"), rows, {"validation accuracy"})


def accuracy(plain: tuple[float, int], normalised: tuple[float, int]) -> Conclusion:
    """Say whether batch normalisation improves accuracy.

    Args:
        plain: The validation accuracy without it, and over how many images.
        normalised: The same with it.
    """
    low, high = difference_interval(normalised, plain)
    gain = normalised[0] - plain[0]
    words = f"{100 * gain:+.2f} percentage points ({100 * low:+.2f} to {100 * high:+.2f})"
    rule = (
        "The claim is the course report's: batch normalisation does not improve the network. It is false where the 95% "
        "interval of the difference (Newcombe's, of two Wilson intervals) lies above 0."
    )
    if low > 0:
        return Conclusion(says=f"Batch normalisation improves accuracy by {words}.", holds=False, rule=rule)
    if high < 0:
        return Conclusion(says=f"Batch normalisation makes accuracy worse: {words}.", holds=True, rule=rule)
    return Conclusion(says=f"Batch normalisation does not measurably improve accuracy: {words}.", holds=True, rule=rule)


def difference_interval(one: tuple[float, int], other: tuple[float, int]) -> tuple[float, float]:
    """Return the 95% interval of the difference of two shares, by the tenth method of Newcombe (1998).

    Args:
        one: A share, and of how many.
        other: What is subtracted from it.
    """
    (low, high), (low_other, high_other) = (map(float, wilson_interval(*each)) for each in (one, other))
    gain = one[0] - other[0]
    return (
        gain - math.hypot(one[0] - low, high_other - other[0]),
        gain + math.hypot(high - one[0], other[0] - low_other),
    )


def time_per_epoch(plain: float, normalised: float) -> Conclusion:
    """Say whether training takes longer with batch normalisation; median seconds of an epoch."""
    ratio = normalised / plain
    longer = ratio >= SLOWER
    return Conclusion(
        says=f"An epoch takes {ratio:.2f} times as long with batch normalisation: {normalised:.1f} s, where it takes "
        f"{plain:.1f} s without.",
        holds=longer,
        rule=f"The claim is the course report's: training takes longer with it. It holds from {SLOWER} times the "
        "median time of an epoch; a fair comparison needs both runs to be made on one idle machine.",
    )
