"""How an inspected model looks in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cnnlab.cli.views import summary
from cnnlab.cli.views.result import warn
from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.console import Console
from cnnlab.inspection.facts import facts_of, headline

if TYPE_CHECKING:
    from cnnlab.inspection.inspect import Inspection


RUNS = {"yes": "green", "no": "yellow"}


def show(found: Inspection) -> None:
    """Print facts, layers, and what can be asked."""
    console = Console()
    console.print(Text(headline(found), style="bold"))
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in facts_of(found):
        facts.add_row(name, value)
    console.print(facts)
    summary.show_tables(console, found.summary)
    names = list(found.analyses)
    columns = [
        Column("analysis", names),
        Column("runs", ["yes" if found.analyses[name] is None else "no" for name in names], styles=RUNS),
        Column("reason", [found.analyses[name] or "" for name in names], style="dim"),
    ]
    print_all(console, fitted(columns if any(found.analyses.values()) else columns[:2], console.width))
    warn(found.classifier.notes)
