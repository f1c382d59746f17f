"""How the command line spells what the library says: an argument is an option, and what would be obeyed is shown."""

from __future__ import annotations

import re

_ARGUMENT = re.compile(r"`(\w+)=([^`]*)`")
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys: controls but for the end of a line and the tabulator, marks that turn the direction of what
follows, and halves of characters, which cannot be written at all."""

# Options that may be given several times are called by one of what the argument holds many of.
_IRREGULAR = {"images": "image", "labels": "label", "indices": "index"}


def as_options(text: str) -> str:
    """Spell the arguments in a message, which the library writes in backticks, as the options of a command.

    Args:
        text: One or more sentences.

    Example:
        >>> as_options("name files with `images=`, trust them with `trust=True`, or hold out `validation=N` of them.")
        'name files with --image, trust them with --trust, or hold out --validation N of them.'
    """
    return _ARGUMENT.sub(_as_option, text)


def visible(text: str) -> str:
    r"""Show in a text what a terminal would obey, as JSON and Python spell it.

    Args:
        text: Anything, also JSON, which stays what it is.

    Example:
        >>> visible("cat\x1b[2J") == "cat" + chr(92) + "u001b[2J"
        True
    """
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    r"""Show in a sentence what a terminal would obey, also the ends of lines and tabulators in what it tells of.

    Args:
        text: A sentence.

    Example:
        >>> print(one_line("received a" + chr(10) + "b."))
        received a\nb.
    """
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def _as_option(argument: re.Match[str]) -> str:
    name, value = argument.groups()
    option = f"--{_IRREGULAR.get(name, name.rstrip('_')).replace('_', '-')}"
    return option if value in ("", "True") else f"{option} {value}"
