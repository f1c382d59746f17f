"""Gates: ``--fail-under METRIC=VALUE`` makes a command exit with status 3 when a metric is below a value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cnnlab.errors import GateError, UsageError, did_you_mean
from cnnlab.results.meanings import declared_as


def parse(texts: Sequence[str], declared: Mapping[str, str], owner: str) -> dict[str, float]:
    """Read gates, before anything runs.

    Args:
        texts: As they were typed, ``accuracy=0.9``.
        declared: The metrics that there will be, and their meanings; a name may hold placeholders (``class/<name>``).
            Empty where that is not known beforehand.
        owner: What gives the metrics, for messages.

    Returns:
        The least value of each metric.

    Raises:
        UsageError: A gate is malformed, or there will be no such metric.
    """
    gates = {}
    for text in texts:
        metric, _, value = text.rpartition("=")
        try:
            least = float(value)
        except ValueError:
            least = math.nan
        # No number is below NaN: such a gate would let everything pass.
        if not metric or math.isnan(least):
            raise UsageError(f"--fail-under must be METRIC=VALUE, such as accuracy=0.9; received {text}.")
        if declared and declared_as(declared, metric) is None:
            raise UsageError(f"{owner} has no metric {metric!r} for --fail-under. {did_you_mean(metric, declared)}")
        gates[metric] = least
    return gates


def judge(gates: Mapping[str, float], metrics: Mapping[str, float | None]) -> None:
    """Hold the metrics to the gates.

    Raises:
        UsageError: There is no such metric.
        GateError: A metric is below its gate, or undefined.
    """
    for metric, least in gates.items():
        if metric not in metrics:
            raise UsageError(f"the result has no metric {metric!r}; it has {', '.join(sorted(metrics))}.")
        value = metrics[metric]
        if value is None or value < least:
            shown = "undefined" if value is None else f"{value:g}"
            raise GateError(f"the gate {metric}={least:g} was not met: {metric} is {shown}.")
