"""``cnnlab plugins``: what is installed, and in what state."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from cnnlab.cli.commands.options import Place, force_option, json_option, with_options
from cnnlab.cli.echo import echo
from cnnlab.cli.help import Group
from cnnlab.errors import CnnlabError

if TYPE_CHECKING:
    from cnnlab.pluginhost.declarations import Declaration
    from cnnlab.pluginhost.registry import Plugin


@click.group(cls=Group)
def plugins() -> None:
    """List, explain, check and start plugins."""


@plugins.command("list")
@click.option("--refresh", is_flag=True, help="Forget what is remembered of plugins, and ask each again.")
@with_options(json_option())
def list_plugins(refresh: bool, as_json: bool) -> None:
    """List every plugin found: active, disabled, broken, incompatible or clashing ones.

    A plugin is never fatal: what is wrong with it stands in its row. CNNLAB_PLUGINS=a,b loads only those,
    CNNLAB_DISABLE=a leaves some out, CNNLAB_PLUGIN_FILES=my.py adds a file, CNNLAB_STRICT=1 makes a plugin
    that is not active an error, and CNNLAB_TRACE=1 prints each call of a hook with its time.

    What a plugin provides is remembered until one of its files changes, so that nobody waits for the import of
    a plugin that is not asked for.
    """
    from cnnlab.pluginhost import records, registry

    if refresh:
        records.forget()
        registry.plugins.cache_clear()
    found = registry.plugins()
    if as_json:
        rows = [
            {
                "name": plugin.name,
                "module": plugin.module,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "built_in": plugin.built_in,
                "state": plugin.state,
                "error": plugin.error,
                "provides": list(plugin.provides),
                "seconds": round(plugin.seconds, 4),
            }
            for plugin in found
        ]
        echo(json_module.dumps(rows, indent=2))
        return
    from cnnlab.cli.views import plugins as view

    view.show_list(found)


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a plugin, of a distribution, or of what one provides."""
    from cnnlab.pluginhost.lookup import names

    return [CompletionItem(name) for name in names() if name.startswith(incomplete)]


@plugins.command("show")
@click.argument("name", shell_complete=_names)
@with_options(json_option())
def show_plugin(name: str, as_json: bool) -> None:
    """Explain a plugin, or what one provides: parameters, arrays, metrics, and where it comes from.

    NAME may be that of a distribution too, such as cnnlab-x: then everything that it provides is shown.
    """
    from cnnlab.pluginhost.lookup import called

    found = called(name)
    if as_json:
        described = [_described(plugin, declaration) for plugin, declaration in found]
        echo(json_module.dumps(described, indent=2))
        return
    from cnnlab.cli.views import plugins as view

    for plugin, declaration in found:
        view.show_declaration(_described(plugin, declaration))


def _described(plugin: Plugin, declaration: Declaration) -> dict[str, Any]:
    import dataclasses

    from cnnlab.pluginhost.declarations import Analysis, Section
    from cnnlab.pluginhost.params import fields_of
    from cnnlab.reports.profiles import PROFILES, outline
    from cnnlab.results.meanings import settled

    names = [field.name for field in dataclasses.fields(declaration)]
    facts = {name: getattr(declaration, name) for name in names if name != "command"}  # click's own object
    if isinstance(declaration, Analysis):
        facts["params"] = [
            {
                "name": field.public,
                "option": field.option,
                "meaning": field.doc,
                "values": field.expected,
                "choices": list(field.choices),
                "default": None if field.required else field.default_text,
                "required": field.required,
            }
            for field in fields_of(declaration.params)
        ]
        facts["arrays"] = {
            name: {"meaning": settled(array.meaning), "axes": list(array.axes)}
            for name, array in declaration.arrays.items()
        }
        facts["metrics"] = {name: settled(meaning) for name, meaning in declaration.metrics.items()}
    if isinstance(declaration, Section):
        # Those that join a profile by themselves, and those that it names.
        joined = [each.name for each in PROFILES.values() if declaration.name in outline(each, [declaration])]
        facts["profiles"] = tuple(joined)
    source = {"plugin": plugin.name, "distribution": plugin.distribution, "version": plugin.version}
    return {"kind": declaration.noun, **facts, **source, "module": plugin.module}


@plugins.command("check")
@click.argument("name", shell_complete=_names)
@click.option(
    "--param",
    "params",
    metavar="NAME=VALUE",
    multiple=True,
    help="A parameter to check an analysis with, beside those of its own contract class. May be given several times.",
)
@click.pass_context
def check_plugin(context: click.Context, name: str, params: tuple[str, ...]) -> None:
    """Hold an installed plugin to its contract, and print a line per promise.

    Where the package ships contract classes of its own, in its module `testing`, they are taken. NAME may be that
    of a distribution: then all that it provides is checked. Needs pytest. Exits with 1 when a promise is broken.
    """
    import importlib.util
    import subprocess
    import sys

    from cnnlab.pluginhost.lookup import called

    called(name)
    if importlib.util.find_spec("pytest") is None:
        raise CnnlabError("checking a plugin needs pytest: `pip install pytest`.")
    # A process of its own, so that the promise about imports is judged in a clean one.
    words = [sys.executable, "-m", "cnnlab.testing", name, *(f"--param={each}" for each in params)]
    context.exit(subprocess.run(words, check=False).returncode)


@plugins.command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["analysis", "attack", "dataset", "architecture"]),
    default="analysis",
    show_default=True,
    help="What the plugin provides.",
)
@click.option(
    "--out",
    type=Place(),
    default=Path(),
    help="The folder to write into. [default: this one]",
)
@click.option(
    "--licence",
    type=click.Choice(["mit", "apache-2.0", "bsd-3-clause", "none"]),
    default="mit",
    show_default=True,
    help="The licence that the package is under.",
)
@click.option(
    "--author",
    "authors",
    metavar="NAME",
    multiple=True,
    help="Who wrote it, as 'NAME' or 'NAME <EMAIL>'. May be given several times.",
)
@click.option("--url", metavar="ADDRESS", help="Where the package will lie, such as its repository.")
@with_options(
    force_option(
        "Write also into a folder of that name that is there. Files called as the package's are replaced, no other."
    )
)
def new_plugin(
    name: str, kind: Any, out: Path, licence: Any, authors: tuple[str, ...], url: str | None, force: bool
) -> None:
    """Write a complete, installable plugin package to start from: cnnlab-NAME.

    It works as it is. Its tests, which a workflow on GitHub runs too, hold it to its contract.
    """
    from cnnlab import __version__
    from cnnlab.pluginhost.scaffold import create

    folder = create(name, kind, out, __version__, licence=licence, authors=authors, url=url, force=force)
    echo(f"Wrote {folder}:")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            echo(f"  {path}")
    echo(f"\nNow:\n  pip install -e {folder}\n  cnnlab plugins check {name}")
