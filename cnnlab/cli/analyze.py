"""``cnnlab analyze NAME``: one command per installed analysis, its options made from its declared parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cnnlab.cli.completion import dataset_names
from cnnlab.cli.model import about_options, model_option, take_choice
from cnnlab.errors import UsageError
from cnnlab.plugins import registry
from cnnlab.plugins.declarations import Analysis
from cnnlab.plugins.params import Field, fields_of

Completer = Callable[[click.Context, click.Parameter, str], list[click.shell_completion.CompletionItem]]


class Analyses(click.Group):
    """The group whose commands are the installed analyses; failed plugins are named below them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the active analyses, in alphabetical order."""
        return sorted(registry.analyses())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Make the command for an analysis.

        Raises:
            UsageError: There is no such analysis, or its plugin failed; the message says which.
        """
        return command_for(registry.find_analysis(cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the analysis; an unknown one is an error that names the nearest."""
        if args and not args[0].startswith("-"):
            return args[0], self.get_command(ctx, args[0]), args[1:]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the analyses, then the plugins that could not be used."""
        rows = [(name, analysis.summary) for name, analysis in sorted(registry.analyses().items())]
        if rows:
            with formatter.section("Analyses"):
                formatter.write_dl(rows)
        failed = [p for p in registry.plugins() if p.state not in ("active", "disabled")]
        if failed:
            with formatter.section("Not available (see `cnnlab plugins list`)"):
                formatter.write_dl([(plugin.name, f"{plugin.state}: {plugin.error}") for plugin in failed])


@click.group(cls=Analyses)
def analyze() -> None:
    """Ask one question of a model: an analysis, by name.

    Writes result.json, arrays.npz and figure*.png into a folder. `cnnlab analyze NAME --help` tells an
    analysis' options.
    """


class Declared(click.ParamType[str]):
    """A declared parameter on the command line: the text goes on as it is, and the declaration checks it.

    So a value is refused with the same sentence here and in Python.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self.name = _metavar(field)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Offer the words that the parameter takes."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in self.field.choices if word.startswith(incomplete)]


def _metavar(field: Field) -> str:
    """What the help shows for a value: ``INTEGER``, or ``[min|mean|max]|NUMBER``."""
    words = f"[{'|'.join(field.choices)}]" if field.choices else ""
    for noun, name in (
        ("an integer", "INTEGER"),
        ("a number", "NUMBER"),
        ("a path", "PATH"),
        ("a text", "TEXT"),
    ):
        if noun in field.expected:
            words += f"{'|' if words else ''}{name}"
    return words or "VALUE"


def _is_choice(field: Field) -> bool:
    return bool(field.choices) and _metavar(field).endswith("]")


def option_for(field: Field, shell_complete: Completer | None = None) -> click.Option:
    """Make the command-line option of a declared parameter.

    Args:
        field: The parameter.
        shell_complete: What completes its values, where its type alone does not say.
    """
    # Where the metavar says it all, words would say it twice.
    told = field.flag or field.expected in ("a text", "a path") or _is_choice(field)
    details = [] if told else [field.expected]
    if field.default_text and not field.flag:
        details.append(f"default: {field.default_text}")
    help_text = f"{field.doc}  [{'; '.join(details)}]" if details else field.doc
    if field.flag:
        return click.Option(
            [f"{field.option}/--no-{field.option[2:]}", field.name], default=field.default, help=help_text
        )
    return click.Option(
        [field.option, field.name],
        type=Declared(field),
        multiple=field.multiple,
        required=field.required,
        metavar=_metavar(field),
        help=help_text,
        shell_complete=shell_complete,
    )


def host_options(analysis: Analysis) -> list[click.Parameter]:
    """Make the options that the host owns, in the order that the help shows them."""
    images = [
        click.Option(
            ["--image", "images"],
            multiple=True,
            type=click.Path(path_type=Path),
            help="An image file, or a folder of them; may be given several times.",
        ),
        click.Option(
            ["--label", "labels"],
            multiple=True,
            type=int,
            help="The true class of the image, one for each --image. [default: unknown]",
        ),
        click.Option(
            ["--dataset"],
            shell_complete=dataset_names,
            help="Take images from a dataset: a name, or a path. See `cnnlab datasets`.",
        ),
        click.Option(
            ["--split"],
            type=click.Choice(["train", "test"]),
            default="test",
            show_default=True,
            help="Its part.",
        ),
        click.Option(
            ["--index", "indices"],
            multiple=True,
            metavar="I",
            help="An image's index in it, or a range such as 0:10.",
        ),
        click.Option(["--limit"], type=click.IntRange(min=1), help="Only the first so many of them."),
        click.Option(
            ["--fit"],
            type=click.Choice(["stretch", "crop", "pad"]),
            default="stretch",
            show_default=True,
            help="How an image of another size is brought to the model's.",
        ),
        click.Option(["--invert"], is_flag=True, help="Swap dark and light in the image files."),
        click.Option(["--strict"], is_flag=True, help="Refuse image files that would have to be converted."),
    ]
    general = [
        click.Option(["--out"], type=click.Path(path_type=Path), help="Where to write. [default: beside the run]"),
        click.Option(
            ["--seed"], type=click.IntRange(min=0), default=0, show_default=True, help="Seeds what is random."
        ),
        click.Option(["--device"], default="auto", show_default=True, help="auto, cpu, or gpu:0."),
        click.Option(
            ["--fail-under", "gates"],
            multiple=True,
            metavar="METRIC=VALUE",
            help="Exit with status 3 when a metric is below a value; may be given several times.",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print result.json on stdout and nothing else there."),
    ]
    return [model_option(), *(images if analysis.inputs != "none" else []), *about_options(), *general]


def command_for(analysis: Analysis) -> click.Command:
    """Make the click command of an analysis.

    Raises:
        UsageError: Its declared parameters cannot be read.
    """
    try:
        fields = fields_of(analysis.params)
    except (TypeError, NameError) as error:
        raise UsageError(f"the parameters of {analysis.name!r} are declared wrongly: {error}.") from error
    own = {field.name for field in fields}

    def callback(**values: Any) -> None:
        from cnnlab.cli.running import Request, run

        given = {name: values.pop(name) for name in own}
        # A tuple option that nobody gave arrives empty, and stands for the default.
        params = {name: value for name, value in given.items() if value is not None and value != ()}
        run(Request(analysis=analysis, params=params, choice=take_choice(values), **values))

    return click.Command(
        analysis.name,
        params=[*(option_for(field) for field in fields), *host_options(analysis)],
        callback=callback,
        help=analysis.summary,
        short_help=analysis.summary,
    )
