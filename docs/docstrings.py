"""Docstrings as the site shows them: an extension of griffe, which reads them for mkdocstrings.

In the code they are written for whoever reads it, and for ``help()``. On a page references become links, an example is
complete with what it imports, parameters that are declared in an annotation are explained, what a class inherits from
one that has no place in the docs stands with it, and how one is made is told where users make it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import griffe

OPTIONS = {"returns_named_value": False, "returns_multiple_items": False}
"""How the sections of docstrings are read; mkdocs.yml says the same."""

ROLE = re.compile(r":[a-z]+:`(~?)([\w.]+)`")
EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
EXAMPLE_ABOVE = re.compile(r"^Examples:\n\n?((?:    .*\n|\n)*(?:    .*)?)", re.MULTILINE)
PARAMS = "cnnlab.pluginhost.params.Params"
SHORTER = {"cnnlab": ("Classifier", "Result", "CnnlabError"), "cnnlab.datasets": ("Dataset", "Split")}
"""Names of ``cnnlab.plugin`` that users of the library import from elsewhere."""


class Docstrings(griffe.Extension):
    """Rewrites the docstrings of cnnlab once it is read."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs: Any) -> None:  # noqa: D102
        if pkg.path != "cnnlab":
            return
        names = dict(_names(pkg))
        homes = {path: name for name, path in names.items()}
        for thing in _all(pkg):
            if thing.docstring is not None:
                thing.docstring.value = _linked(thing.docstring.value, homes, names)
        for name, path in names.items():
            thing = pkg[path.removeprefix("cnnlab.")]
            for each in (thing, *(thing.members.values() if thing.is_class else ())):
                if not each.is_alias and each.docstring is not None:
                    each.docstring.value = _complete(each.docstring.value, name)
            if thing.is_class:
                _leave_out_signature(thing)
                _explain_parameters(thing)
                _inherit_attributes(thing, homes)


def _names(pkg: griffe.Module) -> Iterator[tuple[str, str]]:
    """What is imported from ``cnnlab``, ``cnnlab.plugin`` and ``cnnlab.testing``, with where each is defined."""
    tops = {name: home for home, names in SHORTER.items() for name in names}
    for home in (pkg["plugin"], pkg["testing"], pkg):
        for name, member in home.members.items():
            if member.is_alias and member.target_path.startswith("cnnlab."):
                yield f"{tops.get(name, home.path)}.{name}", member.final_target.path


def _all(thing: Any) -> Iterator[Any]:
    for member in list(thing.members.values()):
        if not member.is_alias:
            yield member
            yield from _all(member)


def _linked(text: str, homes: dict[str, str], names: dict[str, str]) -> str:
    """References of Sphinx as links, or as code where what they name has no entry; double backquotes as single ones."""

    def link(reference: re.Match[str]) -> str:
        short, path = reference[1] == "~", reference[2]
        said = path.rpartition(".")[2] if short else path
        home = path if path in names else homes.get(path)
        return f"[`{said}`][{home}]" if home else f"`{said}`"

    return EXAMPLE.sub("Examples:", re.sub(r"``(.+?)``", r"`\1`", ROLE.sub(link, text), flags=re.DOTALL))


def _complete(text: str, name: str) -> str:
    """A docstring whose examples begin with the import of what they are examples of."""
    home, _, short = name.rpartition(".")
    surface = f"    >>> from {home} import "

    def completed(block: re.Match[str]) -> str:
        lines = block[0].splitlines()
        if re.search(rf"import .*\b{short}\b|\b{re.escape(home)}\.{short}\b", block[0]):
            return block[0]
        for index, line in enumerate(lines):
            if line.startswith(surface):
                lines[index] = surface + ", ".join(sorted({short, *line.removeprefix(surface).split(", ")}))
                return "\n".join(lines)
        others = ("    >>> import ", "    >>> from ")
        told = (line.startswith("    >>> ") and (not line.startswith(others) or "cnnlab" in line) for line in lines)
        first = next((index for index, it_is in enumerate(told) if it_is), None)
        if first is None:
            raise ValueError(f"the example of {name} does nothing but import: {block[0]}")
        return "\n".join([*lines[:first], surface + short, *lines[first:]])

    return EXAMPLE_ABOVE.sub(completed, text)


def _leave_out_signature(thing: Any) -> None:
    """How a class is made where users do not make it: then its docstring tells no arguments."""
    told = {section.kind.value for section in thing.docstring.parsed} if thing.docstring else set()
    if "parameters" not in told and "dataclass" not in thing.labels:
        thing.members.pop("__init__", None)


def _explain_parameters(thing: Any) -> None:
    """Of a class of parameters, take what each means from its annotation, ``Annotated[int, Ge(1), Doc("...")]``."""
    if PARAMS not in (thing.path, *(base.path for base in thing.mro())):
        return
    for member in thing.members.values():
        if member.is_attribute and str(member.annotation).startswith("Annotated["):
            kind, *_, doc = member.annotation.slice.elements
            member.docstring = griffe.Docstring(ast.literal_eval(str(doc).removeprefix("Doc(").removesuffix(")")))
            for parameter in thing.parameters:
                if parameter.name == member.name:
                    parameter.annotation = kind
            member.annotation = kind


def _inherit_attributes(thing: Any, homes: dict[str, str]) -> None:
    """Attributes that a docstring tells after those that its bases without an entry tell."""
    bases = [base for base in reversed(thing.mro()) if base.path not in homes and base.docstring is not None]
    above = [each for base in bases for section in base.docstring.parsed if _is_list(section) for each in section.value]
    own = next((section for section in thing.docstring.parsed if _is_list(section)), None) if thing.docstring else None
    if not above:
        return
    if own is None:
        own = griffe.DocstringSectionAttributes([])
        thing.docstring.parsed.insert(1, own)
    own.value[:] = {each.name: each for each in [*above, *own.value]}.values()


def _is_list(section: Any) -> bool:
    return section.kind.value == "attributes"
