"""Plugins as tables: which there are, and what one declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.console import Console
from cnnlab.pluginhost.declarations import Array

if TYPE_CHECKING:
    from cnnlab.pluginhost.registry import Plugin

STYLES = {"active": "green", "disabled": "dim", "broken": "red", "incompatible": "red", "clashing": "yellow"}
SLOW = 0.5
"""Seconds to import from which on a plugin is named."""

SHOWN_OTHERWISE = ("kind", "name", "summary", "params", "arrays", "metrics", "plugin")


OF_STRENGTHS = "Of several strengths each has its own: NAME@0.1 is NAME at 0.1, of one target NAME@3 at class 3."


def show_list(found: Sequence[Plugin]) -> None:
    """Print every plugin with its state, what it provides, or why it does not."""
    console = Console()
    columns = [
        Column("plugin", [plugin.name for plugin in found]),
        Column("state", [plugin.state for plugin in found], styles=STYLES),
        Column(
            "provides",
            ["\n".join([*(plugin.provides if plugin.usable else ()), *_told(plugin)]) for plugin in found],
        ),
        Column("distribution", [plugin.source.owner for plugin in found]),
        Column(
            "loaded in",
            [f"{plugin.seconds * 1000:.0f} ms" if plugin.state != "disabled" else "" for plugin in found],
            number=True,
        ),
    ]
    print_all(console, fitted(columns, console.width))
    if slow := [plugin for plugin in found if plugin.seconds > SLOW]:
        told = ", ".join(f"{plugin.name} ({plugin.source.owner}) {plugin.seconds:.1f} s" for plugin in slow)
        console.print(Text(f"Slow to import, for which only their own commands wait: {told}.", style="yellow"))


def _told(plugin: Plugin) -> list[str]:
    return [plugin.error] if plugin.error else []


def show_declaration(facts: dict[str, Any]) -> None:
    """Print what a plugin declares: parameters, arrays with their axes, metrics, and where it comes from."""
    console = Console()
    console.print(Text.assemble((f"{facts['kind']} {facts['name']}", "bold"), f"  {facts['summary']}"))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(overflow="fold")
    for key, value in facts.items():
        if key not in SHOWN_OTHERWISE and value not in ((), None):
            text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            table.add_row(Text(key.replace("_", " "), style="dim"), text)
    console.print(table)
    print_all(console, _declared(facts, console.width))


def _declared(facts: dict[str, Any], width: int) -> Iterator[RenderableType]:
    if params := facts.get("params"):
        columns = [
            Column("option", [row["option"] for row in params]),
            Column("values", [row["values"] for row in params]),
            Column("default", ["(required)" if row["required"] else row["default"] for row in params]),
            Column("meaning", [row["meaning"] for row in params]),
        ]
        yield from fitted(columns, width)
    if arrays := facts.get("arrays"):
        shapes = [Array(said["meaning"], axes=tuple(said["axes"])).shape for said in arrays.values()]
        meanings = [said["meaning"] for said in arrays.values()]
        yield from fitted([Column("array", [*arrays]), Column("axes", shapes), Column("meaning", meanings)], width)
    if metrics := facts.get("metrics"):
        yield from fitted([Column("metric", [*metrics]), Column("meaning", [*metrics.values()])], width)
        if any(axis.startswith("E") for said in (arrays or {}).values() for axis in said["axes"]):
            yield Text(OF_STRENGTHS, style="dim")
