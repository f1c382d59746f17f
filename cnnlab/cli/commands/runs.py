"""``cnnlab runs``, which lists them, and ``cnnlab compare``, which puts some, or results, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from cnnlab.cli.commands.completion import model_paths
from cnnlab.cli.commands.options import OUTPUT, Place, force_option, json_option, with_options
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command, Option

LISTED = ("name", "state", "dataset", "architecture", "epochs", "accuracy", "loss", "seconds_per_epoch", "created")


@click.command(cls=Command)
@with_options(json_option())
def runs(as_json: bool) -> None:
    """List the runs below runs/, newest first.

    Accuracy and loss are those on the validation images after the last epoch.
    """
    from cnnlab.runs import DEFAULT_ROOT, list_runs
    from cnnlab.runs.comparison import facts_of

    rows = [facts_of(run) for run in list_runs()]
    if as_json:
        echo(json.dumps(rows, indent=2))
        return
    if not rows:
        echo(f"There is no run below {DEFAULT_ROOT} yet. Train one with `cnnlab train`.", err=True)
        return
    from cnnlab.cli.views import runs as view

    view.show(rows, LISTED)


@click.command(cls=Command)
@click.argument("names", metavar="RUN RUN...", nargs=-1, type=Place(str), shell_complete=model_paths)
@click.option(
    "--out",
    cls=Option,
    heading=OUTPUT,
    type=Place(),
    default="compare.png",
    show_default=True,
    help="Where the figure goes: a .png, .svg or .pdf file.",
)
@with_options(
    force_option("Replace the file also where it is no figure of cnnlab's, or was changed since."), json_option()
)
def compare(names: Sequence[str], out: Path, force: bool, as_json: bool) -> None:
    """Put runs side by side, or results of one analysis.

    RUN is a run folder, or the name of one below runs/: accuracy, loss, time per epoch, and the curves of all in one
    figure.

    Instead of runs, name results, folders that `cnnlab analyze NAME --out DIR` or `cnnlab evaluate --out DIR` wrote:
    each number of each stands beside the first's, and their first drawings in one figure. Where the images are the
    same, they are paired: the difference has a 95% interval, Newcombe's of paired shares (1998, method 10) or Student's
    of the differences.
    """
    from cnnlab.cli.views import comparison as view
    from cnnlab.cli.views.result import warn
    from cnnlab.files.places import check_figure
    from cnnlab.inspection.comparison import compare as put_side_by_side
    from cnnlab.progress import status

    check_figure(out, force=force)
    found = put_side_by_side(*names)
    figure = None
    if found.drawing is not None:
        with status("Drawing"):
            figure = str(found.save(out, force=force))
    if as_json:
        echo(json.dumps({**found.to_json(), "figure": figure}, indent=2, ensure_ascii=False))
        return
    view.show(found)
    warn(found.notes)
    if figure:
        echo(f"  {figure}")
