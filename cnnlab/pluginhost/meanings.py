"""Looking up what an analysis declared of an array or a metric, whose names may hold placeholders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def declared_as(declared: Mapping[str, T], name: str) -> T | None:
    """Find what was declared of ``name`` among names that may hold placeholders; None where nothing was.

    >>> declared_as({"kernel/<layer>": "a kernel"}, "kernel/conv1")
    'a kernel'
    >>> declared_as({"kernel/<layer>": "a kernel"}, "bias/conv1") is None
    True
    """
    if name in declared:
        return declared[name]
    for pattern, what in declared.items():
        parts = re.split(r"<[^>]*>", pattern)
        if len(parts) > 1 and re.fullmatch(".+".join(map(re.escape, parts)), name):
            return what
    return None
