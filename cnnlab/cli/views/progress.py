"""Live progress on stderr: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console

EVERY_SECONDS = 10.0
"""How often a line is written where there is no terminal to draw a bar on."""


def console() -> Console:
    """Return a console on stderr, where progress and notes go."""
    return Console(stderr=True)


@contextlib.contextmanager
def status(message: str) -> Iterator[None]:
    """Show a spinner while something takes a few seconds; nothing where stderr is no terminal."""
    stderr = console()
    if not stderr.is_terminal:
        yield
        return
    with stderr.status(f"{message} ..."):
        yield


class RichProgress:
    """Progress drawn by Rich on stderr."""

    def __init__(self) -> None:
        self._console = console()

    def stage(self, message: str) -> contextlib.AbstractContextManager[None]:
        """Show a spinner while something takes a few seconds."""
        return status(message)

    @contextlib.contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a task while the context lasts."""
        with self._bar(description, total) if self._console.is_terminal else self._lines(description, total) as advance:
            yield advance

    @contextlib.contextmanager
    def _bar(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(description, total=total)
            yield lambda steps: progress.advance(task, steps)

    @contextlib.contextmanager
    def _lines(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        done, started, last = 0, time.monotonic(), time.monotonic()

        def advance(steps: int) -> None:
            nonlocal done, last
            done += steps
            now = time.monotonic()
            if now - last < EVERY_SECONDS:
                return
            last = now
            of, left = "", ""
            if total:
                of, left = f" of {total}", f", about {(now - started) / done * (total - done):.0f} s left"
            self._console.print(f"{description}: {done}{of}{left}", highlight=False)

        yield advance
