"""``cnnlab summary``: what a model, or an architecture, is made of."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from cnnlab.cli.commands.completion import architecture_names, model_paths
from cnnlab.cli.commands.options import MODEL, Place, json_option, trust_options, with_options
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Command, Option
from cnnlab.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [*architecture_names(ctx, param, incomplete), *model_paths(ctx, param, incomplete)]


@click.command(cls=Command)
@click.argument("model", metavar="[MODEL|ARCHITECTURE]", required=False, type=Place(str), shell_complete=_complete)
@click.option(
    "--batch-norm",
    cls=Option,
    heading=MODEL,
    is_flag=True,
    help="Build the architecture with batch normalisation.",
)
@with_options(*trust_options(), json_option())
def summary(model: str | None, batch_norm: bool, as_json: bool, **trust: Any) -> None:
    """Tell what a model is made of: sizes, parameters, units and multiply-adds of each layer.

    MODEL is a run folder or the name of a run, a SavedModel folder or a .keras file; by default the newest run.
    ARCHITECTURE is a name from `cnnlab plugins list`: it is built for the images it was made for.

    Kernel taps are the kernel entries of a convolution (height x width x in x out), and the units of a dense layer:
    what reports on small networks add up as "neurons". Output units are the values that a layer gives for an image.
    """
    path, architecture = _find(model, batch_norm)

    from cnnlab.cli.views.result import warn
    from cnnlab.inspection.summary import summarize

    name, classifier = _open(path, architecture, batch_norm, trust)
    found = summarize(classifier)
    warn(classifier.notes)
    if as_json:
        facts = {"model": name, "kind": classifier.kind if path else "architecture", **found.to_json()}
        echo(json_module.dumps(facts, indent=2))
        return
    from cnnlab.cli.views import summary as view

    view.show(name, found)


def _find(word: str | None, batch_norm: bool) -> tuple[Path | None, str]:
    """Decide by words alone what is meant: the path of a model, or the name of an architecture.

    Raises:
        UsageError: It is neither, or batch normalisation was asked for where that means nothing.
        CnnlabError: No run was named, and there is none.
    """
    from cnnlab import runs
    from cnnlab.pluginhost import registry

    known = registry.architectures()
    if word is not None and (word in known or registry.is_full(word)) and not Path(word).exists():
        if batch_norm and not registry.find_architecture(word).batch_norm:
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


def _open(path: Path | None, architecture: str, batch_norm: bool, trust: dict[str, Any]) -> tuple[str, Classifier]:
    from cnnlab.classifier import load
    from cnnlab.progress import status

    if path is not None:
        with status("Opening the model"):
            return str(path), load(path, **trust)
    from cnnlab import training
    from cnnlab.pluginhost import registry

    declaration = registry.find_architecture(architecture)
    with status("Building the network"):
        network = training.build(architecture, declaration.input_shape, declaration.classes, batch_norm)
        return f"{architecture}{' with batch normalisation' if batch_norm else ''}", load(network)
