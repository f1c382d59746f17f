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
from click.shell_completion import CompletionItem

from cnnlab import __version__, interrupts
from cnnlab.cli import help as helping, plugin_files
from cnnlab.cli.echo import echo
from cnnlab.errors import CnnlabError, UsageError, told
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
    "lab": "cnnlab.cli.commands.lab:lab",
    "verify": "cnnlab.cli.commands.verify:verify",
    "datasets": "cnnlab.cli.commands.datasets:datasets",
    "plugins": "cnnlab.cli.commands.plugins:plugins",
    "devices": "cnnlab.cli.commands.devices:devices",
    "launch": "cnnlab.cli.commands.launch:launch",
    "completion": "cnnlab.cli.commands.completion:completion",
}


class Commands(helping.Group):
    """A group that imports a command when it is asked for, and suggests the nearest for a name it does not know.

    What plugins add stands beside cnnlab's own commands, and is looked up only for a name that is none of these.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List cnnlab's own commands in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write cnnlab's own commands, then those that plugins add."""
        super().format_commands(ctx, formatter)
        from cnnlab.cli import of_plugins

        if rows := of_plugins.rows():
            with formatter.section("Commands of plugins"):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer cnnlab's own commands, those that plugins add, and options."""
        from cnnlab.cli import of_plugins

        return [*super().shell_complete(ctx, incomplete), *of_plugins.completions(incomplete)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name."""
        if cmd_name not in COMMANDS:
            from cnnlab.cli import of_plugins

            return None if cmd_name.startswith("-") else of_plugins.find(ctx, cmd_name, list(COMMANDS))
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what the library says of arguments, it says of options."""
        try:
            status = super().invoke(ctx)
        except CnnlabError as error:
            error.args = (as_options(str(error)),)
            raise
        except click.NoSuchOption as error:
            if error.option_name != plugin_files.NAME:
                raise
            raise UsageError(
                f"--plugin FILE is said before the command: `cnnlab --plugin FILE {ctx.invoked_subcommand} ...`."
            ) from error
        except (click.exceptions.Exit, click.ClickException, click.Abort, MemoryError, *interrupts.STOPS):
            raise
        except BaseException as error:
            if ctx.invoked_subcommand is None or ctx.invoked_subcommand in COMMANDS:
                raise
            from cnnlab.cli import of_plugins

            of_plugins.blame_for(ctx.invoked_subcommand, error)
        return status if ctx.invoked_subcommand in COMMANDS else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, package_name="cnnlab")
@plugin_files.with_option
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
        if not isinstance(error, click.exceptions.NoArgsIsHelpError):  # whose message is the help
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
        f"something unexpected went wrong in cnnlab {__version__}: {told(error)}. "
        "Set CNNLAB_DEBUG=1 to see where, and please report it."
    )


def _say(message: str) -> None:
    echo(message, err=True)
