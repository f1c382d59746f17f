"""Ctrl-C, SIGTERM and SIGHUP: finish the steps under way, save, and say how to go on."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from cnnlab import interrupts


class Interrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C, SIGTERM or SIGHUP; what was done is saved, and the message says how to go on."""


class StopRequest:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.asked = False


@contextlib.contextmanager
def stop_on_interrupt() -> Iterator[StopRequest]:
    """Let the first of these signals only be noted inside the ``with`` block, for the loop to look at.

    The second is as usual. Outside the main thread, where Python delivers no signals, and for a signal that is ignored,
    nothing changes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {signum: signal.getsignal(signum) for signum in interrupts.SIGNALS if interrupts.heeded(signum)}
    began = 0.0

    def note(signum: int, frame: FrameType | None) -> None:
        nonlocal began
        if not request.asked:
            interrupts.hear(signum)
            request.asked, began = True, time.monotonic()
        elif time.monotonic() - began > interrupts.AGAIN:
            signal.signal(signum, before[signum])
            os.kill(os.getpid(), signum)

    for signum in before:
        signal.signal(signum, note)
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
