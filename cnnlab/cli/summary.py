"""``cnnlab summary``: what a model, or an architecture, is made of."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from cnnlab.cli.completion import architecture_names, model_paths
from cnnlab.cli.model import TRUST
from cnnlab.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from cnnlab.classifier import Classifier
    from cnnlab.classifier.summary import Summary

SHAPES = {"name": "layer", "kind": "kind", "input_size": "input size", "output_size": "output size", "kernel": "kernel"}
COUNTS = {
    "weights": "weights",
    "biases": "biases",
    "statistics": "statistics",
    "parameters": "parameters",
    "output_units": "output\nunits",
    "kernel_taps": "kernel\ntaps",
    "multiply_adds": "multiply-\nadds",
}
"""Attributes of a layer's summary, and the headings of their columns."""


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [*architecture_names(ctx, param, incomplete), *model_paths(ctx, param, incomplete)]


@click.command()
@click.argument("model", metavar="[MODEL|ARCHITECTURE]", required=False, shell_complete=_complete)
@click.option("--batch-norm", is_flag=True, help="Build the architecture with batch normalisation.")
@click.option("--trust", is_flag=True, help=TRUST)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else there.")
def summary(model: str | None, batch_norm: bool, trust: bool, as_json: bool) -> None:
    """Tell what a model is made of: sizes, parameters, units and multiply-adds of each layer.

    MODEL is a run folder or the name of a run, a SavedModel folder or a .keras file; by default the newest run.
    ARCHITECTURE is a name from `cnnlab plugins list`: it is built for the images it was made for.

    Kernel taps are the kernel entries of a convolution (height x width x in x out), and the units of a dense layer:
    what reports on small networks add up as "neurons". Output units are the values that a layer gives for an image.
    """
    path, architecture = _find(model, batch_norm)

    from cnnlab.classifier.summary import summarize

    name, classifier = _open(path, architecture, batch_norm, trust)
    found = summarize(classifier)
    if as_json:
        facts = {"model": name, "kind": classifier.kind if path else "architecture", **found.to_json()}
        click.echo(json_module.dumps(facts, indent=2))
        return
    from rich.console import Console

    _show(Console(), name, found)


def _find(word: str | None, batch_norm: bool) -> tuple[Path | None, str]:
    """Decide by words alone what is meant: the path of a model, or the name of an architecture.

    Raises:
        UsageError: It is neither, or batch normalisation was asked for where that means nothing.
        CnnlabError: No run was named, and there is none.
    """
    from cnnlab import runs
    from cnnlab.plugins import registry

    known = registry.architectures()
    if word in known and not Path(word).exists():
        if batch_norm and not known[word].batch_norm:
            raise UsageError(
                f"the architecture {word!r} has no variant with batch normalisation; leave --batch-norm out."
            )
        return None, word
    if batch_norm:
        raise UsageError("--batch-norm is for architectures; a saved model has it or has it not. Leave it out.")
    if word is None:
        return runs.find(None).path, ""
    path = Path(word)
    if path.exists() or path.suffix or path.name != word:
        return path, ""
    names = [run.name for run in runs.list_runs()]
    if word in names:
        return runs.find(word).path, ""
    raise UsageError(f"there is no model and no architecture {word!r}. {did_you_mean(word, [*known, *names])}")


def _open(path: Path | None, architecture: str, batch_norm: bool, trust: bool) -> tuple[str, Classifier]:
    from cnnlab.classifier import load
    from cnnlab.cli.progress import status

    if path is not None:
        with status("Opening the model"):
            return str(path), load(path, trust=trust)
    from cnnlab import training
    from cnnlab.plugins import registry

    declaration = registry.find_architecture(architecture)
    with status("Building the network"):
        network = training.build(architecture, declaration.input_shape, declaration.classes, batch_norm)
        return f"{architecture}{' with batch normalisation' if batch_norm else ''}", load(network)


def _show(console: Console, name: str, found: Summary) -> None:
    from rich.markup import escape

    console.print(
        f"[bold]{escape(name)}[/]  images {size(found.input_shape)}, {found.classes} classes\n",
        highlight=False,
        soft_wrap=True,
    )
    show_tables(console, found)


def show_tables(console: Console, found: Summary) -> None:
    """Print the layers, in one table where it fits the terminal, else sizes and counts in two; then the sums."""
    from rich.measure import Measurement

    counts = [column for column in COUNTS if column != "statistics" or found.statistics]
    whole = _table(found, [*SHAPES, *counts], gap=1)
    if Measurement.get(console, console.options.update(max_width=10_000), whole).maximum <= console.width:
        console.print(whole)
    else:
        console.print(_table(found, [*SHAPES], gap=2))
        console.print()
        console.print(_table(found, ["name", *counts], gap=2))
    console.print()
    console.print(_totals(found))


def _table(found: Summary, columns: Sequence[str], gap: int) -> Table:
    """Make a table of some columns, ``gap`` characters between them."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    counted = not set(columns).isdisjoint(COUNTS)
    # The box itself puts one space between columns.
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False, show_footer=counted)
    for column in columns:
        sums = getattr(found, column, None)
        table.add_column(
            SHAPES.get(column) or COUNTS[column],
            footer="in all" if column == "name" else _number(sums),
            justify="right" if column in COUNTS else "left",
            no_wrap=column in COUNTS,
            overflow="fold",
        )
    for layer in found.layers:
        table.add_row(*(escape(_text(getattr(layer, column))) for column in columns))
    return table


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return size(value) if isinstance(value, tuple) else _number(value)


def _number(value: int | None) -> str:
    """Format a count; nothing for none, so that the rows with kernels stand out."""
    return f"{value:,}" if value else ""


def size(shape: Sequence[int | None]) -> str:
    """Format a shape.

    >>> size((28, 28, 1))
    '28×28×1'
    >>> size((None, None, 3))
    '?×?×3'
    """
    return "×".join("?" if side is None else str(side) for side in shape)


def _totals(found: Summary) -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    for name, value, remark in _facts(found):
        table.add_row(name, value, remark)
    return table


def _facts(found: Summary) -> Iterator[tuple[str, str, str]]:
    """The lines below the table: what, how many, and a remark."""
    learned = f"{found.trainable:,} learned, {found.statistics:,} batch statistics"
    yield "parameters", f"{found.parameters:,}", learned if found.statistics else ""
    yield "in convolutional layers", f"{found.convolutional:,}", ""
    ratio = found.dense_to_convolutional
    yield (
        "in dense layers",
        f"{found.dense:,}",
        "" if ratio is None else f"{ratio:.3g} times those in convolutional layers",
    )
    count = found.multiply_adds
    unknown = "a layer's size is open, or it cannot be looked into"
    yield "multiply-adds per image", "?" if count is None else f"{count:,}", unknown if count is None else ""
