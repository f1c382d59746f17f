"""What the host lends an analysis while it runs: a seeded generator, batches, progress, a place for warnings."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cnnlab.analysis.completion import Lose, as_preview
from cnnlab.classifier.finite import among
from cnnlab.devices.sharing import Axis, chosen, gather
from cnnlab.errors import told
from cnnlab.interrupts import STOPS
from cnnlab.perturbations import round_8bit
from cnnlab.progress import Progress, Silent, Watched
from cnnlab.results.artifacts import Artifacts

if TYPE_CHECKING:
    from cnnlab.drawings import Drawing
    from cnnlab.inputs import Inputs

T = TypeVar("T")


def _nowhere(steps: int) -> None:
    """Show nothing."""


class Context:
    """What the host lends an analysis while it runs.

    The host makes it; a test may.

    Args:
        seed: The user's ``--seed``.
        progress: Where progress is shown; nowhere by default.
        batch_size: How many images the model takes at once.

    Attributes:
        seed: The user's ``--seed``, for random streams of one's own.
        rng: A NumPy generator seeded with it.
        batch_size: How many images the model takes at once.
        artifacts: What :meth:`artifact` was asked for, by name.
        warnings: What :meth:`warn` and :meth:`warn_of` collected; shown to the user and saved in ``result.json``.

    Example:
        >>> context = Context(seed=3)
        >>> context.warn("The model is very sure of everything.")
        >>> context.warnings
        ['The model is very sure of everything.']
    """

    def __init__(self, seed: int = 0, progress: Progress | None = None, batch_size: int = 500) -> None:
        self.seed, self.batch_size = seed, batch_size
        self.rng: np.random.Generator = np.random.default_rng(seed)
        self._warned: list[str] = []
        self._found_of: dict[str, dict[int, tuple[int, int]]] = {}
        self._progress = progress or Silent()
        self._watched = self._progress if isinstance(self._progress, Watched) else None
        self._unseen: Drawing | Callable[[], Drawing] | None = None
        self._lose: Lose = lambda what: self.warn(f"The analysis {what}.")
        self._alike, self._first = 1, 0
        self.artifacts: Artifacts | None = Artifacts()

    @property
    def warnings(self) -> list[str]:
        """What the user should know, each a sentence."""
        counted = {text: [sum(each) for each in zip(*found.values(), strict=True)] for text, found in self._counts()}
        return self._warned + [f"{part:,} of {whole:,} images {text}" for text, (part, whole) in counted.items()]

    def _counts(self) -> Iterator[tuple[str, dict[int, tuple[int, int]]]]:
        return ((text, found) for text, found in self._found_of.items() if any(part for part, _ in found.values()))

    def part(self, first: int, progress: Progress) -> Context:
        """Return the context of some of the images, for an analysis that looks at each by itself.

        Args:
            first: The number of the first among all.
            progress: Where to show how far one is with them.
        """
        part = Context(self.seed, progress, self.batch_size)
        part._first, part.artifacts, part._lose = first, None, self._lose
        # Of some of the images at a time, those of the first are shown, as in the result.
        part._watched = None if first else self._watched
        return part

    def losing(self, lose: Lose) -> None:
        """Say who is told which preview is left out: the host, which knows whose it is.

        Args:
            lose: Told that, as the middle of a sentence whose subject is the analysis.
        """
        self._lose = lose

    def take(self, said: str) -> None:
        """Add what another context, of some of the images or in another process, has :meth:`said`."""
        warned, found = json.loads(said)
        for text in warned:
            self.warn(text)
        for text, first, *counts in found:
            self._found_of.setdefault(text, {})[first] = tuple(counts)

    def said(self) -> str:
        """Return all warnings as a text, for :meth:`take`."""
        found = [(text, first, *counts) for text, each in self._found_of.items() for first, counts in each.items()]
        return json.dumps([self._warned, found])

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
        return self._counting(description, total)

    @contextlib.contextmanager
    def _counting(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        with self._progress.task(description, total) as advance:
            # What the other processes do meanwhile is not seen: about as much.
            yield lambda steps: advance(steps * self._alike)
            self._show(last=True)

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Go through items, and show how far one is.

        Args:
            items: What to go through.
            description: What is being done, in a few words.
            total: How many there are; by default found by ``len`` where it can be.

        Yields:
            One item after the other.
        """
        if total is None and isinstance(items, Sized):
            total = len(items)
        with self.progress(description, total) as advance:
            for item in items:
                yield item
                advance(1)

    def gather(
        self,
        inputs: Inputs,
        function: Callable[[np.ndarray, np.ndarray], Mapping[str, np.ndarray]],
        description: str | None = "images",
        size: int | None = None,
        axis: int = 0,
    ) -> dict[str, np.ndarray]:
        """Call a function with one batch of images after the other, show how far one is, and join what it gives.

        The batches are shared out among the devices and the processes that the user asked for: so the function looks
        at nothing but the batch, and draws no random numbers from :attr:`rng`. Each process gets what all found.

        Args:
            inputs: The images, one at least; only a batch of them for each device is in memory at a time.
            function: From images [n, H, W, C] and labels [n] to arrays by name, each [n, ...].
            description: What is being done, in a few words; None where the function itself says how far it is.
            size: Images in a batch, at most; as many as the model takes at once by default.
            axis: Which axis of the arrays is that of the images, where it is not the first.

        Returns:
            The arrays, each [N, ...].
        """
        shown = contextlib.nullcontext(_nowhere) if description is None else self.progress(description, len(inputs))
        with shown as advance:

            def of_batch(start: int, stop: int) -> Mapping[str, np.ndarray]:
                with among(start, inputs.sources):
                    found = function(*inputs.span(start, stop))
                advance(stop - start)
                return found

            return self.in_blocks(len(inputs), of_batch, size, axis)

    def in_blocks(
        self,
        count: int,
        compute: Callable[[int, int], Mapping[str, np.ndarray]],
        size: int | None = None,
        axis: Axis = 0,
        *,
        divisible: bool = True,
    ) -> dict[str, np.ndarray]:
        """Compute arrays of images block by block, as :meth:`gather` does, where the blocks' places matter.

        Args:
            count: How many images there are.
            compute: From the place of a block's first image and of the one behind its last to arrays by name, each
                [n, ...].
            size: Images in a block, at most; as many as the model takes at once by default.
            axis: Which axis of the arrays is that of the images; or a function from an array's name and number of axes
                to it, None where none is: such an array is the same in every block.
            divisible: Whether blocks may be smaller, so that all devices have some; otherwise they begin where they do
                on one device.

        Returns:
            The arrays, each [N, ...].

        Example:
            >>> import numpy as np
            >>> Context().in_blocks(4, lambda start, stop: {"place": np.arange(start, stop)}, size=3)
            {'place': array([0, 1, 2, 3])}
        """
        replicas = chosen()
        self._alike = replicas.workers if replicas else 1
        try:
            return gather(count, size or self.batch_size, compute, axis, divisible=divisible)
        finally:
            self._alike = 1

    def on_grid(self, inputs: Inputs, eight_bit: bool) -> np.ndarray:
        """Return all images [N, H, W, C] to begin an attack at: with ``eight_bit`` rounded, and the user is told.

        Args:
            inputs: The images.
            eight_bit: Whether the attack looks only at what an 8-bit file can hold.
        """
        if not eight_bit:
            return inputs.images
        rounded = round_8bit(inputs.images, inputs.bounds)
        moved = int((rounded != inputs.images).any(axis=(1, 2, 3)).sum())
        self.warn_of(moved, len(inputs), "were no 8-bit images: with `eight_bit=True` they were rounded first.")
        return rounded

    def artifact(self, name: str) -> Path:
        """Return where to write a file that is kept with the result: an animation, a table of another kind.

        What lies there when the analysis has run is moved with the result into ``artifacts/``, and listed in
        ``result.json`` with its digest and media type.

        Args:
            name: Letters, digits, ``_``, ``.`` and ``-``; its ending says what it is: ``frames.gif``.

        Raises:
            ValueError: It is no such name, or the analysis is ``independent`` and sees only some of the images.

        Example:
            >>> context = Context()
            >>> _ = context.artifact("frames.txt").write_text("one")
            >>> list(context.artifacts)
            ['frames.txt']
        """
        if self.artifacts is None:
            raise ValueError("an `independent` analysis sees some of the images at a time, and gives no artifacts.")
        return self.artifacts.place(name)

    def preview(self, drawing: Drawing | Callable[[], Drawing]) -> None:
        """Show a drawing of what is found so far, where somebody looks: the lab's page shows it until the result comes.

        Elsewhere nothing happens. Call it as often as there is something new: what comes sooner than anybody could see
        is left out, unless it is the last of a task, and of a function nothing is computed then. A preview that cannot
        be drawn costs no more than itself and those that would follow; the user is told.

        Args:
            drawing: What to show, its values arrays, since there is no result yet that :class:`At` could refer to; or a
                function that makes it, which draws nothing from :attr:`rng`.

        Example:
            >>> import numpy as np
            >>> from cnnlab.plugin import Picture
            >>> context, image = Context(), np.zeros((2, 2, 1), np.float32)
            >>> for _ in context.track(range(3), "steps"):
            ...     image += 0.1
            ...     context.preview(lambda: Picture.of_image(image, (0.0, 1.0), "so far"))
        """
        if self._watched is not None:
            self._unseen = drawing
            self._show()

    def _show(self, last: bool = False) -> None:
        """Show what was not seen yet."""

        def make() -> Any:
            drawing, self._unseen = self._unseen, None
            return as_preview(drawing() if callable(drawing) else drawing)

        if self._watched is None or self._unseen is None:
            return
        try:
            self._watched.preview(make, last)
        except STOPS:
            raise
        except BaseException as error:
            self._watched = None
            self._lose(f"gave a preview that cannot be drawn: {told(error)}")

    def warn(self, text: str) -> None:
        """Tell the user, once, what they should know when they read the result: ``text``, one sentence.

        Raises:
            TypeError: It is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"a warning is a text; received {type(text).__name__}.")
        text = text.encode(errors="backslashreplace").decode()  # as a file can hold it
        if text not in self._warned:
            self._warned.append(text)
            self._note(text)

    def _note(self, text: str) -> None:
        """Tell whoever watches, though previews may be lost."""
        if isinstance(self._progress, Watched):
            self._progress.note(text)

    def warn_of(self, part: int, whole: int, text: str) -> None:
        """Tell the user of how many images something holds, where it holds of any.

        Args:
            part: Of so many.
            whole: Of so many images that were looked at: what is said of some images at a time adds up.
            text: What holds, as the end of a sentence that begins "3 of 8 images".

        Example:
            >>> context = Context()
            >>> context.warn_of(3, 8, "were cut.")
            >>> context.warnings
            ['3 of 8 images were cut.']
        """
        self._found_of.setdefault(text, {})[self._first] = (part, whole)
        if part and self.artifacts is not None:  # what is said of some at a time is told when it is added up
            self._note(f"{part:,} of {whole:,} images {text}")
