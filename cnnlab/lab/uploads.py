"""Files that a browser handed over for parameters that take one: kept in a folder of the lab's, and gone with it."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from cnnlab.lab.errors import RefusedError, unknown

MOST_BYTES = 32 << 20
"""Bytes of one file."""

MOST = 64
"""Files that are kept."""

ROOM = 256 << 20
"""Bytes that they may take together; of more, those that were used least lately leave."""


class Files:
    """Files by id.

    Args:
        room: Bytes that they may take.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room, self._lock = room, threading.Lock()
        self._kept: OrderedDict[str, tuple[Path, int]] = OrderedDict()
        self._folder: Any = None  # made with the first file

    def add(self, name: str, content: bytes) -> dict[str, Any]:
        """Keep a file, and return its id, its name as it is kept, and its bytes.

        Args:
            name: What it was called: a plugin may tell by its ending what it is.
            content: What it holds.

        Raises:
            RefusedError: It is larger than a lab takes.
        """
        called = named(name)
        if len(content) > MOST_BYTES:
            words = f"{called} has {len(content):,} bytes; the lab takes files of {MOST_BYTES:,} at most."
            raise RefusedError(413, words)
        made = f"f{secrets.token_hex(6)}"
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="cnnlab-lab-")
            folder = Path(self._folder.name) / made
            folder.mkdir()
            (folder / called).write_bytes(content)
            self._kept[made] = folder / called, len(content)
            while len(self._kept) > 1 and (len(self._kept) > MOST or self._bytes() > self._room):
                path, _ = self._kept.popitem(last=False)[1]
                shutil.rmtree(path.parent, ignore_errors=True)
        return {"id": made, "name": called, "bytes": len(content)}

    def find(self, name: str) -> Path:
        """Return where a file lies.

        Raises:
            RefusedError: There is none of that id, or no longer.
        """
        with self._lock:
            if name not in self._kept:
                raise unknown("file", name)
            self._kept.move_to_end(name)
            return self._kept[name][0]

    def _bytes(self) -> int:
        return sum(count for _, count in self._kept.values())


def named(name: str) -> str:
    """Return a name that a file may have here: no folder, and nothing that a shell or a terminal would act on.

    >>> named("../../etc/my noise.npz"), named("..")
    ('my_noise.npz', 'file')
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", last).lstrip(".-")[-80:].lstrip(".-") or "file"
