"""What a request holds, read with a sentence for whatever is wrong in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cnnlab.errors import UsageError


def read_json(body: bytes) -> Body:
    """Read the body of a request, which must be a JSON object.

    Raises:
        UsageError: It is none.
    """
    try:
        found = json.loads(body, parse_constant=_refused)
    except (ValueError, RecursionError):
        raise UsageError("the request must hold a JSON object; what it holds cannot be read as JSON.") from None
    if not isinstance(found, dict):
        raise UsageError(f"the request must hold a JSON object; received {_kind(found)}.")
    return Body(found)


def _refused(word: str) -> None:
    raise ValueError(word)


class Body(dict[str, Any]):
    """A JSON object, whose entries are asked for by type."""

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; the default where there is none."""
        value = self.get(name, default)
        if not isinstance(value, str):
            raise UsageError(f"{name} must be a text; received {_kind(value)}.")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number between two others."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise UsageError(f"{name} must be a whole number from {least} to {most}; received {_kind(value)}.")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise UsageError(f"{name} must be true or false; received {_kind(value)}.")
        return value

    def texts(self, name: str, most: int) -> list[str]:
        """Return a list of texts; an empty one where there is none."""
        value = self.get(name, [])
        if not isinstance(value, list) or len(value) > most or not all(isinstance(each, str) for each in value):
            raise UsageError(f"{name} must be a list of at most {most} texts; received {_kind(value)}.")
        return value

    def inner(self, name: str) -> Body:
        """Return an object; an empty one where there is none."""
        value = self.get(name, {})
        if not isinstance(value, dict):
            raise UsageError(f"{name} must be an object; received {_kind(value)}.")
        return Body(value)


def asked_number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a whole number of a query, between two others."""
    said = query.get(name, str(default))
    if not (said.isascii() and said.isdigit() and len(said) < 10 and least <= int(said) <= most):
        raise UsageError(f"{name} must be a whole number from {least} to {most}; received {said[:40]}.")
    return int(said)


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool | int | float):
        return str(value).lower()[:40]
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"
