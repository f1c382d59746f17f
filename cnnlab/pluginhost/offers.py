"""What a plugin provides as listings tell it: enough for a table or ``--help``, without the plugin's code."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cnnlab.pluginhost.declarations import Analysis, Architecture, DatasetSource, Declaration, Recipe, Section
from cnnlab.spelling import visible


@dataclass(frozen=True, kw_only=True)
class Subcommand(Declaration):
    """A command of a plugin, as ``cnnlab NAME``.

    Attributes:
        command: The ``click.Command`` itself.
    """

    noun: ClassVar[str] = "command"

    command: Any


@dataclass(frozen=True, kw_only=True)
class Told(Declaration):
    """An analysis or a command of which only this is known, for its plugin was not imported.

    Attributes:
        noun: What it is: ``analysis`` or ``command``.
        requires: What an analysis needs of the model.
    """

    noun: str  # type: ignore[misc]  # of what it stands for
    requires: tuple[str, ...] = ()


WHOLE: Mapping[str, type[Declaration]] = {kind.noun: kind for kind in (DatasetSource, Architecture, Recipe, Section)}
"""The declarations that are data and nothing else, by their nouns: they are told whole."""

NOUNS = (Analysis.noun, *WHOLE, Subcommand.noun)


def told(declarations: Iterable[Declaration]) -> list[dict[str, Any]]:
    """Return what listings tell of declarations, as JSON types; :func:`from_facts` reads each."""
    return [_facts(each) for each in declarations]


def _facts(declaration: Declaration) -> dict[str, Any]:
    kind = WHOLE.get(declaration.noun)
    if kind is not None:
        names = [field.name for field in dataclasses.fields(kind)]
    else:
        names = ["name", "summary", *(["requires"] if hasattr(declaration, "requires") else [])]
    facts = {name: getattr(declaration, name) for name in names}
    return {"noun": declaration.noun, **{name: _listed(value) for name, value in facts.items()}}


def _listed(value: Any) -> Any:
    return [_listed(each) for each in value] if isinstance(value, tuple | list) else value


def from_facts(facts: Mapping[str, Any]) -> Declaration:
    """Build what listings show from what :func:`told` gave of it.

    Raises:
        Exception: It is something else: whoever reads a file that anybody may have changed takes any for that.
    """
    values = {name: _plain(value) for name, value in facts.items()}
    kind = WHOLE.get(values["noun"])
    if kind is None and values["noun"] not in NOUNS:
        raise ValueError(f"{values['noun']!r} is nothing that a plugin provides")
    if kind is None:
        return Told(**values)
    return kind(**{name: value for name, value in values.items() if name != "noun"})


def _plain(value: Any) -> Any:
    """Lists as tuples, and texts without what a terminal would obey."""
    if isinstance(value, list):
        return tuple(_plain(each) for each in value)
    return visible(value) if isinstance(value, str) else value
