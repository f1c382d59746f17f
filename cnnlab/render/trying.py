"""Drawing what a stranger's plugin made: what cannot be drawn costs its own look alone, and the rest is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from cnnlab.errors import CnnlabError, told

Look = TypeVar("Look")


def tried(draw: Callable[[], Look], failure: str) -> tuple[Look | None, str]:
    """Return what ``draw`` makes, and no text; or None, and a sentence that says what failed and why.

    Args:
        draw: Draws something: into a file, for a page, for the terminal.
        failure: What could not be drawn, and whose it is: the beginning of the sentence.

    Raises:
        OSError: The file cannot be written, which is no fault of the drawing's.
        MemoryError: Nor is this.
        CnnlabError: The result itself is damaged.

    Example:
        >>> tried(lambda: "look", "it could not be drawn"), tried(lambda: 1 / 0, "it could not be drawn")[1]
        (('look', ''), 'it could not be drawn: ZeroDivisionError: division by zero.')
    """
    try:
        with np.errstate(all="ignore"):  # what a plugin's numbers overflow to is seen, and its users can do nothing
            return draw(), ""
    except (OSError, MemoryError, CnnlabError):
        raise
    except Exception as error:
        return None, f"{failure}: {told(error)}".rstrip(".") + "."
