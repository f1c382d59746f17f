"""Plugins as tables: which there are, and what one declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cnnlab.pluginhost.declarations import Array

if TYPE_CHECKING:
    from cnnlab.pluginhost.registry import Plugin

STYLES = {"active": "green", "disabled": "dim", "broken": "red", "incompatible": "red", "clashing": "yellow"}
SHOWN_OTHERWISE = ("kind", "name", "summary", "params", "arrays", "metrics", "plugin")


def show_list(found: Sequence[Plugin]) -> None:
    """Print every plugin with its state, what it provides, or why it does not."""
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
    Console().print(table)


def show_declaration(facts: dict[str, Any]) -> None:
    """Print what a plugin declares: parameters, arrays with their axes, metrics, and where it comes from."""
    console = Console()
    title = f"[bold]{facts['kind']} {facts['name']}[/]  {escape(facts['summary'])}"
    console.print(title, highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for key, value in facts.items():
        if key not in SHOWN_OTHERWISE and value not in ((), None):
            text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            table.add_row(f"[dim]{key.replace('_', ' ')}[/]", escape(text))
    console.print(table)
    if facts.get("params"):
        table = Table("option", "values", "default", "meaning", box=box.SIMPLE_HEAD)
        for row in facts["params"]:
            default = "(required)" if row["required"] else row["default"]
            table.add_row(row["option"], escape(row["values"]), default, escape(row["meaning"]))
        console.print(table)
    if facts.get("arrays"):
        table = Table("array", "axes", "meaning", box=box.SIMPLE_HEAD)
        for name, said in facts["arrays"].items():
            shape = Array(said["meaning"], axes=tuple(said["axes"])).shape
            table.add_row(escape(name), escape(shape), escape(said["meaning"]))
        console.print(table)
    if facts.get("metrics"):
        table = Table("metric", "meaning", box=box.SIMPLE_HEAD)
        for name, text in facts["metrics"].items():
            table.add_row(escape(name), escape(text))
        console.print(table)
