"""The rows of an attack, and running the compiled loop over those that are not done yet.

Rows that are done are taken out of the batch between stretches of steps; the rest closes ranks. Batches have few sizes
(four from one power of two to the next), because every new size costs the processor's libraries some planning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from cnnlab.attacks.loop import Loop
from cnnlab.memory import in_parts, least_batch

T = TypeVar("T")

STRETCH = 8
"""Steps in one go, at most, where rows may be done early."""

LONG_STRETCH = 50
"""Steps in one go where no row can be done early."""

IDLE = 0.06
"""The share of the rows that may be done during a stretch: about what it costs to look, and to close ranks."""

BATCH_PIXELS = 2**19
"""Values in a batch of images from which on larger batches are no faster."""

POOL_BYTES = 2**28


def filled_up(count: int, least: int) -> int:
    """Return the size of a batch for so many rows: one of four between powers of two, and a multiple of ``least``.

    >>> [filled_up(count, 16) for count in (1, 17, 70, 129, 512)]
    [16, 32, 80, 160, 512]
    """
    part = max(least, 1 << max(0, (count - 1).bit_length() - 3))
    return -(-count // part) * part


def batch_size_for(shape: tuple[int, ...]) -> int:
    """Choose a batch size for images of a shape: a power of two from 1 to 512."""
    most = max(1, BATCH_PIXELS // int(np.prod(shape)))
    return min(512, 2 ** (most.bit_length() - 1))


@dataclass(frozen=True)
class Known:
    """What is known of originals that rows begin at: E strengths of one image share it.

    Attributes:
        logits: Of M images, [M, K].
        gradient: Of what is climbed, [M, H, W, C].
        place: Which of them each row begins at, int [R].
    """

    logits: np.ndarray
    gradient: np.ndarray
    place: np.ndarray


@dataclass
class Rows:
    """Rows of an attack: which image at which strength, and their numbers.

    Attributes:
        strength: int [R].
        image: int [R], index into ``originals``.
        originals: All images [N, H, W, C].
        references: What penalties measure the distance to, [N, H, W, C].
        label: int64 [R].
        epsilon: float64 [R].
        size: float32 [R].
        beta: float32 [R].
        radius: float32 [R], what the loop searches within.
    """

    strength: np.ndarray
    image: np.ndarray
    originals: np.ndarray
    references: np.ndarray
    label: np.ndarray
    epsilon: np.ndarray
    size: np.ndarray
    beta: np.ndarray
    radius: np.ndarray

    @classmethod
    def of(
        cls,
        numbers: dict[str, np.ndarray],
        images: np.ndarray,
        references: np.ndarray | None,
        strength: np.ndarray,
        image: np.ndarray,
    ) -> Rows:
        """Pick rows from numbers of shape [N] or [E, N]."""

        def pick(name: str, kind: Any) -> np.ndarray:
            return numbers[name].reshape(-1, len(images))[strength, image].astype(kind)

        return cls(
            strength=strength,
            image=image,
            originals=images,
            references=images if references is None else np.broadcast_to(references, images.shape),
            label=pick("label", np.int64),
            epsilon=pick("epsilon", np.float64),
            size=pick("size", np.float32),
            beta=pick("beta", np.float32),
            radius=np.zeros(len(image), np.float32),
        )

    def __len__(self) -> int:
        return len(self.image)

    def tensors(self, index: np.ndarray) -> dict[str, Any]:
        """Gather some rows for the compiled loop."""
        image = self.image[index]
        values = {
            "original": _picked(self.originals, image),
            "label": self.label[index],
            "radius": self.radius[index],
            "size": self.size[index],
            "beta": self.beta[index],
        }
        if self.references is not self.originals:
            values["reference"] = np.asarray(self.references[image], np.float32)
        tensors = {name: tf.convert_to_tensor(value) for name, value in values.items()}
        return {"reference": tensors["original"], **tensors}


def _run_of(index: np.ndarray) -> Any:
    """The same numbers as a slice where one follows the other: nothing is gathered then, or scattered."""
    follows = len(index) > 0 and index[-1] - index[0] == len(index) - 1 and bool((np.diff(index) == 1).all())
    return slice(index[0], index[-1] + 1) if follows else index


def _picked(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.asarray(values[_run_of(index)])


class Pool:
    """The state of rows between stretches of steps, and which of them go on.

    Args:
        loop: The compiled functions.
        rows: The rows.
        batch_size: Rows computed at once; half as many from where memory runs out.
        smaller: Told of that, with the number of rows.

    Attributes:
        batch_size: Rows computed at once, now.
    """

    def __init__(self, loop: Loop, rows: Rows, batch_size: int, smaller: Callable[[int], None]) -> None:
        self._loop = loop
        self._rows = rows
        self.batch_size = batch_size
        self._smaller = smaller
        self._state: dict[str, Any] = {}

    @staticmethod
    def most_rows(shape: tuple[int, ...], batch_size: int) -> int:
        """How many rows to keep at hand, so that their state stays within :data:`POOL_BYTES` (at least a batch)."""
        per_row = 8 * 4 * int(np.prod(shape))
        return max(batch_size, POOL_BYTES // per_row)

    def run(
        self,
        begin: np.ndarray | Known | None,
        steps: int,
        *,
        stop: bool,
        trace: bool,
        advance: Callable[[int], None],
        look: Callable[[], None] = lambda: None,
    ) -> np.ndarray | None:
        """Run all rows to their end, and return the traced confidence [R, steps + 1] if that is wanted.

        Args:
            begin: Where the rows begin [R, H, W, C]; None for their originals, or what is known of these.
            steps: How many steps at most.
            stop: Whether rows may be done early.
            trace: Whether to return the confidence after each step.
            advance: Called with the number of steps done or saved.
            look: Called after each stretch of steps, when :meth:`images` has something new.
        """
        traced = np.full((len(self._rows), steps + 1), np.nan, np.float32) if trace else None
        first = self._start(begin, steps)
        if traced is not None:
            traced[:, 0] = first
        taken, active = 0, self._active()
        advance((len(self._rows) - len(active)) * steps)
        lost = IDLE / 2  # the share of the rows that the last steps were the last of; at first a guess
        while taken < steps and len(active):
            longest = min(STRETCH, 1 + int(IDLE / max(lost, IDLE / STRETCH))) if stop else LONG_STRETCH
            stretch = min(longest, max(1, steps - 1 - taken))
            last = taken == steps - 1

            def go_on(index: np.ndarray, taken: int = taken, stretch: int = stretch, last: bool = last) -> Any:
                state, rows = self._gather(index), self._rows.tensors(index)
                if not last:
                    return self._loop.advance(state, rows, taken, stretch)
                state, confidence = self._loop.finish(state, rows, taken)
                return state, confidence[None]

            unseen = last and self._loop.plan.then == "last"
            for index, (state, confidence) in self._each(active, go_on, abreast=not unseen):
                before = self._state["steps"][index].copy()
                self._put(index, state)
                if traced is not None:
                    self._record(traced, index, taken, before, confidence.numpy())
                advance(int((self._state["steps"][index] - before).sum()))
            taken += stretch
            still = self._active()
            advance(int((steps - self._state["steps"][np.setdiff1d(active, still)]).sum()))
            lost = (1 - len(still) / len(active)) / stretch
            active = still
            look()
        return traced

    def images(self) -> np.ndarray:
        """The images that are looked at where the rows are, [R, H, W, C]."""
        return self._rendered() if self._loop.plan.eight_bit else self._state["x"]

    def result(self) -> dict[str, np.ndarray]:
        """The images found and how: ``adversarial``, ``reached``, ``steps``, ``logits`` and ``flat``, each [R, ...]."""
        state = self._state
        images, logits = state["x"], state["logits"]
        if self._loop.plan.eight_bit:
            images = self._rendered()
        if "best" in state:
            reached = state["reached"]
            images = np.where(reached[:, None, None, None], state["best"], images)
            logits = np.where(reached[:, None], state["best_logits"], logits)
        return {"adversarial": images, "logits": logits, **{name: state[name] for name in ("reached", "steps", "flat")}}

    def _start(self, begin: np.ndarray | Known | None, steps: int) -> np.ndarray:
        """Evaluate where the rows begin; return the confidence [R] in their classes.

        Where a single step is left that nothing is evaluated for, it is taken as well.
        """
        rows, loop = self._rows, self._loop
        known = loop.once if steps == 1 and loop.plan.then == "last" else loop.start_known

        def begun(index: np.ndarray) -> Any:
            tensors = rows.tensors(index)
            if isinstance(begin, Known):
                place = begin.place[index]
                return known(tensors, _picked(begin.logits, place), _picked(begin.gradient, place))
            return loop.start(tensors["original"] if begin is None else begin[index], tensors)

        confidence = np.zeros(len(rows), np.float32)
        for index, (found, sure) in self._each(np.arange(len(rows)), begun, abreast=not isinstance(begin, Known)):
            if not self._state:
                self._make_room(found)
            self._put(index, found)
            confidence[index] = sure.numpy()[: len(index)]
        if not self._state:
            self._make_room(begun(np.arange(0))[0])
        return confidence

    def _make_room(self, found: dict[str, Any]) -> None:
        count = len(self._rows)
        self._state = tf.nest.map_structure(lambda t: np.zeros((count, *t.shape[1:]), t.dtype.name), found)

    def _rendered(self) -> np.ndarray:
        images = np.empty_like(self._state["x"])

        def seen(index: np.ndarray) -> Any:
            return self._loop.render(tf.convert_to_tensor(self._state["x"][index]), self._rows.tensors(index))

        for index, found in self._each(np.arange(len(self._rows)), seen, abreast=False):
            images[index] = found.numpy()[: len(index)]
        return images

    def _active(self) -> np.ndarray:
        return np.flatnonzero(~self._state["done"])

    def _each(
        self, index: np.ndarray, work: Callable[[np.ndarray], T], *, abreast: bool
    ) -> Iterator[tuple[np.ndarray, T]]:
        """Do work on row numbers, a batch at a time; yield the row numbers of each batch and what came of it.

        Work is given a batch that is filled up with its own first row (:func:`filled_up`); several at a time where the
        model is asked (``abreast``).
        """
        least = least_batch(self._rows.originals.shape[1:])

        def filled(first: int, last: int) -> T:
            batch = index[first:last]
            more = filled_up(len(batch), least) - len(batch)
            return work(np.concatenate([batch, np.full(more, batch[0])]))

        for first, last, found in in_parts(len(index), self.batch_size, filled, self._cut, abreast=abreast):
            yield index[first:last], found

    def _cut(self, size: int) -> None:
        self.batch_size = size
        self._smaller(size)

    def _gather(self, index: np.ndarray) -> dict[str, Any]:
        return tf.nest.map_structure(lambda values: tf.convert_to_tensor(_picked(values, index)), self._state)

    def _put(self, index: np.ndarray, state: dict[str, Any]) -> None:
        def put(values: np.ndarray, new: Any) -> None:
            values[_run_of(index)] = new.numpy()[: len(index)]

        tf.nest.map_structure(put, {name: self._state[name] for name in state}, state)

    def _record(
        self, traced: np.ndarray, index: np.ndarray, taken: int, before: np.ndarray, confidence: np.ndarray
    ) -> None:
        """Write the confidences [stretch, B] of the steps that each row took."""
        for column, row in enumerate(index):
            count = self._state["steps"][row] - before[column]
            traced[row, taken + 1 : taken + 1 + count] = confidence[:count, column]
