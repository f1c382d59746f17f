"""Where images came from: a text each, written when it is asked for, so that of a million none lies in memory."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import numpy as np

SHOWN = 6
"""How many of them are written out where a person looks at them."""


class Sources(Sequence[str]):
    """N texts that say where images came from: a path each, or ``mnist/test:0``.

    Args:
        text: From a place to what stands there.
        places: Integers [N].

    Example:
        >>> sources = Sources.numbered("mnist/test", range(60_000))
        >>> len(sources), sources[-1], list(sources[[7, 5]])
        (60000, 'mnist/test:59999', ['mnist/test:7', 'mnist/test:5'])
        >>> sources[:2]
        ['mnist/test:0', 'mnist/test:1']
        >>> sources[:2] == ["mnist/test:0", "mnist/test:1"]
        True
    """

    def __init__(self, text: Callable[[int], str], places: range | np.ndarray) -> None:
        self._text, self._places = text, places

    @classmethod
    def numbered(cls, name: str, places: range | np.ndarray) -> Sources:
        """Return ``name:place`` for each of the places."""
        return cls(lambda place: f"{name}:{place}", places)

    @classmethod
    def of(cls, texts: Sequence[str]) -> Sources:
        """Return texts that are there already."""
        return texts if isinstance(texts, cls) else cls(texts.__getitem__, range(len(texts)))

    @classmethod
    def packed(cls, texts: Iterable[str]) -> Sources:
        """Return texts that lie one after the other in memory: no object is kept for each."""
        held = Packed()
        for text in texts:
            held.append(text)
        return held.sources()

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> str: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> Sources: ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Sources(self._text, self._places[index])
        if np.ndim(index):
            return Sources(self._text, np.asarray(self._places)[np.asarray(index)])
        return self._text(int(self._places[index]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    def __repr__(self) -> str:
        more = f", and {len(self) - SHOWN:,} more" if len(self) > SHOWN else ""
        return f"[{', '.join(map(repr, self[:SHOWN]))}{more}]"


class Packed:
    """Texts one after the other in memory, without an object for each."""

    def __init__(self) -> None:
        self._letters, self._ends = bytearray(), array("q", [0])

    def append(self, text: str) -> None:
        """Put one more behind the others."""
        self._letters += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._letters))

    def sources(self) -> Sources:
        """Return them, as they are; none may be added any more."""
        letters, ends = self._letters, self._ends
        return Sources(
            lambda place: letters[ends[place] : ends[place + 1]].decode("utf-8", "surrogatepass"), range(len(ends) - 1)
        )
