"""How the command line spells what the library says: there an argument is an option."""

from __future__ import annotations

import re

_ARGUMENT = re.compile(r"`(\w+)=([^`]*)`")
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


def _as_option(argument: re.Match[str]) -> str:
    name, value = argument.groups()
    option = f"--{_IRREGULAR.get(name, name.rstrip('_')).replace('_', '-')}"
    return option if value in ("", "True") else f"{option} {value}"
