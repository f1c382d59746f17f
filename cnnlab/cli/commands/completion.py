"""``cnnlab completion SHELL``, and what completes the values that cnnlab knows: datasets, runs, architectures.

Only names are looked up: no plugin's code is run beyond its declaration.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete

from cnnlab.cli.help import Command

if TYPE_CHECKING:
    from cnnlab.pluginhost.of_model import OfModel

VARIABLE = "_CNNLAB_COMPLETE"


class Bash(BashComplete):
    """Completion for bash, which takes what stands around a ``:`` or a ``=`` for words of their own.

    The script joins them again, so that ``--model=runs/classic`` and ``DISTRIBUTION:NAME`` are one word here, and takes
    off what is offered what bash has before its own.
    """

    source_template = r"""
%(complete_func)s() {
    local rest=$COMP_LINE before type value word words=()
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#words[@]} -eq 0 || $rest == [[:space:]]* ]]; then words+=("$word"); else words[-1]+=$word; fi
        rest=${rest#"${rest%%%%[![:space:]]*}"}
        rest=${rest#"$word"}
    done
    before=${words[-1]}
    [[ $word == [:=] ]] || before=${before%%"$word"}
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$before"}") ;;
        esac
    done < <(IFS=$'\n'; COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) %(complete_var)s=bash_complete $1)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


SHELLS = {"bash": Bash, "zsh": ZshComplete, "fish": FishComplete}


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print the script that completes cnnlab's commands, options and names in a shell.

    The line that reads it goes into ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish:

    \b
    bash:  eval "$(cnnlab completion bash)"
    zsh:   eval "$(cnnlab completion zsh)"
    fish:  cnnlab completion fish | source
    """  # noqa: D301 - click wants the control character, not a backslash
    from cnnlab.cli import cli

    # The template alone: source() would first run the shell to ask its version, which other machines need not have.
    script = SHELLS[shell](cli, {}, "cnnlab", VARIABLE)
    click.echo(script.source_template % script.source_vars())


def dataset_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a dataset's name; once it looks like a path, a path."""
    return _listed("dataset", incomplete) or [CompletionItem(incomplete, type="file")]


def architecture_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete an architecture's name."""
    return _listed("architecture", incomplete)


def recipe_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a recipe's name."""
    return _listed("recipe", incomplete)


def _listed(noun: str, incomplete: str) -> list[CompletionItem]:
    """What plugins provide of a kind, with the summary."""
    from cnnlab.pluginhost import registry

    found = sorted(registry.listed(noun).items())
    return [CompletionItem(name, help=each.summary) for name, each in found if name.startswith(incomplete)]


def names_in_model(ctx: click.Context, wanted: OfModel | None) -> list[str]:
    """List the classes or the layers of the model that was named, as far as its files tell them without opening it."""
    from cnnlab.pluginhost.of_model import AClass, AModel
    from cnnlab.runs import files_tell

    if wanted is None or isinstance(wanted, AModel):
        return []
    classes, layers = files_tell(ctx.params.get("model"))
    return list(classes if isinstance(wanted, AClass) else layers)


def model_paths(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the runs under ``runs/``; once it is none of them, any path."""
    runs = sorted(str(record.parent) for record in Path("runs").glob("*/run.json"))
    found = [CompletionItem(run) for run in runs if run.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]
