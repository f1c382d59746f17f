"""``cnnlab analyze NAME,NAME,...``: several questions about the same images, of a model that is opened once."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cnnlab.analysis import gates as gating
from cnnlab.cli.commands.analyze import answer, check_out
from cnnlab.cli.commands.options import take_images, take_model
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis

if TYPE_CHECKING:
    from cnnlab.analysis.request import Request
    from cnnlab.progress import Progress


class Several(Command):
    """The command of several analyses: it has the host's options, and each analysis its defaults."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options.

        Raises:
            UsageError: One of them is an analysis' own, or nobody's.
        """
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise UsageError(
                f"{error.option_name} is no option of several analyses at once, each of which has its defaults; ask "
                "an analysis alone to set its own options."
            ) from error


def command_for(analyses: Sequence[Analysis], options: list[click.Parameter]) -> click.Command:
    """Make the command that asks several analyses.

    Args:
        analyses: Which, in the order in which they are asked.
        options: Those that the host owns.
    """
    if len({id(analysis) for analysis in analyses}) < len(analyses):
        raise UsageError(f"each analysis is asked once; received {','.join(each.name for each in analyses)}.")
    names = _names(analyses)
    described = (
        f"Ask {', '.join(names[:-1])} and {names[-1]}, each with its defaults, of a model that is opened once.\n\n"
        "Each result goes to a folder of its own, with --out DIR to DIR/NAME. --json prints an object that holds "
        'result.json of each by its name, and {"error": ...} for one that failed. --fail-under takes '
        "NAME.METRIC=VALUE. Where one fails, the others go on, and the exit status is 1."
    )
    return Several(",".join(names), params=options, callback=functools.partial(_answer, analyses), help=described)


def _names(analyses: Sequence[Analysis]) -> list[str]:
    """What each is called: by its name, and where two have the same by its distribution's too.

    What else is installed has no say in it, for scripts rely on folders, keys and gates that are called so.
    """
    bare = [each.name for each in analyses]
    return [
        f"{registry.provider(each).distribution}:{each.name}" if bare.count(each.name) > 1 else each.name
        for each in analyses
    ]


def _answer(analyses: Sequence[Analysis], **values: Any) -> None:
    """Do what was asked; what can be refused by its words alone is refused before anything heavy is imported."""
    from cnnlab.analysis.image_choice import ImageChoice
    from cnnlab.analysis.request import Request
    from cnnlab.files.places import check_folder

    model, images, out = take_model(values), take_images(values), values["out"]
    names = _names(analyses)
    declared = {
        f"{name}.{metric}": said
        for name, each in zip(names, analyses, strict=True)
        for metric, said in each.metrics.items()
    }
    wanted = gating.parse(values["gates"], declared, "none of these analyses")
    if out is not None:
        check_folder(out)
    requests = []
    for name, analysis in zip(names, analyses, strict=True):
        chosen = ImageChoice() if analysis.inputs == "none" else images
        asked = {name: values[name] for name in ("seed", "device", "keep")}
        request = Request(analysis=analysis, model=model, images=chosen, **asked)
        request.check()
        check_out(request, out and out / _folder(name), values["force"])
        requests.append(request)

    from cnnlab.progress import RichProgress

    progress = RichProgress()
    opened = _opened(requests, images, progress)
    records: dict[str, Any] = {}
    metrics: dict[str, float | None] = {}
    chief = True
    for name, request in zip(names, opened, strict=True):
        try:
            answered = answer(request, out and out / _folder(name), values, progress)
        except CnnlabError as error:
            echo(f"Error: {error}", err=True)
            records[name] = {"error": str(error)}
            continue
        if answered is None:
            chief = False
            continue
        result, record = answered
        if not values["as_json"]:
            echo()
        records[name] = json.loads(record)
        metrics |= {f"{name}.{metric}": value for metric, value in result.metrics.items()}
    if values["as_json"] and chief:
        echo(json.dumps(records, indent=2, ensure_ascii=False))
    failed = [name for name, record in records.items() if "error" in record]
    if failed:
        raise CnnlabError(f"{len(failed)} of {len(records)} analyses could not be done: {', '.join(failed)}.")
    gating.judge(wanted, metrics)


def _folder(name: str) -> str:
    """What the folder of a result is called, of a name that may hold the path of a plugin's file."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")


def _opened(requests: Sequence[Request], images: Any, progress: Progress) -> list[Request]:
    """The same requests, of the opened model and of images that were read once."""
    from cnnlab.analysis.image_choice import ImageChoice
    from cnnlab.analysis.model_choice import ModelChoice
    from cnnlab.devices.choice import use_all_devices

    with use_all_devices(requests[0].device, progress):
        with progress.stage("Opening the model"):
            classifier = requests[0].model.open()
        wanted = any(request.analysis.inputs != "none" for request in requests)
        inputs = images.read(classifier, wanted=wanted, progress=progress)
    return [
        replace(
            request,
            model=ModelChoice(model=classifier),
            images=ImageChoice() if request.analysis.inputs == "none" else ImageChoice(images=inputs),
        )
        for request in requests
    ]
