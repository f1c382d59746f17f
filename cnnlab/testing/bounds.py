"""Values that a declared parameter must refuse, made from its declaration."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import annotated_types

from cnnlab.pluginhost.of_model import AClass
from cnnlab.pluginhost.params import Field

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier


TEXTS = ("a text", "a path", "a class", "a layer", "a model")
"""What any words may be, until the model is open."""


def invalid_values(field: Field) -> list[Any]:
    """Return values just outside each declared bound of a parameter, and values of no sensible type.

    Args:
        field: The parameter, as ``cnnlab.pluginhost.params.fields_of`` lists it.

    Example:
        >>> from annotated_types import Ge
        >>> from cnnlab.pluginhost.params import Field
        >>> field = Field(name="patch", type=int, constraints=(Ge(1),), doc="", default=4)
        >>> invalid_values(field)
        [0, 'no such value']
    """
    values = list(_outside(field))
    if "a class" in field.expected:
        values.append(-1)
    if not any(noun in field.expected for noun in TEXTS):
        values.append("no such value")
    return values


def absent_from(classifier: Classifier, field: Field) -> list[Any]:
    """Return classes or layers that a parameter must refuse once it sees a model that has none of that number or name.

    Args:
        classifier: The model.
        field: A parameter that names a class or a layer.
    """
    name = "no-such-name"
    return [classifier.num_classes, name] if isinstance(field.of_model, AClass) else [name]


def _outside(field: Field) -> Iterator[Any]:
    whole = "an integer" in field.expected
    for constraint in _single(field.constraints):
        match constraint:
            case annotated_types.Ge(ge=bound) if isinstance(bound, (int, float)):
                yield bound - 1 if whole else math.nextafter(bound, -math.inf)
            case annotated_types.Gt(gt=bound) if isinstance(bound, (int, float)):
                yield bound
            case annotated_types.Le(le=bound) if isinstance(bound, (int, float)):
                yield bound + 1 if whole else math.nextafter(bound, math.inf)
            case annotated_types.Lt(lt=bound) if isinstance(bound, (int, float)):
                yield bound


def _single(constraints: tuple[Any, ...]) -> Iterator[Any]:
    for constraint in constraints:
        if isinstance(constraint, annotated_types.GroupedMetadata):
            yield from constraint
        else:
            yield constraint
