"""Whether ``"package.module:attribute"`` names something, found without importing it.

A declaration names its code, and what it names is imported when it runs. So that a name that leads nowhere is told when
the plugin is loaded, the module is looked for as Python would look for it, and its text is read as a syntax tree.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

from cnnlab.errors import did_you_mean


def spec_of(module: str) -> ModuleSpec | None:
    """Find a module without importing anything, its parent packages neither; None where there is none.

    :func:`importlib.util.find_spec` imports the parents, which may take as long as the module itself.
    """
    spec, path = None, None
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        if count > 1 and path is None:
            return None  # what should hold it is no package
        loaded = sys.modules.get(name)
        spec = getattr(loaded, "__spec__", None) or _found(name, path)
        if spec is None:
            return None
        path = getattr(loaded, "__path__", None) or spec.submodule_search_locations
    return spec


def _found(name: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find(name, path) if find is not None else None
        if isinstance(spec, ModuleSpec):
            return spec
    return None


def file_of(reference: str) -> Path | None:
    """Return the file of the module that a reference names; None where there is none."""
    spec = spec_of(reference.partition(":")[0])
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def problem_with(reference: str) -> str:
    """Say why a reference names nothing, as the end of a sentence; an empty text where it names something.

    What cannot be told without importing, as of a module written in C or one that makes its names as it runs, is taken
    to be there.

    >>> problem_with("json:loads")
    ''
    >>> problem_with("json:lodas")
    "the module 'json' has no 'lodas'. Did you mean 'loads' or 'load'?"
    """
    module, _, attribute = reference.partition(":")
    if not (module and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        return "that is no reference to code: expected 'package.module:function'"
    loaded = sys.modules.get(module)
    if loaded is not None:
        names, all_told = set(vars(loaded)), "__getattr__" not in vars(loaded)
    else:
        spec = spec_of(module)
        if spec is None:
            return f"there is no module {module!r}"
        try:
            names, all_told = _names_of(spec)
        except SyntaxError as error:
            return f"{spec.origin} cannot be read as Python: {error.msg}, line {error.lineno}"
    if attribute in names or not all_told:
        return ""
    near = did_you_mean(attribute, (name for name in names if not name.startswith("_")))
    return f"the module {module!r} has no {attribute!r}{f'. {near}' if near.startswith('Did') else ''}"


def _names_of(spec: ModuleSpec) -> tuple[set[str], bool]:
    """The names that a module's text gives, and whether these are all."""
    source = getattr(spec.loader, "get_source", None)
    try:
        text = source(spec.name) if source is not None else None
    except (ImportError, OSError, UnicodeDecodeError):
        text = None
    if text is None:
        return set(), False
    names = set(_bound(ast.parse(text)))
    return names, not names & {"*", "__getattr__"}


def _bound(node: ast.AST) -> Iterator[str]:
    """Give the names that statements bind in their module: ``*`` for names that nobody can list."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
                yield from (each for part in ast.walk(child) if isinstance(part, ast.Global) for each in part.names)
                continue
            case ast.alias(name=name, asname=alias):
                yield alias or name.partition(".")[0]
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Name(id="globals" | "exec" | "setattr"):
                yield "*"
            case ast.Lambda():
                continue
        yield from _bound(child)
