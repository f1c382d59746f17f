"""Running an analysis again, with what its record says, and comparing everything that comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import drawings as drawing_data
from cnnlab.adversarial.judge import Finding, is_adversarial
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.analysis.request import Request, perform
from cnnlab.devices.choice import current_device
from cnnlab.drawings import Image
from cnnlab.files.reading import read_text
from cnnlab.inspection.evaluation import evaluate
from cnnlab.results.folder import DRAWINGS
from cnnlab.results.keeping import kept_of
from cnnlab.verification.attacked import JUDGED
from cnnlab.verification.likeness import ABSOLUTE, RELATIVE, alike
from cnnlab.verification.numbers import BY_THE_CLOCK, another_version
from cnnlab.verification.report import fails, holds, not_checked
from cnnlab.versions import versions

if TYPE_CHECKING:
    from cnnlab.results.result import Result
    from cnnlab.verification.of_result import Saved

MOST_OTHER = 0.01
"""Which part of the values of an array of floats may differ by more there, for decisions hang on last digits."""

COMPARED = (
    "params",
    "seed",
    "warnings",
    "preflight",
    "meanings",
    "claims",
    "images",
    "headline",
    "dataset",
    "classes",
)
"""What of a record running the analysis again gives anew."""

REPEATED = ("analysis", "params", "seed", "warnings", "preflight", "meanings", "claims")
"""What only that can show."""


def unrepeated(saved: Saved, why: str) -> Finding:
    """Name what only running the analysis again can show; of the arrays, those that no model was asked about.

    Args:
        saved: The saved result.
        why: Why it was not, and that it shows them; the names follow.
    """
    counted = saved.is_evaluation or (saved.record["inputs"] and saved.of_inputs)
    of_images = [*([] if saved.is_evaluation else ["dataset"]), *([] if counted else ["inputs"])]
    arrays = sorted(set(saved.arrays) - (JUDGED if is_adversarial(saved.arrays) else set()))
    names = [*REPEATED, *of_images, DRAWINGS, *(f"arrays.{name}" for name in arrays)]
    return not_checked("rerun", f"{why}: {', '.join(names)}.")


def again(saved: Saved, choice: ImageChoice | None) -> Iterator[Finding]:
    """Run the analysis again and compare what comes of it.

    Args:
        saved: The saved result.
        choice: How its images are had again; None where they cannot be.
    """
    if choice is None:
        why = "Without its images the analysis cannot be run again"
    elif saved.is_evaluation:
        yield from _compared(saved, _as_kept(saved, _evaluated(saved)))
        return
    elif saved.analysis is None:
        why = saved.not_here.replace("the", "The", 1)
    else:
        request = Request(
            analysis=saved.analysis,
            params=saved.record["params"],
            model=ModelChoice(model=saved.classifier),
            images=choice,
            seed=saved.record["seed"],
            device=current_device(),
        )
        yield from _compared(saved, _as_kept(saved, perform(request)))
        return
    yield unrepeated(saved, f"{why}, which alone shows these")


def _evaluated(saved: Saved) -> Result:
    data = saved.record["dataset"] or {}
    params = saved.record["params"]
    source = data.get("source") or data.get("name")
    return evaluate(
        saved.classifier, source, split=params["split"], limit=params["limit"], device=current_device()
    ).result()


def _as_kept(saved: Saved, found: Result) -> Result:
    return kept_of(found, "metrics" if saved.left_out else "arrays")


def _compared(saved: Saved, found: Result) -> Iterator[Finding]:
    differing = {name: _difference(saved.arrays.get(name), found.arrays.get(name)) for name in _names(saved, found)}
    elsewhere = current_device() != saved.record["device"] or versions() != saved.record["versions"]
    most = ("near", "here and there") if elsewhere else ("near",)
    other = [name for name, kind in differing.items() if kind and kind not in most]
    loose = [name for name, kind in differing.items() if kind and kind in most]
    if other:
        yield fails("rerun", f"Run again, the analysis gives other arrays: {', '.join(other)}.")
        return
    keys = (*COMPARED, "left_out") if saved.left_out else COMPARED
    wrong = [key for key in keys if not _same(saved.record.get(key), found.record.get(key))]
    if saved.left_out:  # else they follow from the arrays
        wrong += [] if _same(*map(_lasting, (saved.record, found.record))) else ["metrics"]
    drawn, unknown = _drawn(saved), []
    if "here and there" in differing.values() or another_version(saved):
        unknown = [DRAWINGS] if drawn else []
    else:
        unlike, pixels = _unlike(
            drawn,
            drawing_data.from_json(drawing_data.to_json(found.drawings)),
            bool(loose or (saved.left_out and elsewhere)),
        )
        wrong += [DRAWINGS] if unlike else []
        unknown = [f"{DRAWINGS} ({name or 'figure'})" for name in pixels]
    if wrong:
        yield fails("rerun", f"Run again, the analysis gives the same arrays, and other {', '.join(wrong)}.")
        return
    count = len(differing) - len(loose)
    gives = "metrics" if saved.left_out else f"{count} arrays to the bit"
    says = f"With these parameters and seed it gives the same {gives}, and all that is said of them."
    yield holds("rerun", says)
    if loose or unknown:
        far = sum(int(_far(saved.arrays[name], found.arrays[name]).sum()) for name in loose)
        more = f", and {far:,} values by more" if far else ""
        says = f"Another processor may give other last digits{more}, and so may who changes them"
        names = [*(f"arrays.{name}" for name in loose), *unknown]
        yield not_checked("rerun", f"{says}; these were held no closer: {', '.join(names)}.")


def _lasting(record: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics that no clock measured."""
    return {name: value for name, value in record["metrics"].items() if name not in BY_THE_CLOCK}


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
    far = _far(said, found)
    if not far.any():
        return "near"
    return "here and there" if far.mean() <= MOST_OTHER else "other"


def _far(said: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Which values of two arrays of floats differ by more than the last digits do elsewhere."""
    return ~np.isclose(said, found, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)


def _same(said: Any, found: Any) -> bool:
    """Whether two parts of a record say the same, but for the last digits of numbers."""
    if isinstance(said, Mapping) and isinstance(found, Mapping):
        return said.keys() == found.keys() and all(_same(said[key], found[key]) for key in said)
    if isinstance(said, list | tuple) and isinstance(found, list | tuple):
        return len(said) == len(found) and all(map(_same, said, found))
    if isinstance(said, float) and isinstance(found, float):
        return bool(np.isclose(said, found, rtol=RELATIVE, atol=ABSOLUTE))
    return bool(said == found)


def _drawn(saved: Saved) -> dict[str, drawing_data.Drawing]:
    text = read_text(saved.directory / DRAWINGS) if DRAWINGS in saved.record["files"] else "{}"
    return drawing_data.from_json(text)


def _unlike(
    said: Mapping[str, drawing_data.Drawing], found: Mapping[str, drawing_data.Drawing], loosely: bool
) -> tuple[bool, list[str]]:
    """Say whether drawings differ, and name those that nobody can tell of: pixels that a plugin drew itself."""
    if not loosely:
        return drawing_data.to_json(said) != drawing_data.to_json(found), []
    if said.keys() != found.keys():
        return True, []
    pixels = [name for name in said if isinstance(said[name], Image) and isinstance(found[name], Image)]
    return not all(alike(said[name], found[name]) for name in said if name not in pixels), pixels
