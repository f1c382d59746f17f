"""Looking up what an analysis declared: the meaning of an array or a metric, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping


def meaning(declared: Mapping[str, str], name: str) -> str | None:
    """Find what ``name`` means among declared names, which may hold placeholders.

    >>> meaning({"kernel/<layer>": "a kernel"}, "kernel/conv1")
    'a kernel'
    >>> meaning({"kernel/<layer>": "a kernel"}, "bias/conv1") is None
    True
    """
    if name in declared:
        return declared[name]
    for pattern, text in declared.items():
        parts = re.split(r"<[^>]*>", pattern)
        if len(parts) > 1 and re.fullmatch(".+".join(map(re.escape, parts)), name):
            return text
    return None
