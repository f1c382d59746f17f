"""The command ``cnnlab``, and ``python -m cnnlab``: how it ends where somebody ends it, whatever is being done."""

from __future__ import annotations

# Nothing else is imported here: until main() runs, an interruption is a traceback of Python's own.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

SHOW_CURSOR = b"\x1b[?25h"


def main() -> NoReturn:
    """Run the command line; Ctrl-C, SIGTERM and SIGHUP end it with a status of their own and one word."""
    leave = _Leaving()
    try:
        sys.excepthook, sys.unraisablehook = leave.unless_failed, leave.unless_unraisable
        from cnnlab import interrupts

        leave.status = interrupts.status
        interrupts.listen(leave.at_once)
        from cnnlab.cli import main as run

        run()
    except KeyboardInterrupt as stop:
        leave(str(stop) or "Interrupted.")
    except SystemExit as stop:
        if isinstance(stop.code, int) and stop.code > 128:
            leave()
        if stop.code is None or isinstance(stop.code, int):
            leave.in_order(stop.code or 0)
        raise


class _Leaving:
    """The end at once: where C code saw a KeyboardInterrupt pass, Python would end by the signal, not with a status.

    C code that imports (NumPy's users do) may also print the KeyboardInterrupt and go on with an error of its own; the
    hooks are what it prints with.
    """

    def __init__(self) -> None:
        self.status: Callable[[], int] = lambda: 130  # only Ctrl-C raises by itself
        self._stderr = os.dup(2) if sys.stderr else None  # 2 itself is set aside while TensorFlow loads

    def __call__(self, words: str = "") -> NoReturn:
        import contextlib

        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        self.at_once(words)

    def in_order(self, status: int) -> None:
        """End after all that Python ends with but its last: to take TensorFlow's modules apart takes a second.

        Return where that is Python's to do: a thread still works, or what was said cannot be written.
        """
        import atexit
        import contextlib
        import threading

        with contextlib.suppress(OSError, ValueError):
            self._say_no_more()
            if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.current_thread()):
                return
            atexit._run_exitfuncs()
            if sys.stderr:
                sys.stderr.flush()
            os._exit(status)

    def _say_no_more(self) -> None:
        """Lead standard output to standard error: the command has said all, and what plugins left behind speaks on."""
        if sys.stdout:
            sys.stdout.flush()
        sys.stdout = sys.stderr
        if self._stderr is not None:
            os.dup2(self._stderr, 1)

    def at_once(self, words: str = "") -> NoReturn:
        """End, whatever other threads are doing; what they were about to print is lost."""
        import contextlib

        if self._stderr is not None:
            said = f"\n{words}\n" if words else ""
            with contextlib.suppress(OSError):
                os.write(self._stderr, (SHOW_CURSOR if os.isatty(self._stderr) else b"") + said.encode())
        os._exit(self.status())

    def unless_failed(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self("Interrupted.")
        sys.__excepthook__(kind, error, trace)

    def unless_unraisable(self, failed: Any) -> None:
        if issubclass(failed.exc_type, KeyboardInterrupt):
            self("Interrupted.")
        sys.__unraisablehook__(failed)


if __name__ == "__main__":
    main()
