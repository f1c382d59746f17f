"""What the host lends an analysis while it runs: a seeded generator, a progress reporter, a place for warnings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")


class Progress(Protocol):
    """Where an analysis' progress is shown. The command line draws a live bar with the time left."""

    def task(self, description: str, total: int | None) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """Show a task while the context lasts; the value is called with the number of steps just done."""


class Silent:
    """The progress of a library call: none is shown."""

    @contextlib.contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show nothing."""
        yield lambda steps: None


class Context:
    """What the host lends an analysis while it runs.

    Attributes:
        seed: The user's ``--seed``, for random streams of one's own.
        rng: A NumPy generator seeded with it.
        warnings: What :meth:`warn` collected; shown to the user and saved in ``result.json``.
    """

    def __init__(self, seed: int = 0, progress: Progress | None = None) -> None:
        import numpy as np

        self.seed = seed
        self.rng: np.random.Generator = np.random.default_rng(seed)
        self.warnings: list[str] = []
        self._progress = progress or Silent()

    def progress(
        self, description: str, total: int | None = None
    ) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """Show a task while the ``with`` block lasts.

        Args:
            description: What is being done, in a few words ("positions").
            total: How many steps there are, or ``None`` where nobody knows.

        Returns:
            A context manager whose value is called with the number of steps just done.
        """
        return self._progress.task(description, total)

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Go through ``items`` and show how far one is. ``total`` is found by ``len`` where it can be."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        with self.progress(description, total) as advance:
            for item in items:
                yield item
                advance(1)

    def warn(self, text: str) -> None:
        """Tell the user, once, something that they should know when they read the result. One sentence."""
        if text not in self.warnings:
            self.warnings.append(text)
