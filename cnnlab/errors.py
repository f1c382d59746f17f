"""The errors that users meet: each says what is wrong, with what, and what to do next.

Nothing here imports anything heavier than :mod:`difflib`; every layer may import it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CnnlabError(Exception):
    """Something could not be done. The message is one or two sentences for the person who asked.

    A good message names what is wrong, what was expected, what was received and what to do. The command line
    prints it without a traceback (``CNNLAB_DEBUG=1`` shows the traceback) and exits with :attr:`exit_code`. An argument
    is written in backticks, with an equals sign (```images=```, ```trust=True```): the command line spells it as its
    option (``--image``, ``--trust``).

    Attributes:
        exit_code: The exit status of the command line: 1, it could not be done.

    Example:
        >>> raise CnnlabError("this model has no convolution, and filters are of convolutions. Try saliency.")
        Traceback (most recent call last):
            ...
        cnnlab.errors.CnnlabError: this model has no convolution, and filters are of convolutions. Try saliency.
    """

    exit_code = 1


class UsageError(CnnlabError, ValueError):
    """What was asked for makes no sense by its words alone: an unknown name, a value out of bounds.

    It is a ValueError too.

    Attributes:
        exit_code: The exit status of the command line: 2, the command line is wrong.

    Example:
        >>> from dataclasses import dataclass
        >>> from cnnlab.plugin import Params
        >>> @dataclass(frozen=True, kw_only=True)
        ... class BandParams(Params):
        ...     low: int = 0
        ...     high: int = 9
        ...     def check(self) -> None:
        ...         if self.low > self.high:
        ...             raise UsageError(f"low must not exceed high; received {self.low} and {self.high}.")
        >>> BandParams(low=10)
        Traceback (most recent call last):
            ...
        cnnlab.errors.UsageError: low must not exceed high; received 10 and 9.
    """

    exit_code = 2


class GateError(CnnlabError):
    """A gate that the user set (``--fail-under``) was not met. The work itself was done and saved."""

    exit_code = 3


class FailedError(CnnlabError):
    """A plugin's code failed, or broke what it declared: for its author, where others tell of the model or the data."""


def told(error: BaseException) -> str:
    """Tell an error by its type and what it says: ``KeyError: 'boom'``; by its type alone where it says nothing.

    Example:
        >>> told(KeyError("boom")), told(KeyError())
        ("KeyError: 'boom'", 'KeyError')
    """
    try:
        said = str(error)
    except Exception:  # a stranger's error may fail at that, too
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known names are near ``name``, or list them all, as the end of an error message.

    Args:
        name: What was asked for.
        known: What there is.

    Returns:
        A sentence.

    Example:
        >>> did_you_mean("oclusion", ["occlusion", "filters"])
        "Did you mean 'occlusion'?"
        >>> did_you_mean("zzz", ["occlusion", "filters"])
        "There is: 'filters', 'occlusion'."
        >>> did_you_mean("zzz", [])
        'There is none.'
    """
    known = sorted(set(known))
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    if known:
        return f"There is: {', '.join(map(repr, known))}."
    return "There is none."
