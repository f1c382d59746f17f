"""How a result looks in the terminal: its numbers, its pictures, its warnings and its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.segment import Segments
from rich.text import Text

from cnnlab.cli.views.numbers import numbers
from cnnlab.cli.views.tables import print_all
from cnnlab.console import Console
from cnnlab.results import meanings
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
    look, note = first_look(result, console) if result.drawings else (None, "")
    if look is not None:
        console.print()
        console.print(look)
    console.print()
    print_all(console, numbers(result, console.width))
    warn([*record["warnings"], *filter(None, [note])])
    paths(console, files)


def _images(inputs: Sequence[Mapping[str, Any]]) -> str:
    if len(inputs) == 1:
        return str(inputs[0]["source"])
    return f"{len(inputs):,} images" if inputs else "no images"


def first_look(result: Result, console: Console) -> tuple[RenderableType | None, str]:
    """The first drawing, as much of it as the terminal has room for; or a note that says why it cannot be shown."""
    from cnnlab.render import terminal
    from cnnlab.render.trying import tried

    drawing, width = result.drawing(), max(20, console.width - 2)
    called = meanings.called(result.record, min(result.drawings, key=bool))
    # Rich draws as it prints, which is too late.
    return tried(
        lambda: Segments(list(console.render(terminal.render(drawing, width)))),
        f"{called} could not be shown in the terminal",
    )


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
