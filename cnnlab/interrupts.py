"""Ending from outside: Ctrl-C, SIGTERM and SIGHUP are heard at any moment, also while C code keeps Python from it.

Python calls a signal's handler between two of its own instructions: while TensorFlow computes or loads, that may take
minutes. A thread hears of the signal at once, and ends the process where nothing has come of it within
:data:`PATIENCE`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

PATIENCE = 1.5
"""Seconds that a command has to end by itself after the first signal."""

PATIENCE_WHILE_KEEPING = 30.0
"""Seconds that it has where it is just saving what was done."""

AGAIN = 0.3
"""Seconds after which a further signal is a second one. Ctrl-C may come twice at once: from the terminal, and passed on
by a parent."""


class CancelledError(BaseException):
    """Whoever asked for the work wants it no more: no failure, nor anything that a plugin may take for its own."""


STOPS = (KeyboardInterrupt, CancelledError)
"""What is raised in whatever is at work, though that did nothing wrong: no guard holds it back."""

_first: signal.Signals | None = None
_keeping = 0
_words: Callable[[], str] = str


def status() -> int:
    """Return the exit status of what was interrupted: 130 by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP."""
    return 128 + (_first or signal.SIGINT)


def hear(signum: int) -> None:
    """Note a signal; the first one decides the exit status."""
    global _first
    _first = _first or signal.Signals(signum)


def heeded(signum: int) -> bool:
    """Whether a signal is neither ignored, as SIGHUP is under nohup, nor handled by what is not Python."""
    return signal.getsignal(signum) not in (signal.SIG_IGN, None)


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    """Save what was done inside the ``with`` block: it is finished before the process ends, unless asked for twice."""
    global _keeping
    _keeping += 1
    try:
        yield
    finally:
        _keeping -= 1


@contextlib.contextmanager
def saying(words: Callable[[], str]) -> Iterator[None]:
    """Say how to go on where the ``with`` block is interrupted, however it is."""
    global _words
    before, _words = _words, words
    try:
        yield
    except KeyboardInterrupt as stop:
        if stop.args:
            raise
        raise KeyboardInterrupt(words()) from None
    finally:
        _words = before


def listen(leave: Callable[[str], None]) -> None:
    """Raise KeyboardInterrupt at the first of these signals, and call ``leave`` where that does not end the process.

    Args:
        leave: Ends the process at once; it is called in a thread, with words for the user.
    """
    if threading.current_thread() is not threading.main_thread() or os.name != "posix":
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    for signum in filter(heeded, SIGNALS):
        signal.signal(signum, _interrupt)
    threading.Thread(target=_wait, args=(heard, leave), name="interrupts", daemon=True).start()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Raise at the first signal; what cleans up after it is not to be disturbed by another, which ends all at once."""
    if _first is None:
        hear(signum)
        raise KeyboardInterrupt


def _wait(heard: int, leave: Callable[[str], None]) -> None:
    """Wait for a signal; then for a second one, or until patience is at its end."""
    while True:
        signum = os.read(heard, 1)[0]
        if signum in SIGNALS:
            break
    began = time.monotonic()
    while (waited := time.monotonic() - began) < (PATIENCE_WHILE_KEEPING if _keeping else PATIENCE):
        if select.select([heard], [], [], 0.05)[0] and os.read(heard, 1)[0] in SIGNALS and waited > AGAIN:
            break
    hear(signum)
    leave(_words() or "Interrupted.")
