"""Numbers in words, the same wherever a drawing or a table writes one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

HALF = re.compile("[\ud800-\udfff]")


def is_text(value: object) -> bool:
    r"""Whether it is a text that a file can hold, which half of a character (a lone surrogate) is not.

    >>> is_text("é"), is_text("\ud800"), is_text(5)
    (True, False, False)
    """
    return isinstance(value, str) and (value.isascii() or HALF.search(value) is None)


def percent(fraction: float, digits: int = 1) -> str:
    """Write a fraction in percent, rounded to no certainty: only what is 1 is 100%, and only what is 0 is 0%.

    Args:
        fraction: From 0 to 1 where it is a share; what is not finite becomes a dash.
        digits: Digits behind the point.

    Example:
        >>> percent(0.9997), percent(1.0), percent(0.5), percent(0.0004), percent(0.0)
        ('99.9%', '100%', '50.0%', '<0.1%', '0%')
    """
    if not math.isfinite(fraction):
        return "-"
    if fraction in (0, 1):
        return f"{fraction:.0%}"
    step = 10.0 ** -(digits + 2)
    if 0 < fraction < step:
        return f"<{100 * step:.{digits}f}%"
    shown = min(float(fraction), 1 - step) if fraction < 1 else fraction
    return f"{100 * shown:.{digits}f}%"


def number(value: Any, share: bool = False) -> str:
    """Format a number to four significant digits, a share in percent; integers whole; None as a dash.

    >>> number(0.98765), number(0.98765, share=True), number(0.99999), number(1234), number(None)
    ('0.9877', '98.8%', '0.9999', '1,234', '-')
    """
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return percent(value) if share else f"{value:,}"
        case float():
            # As in percent, nothing but certainty is 1.
            return percent(value) if share and 0 <= value <= 1 else f"{min(value, 0.9999) if value < 1 else value:.4g}"
        case _:
            return str(value)


def is_share(meaning: str) -> bool:
    """Say whether a declared meaning is that of a number from 0 to 1, which people read in percent.

    >>> is_share("share of the images that are fooled"), is_share("steps taken, mean over the images")
    (True, False)
    """
    return meaning.startswith(("share ", "probability ", "softmax probability "))


def out_of(count: int, total: int, noun: str = "image", digits: int = 1) -> str:
    """Say how many of how many, in percent where these are more than a hundred.

    Args:
        count: How many.
        total: Of how many.
        noun: What they are, in the singular.
        digits: Digits behind the point of a percentage.

    Example:
        >>> out_of(9, 10), out_of(1, 1), out_of(2999, 3000)
        ('9 of 10 images', '1 of 1 image', '99.9% of 3,000 images')
    """
    said = percent(count / total, digits) if total > 100 else f"{count}"
    return f"{said} of {total:,} {noun}{'' if total == 1 else 's'}"


def shortened(text: str, length: int = 12) -> str:
    """Cut a text that is too long for its place; the end of a path tells more than its beginning.

    >>> shortened("a very long name"), shortened("runs/a/very/long/path.png", 12)
    ('a very long…', '…ng/path.png')
    """
    if len(text) <= length:
        return text
    return f"…{text[-(length - 1) :]}" if "/" in text else f"{text[: length - 1]}…"


def few(items: Iterable[object], most: int = 5) -> str:
    """List the first of many, for a sentence.

    Args:
        items: What is listed, each as :class:`str` writes it.
        most: How many are named; dots stand for the others.

    Example:
        >>> few(range(3)), few(range(9), most=2)
        ('0, 1, 2', '0, 1, ...')
    """
    words = [str(item) for item in items]
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")


def size(shape: Sequence[int | None]) -> str:
    """Format a shape.

    >>> size((28, 28, 1))
    '28×28×1'
    >>> size((None, None, 3))
    '?×?×3'
    """
    return "×".join("?" if side is None else str(side) for side in shape)
