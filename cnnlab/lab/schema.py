"""The parameters of an analysis as JSON Schema, from the declaration that the command line is made of."""

from __future__ import annotations

import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import annotated_types

from cnnlab.pluginhost.of_model import AClass, ALayer, AModel
from cnnlab.pluginhost.params import Field, Params, fields_of

KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}

BOUNDS = {
    annotated_types.Ge: ("ge", "minimum"),
    annotated_types.Gt: ("gt", "exclusiveMinimum"),
    annotated_types.Le: ("le", "maximum"),
    annotated_types.Lt: ("lt", "exclusiveMaximum"),
    annotated_types.MultipleOf: ("multiple_of", "multipleOf"),
}


def schema_of(params: type[Params], address: Callable[[str], str] | None = None) -> dict[str, Any]:
    """Return what an analysis takes, as JSON Schema.

    A class, a layer or a model is marked ``x-class``, ``x-layer`` or ``x-model``, and a file ``x-path``. What has a
    widget of its own is marked ``x-widget``, with the address of that.

    Args:
        params: The declaration.
        address: From the file of a widget to where it is served; without it none is told.
    """
    fields = fields_of(params)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {field.public: _property(field) | _widget(field, address) for field in fields},
        "required": [field.public for field in fields if field.required],
        "additionalProperties": False,
    }


def _widget(field: Field, address: Callable[[str], str] | None) -> dict[str, Any]:
    return {} if address is None or field.widget is None else {"x-widget": address(field.widget)}


def _property(field: Field) -> dict[str, Any]:
    said: dict[str, Any] = {"title": field.public.replace("_", " "), "description": field.doc}
    said["x-expected"] = field.expected
    if field.is_model:
        optional = not field.required and field.default is None
        said |= {"type": ["string", "null"] if optional else "string", **_mark(field.constraints)}
    else:
        said |= of_type(field.type, field.constraints)
    if not field.required:
        said["default"] = _plain(field.default)
    return said


def of_type(hint: Any, constraints: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Return the schema of a type with its bounds.

    Args:
        hint: The type, as it is declared.
        constraints: What stands beside it.
    """
    hint, own = _peel(hint)
    constraints = (*own, *constraints)
    kinds = typing.get_args(hint) if _is_union(hint) else (hint,)
    said = [_of_one(kind, constraints) for kind in kinds if kind is not type(None)]
    if len(said) > 1:
        return {"anyOf": [*said, *([{"type": "null"}] if type(None) in kinds else [])]}
    only = said[0]
    if type(None) in kinds:
        only["type"] = [*([only["type"]] if isinstance(only["type"], str) else only["type"]), "null"]
        if "enum" in only:
            only["enum"] = [*only["enum"], None]
    return only


def _of_one(kind: Any, constraints: tuple[Any, ...]) -> dict[str, Any]:
    bare, own = _peel(kind)
    constraints = (*own, *constraints)
    if typing.get_origin(bare) is tuple:
        sizes = [part.min_length for part in _parts(constraints) if isinstance(part, annotated_types.MinLen)]
        mark = _mark(constraints)
        return {
            "type": "array",
            "items": of_type(typing.get_args(bare)[0], tuple(_marks(constraints))),
            **({"minItems": max(sizes)} if sizes else {}),
            **mark,
        }
    if typing.get_origin(bare) is typing.Literal:
        words = list(typing.get_args(bare))
        return {"type": KINDS.get(type(words[0]), "string"), "enum": words}
    if bare is Path:
        return {"type": "object", "x-path": True}
    mark = _mark(constraints)
    if "x-class" in mark:
        return {"type": ["integer", "string"], **mark}
    bounds = _bounds(constraints) if bare in (int, float) else {}
    return {"type": KINDS[bare], **bounds, **mark}


def _bounds(constraints: tuple[Any, ...]) -> dict[str, Any]:
    found = {}
    for part in _parts(constraints):
        if type(part) in BOUNDS:
            attribute, word = BOUNDS[type(part)]
            found[word] = getattr(part, attribute)
    return found


def _marks(constraints: tuple[Any, ...]) -> list[Any]:
    return [part for part in constraints if isinstance(part, AClass | ALayer | AModel)]


def _mark(constraints: tuple[Any, ...]) -> dict[str, Any]:
    for part in _marks(constraints):
        match part:
            case AClass():
                return {"x-class": True}
            case ALayer():
                return {"x-layer": {"spatial": part.spatial, "convolutional": part.convolutional}}
            case AModel():
                return {"x-model": {"same_images": part.same_images, "same_classes": part.same_classes}}
    return {}


def _parts(constraints: tuple[Any, ...]) -> typing.Iterator[Any]:
    for part in constraints:
        if isinstance(part, annotated_types.GroupedMetadata):
            yield from part
        else:
            yield part


def _peel(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if typing.get_origin(hint) is typing.Annotated:
        bare, *more = typing.get_args(hint)
        return bare, tuple(more)
    return hint, ()


def _is_union(hint: Any) -> bool:
    return str(typing.get_origin(hint)) in ("typing.Union", "<class 'types.UnionType'>")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, Path) else value
