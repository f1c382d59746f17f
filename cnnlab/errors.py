"""The errors that users meet: each says what is wrong, with what, and what to do next.

Nothing here imports anything heavier than :mod:`difflib`; every layer may import it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CnnlabError(Exception):
    """Something could not be done. The message is one or two sentences for the person who asked.

    A good message names what is wrong, what was expected, what was received and what to do. The command line
    prints it without a traceback (``CNNLAB_DEBUG=1`` shows the traceback) and exits with :attr:`exit_code`.
    """

    exit_code = 1


class UsageError(CnnlabError, ValueError):
    """What was asked for makes no sense by its words alone: an unknown name, a value out of bounds."""

    exit_code = 2


class GateError(CnnlabError):
    """A gate that the user set (``--fail-under``) was not met. The work itself was done and saved."""

    exit_code = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known names are near ``name``, or list them all, as the end of an error message.

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
