"""The tables of a result: texts that are made when they are asked for, or written piece by piece."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping


class Tables(Mapping[str, str]):
    r"""CSV files by name, as texts; of many images none lies in memory.

    Args:
        made: By name, what gives the pieces of the text anew whenever it is called.

    Example:
        >>> tables = Tables({"squares": lambda: (f"{number},{number**2}\n" for number in range(3))})
        >>> tables["squares"]
        '0,0\n1,1\n2,4\n'
    """

    def __init__(self, made: Mapping[str, Callable[[], Iterable[str]]]) -> None:
        self._made = dict(made)

    @classmethod
    def of(cls, tables: Mapping[str, str]) -> Tables:
        """Take texts that are there already."""
        if isinstance(tables, cls):
            return tables
        return cls({name: functools.partial(_whole, text) for name, text in tables.items()})

    def pieces(self, name: str) -> Iterable[str]:
        """Return one of them piece by piece."""
        return self._made[name]()

    def __getitem__(self, name: str) -> str:
        return "".join(self.pieces(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def _whole(text: str) -> list[str]:
    return [text]
