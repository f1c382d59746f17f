"""``cnnlab report``: the whole of it with one command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.cli.commands.completion import dataset_names, model_paths
from cnnlab.cli.commands.options import (
    IMAGES,
    OUTPUT,
    Place,
    about_options_only,
    device_option,
    force_option,
    with_options,
)
from cnnlab.cli.help import Command, Option
from cnnlab.errors import UsageError
from cnnlab.pluginhost.declarations import ProfileName

if TYPE_CHECKING:
    from cnnlab.reports.places import Format


@click.command(cls=Command)
@click.argument("model", required=False, type=Place(), shell_complete=model_paths)
@click.option(
    "--profile",
    cls=Option,
    type=click.Choice(get_args(ProfileName)),
    help="Which sections. [default: assignment for a run, audit for other models]",
)
@click.option(
    "--compare",
    cls=Option,
    type=Place(),
    help="The run to hold this one against, with batch normalisation or without. [default: found among the runs]",
)
@click.option(
    "--result",
    "results",
    cls=Option,
    type=Place(),
    multiple=True,
    help="A result's folder, or several: the report is of these alone, each a section. No model is opened.",
)
@about_options_only
@click.option(
    "--dataset",
    cls=Option,
    heading=IMAGES,
    shell_complete=dataset_names,
    help="Labelled images: a name, or a path. See `cnnlab datasets`. [default: those that the run was trained on]",
)
@click.option(
    "--split",
    cls=Option,
    heading=IMAGES,
    type=click.Choice(["train", "test"]),
    default="test",
    show_default=True,
    help="Their part.",
)
@click.option(
    "--limit",
    cls=Option,
    heading=IMAGES,
    type=click.IntRange(min=1),
    help="Evaluate the model on the first so many of them. [default: all]",
)
@click.option(
    "--out",
    cls=Option,
    heading=OUTPUT,
    type=Place(),
    help="The file. [default: report.html in the run, report-of-results.html for --result; for other models below "
    "results/]",
)
@click.option(
    "--format",
    cls=Option,
    heading=OUTPUT,
    type=click.Choice(["html", "md", "json"]),
    help="One page, Markdown with a folder of pictures, or data. [default: by the file's ending, else html]",
)
@with_options(
    force_option(
        "Replace the file also where it is no report, or was changed since. Pictures that are not a report's stay."
    )
)
@click.option(
    "--seed", cls=Option, type=click.IntRange(min=0), default=0, show_default=True, help="Seeds all analyses."
)
@with_options(device_option())
def report(
    choice: ModelChoice,
    model: Path | None,
    profile: str | None,
    compare: Path | None,
    results: tuple[Path, ...],
    dataset: str | None,
    split: str,
    limit: int | None,
    out: Path | None,
    format: Format | None,
    force: bool,
    seed: int,
    device: str,
) -> None:
    """Write a report on a model: figures, numbers with intervals, and conclusions that follow from them.

    MODEL is a run folder, a SavedModel folder, or a .keras or .h5 file; the newest run without it. Nothing is trained.
    What the analyses find is kept beside the run: the same report takes seconds the next time, and an interrupted one
    goes on. The profiles: assignment (training, architecture, filters, occlusion, and three ways to fool it), audit
    (health, calibration, robustness, saliency and its tests), quick (a first look).
    """
    from cnnlab.devices.cluster import from_environment

    together = from_environment(os.environ)
    if together:
        raise UsageError(
            f"a report is written by one process, and {len(together.workers)} were started together; start it alone, "
            "with `devices=` for several devices."
        )
    choice = replace(choice, model=model)
    if results:
        _check_alone(
            {"MODEL": model, "--profile": profile, "--compare": compare, "--dataset": dataset, "--limit": limit}
        )

    from cnnlab.cli.views import report as view
    from cnnlab.progress import RichProgress
    from cnnlab.reports.places import check_file, default_file, file_of_results, format_of, is_run

    format = format or format_of(out)
    if results:
        from cnnlab.results.result import read_record

        wanted = "results"
        path = out or file_of_results([read_record(each)["model"] for each in results], format)
    else:
        source = choice.source
        wanted = profile or ("assignment" if is_run(source) else "audit")
        path = out or default_file(source, format)
    check_file(path, format, force=force)

    from cnnlab.reports.report import report as write_report

    found = write_report(
        None if results else choice,
        profile=wanted,
        dataset=dataset,
        split=split,
        limit=limit,
        compare=compare,
        seed=seed,
        device=device,
        results=results,
        progress=(progress := RichProgress()),
        told=view.told,
    )
    with progress.stage("Writing the report"):
        files = found.save(path, format, force=force)
    view.show(found, files)


def _check_alone(others: Mapping[str, Any]) -> None:
    """Refuse what would be said of a model where the report is of results."""
    for name, value in others.items():
        if value is not None:
            raise UsageError(f"a report of results is made of these alone: give --result or {name}, not both.")
