"""Where progress is shown: handed in by whoever has a screen, a page or a notebook."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol


class Progress(Protocol):
    """Where progress is shown. The command line draws a live bar with the time left."""

    def stage(self, message: str) -> contextlib.AbstractContextManager[None]:
        """Say what takes a few seconds and cannot be counted, while the context lasts."""

    def task(self, description: str, total: int | None) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """Show a task while the context lasts; the value is called with the number of steps just done."""


class Silent:
    """The progress of a library call: none is shown."""

    @contextlib.contextmanager
    def stage(self, message: str) -> Iterator[None]:
        """Show nothing."""
        yield

    @contextlib.contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show nothing."""
        yield lambda steps: None
