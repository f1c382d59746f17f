"""Looking up what was declared of an array, a metric or a column, and saying it of one strength among several."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def declared_as(declared: Mapping[str, T], name: str) -> T | None:
    """Find what was declared of ``name`` among names that may hold placeholders; None where nothing was.

    What is declared of a name holds of it at each strength, ``name@0.1``, too.

    >>> declared_as({"kernel/<layer>": "a kernel"}, "kernel/conv1")
    'a kernel'
    >>> declared_as({"kernel/<layer>": "a kernel"}, "bias/conv1") is None
    True
    >>> declared_as({"success": "share of the images that are fooled"}, "success@0.1")
    'share of the images that are fooled'
    """
    pattern = _pattern(declared, name)
    return None if pattern is None else declared[pattern]


def _pattern(declared: Mapping[str, T], name: str) -> str | None:
    if name in declared:
        return name
    for pattern in declared:
        parts = re.split(r"<[^>]*>", pattern)
        if len(parts) > 1 and re.fullmatch(".+".join(map(re.escape, parts)), name):
            return pattern
    bare, at, _ = name.partition("@")
    return _pattern(declared, bare) if at else None


def owner(record: Mapping[str, Any]) -> str:
    """Say whose a result is, by the distribution and its version; an empty text where that is not told.

    >>> owner({"plugin": {"distribution": "cnnlab-one", "version": "3.1"}}), owner({})
    ('cnnlab-one 3.1', '')
    """
    made = record.get("plugin")
    return f"{made['distribution']} {made['version']}".strip() if made else ""


def called(record: Mapping[str, Any], drawing: str) -> str:
    """Say what a drawing of a result is called, and whose it is.

    >>> called({"analysis": "one", "plugin": {"distribution": "cnnlab-one", "version": "3.1"}}, "map")
    "the drawing 'map' of the analysis one (cnnlab-one 3.1)"
    """
    whose = owner(record)
    return f"the drawing {drawing!r} of the analysis {record.get('analysis', '')}{whose and f' ({whose})'}"


def axis_of(declared: Mapping[str, T], name: str) -> str:
    """Return what the strength behind the @ of a name is called: by its placeholder if it has one, else "strength".

    >>> axis_of({"accuracy@<epsilon>": "share read correctly"}, "accuracy@0.1")
    'epsilon'
    """
    found = re.search(r"@<([^>]*)>", _pattern(declared, name) or "")
    return found[1] if found else "strength"


def meaning_of(declared: Mapping[str, str], name: str, axis: str = "") -> str:
    """Say what a metric means, at its strength where its name has one; an empty text where nothing was declared.

    Args:
        declared: The metrics' meanings by name.
        name: Of a metric.
        axis: What the strengths are, as :attr:`cnnlab.results.claims.Claims.axis` says it.

    >>> meaning_of({"success": "share of the images that are fooled"}, "success@0.1", "epsilon")
    'share of the images that are fooled, at epsilon 0.1'
    >>> meaning_of({"success": "share of the images that are fooled"}, "success@3", "target")
    'share of the images that are fooled, for target class 3'
    """
    said, strength = declared_as(declared, name) or "", name.partition("@")[2]
    return f"{said}, {at_strength(axis or axis_of(declared, name), strength)}" if said and strength else said


def at_strength(axis: str, strength: str) -> str:
    """Say at which strength, or for which target, something is so."""
    return f"for target class {strength}" if axis == "target" else f"at {axis} {strength}"


def settled(text: str, params: Mapping[str, Any] | None = None) -> str:
    """Put the values of parameters into a declared meaning, where ``{name}`` stands for one; else their names.

    >>> settled("{score} of the target class", {"score": "logit"}), settled("{score} of the target class")
    ('logit of the target class', 'score of the target class')
    """
    return re.sub(r"\{(\w+)\}", lambda found: str((params or {}).get(found[1], found[1])), text)


def meanings_of(
    arrays: Mapping[str, str], metrics: Mapping[str, str], params: Mapping[str, Any], columns: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Return what the metrics and the columns of a result mean, as its record keeps it.

    A column means what the array of its name does, or the metric of its name, or that of each layer.

    Args:
        arrays: What is declared of the arrays.
        metrics: What is declared of the metrics.
        params: The parameters, by their public names.
        columns: The names of the columns.

    Returns:
        ``{"metrics": {...}, "columns": {...}}``; the names of metrics may hold placeholders.
    """

    def of_column(name: str) -> str:
        of_layers = [text for metric, text in metrics.items() if metric.startswith(f"{name}/<")]
        return declared_as(arrays, name) or declared_as(metrics, name) or "".join(of_layers[:1])

    said = {"metrics": metrics, "columns": {name: of_column(name) for name in columns}}
    return {kind: {name: settled(text, params) for name, text in each.items() if text} for kind, each in said.items()}
