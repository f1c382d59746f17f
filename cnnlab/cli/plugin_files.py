"""``--plugin FILE``: a Python file that is a plugin for one command, to try an idea that has no package yet."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cnnlab.cli.help import Option
from cnnlab.errors import UsageError

NAME = "--plugin"


def with_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a group of commands the option."""
    return click.option(
        NAME,
        cls=Option,
        metavar="FILE",
        multiple=True,
        is_eager=True,
        expose_value=False,
        callback=_use,
        help="A Python file that is a plugin, beside those that are installed. Its code is run.",
    )(command)


def first(words: list[str]) -> list[str]:
    """Move the option to the front of a command line, for it decides which commands and options there are.

    >>> first(["rise", "--model", "m", "--plugin", "rise.py", "--", "--plugin"])
    ['--plugin', 'rise.py', 'rise', '--model', 'm', '--', '--plugin']
    """
    own: list[str] = []
    others: list[str] = []
    rest = list(words)
    while rest and rest[0] != "--":
        word = rest.pop(0)
        if word == NAME and rest:
            own += [word, rest.pop(0)]
        else:
            (own if word.startswith(f"{NAME}=") else others).append(word)
    return [*own, *others, *rest]


def _use(ctx: click.Context, param: click.Parameter, files: Any) -> None:
    """Name the files to the registry for as long as the command lasts, and to the processes that it starts."""
    if not files:
        return
    from cnnlab.pluginhost import registry
    from cnnlab.pluginhost.sources import ASKED, asked_files

    for file in files:
        if not Path(file).is_file() or os.pathsep in file:
            raise UsageError(f"{NAME} must be the path of a Python file; received {file or 'an empty one'}.")
    before = os.environ.get(ASKED)
    os.environ[ASKED] = os.pathsep.join([*asked_files(), *files])
    registry.plugins.cache_clear()
    if not ctx.resilient_parsing:  # while a line is completed, contexts are closed before they are asked
        ctx.find_root().call_on_close(lambda: _restore(before))


def _restore(before: str | None) -> None:
    from cnnlab.pluginhost import registry
    from cnnlab.pluginhost.sources import ASKED

    if before is None:
        os.environ.pop(ASKED, None)
    else:
        os.environ[ASKED] = before
    registry.plugins.cache_clear()
