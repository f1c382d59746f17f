"""What a model has just answered, so that nobody who asks the same again lets it compute anew."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

MOST = 1 << 27
"""Bytes of answers that are kept; what is asked after them is not."""

Answer = tuple[np.ndarray, ...]
Implied = tuple[Hashable, Sequence[np.ndarray], Answer]


class Recall:
    """Keeps answers by what was asked: by its bytes, so that an array which was written to is another one.

    Args:
        most: Bytes of answers that are kept.

    Example:
        >>> import numpy as np
        >>> recall, images = Recall(), np.zeros((1, 2, 2, 1))
        >>> recall("sum", [images], lambda: (images.sum(axis=(1, 2, 3)),))
        (array([0.]),)
        >>> recall("sum", [images], lambda: 1 / 0)
        (array([0.]),)
    """

    def __init__(self, most: int = MOST) -> None:
        self._left = most
        self._answers: dict[tuple[Hashable, tuple[bytes, ...]], Answer] = {}

    def __call__(
        self,
        what: Hashable,
        asked: Sequence[np.ndarray],
        answer: Callable[[], Answer],
        implied: Callable[[Answer], Iterable[Implied]] = lambda answer: (),
    ) -> Answer:
        """Return the answer; it may be asked from several threads.

        Args:
            what: What is asked; equal ones are the same question.
            asked: The arrays that it is asked of.
            answer: Finds it, where it is not known.
            implied: From an answer that was found to other questions that it answers, each with what it is asked of
                and its answer.
        """
        digests = {id(array): _digest(array) for array in asked}
        key = what, tuple(digests[id(array)] for array in asked)
        known = self._answers.get(key)
        if known is not None:
            return known
        found = self._kept(key, answer())
        for other, of, its in implied(found):
            self._kept((other, tuple(digests.get(id(array)) or _digest(array) for array in of)), its)
        return found

    def _kept(self, key: tuple[Hashable, tuple[bytes, ...]], answer: Answer) -> Answer:
        size = sum(array.nbytes for array in answer)
        if key not in self._answers and size <= self._left:
            self._left -= size
            self._answers[key] = answer
        return answer


def _digest(array: np.ndarray) -> bytes:
    hashed = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    hashed.update(np.ascontiguousarray(array).data)
    return hashed.digest()
