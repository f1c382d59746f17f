"""Drawings for a browser: pictures as PNG, charts as SVG, matrices as tables, all within one page.

Everything that a user or a stranger named is escaped, by Jinja. A page has no script, style or image from elsewhere,
and its Content-Security-Policy forbids them. It can be read without its script, which adds sliders and a shared
pointer.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cnnlab.drawings import Drawing
from cnnlab.drawings.words import number
from cnnlab.render.html.charts import FIELD, bars_of, chart_of
from cnnlab.render.html.grids import grid_of
from cnnlab.render.html.pictures import image_of, legend_of, matrix_of, sheet_of
from cnnlab.render.style import LINES


def render(drawing: Drawing) -> Markup:
    """Return a drawing as a piece of HTML, for a page that has :func:`style` and :func:`script`.

    Args:
        drawing: What, its values arrays (see :func:`cnnlab.drawings.resolved`).
    """
    macros: Any = environment().get_template("drawings.html.j2").module
    return Markup(macros.figure(drawing))


def page(title: str, drawings: Mapping[str, Drawing]) -> str:
    """Return a page of its own that shows drawings, each under its name.

    Args:
        title: What the page is about.
        drawings: What, their values arrays.
    """
    figures = {name: render(drawing) for name, drawing in drawings.items()}
    return (
        environment()
        .get_template("page.html.j2")
        .render(title=title, figures=figures, style=style(), script=script(), policy=policy())
    )


def style() -> Markup:
    """Return the style sheet that drawings need, light and dark."""
    return Markup(f":root {{\n{palette()}\n}}\n{text('style.css')}")


def palette() -> str:
    """Return the colours of lines as the style sheet calls them."""
    return "\n".join(f"  --line-{number}: {color};" for number, color in enumerate(LINES))


def script() -> Markup:
    """Return the script that makes sliders of scrubs and lets pictures of one image share a pointer."""
    return Markup(text("script.js"))


def policy() -> str:
    """Return the Content-Security-Policy of a page: its own script, known by its digest, and nothing from elsewhere."""
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


@functools.cache
def text(name: str) -> str:
    """Return one of the templates as it is."""
    return resources.files(__name__).joinpath("templates", name).read_text(encoding="utf-8")


@functools.cache
def environment() -> Environment:
    """Return what renders the templates, everything in them escaped."""
    made = Environment(
        loader=PackageLoader(__name__, "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters["number"] = number
    made.globals |= {
        "bars_of": bars_of,
        "chart_of": chart_of,
        "field": FIELD,
        "grid_of": grid_of,
        "image_of": image_of,
        "legend_of": legend_of,
        "matrix_of": matrix_of,
        "sheet_of": sheet_of,
    }
    return made
