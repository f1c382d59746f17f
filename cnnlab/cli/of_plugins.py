"""The commands that plugins add: listed without importing anything, run in the host's style and under its guard."""

from __future__ import annotations

from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from cnnlab.cli.help import Context
from cnnlab.errors import CnnlabError, UsageError, did_you_mean, told
from cnnlab.pluginhost import registry


def rows() -> list[tuple[str, str]]:
    """List their names and what they do, for the help."""
    return [(name, offer.summary) for name, offer in sorted(registry.listed("command").items())]


def completions(incomplete: str) -> list[CompletionItem]:
    """Offer their names."""
    return [CompletionItem(name, help=summary) for name, summary in rows() if name.startswith(incomplete)]


def find(ctx: click.Context, name: str, own: list[str]) -> click.Command | None:
    """Import the command of that name; while a shell completes a line, None where there is none.

    Args:
        ctx: The context of the group.
        name: What was typed.
        own: The names of cnnlab's own commands, for the message.

    Raises:
        UsageError: There is no such command, or its plugin cannot be used.
    """
    try:
        return _styled(registry.find_command(name).command)
    except UsageError as error:
        if ctx.resilient_parsing:
            return None
        if str(error).startswith("there is no command"):
            ctx.fail(f"There is no command {name!r}. {did_you_mean(name, [*own, *registry.listed('command')])}")
        raise


def blame_for(name: str, error: BaseException) -> NoReturn:
    """Say of what such a command raised whose fault it is.

    Args:
        name: The command.
        error: What it raised; the status that it ends the process with is its own affair.
    """
    if isinstance(error, SystemExit):
        if isinstance(error.code, str):
            raise CnnlabError(error.code) from error
        raise error
    from cnnlab.pluginhost.blaming import blame

    raise blame(registry.find_command(name), f"failed: {told(error)}") from error


def _styled(command: click.Command) -> click.Command:
    """Let its help look as cnnlab's own."""
    if command.context_class is click.Context:
        command.context_class = Context
    for each in getattr(command, "commands", {}).values():
        _styled(each)
    return command
