"""The widgets of an analysis: JavaScript modules that its package ships, for the lab's page.

Like the code that a declaration names, a module is looked for when the plugin is loaded, and nothing is imported for
that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cnnlab.pluginhost.declarations import Analysis
from cnnlab.pluginhost.params import fields_of
from cnnlab.pluginhost.references import file_of

LARGEST = 1 << 20
"""Bytes of a widget."""

_FILE = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*\.js")


@dataclass(frozen=True)
class Named:
    """A widget as an analysis names it.

    Attributes:
        exports: What its module must export.
        of: The parameter, by its public name, or the drawing.
        file: Its name, from the folder of the package on.
        run: Where the mathematics is: in the package.
    """

    exports: Literal["parameter", "drawing"]
    of: str
    file: str
    run: str

    @property
    def path(self) -> Path | None:
        """Where the file would be: in the folder of the package, or beside a plugin that is a single file."""
        found = file_of(self.run.partition(":")[0].partition(".")[0])
        return None if found is None else found.parent / self.file


def named(analysis: Analysis) -> Iterator[Named]:
    """List the widgets that an analysis names: those of its parameters, then those of its drawings."""
    for field in fields_of(analysis.params):
        if field.widget is not None:
            yield Named("parameter", field.public, field.widget, analysis.run)
    for drawing, file in analysis.widgets.items():
        yield Named("drawing", drawing, file, analysis.run)


def problem_of_name(widget: Named) -> str:
    """Say why a name names no file of the package, as the end of a sentence; an empty text where it may."""
    if isinstance(widget.file, str) and _FILE.fullmatch(widget.file):
        return ""
    return "where the name of a file in the package was expected that ends in .js, such as 'spectrum.js'"


def problem_with_file(widget: Named) -> str:
    """Say what is wrong with the file, as the end of a sentence; an empty text where it can be served.

    >>> problem_with_file(Named("drawing", "", "spectrum.js", "no_such_package:run"))
    'and there is no such file'
    """
    path = widget.path
    try:
        if path is None or not path.is_file():
            return f"and there is no such file{'' if path is None else f' in {path.parent}'}"
        if path.stat().st_size > LARGEST:
            return f"which is larger than the {LARGEST:,} bytes that a widget may have"
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        return f"which cannot be read: {error}"
    name = widget.exports
    exported = rf"\bexport\s+(?:async\s+)?(?:const|let|var|function)\s+{name}\b|\bexport\s*\{{[^}}]*\b{name}\b[^}}]*\}}"
    return "" if re.search(exported, text) else f"which exports no `{name}`"
