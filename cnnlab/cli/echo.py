"""Plain lines of commands, as scripts read them: what is not laid out by a :class:`cnnlab.console.Console`."""

from __future__ import annotations

import click

from cnnlab.spelling import visible


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text, also JSON; what a terminal would obey in it is made visible.

    Args:
        text: It may hold names from files.
        err: Whether on stderr.
        nl: Whether the line ends.
    """
    click.echo(visible(text), err=err, nl=nl)
