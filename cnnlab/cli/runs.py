"""``cnnlab runs``, which lists them, and ``cnnlab compare``, which puts some side by side."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cnnlab.cli.completion import model_paths
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.runs import DEFAULT_ROOT, Run, find, list_runs

STYLES = {"complete": "green", "training": "cyan", "unfinished": "yellow", "damaged": "red"}

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else there.")


@click.command()
@as_json_option
def runs(as_json: bool) -> None:
    """List the runs below runs/, newest first.

    Accuracy and loss are those on the validation images after the last epoch.
    """
    rows = [described(run) for run in list_runs()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo(f"There is no run below {DEFAULT_ROOT} yet. Train one with `cnnlab train`.", err=True)
        return
    _print_table(
        rows, ("name", "state", "dataset", "architecture", "epochs", "accuracy", "loss", "seconds_per_epoch", "created")
    )


@click.command()
@click.argument("names", metavar="RUN RUN...", nargs=-1, shell_complete=model_paths)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="compare.png",
    show_default=True,
    help="Where the figure goes.",
)
@as_json_option
def compare(names: Sequence[str], out: Path, as_json: bool) -> None:
    """Put runs side by side: accuracy, loss, time per epoch, and their curves in one figure.

    RUN is a run folder, or the name of one below runs/.
    """
    if len(names) < 2:
        raise UsageError(f"compare needs two runs or more; received {len(names)}. `cnnlab runs` lists them.")
    chosen = [find(name) for name in names]
    rows = [described(run) for run in chosen]
    for row, label in zip(rows, labels(chosen), strict=True):
        row["label"] = label
    for run, row in zip(chosen, rows, strict=True):
        if not run.history:
            raise CnnlabError(f"{run.path} has no history to draw: {run.history_path} is missing or empty.")
        row["history"] = run.history
    _draw({row["label"]: row["history"] for row in rows}, out)
    if as_json:
        click.echo(json.dumps({"runs": rows, "figure": str(out)}, indent=2))
        return
    _print_table(rows, ("label", "dataset", "architecture", "epochs", *NUMBERS))
    if len({(row["dataset"], row["validated_on"]) for row in rows}) > 1:
        click.echo(
            "Note: these runs were not validated on the same images, so their numbers differ by that too.", err=True
        )
    click.echo(f"  {out}")


NUMBERS = {
    "accuracy": ("accuracy", "{:.2%}"),
    "loss": ("loss", "{:.4f}"),
    "train_loss": ("train loss", "{:.4f}"),
    "seconds_per_epoch": ("s/epoch", "{:.1f}"),
}
"""The numbers that are listed: their column's heading, and how they are written. Accuracy and loss are validation's."""

HEADINGS = {"name": "run", "label": "run", "architecture": "network"}


def described(run: Run) -> dict[str, Any]:
    """Return what the tables say of a run, as JSON types; None for what it does not know."""
    row: dict[str, Any] = {"name": run.name, "path": str(run.path), "state": run.state}
    row["created"] = run.created.isoformat(timespec="seconds")
    config = {} if row["state"] == "damaged" else run.config
    history = _history(run)
    metrics = config.get("metrics") or (history[-1] if history else {})
    row |= {
        "dataset": config["dataset"]["name"] if config else None,
        "architecture": (config["architecture"] + (" +bn" if config.get("batch_norm") else "")) if config else None,
        "epochs": config.get("epochs"),
        "epochs_done": len(history),
        "validated_on": config.get("validated_on"),
        "accuracy": metrics.get("val_accuracy"),
        "loss": metrics.get("val_loss"),
        "train_loss": metrics.get("train_loss", metrics.get("loss")),
        "seconds_per_epoch": statistics.median(line["seconds"] for line in history) if history else None,
    }
    return row


def _history(run: Run) -> list[dict[str, Any]]:
    """The rows of a run; none where its history is damaged, for one bad folder must not hide the others."""
    try:
        return run.history
    except CnnlabError:
        return []


def labels(chosen: Sequence[Run]) -> list[str]:
    """Name runs so that no two have the same name: as short as that allows, from the end of their paths.

    The same run given twice is told apart by a number.
    """
    paths = [run.path.resolve() for run in chosen]
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        named = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(named)) == len(set(paths)):
            break
    return [
        name if named.count(name) == 1 else f"{name} ({named[: index + 1].count(name)})"
        for index, name in enumerate(named)
    ]


def _draw(histories: dict[str, list[dict[str, Any]]], out: Path) -> None:
    from cnnlab.cli.progress import status

    with status("Drawing"):
        from cnnlab.figures import training as figures
        from cnnlab.files import write_beside

        figure = figures.compare(histories)
        with write_beside(out) as beside:
            figure.savefig(beside, dpi=120)


def _print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    console = Console()
    # The order tells which is newer, so the time is what narrow terminals can do without, rather than whole names.
    widths = [max(len(str(text)) for text in (column, *(_cell(row, column) for row in rows))) for column in columns]
    if sum(widths) + len(widths) > console.width:
        columns = [column for column in columns if column != "created"]
    for column in columns:
        numeric = column in NUMBERS or column == "epochs"
        heading = NUMBERS[column][0] if column in NUMBERS else HEADINGS.get(column, column)
        # Only the names of runs may be broken within a word; anything else at its spaces.
        words = [heading, *(word for row in rows for word in _cell(row, column).split())]
        narrowest = 8 if column in ("name", "label") else min(20, max(map(len, words)))
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold", min_width=narrowest)
    for row in rows:
        table.add_row(*(_styled(column, escape(_cell(row, column))) for column in columns))
    console.print(table)


def _cell(row: dict[str, Any], column: str) -> str:
    value = row[column]
    if value is None:
        return "-"
    if column in NUMBERS:
        return NUMBERS[column][1].format(value)
    if column == "epochs" and row["epochs_done"] != value:
        return f"{row['epochs_done']} of {value}"
    if column == "created":
        return str(value).replace("T", " ")[:16]
    return str(value)


def _styled(column: str, text: str) -> str:
    return f"[{STYLES[text]}]{text}[/]" if column == "state" else text
