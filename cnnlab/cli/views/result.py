"""How a result looks in the terminal: its numbers, its pictures, its warnings and its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from cnnlab.cli.views.numbers import numbers
from cnnlab.cli.views.tables import print_all
from cnnlab.console import Console
from cnnlab.spelling import as_options

if TYPE_CHECKING:
    from cnnlab.results.result import Result


def show(result: Result, files: Sequence[Path]) -> None:
    """Print a result: its headline, its first picture, its numbers; warnings on stderr; paths last."""
    console = Console()
    record = result.record
    if result.headline:
        console.print(Text(result.headline, style="bold"))
    model = record["model"]["path"] or f"a live model ({record['model']['digest'][:12]})"
    about = f"{record['analysis']} of {model}, {_images(record['inputs'])}, in {record['seconds']:.1f} s"
    console.print(Text(about, style="dim"))
    if result.drawings:
        console.print()
        console.print(first_look(result, console.width))
    console.print()
    print_all(console, numbers(result, console.width))
    warn(record["warnings"])
    paths(console, files)


def _images(inputs: Sequence[Mapping[str, Any]]) -> str:
    if len(inputs) == 1:
        return str(inputs[0]["source"])
    return f"{len(inputs):,} images" if inputs else "no images"


def first_look(result: Result, width: int) -> RenderableType:
    """The first drawing, as much of it as the terminal has room for."""
    from cnnlab.render import terminal

    return terminal.render(result.drawing(), max(20, width - 2))


def warn(warnings: Sequence[str]) -> None:
    """Print warnings on stderr, where scripts do not look for results."""
    stderr = Console(stderr=True)
    for warning in warnings:
        words = Text.assemble(("Note:", "yellow"), " ", as_options(warning))
        # A terminal breaks lines anywhere, and a log not at all.
        stderr.print(words, soft_wrap=not stderr.is_terminal)


def paths(console: Console, files: Sequence[Path]) -> None:
    """Print where the files are, one path a line so that each can be clicked or copied; images as their folder."""
    images = [file for file in files if file.parent.name == "images" and file.suffix == ".png"]
    for file in files:
        if file not in images:
            console.print(f"  {file}", style="cyan", highlight=False, soft_wrap=True)
    if images:
        console.print(Text.assemble("  ", (str(images[0].parent), "cyan"), f" ({len(images)} PNG)"), soft_wrap=True)
