"""Numbers that are not finite: in what a model holds, where it is refused, and in what it answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from cnnlab.errors import CnnlabError


class NotFiniteError(CnnlabError):
    """A model's answer to an image is no number.

    Attributes:
        image: The place of the first such image among those that were given.
        layer: The first layer whose output is not finite for it; empty where none could be named.
    """

    def __init__(self, image: int, layer: str = "", source: str = "") -> None:
        self.image, self.layer = image, layer
        where = f"; the first layer whose output is not finite there is {layer}" if layer else ""
        super().__init__(
            f"the model's logits for {source or f'image {image}'} are not finite (NaN or infinity){where}. Its weights "
            "are broken, or its numbers overflow."
        )


@contextlib.contextmanager
def among(first: int, sources: Sequence[str] = ()) -> Iterator[None]:
    """Have an image named by its place among all images, or by where it came from, that is known in a batch alone.

    Args:
        first: The place of the batch's first image among all.
        sources: Where each of all images came from.

    Raises:
        NotFiniteError: One was raised inside.
    """
    try:
        yield
    except NotFiniteError as error:
        image = first + error.image
        raise NotFiniteError(image, error.layer, sources[image] if sources else "") from error


def first_not_finite(values: np.ndarray) -> int | None:
    """Return the place of the first of N rows [N, ...] that holds a number that is not finite; None where none does.

    >>> import numpy as np
    >>> first_not_finite(np.array([[1.0], [np.nan]])), first_not_finite(np.zeros((0, 2)))
    (1, None)
    """
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
    return int(wrong[0]) if wrong.size else None
