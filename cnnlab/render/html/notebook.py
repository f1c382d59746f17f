"""What a notebook shows of a thing: one line, pictures, tables; a piece of HTML that stands for itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import Markup

from cnnlab.drawings import Drawing
from cnnlab.drawings.tables import Table
from cnnlab.render import html


def notebook(
    told: str,
    *,
    headline: str = "",
    notes: Iterable[str] = (),
    drawings: Iterable[Drawing] = (),
    called: str = "a drawing",
    tables: Iterable[Table] = (),
    attached: Iterable[object] = (),
) -> str:
    """Return what a notebook shows of a thing, as a piece of HTML without script or ids.

    Args:
        told: What it is, in one line.
        headline: What stands above that, in bold.
        notes: What the reader should know.
        drawings: What is drawn, values as arrays.
        called: What one of them is called, and whose it is, where it cannot be drawn.
        tables: What follows; those without rows are left out.
        attached: Files that belong to it (:class:`cnnlab.results.artifacts.Attached`), each a link.
    """
    page: str = (
        html.environment()
        .get_template("notebook.html.j2")
        .render(
            told=told,
            headline=headline,
            notes=notes,
            figures=[_without_data(html.shown(drawing, called)) for drawing in drawings],
            tables=[table for table in tables if table.rows],
            attached=list(attached),
            style=_style(),
        )
    )
    return page


def _without_data(figure: Markup) -> Markup:
    """Leave out what only the script of a page reads, such as the numbers behind pictures."""
    return Markup(re.sub(r'\s*\bdata-[a-z]+="[^"]*"', "", figure))


def _style() -> Markup:
    """The style of drawings, within the notebook's piece alone."""
    drawings = html.style().partition("/* Drawings */")[2]
    return Markup(f".cnnlab {{\n{html.palette()}\n{drawings}\n{html.text('notebook.css')}\n}}")
