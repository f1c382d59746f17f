"""The command that repeats a request: what a reader types to see the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.pluginhost import registry
from cnnlab.pluginhost.params import fields_of
from cnnlab.pluginhost.sources import command

if TYPE_CHECKING:
    from cnnlab.analysis.image_choice import ImageChoice
    from cnnlab.analysis.model_choice import ModelChoice
    from cnnlab.analysis.request import Request
    from cnnlab.pluginhost.params import Params

OPTIONS = {"class_": "--class", "images": "--image", "labels": "--label", "indices": "--index"}
"""The options of choices that are not called as their fields are."""


def command_of(request: Request) -> str:
    """Return ``cnnlab analyze NAME ...`` for a request; an empty text where no command can ask it.

    That is where its model or its images were never on the disk.
    """
    try:
        words = [
            "analyze",
            registry.spoken(request.analysis),
            *options_of(request.model),
            *options_of(request.images),
            *params_of(request.analysis.params, request.params),
            *(["--seed", str(request.seed)] if request.seed else []),
            *(["--keep", request.keep] if request.keep != "arrays" else []),
            *(["--device", request.device] if request.device != "auto" else []),
        ]
    except UnspokenError:
        return ""
    return command(*words)


class UnspokenError(Exception):
    """A value that no command line can hold."""


def options_of(choice: ModelChoice | ImageChoice) -> Iterator[str]:
    """Give the options of a model's or the images' choice that are not as they are by themselves.

    Raises:
        UnspokenError: A command line cannot say it.
    """
    for field in fields(choice):
        value = getattr(choice, field.name)
        if type(value) is not type(field.default) or value != field.default:
            yield from _option(OPTIONS.get(field.name, f"--{field.name.replace('_', '-')}"), value)


def params_of(params: type[Params], given: Mapping[str, Any]) -> Iterator[str]:
    """Give the options of declared parameters, by their public names, that somebody gave."""
    declared = {field.public: field for field in fields_of(params)}
    for name, value in given.items():
        field = declared[name]
        if field.flag:
            yield field.option if value else f"--no-{field.option[2:]}"
        elif value is not None:
            yield from _option(field.option, value)


def _option(name: str, value: Any) -> Iterator[str]:
    if value is True:
        yield name
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _option(name, each)
    else:
        yield from (name, _word(value))


def _word(value: Any) -> str:
    """Write a value: a path, a name, a number; a model or a dataset as where it came from.

    Raises:
        UnspokenError: It came from nowhere.
    """
    if isinstance(value, str | Path | int | float):
        return str(value)
    for where in ("path", "source"):
        if getattr(value, where, None):
            return str(getattr(value, where))
    raise UnspokenError
