"""Parameters as JSON Schema: what a form, or a program, needs to know of each declared type."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Le, Lt, MinLen, MultipleOf

from cnnlab.classifier import Classifier
from cnnlab.lab.schema import schema_of
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.of_model import AClass, ALayer, AModel
from cnnlab.pluginhost.params import Doc, Params, fields_of

MODEL = {"same_images": True, "same_classes": True}


@dataclass(frozen=True, kw_only=True)
class Everything(Params):
    needed: Annotated[int, Ge(1), Le(9), MultipleOf(2)]
    share: Annotated[float, Interval(gt=0, le=1)] = 0.5
    open: Annotated[float | None, Gt(0), Lt(1)] = None
    yes: bool = True
    word: str = ""
    choice: Literal["a", "b"] = "a"
    maybe: Literal["a", "b"] | None = None
    either: Annotated[Literal["auto"] | float, Ge(0)] = "auto"
    many: Annotated[tuple[Annotated[float, Ge(0)], ...], MinLen(1)] = (0.1, 0.2)
    class_: Annotated[int | None, AClass()] = None
    classes: tuple[Annotated[int, AClass()], ...] = ()
    layer: Annotated[str | None, ALayer(spatial=True)] = None
    other: Annotated[Classifier | None, AModel(), Doc("Another.")] = None
    file: Path | None = None
    files: tuple[Path, ...] = field(default=())


EXPECTED = {
    "needed": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2},
    "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.5},
    "open": {"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": 1, "default": None},
    "yes": {"type": "boolean", "default": True},
    "word": {"type": "string", "default": ""},
    "choice": {"type": "string", "enum": ["a", "b"], "default": "a"},
    "maybe": {"type": ["string", "null"], "enum": ["a", "b", None], "default": None},
    "either": {"anyOf": [{"type": "string", "enum": ["auto"]}, {"type": "number", "minimum": 0}], "default": "auto"},
    "many": {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 1, "default": [0.1, 0.2]},
    "class": {"type": ["integer", "string", "null"], "x-class": True, "default": None},
    "classes": {"type": "array", "items": {"type": ["integer", "string"], "x-class": True}, "default": []},
    "layer": {"type": ["string", "null"], "x-layer": {"spatial": True, "convolutional": False}, "default": None},
    "other": {"type": ["string", "null"], "x-model": MODEL, "default": None},
    "file": {"type": ["object", "null"], "x-path": True, "default": None},
    "files": {"type": "array", "items": {"type": "object", "x-path": True}, "default": []},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_type_says_what_it_takes(name):
    said = dict(schema_of(Everything)["properties"][name])
    for word in ("title", "description", "x-expected"):
        said.pop(word)
    assert said == EXPECTED[name]


def test_what_has_no_default_is_required_and_nothing_else_is_taken():
    schema = schema_of(Everything)
    assert (schema["required"], schema["additionalProperties"]) == (["needed"], False)
    assert list(schema["properties"]) == list(EXPECTED)


@pytest.mark.parametrize("name", sorted(registry.listed("analysis")))
def test_the_defaults_of_every_installed_analysis_are_what_its_schema_takes(name):
    import jsonschema

    params = registry.find_analysis(name).params
    schema = schema_of(params)
    jsonschema.Draft202012Validator.check_schema(schema)
    defaults = {each: said["default"] for each, said in schema["properties"].items() if "default" in said}
    validator = jsonschema.Draft202012Validator(schema | {"required": []})
    assert not list(validator.iter_errors(defaults))
    assert all(schema["properties"][field.public]["description"] for field in fields_of(params))
