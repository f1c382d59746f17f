"""What is the same but for what another processor gives otherwise: the last digits, and what hangs on them."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.adversarial.judge import slack_here
from cnnlab.drawings import At

if TYPE_CHECKING:
    from cnnlab.inspection.evaluation import Evaluation

RELATIVE, ABSOLUTE = 1e-3, 1e-4
"""How far numbers may differ where the last digits of all computing do: on another processor."""

_ROUNDED = re.compile(r"(-?\d[\d,]*(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+|(?:\.\d+)?%))")
"""A number in a text that was rounded; whole numbers are counts, and are not."""


def alike(said: Any, found: Any) -> bool:
    """Say whether two drawings, or parts of them, are the same but for the last digits of numbers.

    Args:
        said: A drawing, as :func:`cnnlab.drawings.from_json` gives it, or anything in one.
        found: What it is held against.
    """
    if type(said) is not type(found):
        return False
    if isinstance(said, np.ndarray):
        return _same_array(said, found)
    if isinstance(said, tuple | list):
        return len(said) == len(found) and all(map(alike, said, found))
    if isinstance(said, str):
        return _same_text(said, found)
    if isinstance(said, float):
        return bool(np.isclose(said, found, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))
    if dataclasses.is_dataclass(said) and not isinstance(said, At):
        names = (field.name for field in dataclasses.fields(said))
        return all(alike(getattr(said, name), getattr(found, name)) for name in names)
    return bool(said == found)


def _same_array(said: np.ndarray, found: np.ndarray) -> bool:
    if said.shape != found.shape or said.dtype != found.dtype:
        return False
    if said.dtype.kind != "f":
        return bool((said == found).all())
    return bool(np.isclose(said, found, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True).all())


def _same_text(said: str, found: str) -> bool:
    """Words to the letter, rounded numbers to a unit of their last digit."""
    pieces = zip_longest(_ROUNDED.split(said), _ROUNDED.split(found), fillvalue="")
    return all(
        first == second or (place % 2 == 1 and _same_rounded((first, second)))
        for place, (first, second) in enumerate(pieces)
    )


def _same_rounded(written: Iterable[str]) -> bool:
    first, second = (_read(text) for text in written)
    unit = max(first[1], second[1])
    return math.isclose(first[0], second[0], rel_tol=0, abs_tol=1.001 * unit)


def _read(text: str) -> tuple[float, float]:
    """Read a rounded number, and the unit of its last digit."""
    bare = text.replace(",", "").rstrip("%")
    mantissa, _, exponent = bare.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return float(bare), 10.0 ** (int(exponent or 0) - decimals)


def unsure(counts: Evaluation) -> int:
    """Of how many images the two largest logits are too near to tell which is larger on another day."""
    assert counts.margin is not None
    return int((counts.margin <= 2 * slack_here()).sum())


def same_counts(said: np.ndarray, counts: Evaluation) -> bool:
    """Whether a confusion matrix is that of an evaluation, but for images that may be read otherwise elsewhere."""
    due = counts.confusion
    return said.shape == due.shape and bool(np.abs(said - due).sum() <= 2 * unsure(counts))
