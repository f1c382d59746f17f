"""Standard output is the host's: what a plugin says there goes to standard error, under its name.

Not Python's ``print`` alone: also what is written to file descriptor 1, by a library or by a child process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TextIO

PATIENCE = 1.0
"""Seconds that are waited for the last words of what a plugin started and left running."""

ROOM = 1 << 20
"""Bytes that are written before anybody need read them."""

_lock = threading.Lock()
_open: list[_Aside] = []
"""What is set aside now: one at most, however many threads and plugins are at work inside."""

_lent: weakref.WeakSet[TextIO] = weakref.WeakSet()
"""What plugins found as ``sys.stdout``, and may have remembered."""


@contextlib.contextmanager
def speaking(name: str) -> Iterator[None]:
    """Lead what is written to standard output inside the ``with`` block to standard error, line by line.

    Inside another such block nothing changes. What a plugin remembered as ``sys.stdout`` leads to standard error after
    the block, too.

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
        _flush_all(self._python)
        self._before: int | None = None
        with contextlib.suppress(OSError):  # there may be none: of a service, whose print goes nowhere
            self._before = os.dup(1)
        reading, writing = os.pipe()
        with contextlib.suppress(AttributeError, ImportError, OSError):  # who holds Python's lock while writing more
            import fcntl  # than a pipe holds would wait for ever: let it hold much, where the system lets it

            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, ROOM)
        if self._before is not None:
            os.dup2(writing, 1)
        _lead(writing)
        sys.stdout = open(_mouth(), "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        _lent.add(sys.stdout)
        self._reader = threading.Thread(target=self._pass_on, args=(reading,), name="cnnlab-prints", daemon=True)
        self._reader.start()

    def _pass_on(self, reading: int) -> None:
        with open(reading, encoding="utf-8", errors="backslashreplace") as lines:
            for line in lines:
                if sys.stderr is not None:
                    sys.stderr.write(f"{self._name}: {line.rstrip()}\n")

    def close(self) -> None:
        """Give standard output back as it was found; what a child process says later still goes where it went."""
        _flush_all(self._python, sys.stdout, *_lent)  # a plugin may have put another in its place
        sys.stdout = self._python
        if self._before is not None:
            os.dup2(self._before, 1)
            os.close(self._before)
        _lead(_standard_error())
        self._reader.join(PATIENCE)


@functools.cache
def _mouth() -> int:
    """What plugins know as ``sys.stdout`` writes to this descriptor; it stays open, for they may remember that."""
    return _standard_error()


def _lead(descriptor: int) -> None:
    """Let what is written there come out of a descriptor, which is closed."""
    os.dup2(descriptor, _mouth(), inheritable=False)
    os.close(descriptor)


def _standard_error() -> int:
    """A new descriptor of standard error; of nothing where there is none."""
    try:
        return os.dup(2)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _flush_all(*streams: Any) -> None:
    """Let out what was written and waits in a buffer: in Python's streams, and in C's."""
    for stream in (*streams, sys.__stdout__):
        with contextlib.suppress(Exception):  # it may be none, or one of a plugin's own
            stream.flush()
    with contextlib.suppress(ImportError, OSError, AttributeError, ValueError):
        _c_flush()()


@functools.cache
def _c_flush() -> Callable[[], Any]:
    """What flushes C's standard output; it alone, for who waits for input holds the lock of another stream."""
    import ctypes

    library = ctypes.CDLL(None)
    stdout = ctypes.c_void_p.in_dll(library, "__stdoutp" if sys.platform == "darwin" else "stdout")
    return functools.partial(library.fflush, stdout)
