"""``cnnlab analyze NAME``: one command per installed analysis, its options made from its declared parameters."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from cnnlab.analysis import gates as gating
from cnnlab.cli import plugin_files
from cnnlab.cli.commands.declared_options import option_for
from cnnlab.cli.commands.options import (
    OUTPUT,
    RESULTS,
    Place,
    about_options,
    device_option,
    force_option,
    gates_option,
    image_options,
    json_option,
    keep_option,
    model_option,
    take_images,
    take_model,
)
from cnnlab.cli.help import Command, Group, Option
from cnnlab.errors import UsageError
from cnnlab.files.places import FIGURES
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis
from cnnlab.pluginhost.params import fields_of

if TYPE_CHECKING:
    from cnnlab.analysis.request import Request
    from cnnlab.progress import Progress
    from cnnlab.results.result import Result


class Analyses(Group):
    """The group whose commands are the installed analyses; failed plugins are named below them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; ``--plugin`` may also stand behind the name of the analysis."""
        return super().parse_args(ctx, plugin_files.first(args))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the analyses that can be used, in alphabetical order."""
        return sorted(registry.listed("analysis"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Make the command for an analysis, or for several whose names commas part.

        Raises:
            UsageError: There is no such analysis, or its plugin failed; the message says which. While a shell completes
                a line there is no command then, and nothing is said.
        """
        try:
            asked = [registry.find_analysis(name) for name in cmd_name.split(",")]
        except UsageError:
            if ctx.resilient_parsing:
                return None
            raise
        if len(asked) == 1:
            return command_for(asked[0])
        from cnnlab.cli.commands import analyze_several

        return analyze_several.command_for(asked, host_options(any(each.inputs != "none" for each in asked)))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the analyses, then the plugins that could not be used, and those whose names clash."""
        rows = [(name, analysis.summary) for name, analysis in sorted(registry.listed("analysis").items())]
        if rows:
            with formatter.section("Analyses"):
                formatter.write_dl(rows)
        failed = [plugin for plugin in registry.plugins() if plugin.failed]
        for heading, usable in (("Not available (see `cnnlab plugins list`)", False), ("Names that clash", True)):
            if found := [
                (plugin.name, f"{plugin.state}: {plugin.error}") for plugin in failed if plugin.usable == usable
            ]:
                with formatter.section(heading):
                    formatter.write_dl(found)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the analyses and the group's own options; click would make each command, and import its plugin."""
        found = registry.listed("analysis")
        names = [
            CompletionItem(name, help=found[name].summary) for name in sorted(found) if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=Analyses)
@plugin_files.with_option
def analyze() -> None:
    """Ask one question of a model: an analysis, by name; or several, `NAME,NAME`.

    Writes result.json, arrays.npz, drawings.json and figure*.png into a folder. `cnnlab analyze NAME --help` tells
    an analysis' options.
    """


def host_options(images: bool) -> list[click.Parameter]:
    """Make the options that the host owns, with or without those of images, in the order that the help shows them."""
    general = [
        Option(
            ["--out"],
            type=Place(),
            help="Where to write. [default: beside the run]",
            heading=OUTPUT,
        ),
        force_option(RESULTS),
        Option(
            ["--format"],
            heading=OUTPUT,
            type=click.Choice(FIGURES),
            default="png",
            show_default=True,
            help="What the figures are written as.",
        ),
        Option(
            ["--dpi"],
            heading=OUTPUT,
            type=click.IntRange(30, 1200),
            default=150,
            show_default=True,
            help="Dots per inch of the figures.",
        ),
        keep_option(),
        Option(["--seed"], type=click.IntRange(min=0), default=0, show_default=True, help="Seeds what is random."),
        device_option(),
        gates_option(),
        json_option("result.json"),
    ]
    return [model_option(), *about_options(), *(image_options() if images else ()), *general]


def command_for(analysis: Analysis) -> click.Command:
    """Make the click command of an analysis."""
    fields = fields_of(analysis.params)
    own = {field.name for field in fields}

    def callback(**values: Any) -> None:
        given = {name: values.pop(name) for name in own}
        # A tuple option that nobody gave arrives empty, and stands for the default.
        params = {name: value for name, value in given.items() if value is not None and value != ()}
        _answer(analysis, params, values)

    return Command(
        analysis.name,
        params=[
            *(option_for(field, heading=f"Options of {analysis.name}") for field in fields),
            *(option for option in host_options(analysis.inputs != "none") if option.name not in own),
        ],
        callback=callback,
        help=analysis.summary,
        short_help=analysis.summary,
    )


def _answer(analysis: Analysis, params: dict[str, Any], values: dict[str, Any]) -> None:
    """Do what was asked, from checking the words to judging the gates.

    What can be refused by its words alone is refused before anything heavy is imported.
    """
    from cnnlab.analysis.request import Request

    request = Request(
        analysis=analysis,
        params=params,
        model=take_model(values),
        images=take_images(values),
        seed=values["seed"],
        device=values["device"],
        keep=values.get("keep", "arrays"),  # an analysis' own parameter of that name goes first
    )
    wanted = gating.parse(values["gates"], analysis.metrics, analysis.name)
    request.check()
    check_out(request, values["out"], values["force"])

    from cnnlab.progress import RichProgress

    answered = answer(request, values["out"], values, RichProgress())
    if answered is None:
        return
    result, record = answered
    if values["as_json"]:
        sys.stdout.write(record)
    gating.judge(wanted, result.metrics)


def check_out(request: Request, out: Path | None, force: bool) -> None:
    """Refuse where nothing can be written, or lies what cnnlab did not write.

    Raises:
        CnnlabError: It is such a place.
    """
    from cnnlab.analysis.request import default_parent
    from cnnlab.files.places import check_folder as check_place
    from cnnlab.results.folder import check_folder

    if out is None:
        check_place(default_parent(request.model.source))
    else:
        check_folder(out, force=force)


def answer(
    request: Request, out: Path | None, values: Mapping[str, Any], progress: Progress
) -> tuple[Result, str] | None:
    """Perform a request, save what it finds and, unless JSON is wanted, show it.

    Args:
        request: What is asked.
        out: Where to write; None for beside the run.
        values: Of the command's options: ``force``, ``format``, ``dpi`` and ``as_json``.
        progress: Where to show progress.

    Returns:
        The result, and its result.json; None in a process that another one works with, which saves and shows it.
    """
    from cnnlab.analysis.request import new_folder, perform
    from cnnlab.devices.choice import use_all_devices
    from cnnlab.progress import Silent
    from cnnlab.results.folder import RECORD

    with use_all_devices(request.device, progress) as replicas:
        result = perform(request, progress if replicas.is_chief else Silent())
    if not replicas.is_chief:
        return None
    with progress.stage("Drawing and saving"), contextlib.nullcontext(out) if out else new_folder(result) as folder:
        files = result.save(folder, format=values["format"], dpi=values["dpi"], force=values["force"])
    if not values["as_json"]:
        from cnnlab.cli.views import result as view

        view.show(result, files)
    return result, next(file for file in files if file.name == RECORD).read_text(encoding="utf-8")
