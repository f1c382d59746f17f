"""The command line: thin Click commands over the library, printed with Rich.

Each command lives in a module of its own, imported when it is asked for.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import Any, NoReturn

import click

from cnnlab import __version__, interrupts
from cnnlab.cli import help as helping
from cnnlab.cli.echo import echo
from cnnlab.errors import CnnlabError, did_you_mean
from cnnlab.spelling import as_options, one_line

# In the order that --help shows them: a command, the module and attribute that hold it.
COMMANDS = {
    "train": "cnnlab.cli.commands.train:train",
    "predict": "cnnlab.cli.commands.predict:predict",
    "evaluate": "cnnlab.cli.commands.evaluate:evaluate",
    "summary": "cnnlab.cli.commands.summary:summary",
    "inspect": "cnnlab.cli.commands.inspect:inspect",
    "runs": "cnnlab.cli.commands.runs:runs",
    "compare": "cnnlab.cli.commands.runs:compare",
    "analyze": "cnnlab.cli.commands.analyze:analyze",
    "report": "cnnlab.cli.commands.report:report",
    "verify": "cnnlab.cli.commands.verify:verify",
    "datasets": "cnnlab.cli.commands.datasets:datasets",
    "plugins": "cnnlab.cli.commands.plugins:plugins",
    "devices": "cnnlab.cli.commands.devices:devices",
    "launch": "cnnlab.cli.commands.launch:launch",
    "completion": "cnnlab.cli.commands.completion:completion",
}


class Commands(helping.Group):
    """A group that imports a command when it is asked for, and suggests the nearest for a name it does not know."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which is nearest; but nothing while a shell completes a line."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"There is no command {args[0]!r}. {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what the library says of arguments, it says of options."""
        try:
            return super().invoke(ctx)
        except CnnlabError as error:
            error.args = (as_options(str(error)),)
            raise


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, package_name="cnnlab")
def cli() -> None:
    """Train a small CNN, then open any saved model up.

    What did it learn, what does it look at, how is it fooled? `cnnlab train` makes a model, and
    `cnnlab analyze NAME` asks one question of it, or of any saved Keras or TensorFlow model.
    """


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 it could not be, 2 wrong usage, 3 gate not met, 128 + N by signal N."""
    debug = os.environ.get("CNNLAB_DEBUG") == "1"
    try:
        status = cli(prog_name="cnnlab", standalone_mode=False, color=False if os.environ.get("NO_COLOR") else None)
    except click.ClickException as error:
        error.message = one_line(error.message)  # type: ignore[misc]  # what was typed may hold anything
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as interrupt:
        _say(_how_to_go_on(interrupt) or "Interrupted.")
        sys.exit(interrupts.status())
    except CnnlabError as error:
        if debug:
            raise
        _say(f"Error: {one_line(str(error))}")
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        _say(f"Error: {one_line(_unexpected(error))}")
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _how_to_go_on(interrupt: BaseException) -> str:
    """The words of a KeyboardInterrupt that has any, which click wraps in its own exception."""
    cause = interrupt.__cause__ if isinstance(interrupt, click.Abort) else interrupt
    return str(cause) if isinstance(cause, KeyboardInterrupt) else ""


def _unexpected(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full{f' ({error.filename})' if error.filename else ''}. Free some space and try again."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'} cannot be used: {error.strerror}."
    return (
        f"something unexpected went wrong in cnnlab {__version__}: {type(error).__name__}: {error}. "
        "Set CNNLAB_DEBUG=1 to see where, and please report it."
    )


def _say(message: str) -> None:
    echo(message, err=True)
