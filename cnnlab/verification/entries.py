"""The entries of a record, so that none is passed over in silence: what no check knows of is listed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Path = tuple[str, ...]


def others(record: Any, known: Iterable[str]) -> list[str]:
    """List the entries of a record that no check speaks of: what a newer cnnlab writes, or what somebody invented.

    Args:
        record: What was read; the places in lists have no names.
        known: Entries that are spoken of, and all below them: ``model.path``; ``*`` stands for any name.

    Returns:
        Their names in the same way, each once.

    Example:
        >>> others({"model": {"path": "a", "size": 1}, "rows": [{"x": 1}]}, ["model.path", "rows"])
        ['model.size']
    """
    patterns = [tuple(name.split(".")) for name in known]
    paths = dict.fromkeys(_leaves(record))  # thousands of rows have the same few
    return [".".join(path) for path in paths if not any(_is_below(path, pattern) for pattern in patterns)]


def _leaves(value: Any, above: Path = ()) -> Iterator[Path]:
    """Where the values of a record stand; what is empty is a value too."""
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _leaves(part, (*above, name))
    elif isinstance(value, list) and value:
        for part in value:
            yield from _leaves(part, above)
    else:
        yield above


def _is_below(path: Path, pattern: Path) -> bool:
    return len(path) >= len(pattern) and all(wanted in ("*", name) for name, wanted in zip(path, pattern, strict=False))
