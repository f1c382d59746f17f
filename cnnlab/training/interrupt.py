"""Ctrl-C: finish the steps under way, save, and say how to go on."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Training was stopped with Ctrl-C; what was done is saved, and the message says how to go on."""


class StopRequest:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.asked = False


@contextlib.contextmanager
def stop_on_interrupt() -> Iterator[StopRequest]:
    """Let the first Ctrl-C only be noted inside the ``with`` block, for the loop to look at; the second is as usual.

    Outside the main thread, where Python delivers no signals, and where SIGINT is ignored, nothing changes.
    """
    request = StopRequest()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield request
        return

    def note(signum: int, frame: FrameType | None) -> None:
        request.asked = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, before)
