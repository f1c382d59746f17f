"""``cnnlab plugins``: what is installed, and in what state."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from cnnlab.errors import CnnlabError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cnnlab.plugins.declarations import Declaration
    from cnnlab.plugins.registry import Plugin

STYLES = {"active": "green", "disabled": "dim", "broken": "red", "incompatible": "red", "clashing": "yellow"}


@click.group()
def plugins() -> None:
    """List, explain, check and start plugins."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else there.")
def list_plugins(as_json: bool) -> None:
    """List every plugin found: active, disabled, broken, incompatible or clashing ones.

    A plugin is never fatal: what is wrong with it stands in its row. CNNLAB_PLUGINS=a,b loads only those,
    CNNLAB_DISABLE=a leaves some out, and CNNLAB_STRICT=1 makes a plugin that is not active an error.
    """
    from cnnlab.plugins import registry

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
        click.echo(json_module.dumps(rows, indent=2))
        return
    from rich.console import Console

    Console().print(_list_table(found))


def _list_table(found: tuple[Plugin, ...]) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("plugin", "state", "provides", "distribution"):
        table.add_column(column, overflow="fold")
    table.add_column("loaded in", justify="right", no_wrap=True)
    for plugin in found:
        style = STYLES[plugin.state]
        what = "\n".join(plugin.provides) if plugin.state == "active" else plugin.error
        table.add_row(
            plugin.name,
            f"[{style}]{plugin.state}[/]",
            escape(what),
            f"{plugin.distribution} {plugin.version}",
            f"{plugin.seconds * 1000:.0f} ms" if plugin.state != "disabled" else "",
        )
    return table


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a plugin or of what one provides."""
    from cnnlab.plugins import registry

    active = [plugin for plugin in registry.plugins() if plugin.state == "active"]
    names = {name for plugin in active for name in (plugin.name, *(each.name for each in plugin.declarations))}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


@plugins.command("show")
@click.argument("name", shell_complete=_names)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else there.")
def show_plugin(name: str, as_json: bool) -> None:
    """Explain a plugin, or what one provides: parameters, arrays, metrics, and where it comes from."""
    found = _declarations(name)
    if as_json:
        described = [_described(plugin, declaration) for plugin, declaration in found]
        click.echo(json_module.dumps(described, indent=2))
        return
    from rich.console import Console

    console = Console()
    for plugin, declaration in found:
        _print_declaration(console, plugin, declaration)


def _declarations(name: str) -> list[tuple[Plugin, Declaration]]:
    """Find what is called ``name``, or is provided by a plugin of that name."""
    from cnnlab.plugins import registry

    found, known = [], []
    for plugin in registry.plugins():
        known += [plugin.name, *(declaration.name for declaration in plugin.declarations)]
        if plugin.name == name and plugin.state != "active":
            raise CnnlabError(f"plugin {name!r} is {plugin.state}: {plugin.error}")
        if plugin.state == "active":
            found += [(plugin, item) for item in plugin.declarations if name in (plugin.name, item.name)]
    if not found:
        raise UsageError(f"there is no plugin {name!r}. {did_you_mean(name, known)}")
    return found


def _described(plugin: Plugin, declaration: Declaration) -> dict[str, Any]:
    import dataclasses

    from cnnlab.plugins.declarations import Analysis
    from cnnlab.plugins.params import fields_of
    from cnnlab.plugins.registry import kind_of

    facts = {field.name: getattr(declaration, field.name) for field in dataclasses.fields(declaration)}
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
        facts["arrays"], facts["metrics"] = dict(declaration.arrays), dict(declaration.metrics)
    source = {"plugin": plugin.name, "distribution": plugin.distribution, "version": plugin.version}
    return {"kind": kind_of(declaration), **facts, **source, "module": plugin.module}


def _print_declaration(console: Any, plugin: Plugin, declaration: Declaration) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    facts = _described(plugin, declaration)
    console.print(f"[bold]{facts.pop('kind')} {declaration.name}[/]  {escape(declaration.summary)}", highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for key, value in facts.items():
        if key not in ("name", "summary", "params", "arrays", "metrics", "plugin") and value not in (
            (),
            None,
        ):
            text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            table.add_row(f"[dim]{key.replace('_', ' ')}[/]", escape(text))
    console.print(table)
    if facts.get("params"):
        table = Table("option", "values", "default", "meaning", box=box.SIMPLE_HEAD)
        for row in facts["params"]:
            default = "(required)" if row["required"] else row["default"]
            table.add_row(row["option"], escape(row["values"]), default, escape(row["meaning"]))
        console.print(table)
    for noun in ("arrays", "metrics"):
        if facts.get(noun):
            table = Table(noun[:-1], "meaning", box=box.SIMPLE_HEAD)
            for key, text in facts[noun].items():
                table.add_row(escape(key), escape(text))
            console.print(table)


@plugins.command("check")
@click.argument("name", shell_complete=_names)
@click.pass_context
def check_plugin(context: click.Context, name: str) -> None:
    """Hold an installed plugin to its contract, and print a line per promise.

    Needs pytest. Exits with 1 when a promise is broken.
    """
    import importlib.util
    import subprocess
    import sys

    _declarations(name)
    if importlib.util.find_spec("pytest") is None:
        raise CnnlabError("checking a plugin needs pytest: `pip install pytest`.")
    # A process of its own, so that the promise about imports is judged in a clean one.
    context.exit(subprocess.run([sys.executable, "-m", "cnnlab.testing", name], check=False).returncode)


@plugins.command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["analysis", "dataset", "architecture"]),
    default="analysis",
    show_default=True,
    help="What the plugin provides.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The folder to write into. [default: this one]",
)
def new_plugin(name: str, kind: Any, out: Path) -> None:
    """Write a complete, installable plugin package to start from: cnnlab-NAME."""
    from cnnlab import __version__
    from cnnlab.plugins.scaffold import create

    folder = create(name, kind, out, __version__)
    click.echo(f"Wrote {folder}:")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            click.echo(f"  {path}")
    click.echo(f"\nNow:\n  pip install -e {folder}\n  cnnlab plugins check {name}")
