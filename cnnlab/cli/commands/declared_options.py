"""Command-line options made of declared parameters: one declaration checks a value here and in Python."""

from __future__ import annotations

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

from cnnlab.cli.commands.completion import model_paths, names_in_model
from cnnlab.cli.help import Option
from cnnlab.pluginhost.params import Field

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

METAVARS = {
    "an integer": "INTEGER",
    "a number": "NUMBER",
    "a path": "PATH",
    "a model": "PATH",
    "a text": "TEXT",
    "a class": "CLASS",
    "a layer": "LAYER",
}
"""What the help shows for a value, by the words that a declaration has for it."""


class Declared(click.ParamType[str]):
    """A declared parameter on the command line: the text goes on as it is, and the declaration checks it.

    So a value is refused with the same sentence here and in Python.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self.name = _metavar(field)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the words that the parameter takes, and the classes or layers of the model that was named."""
        words = [*self.field.choices, *names_in_model(ctx, self.field.of_model)]
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


OPENED = "a folder or file of a model, opened as --model is: --trust trusts both"
"""What the help says of an option that takes another model."""

LONGEST = 44
"""Characters up to which the words that a value may be stand beside the option; more are told in its help."""


def _metavar(field: Field) -> str:
    """What the help shows for a value: ``INTEGER``, or ``[min|mean|max]|NUMBER``."""
    choices = f"[{'|'.join(field.choices)}]"
    words = [choices if len(choices) <= LONGEST else "WORD"] if field.choices else []
    return "|".join([*words, *(name for noun, name in METAVARS.items() if noun in field.expected)]) or "VALUE"


def option_for(field: Field, shell_complete: Completer | None = None, heading: str = "") -> Option:
    """Make the command-line option of a declared parameter.

    Args:
        field: The parameter.
        shell_complete: What completes its values, where its type alone does not say.
        heading: Under which heading the help shows it.
    """
    # Where the metavar says it all, words would say it twice.
    is_choice = bool(field.choices) and _metavar(field).endswith("]")
    told = field.flag or field.expected in ("a text", "a path") or is_choice
    details = [] if told else [field.expected]
    if field.is_model:
        details, shell_complete = [OPENED], model_paths
    if field.default_text and not field.flag:
        details.append(f"default: {field.default_text}")
    help_text = f"{field.doc}  [{'; '.join(details)}]" if details else field.doc
    if field.flag:
        flags = f"{field.option}/--no-{field.option[2:]}"
        return Option([flags, field.name], default=field.default, help=help_text, heading=heading)
    return Option(
        [field.option, field.name],
        type=Declared(field),
        multiple=field.multiple,
        required=field.required,
        metavar=_metavar(field),
        help=help_text,
        shell_complete=shell_complete,
        heading=heading,
    )
