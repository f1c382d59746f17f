"""Where progress is shown: a bar on a terminal or in a notebook, lines elsewhere, or what somebody hands in."""

from __future__ import annotations

import contextlib
import functools
import html
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TextIO, runtime_checkable

if TYPE_CHECKING:
    from cnnlab.console import Console

EVERY_SECONDS = 10.0
"""How often a line is written where there is no terminal to draw a bar on."""

PAUSE = 0.1
"""Seconds between two states of a bar in a notebook."""


class Progress(Protocol):
    """Where progress is shown. The command line draws a live bar with the time left."""

    def stage(self, message: str) -> contextlib.AbstractContextManager[None]:
        """Say what takes a few seconds and cannot be counted, while the context lasts."""

    def task(self, description: str, total: int | None) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """Show a task while the context lasts; the value is called with the number of steps just done."""


@runtime_checkable
class Watched(Progress, Protocol):
    """Progress of which somebody sees more than how far it is, as the lab's page shows."""

    def preview(self, make: Callable[[], Any], last: bool) -> None:
        """Show the drawing that ``make`` returns, its values arrays; unless it is the ``last``, not too often."""

    def note(self, text: str) -> None:
        """Show a sentence that the result will hold as a warning."""


def shown(progress: Progress | bool | None) -> Progress:
    """Return where to show the progress of a library call: a bar where it is wanted, or what was handed in."""
    if progress is None or isinstance(progress, bool):
        return (NotebookProgress() if in_notebook() else RichProgress()) if wanted(progress) else Silent()
    return progress


def wanted(progress: bool | None) -> bool:
    """Whether somebody wants to see progress; where nobody said, whoever sits before a terminal or a notebook does."""
    return (in_notebook() or (sys.stderr is not None and sys.stderr.isatty())) if progress is None else progress


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython(), "kernel", None) is not None if ipython else False


class Silent:
    """No progress is shown."""

    @contextlib.contextmanager
    def stage(self, message: str) -> Iterator[None]:
        """Show nothing."""
        yield

    @contextlib.contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show nothing."""
        yield lambda steps: None


def console() -> Console:
    """Return a console on stderr, where progress and notes go."""
    from cnnlab.console import Console

    own = sys.__stderr__ is not None and sys.stderr is sys.__stderr__ and sys.__stderr__.isatty()
    return Console(file=_terminal()) if own else Console(stderr=True)


@functools.cache
def _terminal() -> TextIO:
    """A way of one's own to the terminal, for what moves: stderr itself is set aside while TensorFlow loads."""
    return open(os.dup(2), "w", encoding=sys.__stderr__.encoding if sys.__stderr__ else None)


@contextlib.contextmanager
def status(message: str) -> Iterator[None]:
    """Show a spinner while something takes a few seconds; nothing where stderr is no terminal."""
    stderr = console()
    if not stderr.is_terminal:
        yield
        return
    from rich.text import Text

    with stderr.status(Text(f"{message} ...")):
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
            TextColumn("{task.description}", markup=False),
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


class NotebookProgress:
    """Progress as a bar below the cell, which goes when all is done. Rich's own would need ipywidgets."""

    @contextlib.contextmanager
    def stage(self, message: str) -> Iterator[None]:
        """Say what is being done."""
        bar = NotebookBar()
        bar.show(f"{message} ...", 0, None)
        try:
            yield
        finally:
            bar.stop()

    @contextlib.contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a task while the context lasts."""
        bar, done = NotebookBar(), 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            bar.show(f"{description}: {done:,}{f' of {total:,}' if total else ''}", done, total)

        advance(0)
        try:
            yield advance
        finally:
            bar.stop()


class NotebookBar:
    """A bar with words below the cell of a notebook."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._next = 0.0

    def show(self, words: str, done: int, total: int | None) -> None:
        """Show how far one is; what comes too soon after the last is left out."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PAUSE
        bar = f'<progress value="{done}" max="{total}"></progress> ' if total else ""
        self._put(f"{bar}{html.escape(words)}", words)

    def stop(self) -> None:
        """Take it away."""
        self._put("", "")

    def _put(self, page: str, words: str) -> None:
        from IPython.display import DisplayHandle

        content = {"text/html": page, "text/plain": words}
        if self._handle is None:
            self._handle = DisplayHandle()
            self._handle.display(content, raw=True)
        else:
            self._handle.update(content, raw=True)
