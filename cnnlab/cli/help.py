"""How ``--help`` looks: options in groups under headings, in colour on a terminal and as plain text elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import click


class Formatter(click.HelpFormatter):
    """Click's layout, which breaks lines at blanks alone, in Rich's colours."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the usage line, the command in bold."""
        super().write_usage(click.style(prog, bold=True), args, prefix or click.style("Usage: ", fg="yellow"))

    def write_heading(self, heading: str) -> None:
        """Write a heading, in bold."""
        super().write_heading(click.style(heading, bold=True))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write options or commands and what they mean; on a narrow terminal the meanings keep most of it."""
        super().write_dl([(_coloured(first), second) for first, second in rows], min(col_max, self.width // 3))


def _coloured(term: str) -> str:
    """Colour the names of options, or else the name of a command, and leave what an option takes."""
    pattern = r"(?<!\S)--?[a-zA-Z][\w-]*" if term.startswith("-") else ".+"
    return re.sub(pattern, lambda found: click.style(found[0], fg="cyan", bold=True), term)


class Context(click.Context):
    """A context whose help is written by :class:`Formatter`."""

    formatter_class = Formatter


class Option(click.Option):
    """An option that says under which heading the help shows it.

    Args:
        heading: The heading; without one it comes last, with the others that have none.
    """

    def __init__(self, *args: Any, heading: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.heading = heading


class _Grouped(click.Command):
    """What commands and groups of them share."""

    context_class = Context

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the first sentence, whole: a list of commands goes on in further lines where Click writes dots."""
        return super().get_short_help_str(1000)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, those of a heading together, and then the commands of a group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(option, "heading", ""), []).append(record)
        others = groups.pop("", [])
        for heading, rows in [*groups.items(), ("Other options" if groups else "Options", others)]:
            with formatter.section(heading):
                formatter.write_dl(rows)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)


class Command(_Grouped):
    """A command whose help shows its options in groups."""


class Group(_Grouped, click.Group):
    """A group of such commands."""

    command_class = Command
