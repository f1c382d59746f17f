"""The options that several commands have: which model, which images, where to compute, what to print."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import click

from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.cli.commands.completion import dataset_names, model_paths
from cnnlab.cli.help import Option
from cnnlab.results.keeping import Keep

MODEL, IMAGES, OUTPUT = "Model", "Images", "Output"
"""The headings under which the help shows options that several commands have."""

_of_model, _of_images, _of_output = (functools.partial(Option, heading=each) for each in (MODEL, IMAGES, OUTPUT))

RESULTS = "Write also into a folder that holds other files. Those called as the result's are replaced, no other."
"""What ``--force`` does where a result is written."""

TRUST = "Open the model also when that can run code or reach files: it comes from someone you trust."


class Bytes(click.ParamType[int]):
    """An amount of memory: ``512M``, ``2G``, or a number of bytes."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        found = re.fullmatch(r"([0-9]{1,18}) *([KMG]?)(i?B)?", str(value), re.IGNORECASE)
        if found is None or not int(found[1]):
            self.fail(f"expected an amount of memory such as 512M or 2G; received {value}.", param, ctx)
        return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2].upper()]


class Place(click.Path):
    """A path, or a word that may be one; an empty one, as a shell gives for a variable that is not set, is none."""

    def __init__(self, path_type: type[str] | type[Path] = Path) -> None:
        super().__init__(path_type=path_type)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if value == "":
            self.fail("expected a path; received an empty one.", param, ctx)
        return super().convert(value, param, ctx)


def model_option() -> Option:
    """Make the option ``--model``."""
    return _of_model(
        ["--model"],
        type=Place(),
        shell_complete=model_paths,
        help="A run folder, a SavedModel folder, or a .keras or .h5 file. [default: the newest run]",
    )


def trust_options() -> list[click.Parameter]:
    """Make the options that say how far a model from elsewhere is trusted."""
    return [
        _of_model(["--trust"], is_flag=True, help=TRUST),
        _of_model(
            ["--limit-seconds"],
            type=click.FloatRange(min=0, min_open=True),
            metavar="N",
            help="How long a model that is new here may take to be opened, and run once, in a process of its own. "
            "[default: 60]",
        ),
        _of_model(
            ["--limit-memory"],
            type=Bytes(),
            metavar="BYTES",
            help="What it may take there, such as 2G. [default: 8G, at most three quarters of what there is]",
        ),
    ]


def about_options() -> list[click.Parameter]:
    """Make the options that say what a model does not say itself."""
    return [
        _of_model(["--signature"], help="Which signature of a SavedModel. [default: serving_default]"),
        _of_model(["--output"], help="Which of the model's outputs, where it has several."),
        _of_model(
            ["--input-range"],
            metavar="LOW,HIGH|imagenet|caffe",
            help="The values of the model's images, where it does not tell. [default: 0,1]",
        ),
        _of_model(
            ["--class-names"],
            type=Place(),
            metavar="FILE",
            help="The classes' names, one a line or a JSON list.",
        ),
        _of_model(
            ["--layout"],
            type=click.Choice(["channels_last", "channels_first"]),
            help="How the model's images lie in memory. [default: read off]",
        ),
        _of_model(
            ["--memory"],
            type=Bytes(),
            metavar="BYTES",
            help="What a pass through the model may take, such as 512M: large images go in smaller batches. [default: "
            "a quarter of what is free, at most 1G]",
        ),
        *trust_options(),
    ]


def image_options() -> list[click.Parameter]:
    """Make the options that say which images."""
    files = _of_images(
        ["--image", "images"],
        multiple=True,
        type=Place(),
        help="An image file, or a folder of them; may be given several times.",
    )
    return [files, *other_image_options()]


def other_image_options() -> list[click.Parameter]:
    """Make those of them that name no files."""
    return [
        _of_images(
            ["--label", "labels"],
            multiple=True,
            type=click.IntRange(min=0),
            help="The true class of the image, one for each --image. [default: unknown]",
        ),
        _of_images(
            ["--dataset"],
            shell_complete=dataset_names,
            help="Take images from a dataset: a name, or a path. See `cnnlab datasets`.",
        ),
        _of_images(
            ["--split"], type=click.Choice(["train", "test"]), default="test", show_default=True, help="Its part."
        ),
        _of_images(
            ["--index", "indices"],
            multiple=True,
            metavar="I",
            help="An image's index in it, or a range such as 0:10.",
        ),
        _of_images(["--limit"], type=click.IntRange(min=1), help="Only the first so many of them."),
        _of_images(
            ["--class", "class_"],
            multiple=True,
            metavar="CLASS",
            help="Only images of a true class of the dataset, a name or a number; may be given several times.",
        ),
        _of_images(["--mistakes"], is_flag=True, help="Only images that the model misreads, the most certain first."),
        _of_images(
            ["--least-certain"],
            type=click.IntRange(min=1),
            metavar="N",
            help="The N images whose predicted class has the smallest probability.",
        ),
        _of_images(["--one-per-class"], is_flag=True, help="The first image of each class, of those chosen so far."),
        _of_images(
            ["--fit"],
            type=click.Choice(["stretch", "crop", "pad"]),
            default="stretch",
            show_default=True,
            help="How an image of another size is brought to the model's.",
        ),
        _of_images(["--invert"], is_flag=True, help="Swap dark and light in the image files."),
        _of_images(["--strict"], is_flag=True, help="Refuse image files that would have to be converted."),
    ]


def device_option() -> Option:
    """Make the option ``--devices``."""
    return Option(
        ["--devices", "--device", "device"],
        default="auto",
        show_default=True,
        help="What to compute on: auto, cpu or gpu:0; or several, which share the images: all (GPUs), or cpu:N.",
    )


def gates_option() -> Option:
    """Make the option ``--fail-under``; the command gets a tuple of texts under the name ``gates``."""
    return _of_output(
        ["--fail-under", "gates"],
        multiple=True,
        metavar="METRIC=VALUE",
        help="Exit with status 3 when a metric is below a value; may be given several times.",
    )


def force_option(help: str) -> Option:
    """Make the option ``--force``: what it replaces, and what not."""
    return _of_output(["--force"], is_flag=True, help=help)


def keep_option() -> Option:
    """Make the option ``--keep``: whether anything of single images is kept."""
    return _of_output(
        ["--keep"],
        type=click.Choice(get_args(Keep)),
        default="arrays",
        show_default=True,
        help="`metrics` leaves out what is said of single images: arrays, rows, tables and image files. Kept are "
        "headline, metrics, drawings and the list of the images.",
    )


def json_option(what: str = "JSON") -> Option:
    """Make the option ``--json``.

    Args:
        what: What is printed.
    """
    return _of_output(["--json", "as_json"], is_flag=True, help=f"Print {what} on stdout and nothing else there.")


def take_model(values: dict[str, Any]) -> ModelChoice:
    """Take the model's options out of a command's values."""
    return ModelChoice(**{field.name: values.pop(field.name) for field in fields(ModelChoice) if field.name in values})


def take_images(values: dict[str, Any]) -> ImageChoice:
    """Take the images' options out of a command's values; an option that nobody gave several times arrives empty."""
    given = {field.name: values.pop(field.name) for field in fields(ImageChoice) if field.name in values}
    return ImageChoice(**given | {name: given.get(name) or None for name in ("images", "labels")})


def with_options(*options: click.Parameter) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a click command options that are made elsewhere, in that order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        # click reads decorators from the last to the first.
        given = [*getattr(command, "__click_params__", []), *reversed(options)]
        command.__click_params__ = given  # type: ignore[attr-defined]
        return command

    return decorate


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a click command all of the model's; its function gets a :class:`ModelChoice` called ``choice``."""
    return _with_choice(command, [model_option(), *about_options()])


def about_options_only(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same without ``--model``, for commands that take the model as an argument."""
    return _with_choice(command, about_options())


def _with_choice(command: Callable[..., Any], options: list[click.Parameter]) -> Callable[..., Any]:
    names = {option.name for option in options}

    @functools.wraps(command)
    def taking(**values: Any) -> Any:
        chosen = {name: values.pop(name) for name in list(values) if name in names}
        return command(choice=ModelChoice(**chosen), **values)

    return with_options(*options)(taking)
