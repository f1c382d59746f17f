"""The reference page of ``cnnlab.plugin``: read from the code by griffe, written as Markdown.

An entry is one name. The Google sections of its docstring become lists, its example a block that runs as it stands.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import griffe
from tables import arrays_table, metrics_table, params_table, table

import cnnlab.plugin

WIDTH = 100
PARAMS = "cnnlab.pluginhost.params.Params"
SURFACE = ">>> from cnnlab.plugin import "
LISTS = {
    "attributes": "Attributes",
    "properties": "Properties",
    "parameters": "Arguments",
    "returns": "Returns",
    "yields": "Yields",
    "raises": "Raises",
}
"""The sections of a docstring that are shown as lists, in this order, and what they are called."""

INTRO = """# What a plugin may import

Generated from the docstrings of what `cnnlab.plugin` exports by `make docs`; a test compares the two, and another runs
every example. A plugin imports this one module, and nothing else of cnnlab. The first group is for its `__init__.py`:
importing these costs no NumPy. The module that does the work imports from all of them.

In shapes, N counts images, H and W are their sides in pixels, C are channels, K classes, E strengths of an attack.
[Your first plugin](../plugins/first-plugin.md) puts the pieces together, [the hooks](../plugins/hooks.md) say what each
field of a declaration means to cnnlab, and [the contract](../plugins/contract.md) tests the whole."""


def plugin_page() -> str:
    """Every export of ``cnnlab.plugin``, a section for each group."""
    groups = cnnlab.plugin.GROUPS
    blocks = [INTRO, "\n".join(table(("for", "names"), [_named(*group) for group in groups.items()]))]
    for group, homes in groups.items():
        blocks.append(f"## {group}")
        for module, names in homes.items():
            for name in names:
                blocks += entry(_found(module, name), name)
    return "\n\n".join(block.strip("\n") for block in blocks if block) + "\n"


def _named(group: str, homes: Mapping[str, tuple[str, ...]]) -> tuple[str, str]:
    names = ", ".join(f"`{name}`" for each in homes.values() for name in each)
    return (f"[{group}](#{group.lower().replace(' ', '-')})", names)


@functools.cache
def _package() -> griffe.Module:
    return griffe.load(
        "cnnlab",
        search_paths=[Path(__file__).parent.parent],
        docstring_parser="google",
        docstring_options={"returns_named_value": False, "returns_multiple_items": False},
        allow_inspection=False,
    )


def _found(module: str, name: str) -> Any:
    """What a name of a module is, from where it is defined."""
    thing = _package()[f"{module.removeprefix('cnnlab.')}.{name}"]
    return thing.final_target if thing.is_alias else thing


def entry(thing: Any, name: str, level: int = 3) -> Iterator[str]:
    """The Markdown blocks of one name: heading, signature, docstring; of a class its methods too."""
    yield f"{'#' * level} `{name}`"
    yield _code(signature(thing))
    yield from _docstring(thing, name.partition(".")[0])
    for method in _public(thing, "function"):
        yield from entry(method, f"{name}.{method.name}", level + 1)


def signature(thing: Any) -> str:
    """How a name is called or, where it is no function and not made by those who use it, what it is."""
    # griffe writes texts as Python's own unparser does, in single quotes.
    line = re.sub(r"'([^'\"]*)'", r'"\1"', _written(thing))
    return line if len(line) <= WIDTH else _broken(line)


def _written(thing: Any) -> str:
    if thing.is_attribute:
        return f"{thing.name}: {thing.annotation}" if thing.annotation else f"{thing.name} = {thing.value}"
    if thing.is_class and not _is_made_by_authors(thing):
        bases = ", ".join(map(str, thing.bases))
        return f"class {thing.name}({bases})" if bases else f"class {thing.name}"
    of_class = f"{thing.parent.name}." if "classmethod" in thing.labels else ""
    return re.sub(r"\((self|cls)(, |(?=\)))", "(", thing.signature(name=of_class + thing.name))


def _is_made_by_authors(thing: Any) -> bool:
    """Whether the arguments of a class are explained, as such or, of a dataclass, as its attributes."""
    said = {section.kind.value for section in thing.docstring.parsed}
    return "parameters" in said or ("dataclass" in thing.labels and not _is_params(thing))


def _broken(line: str) -> str:
    """A signature with an argument a line."""
    name, _, rest = line.partition("(")
    inside, _, end = rest.rpartition(")")
    arguments = re.split(r", (?=\*|/|\w+: )", inside)
    return "\n".join([f"{name}(", *(f"    {argument}," for argument in arguments), f"){end}"])


def _docstring(thing: Any, name: str) -> Iterator[str]:
    """What a docstring says, a table of what the thing holds, what there is to know of each part, and the examples."""
    sections = {section.kind.value: section.value for section in thing.docstring.parsed}
    yield from (_markdown(section.value) for section in thing.docstring.parsed if section.kind.value == "text")
    yield from _table(thing)
    if thing.is_class:
        sections["attributes"], sections["properties"] = _attributes(thing), list(_public(thing, "property"))
    for kind, title in LISTS.items():
        if sections.get(kind):
            yield f"**{title}**"
            yield "\n".join(_item(kind, item) for item in sections[kind])
    for section in thing.docstring.parsed:
        if section.kind.value == "admonition":
            yield f"**{section.title}**"
            yield _code(_complete(section.value.description, name))


def _item(kind: str, item: Any) -> str:
    text = item.docstring.value if kind == "properties" else item.description
    subject = {"raises": str(item.annotation), "returns": "", "yields": ""}.get(kind, getattr(item, "name", ""))
    return f"- `{subject}`: {_line(text)}" if subject else f"- {_line(text)}"


def _table(thing: Any) -> Iterator[str]:
    """What a dictionary declares, or a class of parameters."""
    tables = {"dict[str, Array]": arrays_table, "dict[str, str]": metrics_table}
    written = params_table if _is_params(thing) else tables.get(str(getattr(thing, "annotation", "")))
    if written is not None:
        yield "\n".join(written(getattr(cnnlab.plugin, thing.name)))


def _is_params(thing: Any) -> bool:
    """Whether it is a class of parameters: their table says more than a signature."""
    return thing.is_class and PARAMS in (thing.path, *(base.path for base in thing.mro()))


def _own(thing: Any) -> list[Any]:
    """A class after those of its bases that have no entry, the furthest first."""
    return [base for base in reversed(thing.mro()) if base.name not in cnnlab.plugin.__all__] + [thing]


def _attributes(thing: Any) -> list[Any]:
    said = [section for each in _own(thing) for section in each.docstring.parsed if section.kind.value == "attributes"]
    return list({attribute.name: attribute for section in said for attribute in section.value}.values())


def _public(thing: Any, kind: str) -> Iterator[Any]:
    """The functions of a class, or its properties, that are for others, with those of bases that have no entry."""
    members = {name: member for each in _own(thing) for name, member in each.members.items()} if thing.is_class else {}
    for name, member in members.items():
        is_kind = member.is_function if kind == "function" else "property" in member.labels
        if is_kind and (name == "__call__" or not name.startswith("_")):
            yield member


def _complete(example: str, name: str) -> str:
    """An example with what it is an example of among its imports."""
    lines = example.splitlines()
    for index, line in enumerate(lines):
        if line.startswith(SURFACE):
            lines[index] = SURFACE + ", ".join(sorted({name, *line.removeprefix(SURFACE).split(", ")}))
            return "\n".join(lines)
        if not line.startswith((">>> import ", ">>> from ")) or line.startswith(">>> from cnnlab."):
            return "\n".join([*lines[:index], SURFACE + name, *lines[index:]])
    raise ValueError(f"the example of {name} does nothing but import.")


def _line(text: str) -> str:
    return " ".join(_markdown(text).split())


def _markdown(text: str) -> str:
    """Write a docstring's words as Markdown: references to code, and double backquotes."""
    text = re.sub(r":[a-z]+:`~?(?:(?<=~)[\w.]+\.)?([\w.]+)`", r"`\1`", text)
    return re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)


def _code(text: str) -> str:
    return f"```python\n{text}\n```"
