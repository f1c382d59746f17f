"""Drawings for a browser: pictures as PNG, charts as SVG, matrices as tables, all within one page.

Everything that a user or a stranger named is escaped, by Jinja. A page has no script, style or image from elsewhere,
and its Content-Security-Policy forbids them. It can be read without its script, which adds sliders and a shared
pointer.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cnnlab.drawings import Drawing
from cnnlab.render.files import png_of
from cnnlab.render.html.addresses import data_url
from cnnlab.render.html.charts import FIELD, bars_of, chart_of
from cnnlab.render.html.grids import grid_of
from cnnlab.render.html.pictures import as_picture, image_of, is_small, legend_of, matrix_of, sheet_of
from cnnlab.render.style import LINES
from cnnlab.render.trying import tried
from cnnlab.words import number, shortened

SCRIPTS = ("basics", "sliders", "pointer", "charts", "units")
"""The parts of the script, in their order."""

UNSEEN = dict.fromkeys({*range(32), 127, *range(0x202A, 0x202F), *range(0x2066, 0x206A)} - {9, 10, 13}, "\ufffd")
"""Characters by which a name could change what stands beside it, with what is shown instead."""


def render(drawing: Drawing, images: Sequence[str] = ()) -> Markup:
    """Return a drawing as a piece of HTML, for a page that has :func:`style` and :func:`script`.

    Args:
        drawing: What, its values arrays (see :func:`cnnlab.drawings.resolved`).
        images: Keys, such as digests, of the images that its pictures number (:attr:`Picture.image`): pictures of one
            key share a pointer all over the page, and others within their drawing alone.
    """
    macros: Any = environment().get_template("drawings.html.j2").make_module({"images": tuple(images)})
    return Markup(macros.figure(drawing))


def shown(drawing: Drawing, called: str, images: Sequence[str] = ()) -> Markup:
    """Return a drawing as :func:`render` does; of one that cannot be drawn, a note in its place.

    Args:
        drawing: What, its values arrays.
        called: What the note calls it, and whose it is.
        images: See :func:`render`.
    """
    look, note = tried(lambda: render(drawing, images), f"{called} could not be drawn")
    instead = Markup('<figure class="drawing"><p class="note">Note: {}</p></figure>').format(_shown(note))
    return instead if look is None else look


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
    """Return the script by which drawings answer: sliders, a pointer that pictures share, values, a layer's units."""
    return Markup('"use strict";\n{\nconst root = document;\n' + "\n".join(_parts()) + "}\n")


def module() -> str:
    """Return the same as a module, whose ``answer(root)`` makes the drawings of one part of a live page answer."""
    return "export const answer = (root) => {\n" + "\n".join(_parts()) + "};\n"


def _parts() -> Iterator[str]:
    return (text(f"{name}.js") for name in SCRIPTS)


def policy(*more: str) -> str:
    """Return the Content-Security-Policy of a page: its own scripts, known by digest, and nothing from elsewhere.

    Args:
        more: Scripts of the page beside :func:`script`, as they stand in it.
    """
    digests = [hashlib.sha256(each.encode()).digest() for each in (script(), *more)]
    known = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {known}"


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
        finalize=_shown,
    )
    made.filters |= {"data": _data, "number": number, "short": functools.partial(shortened, length=24)}
    made.globals |= {
        "as_picture": as_picture,
        "bars_of": bars_of,
        "chart_of": chart_of,
        "field": FIELD,
        "file_of": lambda image: data_url(png_of(image), "image/png"),
        "grid_of": grid_of,
        "image_of": image_of,
        "is_small": is_small,
        "legend_of": legend_of,
        "matrix_of": matrix_of,
        "sheet_of": sheet_of,
        "zip": zip,
    }
    return made


def _data(value: Any) -> str:
    """Return JSON for the script, whose texts are as :func:`_shown` would write them."""

    def shown(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {_shown(name): shown(each) for name, each in part.items()}
        return [shown(each) for each in part] if isinstance(part, list | tuple) else _shown(part)

    return json.dumps(shown(value))


def _shown(value: Any) -> Any:
    """Return what a template writes of a value: of texts, no character that turns others around."""
    return value.translate(UNSEEN) if type(value) is str else value
