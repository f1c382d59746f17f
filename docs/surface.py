"""What users import, by page and group: the names that docs/reference/ lists and whose docstrings the tests judge."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import griffe
from docstrings import OPTIONS, Docstrings
from tables import arrays_table, metrics_table, table

import cnnlab.plugin
import cnnlab.testing

ASKING = "Asking"
CNNLAB = {
    ASKING: (
        "train",
        "load",
        "analyze",
        "evaluate",
        "predict",
        "choose",
        "inspect",
        "compare",
        "report",
        "verify",
    ),
    "Models, data, results": (
        "Classifier",
        "Run",
        "Result",
        "datasets.load",
        "datasets.Dataset",
        "datasets.Split",
        "CnnlabError",
    ),
}
"""The names of ``cnnlab`` by what they are for; what its functions return comes after them."""

SHARED = {"Classifier", "Result", "CnnlabError", "Dataset", "Split"}
"""What ``cnnlab.plugin`` exports too, and the page of ``cnnlab`` tells."""

CNNLAB_INTRO = """# The package cnnlab

What the commands do, as functions. They print nothing and write nothing that they are not asked to. [In Python and in
notebooks](../python.md) shows them at work.

In shapes, N counts images, H and W are their sides in pixels, C are channels, K classes, E strengths of an attack.
Images are float32 in the model's own value range, `classifier.bounds`.

This page is filled from the docstrings when the site is built (`make site`); `help(cnnlab.analyze)` shows the same."""

PLUGIN_INTRO = """# What a plugin may import

A plugin imports the one module `cnnlab.plugin`, and nothing else of cnnlab. The first group is for its `__init__.py`:
importing these costs no NumPy. The module that does the work imports from all of them. The tests run every example.

In shapes, N counts images, H and W are their sides in pixels, C are channels, K classes, E strengths of an attack.
[Your first plugin](../plugins/first-plugin.md) puts the pieces together, [the hooks](../plugins/hooks.md) say what each
field of a declaration means to cnnlab, and [the contract](../plugins/contract.md) tests the whole.

This page is filled from the docstrings when the site is built (`make site`); `help(cnnlab.plugin.Analysis)` and its
like show the same."""

TESTING_INTRO = """# What plugins are tested with

A contract class for each kind of plugin: derive from it in a test file, and pytest holds the plugin to every promise.
[The contract](../plugins/contract.md) tells them in words."""


def cnnlab_page() -> str:
    """What users of the library import, and what its functions return."""
    groups = {name: [f"cnnlab.{each}" for each in names] for name, names in CNNLAB.items()}
    return _page(CNNLAB_INTRO, groups | {"What the functions return": returned()})


def plugin_page() -> str:
    """Every export of ``cnnlab.plugin``, a section for each group."""
    groups = {
        name: [f"cnnlab.plugin.{each}" for names in homes.values() for each in names]
        for name, homes in cnnlab.plugin.GROUPS.items()
    }
    names = [(f"[{group}](#{_anchor(group)})", ", ".join(map(_mention, each))) for group, each in groups.items()]
    intro = PLUGIN_INTRO + "\n\n" + "\n".join(table(("for", "names"), names))
    own = {group: [each for each in names if _short(each) not in SHARED] for group, names in groups.items()}
    return _page(intro, own)


def testing_page() -> str:
    """Every export of ``cnnlab.testing``."""
    return _page(TESTING_INTRO, {"Contracts and fakes": [f"cnnlab.testing.{name}" for name in cnnlab.testing.__all__]})


def _page(intro: str, groups: Mapping[str, list[str]]) -> str:
    """A page on which the site's generator replaces each line ``::: name`` with what the docstring says."""
    blocks = [intro.strip()]
    for group, names in groups.items():
        blocks.append(f"## {group}")
        for name in names:
            blocks += ["\n".join([f"::: {name}", *_options(name)]), *_table(name)]
    return "\n\n".join(blocks) + "\n"


def _options(name: str) -> list[str]:
    """What the entry of a name has that others have not: its heading, and what it does without."""
    thing, options = found(name), []
    heading = name.removeprefix("cnnlab.") if name.startswith("cnnlab.datasets.") else None
    heading = f"{thing.name} of {', '.join(_returning(name))}" if name in returned() else heading
    if heading:
        options += [f"heading: {heading}", f"toc_label: {heading}"]
    if thing.is_class and any(base.path in _defined() for base in thing.mro()):
        inherited = [member for base in thing.mro() if base.path not in _defined() for member in base.members]
        options.append(f"inherited_members: {sorted(inherited) or 'false'}")
    if _table(name):
        options.append("show_attribute_values: false")
    return ["    options:", *(f"      {option}" for option in options)] if options else []


def _table(name: str) -> list[str]:
    """What a dictionary of declarations holds."""
    tables = {"dict[str, Array]": arrays_table, "dict[str, str]": metrics_table}
    written = tables.get(str(getattr(found(name), "annotation", "")))
    return ["\n".join(written(getattr(cnnlab.plugin, _short(name)))).strip()] if written else []


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _anchor(group: str) -> str:
    return group.lower().replace(" ", "-")


def _mention(name: str) -> str:
    short = _short(name)
    if short not in SHARED:
        return f"[`{short}`](#{name})"
    home = "cnnlab.datasets" if short in ("Dataset", "Split") else "cnnlab"
    return f"[`{short}`](cnnlab.md#{home}.{short})"


@functools.cache
def package() -> griffe.Module:
    """The code of cnnlab, read and not run, its docstrings as the site shows them."""
    found = griffe.load(
        "cnnlab",
        search_paths=[Path(__file__).parent.parent],
        extensions=griffe.load_extensions(Docstrings),
        docstring_parser="google",
        docstring_options=OPTIONS,
        allow_inspection=False,
    )
    assert isinstance(found, griffe.Module)
    return found


def found(name: str) -> Any:
    """What a name is, from where it is defined."""
    thing = package()[name.removeprefix("cnnlab.")]
    return thing.final_target if thing.is_alias else thing


def returned() -> list[str]:
    """The classes of cnnlab that its functions return and no other page or group tells."""
    told = {found(f"cnnlab.{name}").path for names in CNNLAB.values() for name in names}
    paths = [path for name in CNNLAB[ASKING] for path in _classes(found(f"cnnlab.{name}").returns)]
    return [path for path in dict.fromkeys(paths) if path not in told]


def _returning(path: str) -> list[str]:
    """The functions that return a class."""
    return [name for name in CNNLAB[ASKING] if path in _classes(found(f"cnnlab.{name}").returns)]


@functools.cache
def _defined() -> frozenset[str]:
    """Where the names with an entry are defined."""
    return frozenset(found(name).path for name in public())


def _classes(annotation: Any) -> Iterator[str]:
    for each in annotation.iterate(flat=True) if isinstance(annotation, griffe.Expr) else ():
        if isinstance(each, griffe.ExprName) and each.canonical_path.startswith("cnnlab."):
            yield found(each.canonical_path).path


def public() -> list[str]:
    """Every name that users import, once, as they import it, and what the functions return."""
    plugin = [f"cnnlab.plugin.{name}" for name in cnnlab.plugin.__dir__() if name not in SHARED]
    library = [f"cnnlab.{name}" for names in CNNLAB.values() for name in names]
    return [*library, *returned(), *plugin, *(f"cnnlab.testing.{name}" for name in cnnlab.testing.__all__)]


def examples(name: str) -> Iterator[str]:
    """The examples of a name, and of the methods of a class, as the site shows them."""
    thing = found(name)
    for each in (thing, *thing.members.values()):
        for section in each.docstring.parsed if each.docstring and not each.is_alias else ():
            if section.kind.value == "examples":
                yield "\n".join(text for kind, text in section.value if kind.value == "examples")
