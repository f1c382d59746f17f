"""What is kept in memory: as many things as there is room for, the least used leaving."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Kept(Generic[Thing]):
    """Things by name within a number of bytes. What was used least lately leaves first; the last never does.

    Args:
        room: Bytes that they may take.
        size: Says how many bytes one takes. It is asked when a thing is put in, and again by :meth:`weigh`.
        most: How many there may be; None for any number.

    Example:
        >>> kept = Kept(10, len)
        >>> for name, text in (("a", "12345"), ("b", "1234"), ("c", "123")):
        ...     kept.put(name, text)
        ...     _ = kept.find("a")
        >>> list(kept.items()), kept.bytes
        ([('a', '12345'), ('c', '123')], 8)
    """

    def __init__(self, room: int, size: Callable[[Thing], int], most: int | None = None) -> None:
        self._room, self._size, self._most = room, size, most
        self._things: dict[str, Thing] = {}
        self._sizes: OrderedDict[str, int] = OrderedDict()  # the least used first
        self._lock = threading.RLock()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._things)

    def put(self, name: str, thing: Thing) -> None:
        """Keep a thing, in the place of one that had its name."""
        with self._lock:
            self.drop(name)
            self._things[name], self._sizes[name] = thing, self._size(thing)
            self.bytes += self._sizes[name]
            self._make_room()

    def find(self, name: str) -> Thing | None:
        """Return a thing, which is used now; None where it is not there, or no longer."""
        with self._lock:
            if name in self._things:
                self._sizes.move_to_end(name)
            return self._things.get(name)

    def drop(self, name: str) -> None:
        """Let a thing go, if it is there."""
        with self._lock:
            if self._things.pop(name, None) is not None:
                self.bytes -= self._sizes.pop(name)

    def items(self) -> Iterator[tuple[str, Thing]]:
        """Give all of them, in the order in which they came."""
        with self._lock:
            return iter(list(self._things.items()))

    def weigh(self) -> None:
        """Ask again how much room each takes: of things that grow while they are used."""
        with self._lock:
            for name, thing in self._things.items():
                self._sizes[name] = self._size(thing)
            self.bytes = sum(self._sizes.values())
            self._make_room()

    def _make_room(self) -> None:
        while len(self._things) > 1 and (
            self.bytes > self._room or (self._most is not None and len(self._things) > self._most)
        ):
            self.drop(next(iter(self._sizes)))
