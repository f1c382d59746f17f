"""Running an analysis again, with what its record says, and comparing everything that comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import drawings as drawing_data
from cnnlab.adversarial.judge import Finding
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.analysis.request import Request, perform
from cnnlab.classifier.device import current_device
from cnnlab.files.reading import read_text
from cnnlab.inspection import evaluation_result
from cnnlab.inspection.evaluation import evaluate
from cnnlab.results.folder import DRAWINGS
from cnnlab.verification.report import fails, holds, not_checked
from cnnlab.versions import versions

if TYPE_CHECKING:
    from cnnlab.results.result import Result
    from cnnlab.verification.of_result import Saved

RELATIVE, ABSOLUTE = 1e-3, 1e-4
"""How far arrays may differ where the last digits of all computing do: on another processor."""

MOST_OTHER = 0.01
"""Which part of the values of an array of floats may differ by more there, for decisions hang on last digits."""

COMPARED = ("params", "seed", "warnings", "preflight", "meanings", "claims", "images", "headline", "dataset")
"""What of a record running the analysis again gives anew."""


def again(saved: Saved, choice: ImageChoice | None) -> Iterator[Finding]:
    """Run the analysis again and compare what comes of it.

    Args:
        saved: The saved result.
        choice: How its images are had again; None where they cannot be.
    """
    name = saved.record["analysis"]
    if choice is None:
        yield not_checked("rerun", "Without its images the analysis cannot be run again.")
    elif name == evaluation_result.NAME:
        yield from _compared(saved, _evaluated(saved))
    elif saved.analysis is None:
        yield not_checked("rerun", f"The plugin that gives {name} is not installed here.")
    else:
        request = Request(
            analysis=saved.analysis,
            params=saved.record["params"],
            model=ModelChoice(model=saved.classifier),
            images=choice,
            seed=saved.record["seed"],
            device=current_device(),
        )
        yield from _compared(saved, perform(request))


def _evaluated(saved: Saved) -> Result:
    data = saved.record["dataset"] or {}
    params = saved.record["params"]
    source = data.get("source") or data.get("name")
    return evaluate(
        saved.classifier, source, split=params["split"], limit=params["limit"], device=current_device()
    ).result()


def _compared(saved: Saved, found: Result) -> Iterator[Finding]:
    differing = {name: _difference(saved.arrays.get(name), found.arrays.get(name)) for name in _names(saved, found)}
    alike = current_device() == saved.record["device"] and versions() == saved.record["versions"]
    other = [name for name, kind in differing.items() if kind == "other" or (kind == "here and there" and alike)]
    there = [name for name, kind in differing.items() if kind == "here and there"]
    near = [name for name, kind in differing.items() if kind == "near"]
    if other:
        yield fails("rerun", f"Run again, the analysis gives other arrays: {', '.join(other)}.")
        return
    wrong = [key for key in COMPARED if not _same(saved.record.get(key), found.record.get(key))]
    if not near and not there:
        wrong += [] if _same_drawings(saved, found) else [DRAWINGS]
    if wrong:
        yield fails("rerun", f"Run again, the analysis gives the same arrays, and other {', '.join(wrong)}.")
    elif there:
        says = f"Run again on another device or by other versions, a few values of {', '.join(there)} are others."
        yield Finding(claim="rerun", state="note", says=says)
    elif near:
        why = "so that this is another processor, or somebody changed their last digits" if alike else "as elsewhere"
        says = f"Run again, it gives the same but for the last digits of {', '.join(near)}, {why}."
        yield Finding(claim="rerun", state="note" if alike else "holds", says=says)
    else:
        yield holds(
            "rerun", f"Run again, it gives the same {len(differing)} arrays to the bit, and all that is said of them."
        )


def _names(saved: Saved, found: Result) -> list[str]:
    return sorted({*saved.arrays, *found.arrays})


def _difference(said: np.ndarray | None, found: np.ndarray | None) -> str:
    """How two arrays differ: not at all, ``near`` in all values, ``here and there`` by more, or ``other``."""
    if said is None or found is None or said.shape != found.shape or said.dtype != found.dtype:
        return "other"
    if said.tobytes() == found.tobytes():
        return ""
    if said.dtype.kind != "f":
        return "other"
    close = np.isclose(said, found, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    if close.all():
        return "near"
    return "here and there" if close.mean() >= 1 - MOST_OTHER else "other"


def _same(said: Any, found: Any) -> bool:
    """Whether two parts of a record say the same, but for the last digits of numbers."""
    if isinstance(said, Mapping) and isinstance(found, Mapping):
        return said.keys() == found.keys() and all(_same(said[key], found[key]) for key in said)
    if isinstance(said, list | tuple) and isinstance(found, list | tuple):
        return len(said) == len(found) and all(map(_same, said, found))
    if isinstance(said, float) and isinstance(found, float):
        return bool(np.isclose(said, found, rtol=RELATIVE, atol=ABSOLUTE))
    return bool(said == found)


def _same_drawings(saved: Saved, found: Result) -> bool:
    text = read_text(saved.directory / DRAWINGS) if DRAWINGS in saved.record["files"] else "{}"
    return drawing_data.to_json(drawing_data.from_json(text)) == drawing_data.to_json(found.drawings)
