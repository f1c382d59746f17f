"""An analysis of images one by one: run with some of them at a time, on whatever devices there are, and joined."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import drawings as drawing_data
from cnnlab.analysis.completion import Lose, drawings_of
from cnnlab.analysis.context import Context
from cnnlab.classifier.finite import among
from cnnlab.devices.sharing import all_of
from cnnlab.memory import LEAST
from cnnlab.pluginhost.axes import place_of
from cnnlab.pluginhost.declarations import Analysis
from cnnlab.progress import Progress, Silent
from cnnlab.results.claims import Claims
from cnnlab.results.keeping import Keep
from cnnlab.results.result import Result

if TYPE_CHECKING:
    from cnnlab.inputs import Inputs

BATCHES = 8
"""Batches of images that an analysis is given at a time."""

_READINGS = "\0readings/"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a plugin answered.

    Attributes:
        result: As it gave it.
        readings: What its adversarial images were found to be read as, where there are any, before they are put away.
        origins: What the originals of these may be.
        dropped: The names of arrays that nobody wants to keep.
    """

    result: Result
    readings: Mapping[str, np.ndarray] = field(default_factory=dict)
    origins: frozenset[str] = frozenset()
    dropped: tuple[str, ...] = ()


def in_blocks(
    analysis: Analysis,
    ask: Callable[[Inputs, Context], Asked],
    inputs: Inputs,
    context: Context,
    keep: Keep,
    lose: Lose,
) -> Asked:
    """Ask an analysis that declares its images independent about some of them at a time, and join what it says.

    Args:
        analysis: Which.
        ask: Asks about some images.
        inputs: All of them, one at least.
        context: Where warnings and progress of all go.
        keep: With ``metrics``, arrays that have the axes H and W are dropped block by block.
        lose: Told of what is shown and cannot be kept.
    """
    said: dict[int, tuple[Context, str]] = {}

    def of_block(first: int, last: int) -> dict[str, np.ndarray]:
        part = context.part(first, progress.of((last - first) / len(inputs)))
        with among(first, inputs.sources):
            asked = ask(inputs.select(np.arange(first, last)), part)
        gone = _pictures(analysis, asked.result) if keep == "metrics" else []
        head = None if first else _head(asked.result, len(inputs), lose, whole=not gone)
        said[first] = part, json.dumps([head, sorted(asked.origins), gone])
        arrays = {name: array for name, array in asked.result.arrays.items() if name not in gone}
        return arrays | {f"{_READINGS}{name}": values for name, values in asked.readings.items()}

    def place(name: str, count: int) -> int | None:
        # Readings are [N] or [E, N].
        return count - 1 if name.startswith(_READINGS) else place_of("N", analysis.arrays, name, count)

    with contextlib.ExitStack() as stack:
        progress = _Joined(context, stack)
        found = context.in_blocks(len(inputs), of_block, max(LEAST, BATCHES * context.batch_size), place)
    for part, _ in (said[first] for first in sorted(said)):
        context.take(part.said())
    told = [json.loads(words) for words in all_of([said[first][1] for first in sorted(said)])]
    head = next(head for head, _, _ in told if head)
    return Asked(
        result=Result(
            arrays={name: array for name, array in found.items() if not name.startswith(_READINGS)},
            claims=None if head["claims"] is None else Claims.from_json(head["claims"]),
            drawings=drawing_data.from_json(head["drawings"]),
        ),
        readings={name.removeprefix(_READINGS): array for name, array in found.items() if name.startswith(_READINGS)},
        origins=frozenset.intersection(*(frozenset(origins) for _, origins, _ in told)),
        dropped=tuple(told[0][2]),
    )


def _pictures(analysis: Analysis, result: Result) -> list[str]:
    """The arrays that have the axes H and W."""
    return [
        name
        for name, array in result.arrays.items()
        if all(place_of(axis, analysis.arrays, name, array.ndim) is not None for axis in "HW")
    ]


def _head(result: Result, count: int, lose: Lose, *, whole: bool) -> dict[str, Any]:
    """What is taken from the first images, as JSON: the claims, and what is shown; with its values unless ``whole``."""
    drawings = drawings_of(result, count, result.arrays, lose)
    if not whole:
        drawings = {name: drawing_data.resolved(each, result.arrays) for name, each in drawings.items()}
    return {
        "claims": None if result.claims is None else result.claims.to_json(),
        "drawings": drawing_data.to_json(drawings),
    }


class _Joined:
    """Progress of tasks that are done for some images at a time: each task of a name is shown once, for all."""

    def __init__(self, context: Context, stack: contextlib.ExitStack) -> None:
        self._context, self._stack = context, stack
        self._shown: dict[str, Callable[[int], None]] = {}
        self._lock = threading.Lock()

    def of(self, share: float) -> Progress:
        """Return where one block shows its progress, which has this share of the images."""
        return _OfBlock(self, share)

    def begun(self, description: str, total: int | None) -> Callable[[int], None]:
        """Return what to call with the steps done of a task; the first who asks says of how many, in all."""
        with self._lock:
            if description not in self._shown:
                self._shown[description] = self._stack.enter_context(self._context.progress(description, total))
        return self._shown[description]


class _OfBlock(Silent):
    def __init__(self, joined: _Joined, share: float) -> None:
        self._joined, self._share = joined, share

    @contextlib.contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show the task once for all blocks."""
        yield self._joined.begun(description, None if total is None else round(total / self._share))
