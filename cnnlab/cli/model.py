"""The options that say which model, and what the model does not say itself; every command that opens one has them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnlab.cli.completion import model_paths

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier


TRUST = "Open the model also when that can run code or reach files: it comes from someone you trust."


class Bytes(click.ParamType[int]):
    """An amount of memory: ``512M``, ``2G``, or a number of bytes."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        found = re.fullmatch(r"(\d+)\s*([KMG]?)(i?B)?", str(value), re.IGNORECASE)
        if found is None or not int(found[1]):
            self.fail(f"expected an amount of memory such as 512M or 2G; received {value}.", param, ctx)
        return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2].upper()]


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A model as it was asked for on the command line."""

    model: Path | None = None
    signature: str | None = None
    output: str | None = None
    input_range: str | None = None
    class_names: Path | None = None
    layout: str | None = None
    memory: int | None = None
    trust: bool = False

    @property
    def path(self) -> Path:
        """Where the model is.

        Raises:
            CnnlabError: None was named, and there is no complete run.
        """
        from cnnlab import runs

        return self.model if self.model is not None else runs.find(None).path

    def open(self) -> Classifier:
        """Open it.

        Raises:
            UsageError: What was said of it does not fit.
            CnnlabError: It cannot be opened.
        """
        from cnnlab.classifier import load
        from cnnlab.classifier.about import read_class_names

        return load(
            self.path,
            signature=self.signature,
            output=self.output,
            input_range=self.input_range,
            class_names=None if self.class_names is None else read_class_names(self.class_names),
            layout=self.layout,
            memory=self.memory,
            trust=self.trust,
        )


def model_option() -> click.Option:
    """Make the option ``--model``."""
    return click.Option(
        ["--model"],
        type=click.Path(path_type=Path),
        shell_complete=model_paths,
        help="A run folder, a SavedModel folder, or a .keras or .h5 file. [default: the newest run]",
    )


def trust_option() -> click.Option:
    """Make the option ``--trust``."""
    return click.Option(["--trust"], is_flag=True, help=TRUST)


def about_options() -> list[click.Parameter]:
    """Make the options that say what a model does not say itself."""
    return [
        click.Option(["--signature"], help="Which signature of a SavedModel. [default: serving_default]"),
        click.Option(["--output"], help="Which of the model's outputs, where it has several."),
        click.Option(
            ["--input-range"],
            metavar="LOW,HIGH|imagenet|caffe",
            help="The values of the model's images, where it does not tell. [default: 0,1]",
        ),
        click.Option(
            ["--class-names"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The classes' names, one a line or a JSON list.",
        ),
        click.Option(
            ["--layout"],
            type=click.Choice(["channels_last", "channels_first"]),
            help="How the model's images lie in memory. [default: read off]",
        ),
        click.Option(
            ["--memory"],
            type=Bytes(),
            metavar="BYTES",
            help="What a pass through the model may take, such as 512M: large images go in smaller batches. [default: "
            "a quarter of what is free, at most 1G]",
        ),
        trust_option(),
    ]


def take_choice(values: dict[str, Any]) -> ModelChoice:
    """Take the model's options out of a command's values."""
    return ModelChoice(**{field.name: values.pop(field.name) for field in fields(ModelChoice) if field.name in values})


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a click command all of them; its function gets a :class:`ModelChoice` called ``choice``."""
    return _with_options(command, [model_option(), *about_options()])


def about_options_only(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same without ``--model``, for commands that take the model as an argument."""
    return _with_options(command, about_options())


def _with_options(command: Callable[..., Any], options: list[click.Parameter]) -> Callable[..., Any]:
    names = {option.name for option in options}

    @functools.wraps(command)
    def taking(**values: Any) -> Any:
        chosen = {name: values.pop(name) for name in list(values) if name in names}
        return command(choice=ModelChoice(**chosen), **values)

    # click reads decorators from the last to the first.
    taking.__click_params__ = [*getattr(command, "__click_params__", []), *reversed(options)]  # type: ignore[attr-defined]
    return taking
