"""Telling a run that is being trained from one that was interrupted."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from cnnlab.errors import CnnlabError
from cnnlab.files.writing import lock


class RunLock:
    """A lock on a run folder that its process loses when it ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "checkpoint" / "lock"

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock inside the ``with`` block.

        Raises:
            CnnlabError: Another process is training this run, or the lock is a link.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.is_symlink():
            raise CnnlabError(f"{self._path} is a symbolic link, where a run has a file of its own. Take it away.")
        handle = self._open(os.O_CREAT)
        try:
            if not _lock_soon(handle):
                raise CnnlabError(
                    f"{self._path.parent.parent} is being trained by another process; wait for it, or stop it and go "
                    "on with `resume=True`."
                )
            yield
        finally:
            os.close(handle)

    def _open(self, flags: int = 0) -> int:
        """Open the lock's own file: no link is followed out of the run."""
        return os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | flags, 0o666)

    def is_held(self) -> bool:
        """Whether some process holds it now."""
        try:
            handle = self._open()
        except OSError:
            return False
        try:
            return not lock(handle)
        finally:
            os.close(handle)


def _lock_soon(handle: int) -> bool:
    """Try for a moment: somebody who lists the runs holds each lock for as long as it takes to look."""
    for _ in range(5):
        if lock(handle):
            return True
        time.sleep(0.05)
    return False
