"""The command ``cnnlab``, and ``python -m cnnlab``: what Ctrl-C does while libraries load."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, NoReturn

INTERRUPTED = 130
SHOW_CURSOR = b"\x1b[?25h"


def main() -> NoReturn:
    """Run the command line; Ctrl-C ends it with status 130 and one word, whatever is being imported."""
    leave = _Leaving()
    try:
        sys.excepthook, sys.unraisablehook = leave.unless_failed, leave.unless_unraisable
        from cnnlab.cli import main as run

        run()
    except KeyboardInterrupt:
        leave(b"\nInterrupted.\n")
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            leave()
        raise


class _Leaving:
    """The end at once: where C code saw a KeyboardInterrupt pass, Python would end by the signal, not with a status.

    C code that imports (NumPy's users do) may also print the KeyboardInterrupt and go on with an error of its own; the
    hooks are what it prints with.
    """

    def __init__(self) -> None:
        self._stderr = os.dup(2) if sys.stderr else None  # 2 itself is set aside while TensorFlow loads

    def __call__(self, words: bytes = b"") -> NoReturn:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        if self._stderr is not None:
            with contextlib.suppress(OSError):
                os.write(self._stderr, (SHOW_CURSOR if os.isatty(self._stderr) else b"") + words)
        os._exit(INTERRUPTED)

    def unless_failed(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self(b"\nInterrupted.\n")
        sys.__excepthook__(kind, error, trace)

    def unless_unraisable(self, failed: Any) -> None:
        if issubclass(failed.exc_type, KeyboardInterrupt):
            self(b"\nInterrupted.\n")
        sys.__unraisablehook__(failed)


if __name__ == "__main__":
    main()
