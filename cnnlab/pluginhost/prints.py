"""Standard output is the host's: what a plugin says there goes to standard error, under its name.

Not Python's ``print`` alone: also what is written to file descriptor 1, by a library or by a child process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

PATIENCE = 1.0
"""Seconds that are waited for the last words of what a plugin started and left running."""

ROOM = 1 << 20
"""Bytes that are written before anybody need read them."""

_lock = threading.Lock()
_open: list[_Aside] = []
"""What is set aside now: one at most, however many threads and plugins are at work inside."""


@contextlib.contextmanager
def speaking(name: str) -> Iterator[None]:
    """Lead what is written to standard output inside the ``with`` block to standard error, line by line.

    Inside another such block nothing changes.

    Args:
        name: Who speaks.
    """
    with _lock:
        if not _open:
            _open.append(_Aside(name))
        aside = _open[0]
        aside.inside += 1
    try:
        yield
    finally:
        with _lock:
            aside.inside -= 1
            if not aside.inside:
                _open.clear()
                aside.close()


class _Aside:
    """Standard output, led through a pipe to standard error."""

    def __init__(self, name: str) -> None:
        self.inside = 0
        self._name, self._python = name, sys.stdout
        _flush(sys.stdout)
        self._before: int | None = None
        with contextlib.suppress(OSError):  # there may be none: of a service, whose print goes nowhere
            self._before = os.dup(1)
        reading, writing = os.pipe()
        with contextlib.suppress(AttributeError, ImportError, OSError):  # who holds Python's lock while writing more
            import fcntl  # than a pipe holds would wait for ever: let it hold much, where the system lets it

            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, ROOM)
        if self._before is not None:
            os.dup2(writing, 1)
        self._own = os.fdopen(writing, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
        sys.stdout = self._own
        self._reader = threading.Thread(target=self._pass_on, args=(reading,), name="cnnlab-prints", daemon=True)
        self._reader.start()

    def _pass_on(self, reading: int) -> None:
        with open(reading, encoding="utf-8", errors="backslashreplace") as lines:
            for line in lines:
                if sys.stderr is not None:
                    sys.stderr.write(f"{self._name}: {line.rstrip()}\n")

    def close(self) -> None:
        """Give standard output back; what a child process says later still goes where it went."""
        if sys.stdout is self._own:  # another thread may have replaced it meanwhile: that one is not ours to close
            sys.stdout = self._python
        _flush(self._python)  # whoever kept it wrote here, too
        if self._before is not None:
            os.dup2(self._before, 1)
            os.close(self._before)
        with contextlib.suppress(OSError, ValueError):
            self._own.close()
        self._reader.join(PATIENCE)


def _flush(stream: object) -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        stream.flush()  # type: ignore[attr-defined]
