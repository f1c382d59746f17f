"""What can be told of a declaration before anybody runs it: each mistake in it is a sentence for its author."""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from cnnlab.errors import UsageError, did_you_mean
from cnnlab.pluginhost.declarations import (
    API_VERSION,
    Analysis,
    Architecture,
    Array,
    DatasetSource,
    Declaration,
    Recipe,
    Section,
)
from cnnlab.pluginhost.params import Params, checked, fields_of
from cnnlab.pluginhost.references import problem_with
from cnnlab.pluginhost.widgets import Named, named, problem_of_name, problem_with_file

HOST_OPTIONS = frozenset(
    {"model", "signature", "output", "input-range", "class-names", "layout", "memory"}
    | {"trust", "limit-seconds", "limit-memory"}
    | {"image", "label", "fit", "invert", "strict", "dataset", "split", "index", "limit"}
    | {"mistakes", "least-certain", "one-per-class"}
    | {"out", "force", "format", "dpi", "seed", "device", "devices", "json", "fail-under", "plugin", "help"}
)
"""Command-line options that belong to the host: no plugin's parameter may take their names.

``--class``, which chooses images, and ``--keep`` are not among them: they make way for a parameter of that name.
"""

REFERENCES: Mapping[type[Declaration], tuple[str, ...]] = {
    Analysis: ("run", "sum_up"),
    DatasetSource: ("load",),
    Architecture: ("build",),
    Recipe: (),
    Section: ("write",),
}
"""The fields of each declaration that name code."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class ContractError(Exception):
    """A plugin breaks the interface; the message says how."""


class IncompatibleError(Exception):
    """A plugin was written for another version of cnnlab or of its interface; the message goes on from its name."""


def is_name(name: object) -> bool:
    """Whether ``name`` can name an analysis, a dataset, an architecture, a recipe, a section, a command or a plugin."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check(declarations: Sequence[Declaration], *, deeply: bool) -> None:
    """Hold what a plugin declares against what can be told of it without running it.

    Args:
        declarations: All that it declares.
        deeply: Whether to look for the code that it names too, and to try its defaults and bounds: that takes longer,
            and need be done once for the same files.

    Raises:
        IncompatibleError: It was written for another version of the interface.
        ContractError: A declaration is not what it must be.
    """
    for declaration in declarations:
        check_declaration(declaration)
    seen = set()
    for each in declarations:
        if (each.noun, each.name) in seen:
            raise ContractError(f"it provides the {each.noun} {each.name!r} twice.")
        seen.add((each.noun, each.name))
    for declaration in declarations if deeply else ():
        _check_code(declaration)
        _check_bounds(declaration)
        if isinstance(declaration, Analysis):
            _try_defaults(declaration)
            _check_widgets(declaration, problem_with_file)


def check_declaration(declaration: Declaration) -> None:
    """Hold a declaration against its own types, without importing what it names.

    Raises:
        IncompatibleError: It is of another version of the interface.
        ContractError: A field is not what it must be.
    """
    kind = kind_in(declaration)
    if isinstance(declaration.api, int) and declaration.api != API_VERSION:
        newer = declaration.api > API_VERSION
        raise IncompatibleError(
            f"was written for version {declaration.api} of the plugin interface and this cnnlab speaks version "
            f"{API_VERSION}: {'upgrade cnnlab' if newer else 'upgrade the plugin'}."
        )
    if not is_name(declaration.name):
        raise ContractError(
            f"the {declaration.noun} name {declaration.name!r} must be lower-case words joined by hyphens."
        )
    hashable: Any = kind  # mypy takes a dataclass type for unhashable
    hints = _hints(hashable)
    for field in dataclasses.fields(kind):
        problem = _misfit(hints[field.name], getattr(declaration, field.name))
        if problem:
            raise ContractError(f"`{field.name}` of its {declaration.noun} {declaration.name!r} {problem}")
    if isinstance(declaration, Analysis):
        _check_params(declaration)
        _check_delivery(declaration)
        _check_widgets(declaration, problem_of_name)


def kind_in(declaration: Declaration) -> type[Declaration]:
    """Return the class of cnnlab's own that a declaration is of; an author may have derived another from it."""
    return next((kind for kind in REFERENCES if isinstance(declaration, kind)), type(declaration))


def _check_code(declaration: Declaration) -> None:
    for name in REFERENCES.get(kind_in(declaration), ()):
        reference = getattr(declaration, name)
        problem = problem_with(reference) if reference is not None else ""
        if problem:
            where = f"`{name}` of its {declaration.noun} {declaration.name!r} names {reference!r}"
            raise ContractError(f"{where}, and {problem}{'' if problem.endswith('?') else '.'}")


def _check_bounds(declaration: Declaration) -> None:
    """Hold the fields that have bounds of their own against these."""
    kind: Any = kind_in(declaration)
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        value: Any = getattr(declaration, name, None)
        several = typing.get_origin(hint) is tuple
        bounded = typing.get_args(hint)[0] if several else hint  # of a tuple each item has the bounds of the first
        for each in (value if several else [value]) if typing.get_origin(bounded) is typing.Annotated else ():
            try:
                checked(name, bounded, each)
            except UsageError as error:
                raise ContractError(f"its {declaration.noun} {declaration.name!r} cannot be: {error}") from error


def _check_params(analysis: Analysis) -> None:
    params: Any = analysis.params
    fields = fields_of(params)
    for each in params.__mro__:
        if each is not Params and issubclass(each, Params) and "__dataclass_fields__" not in vars(each):
            raise ContractError(
                f"{each.__name__}, the parameters of its analysis {analysis.name!r}, is no dataclass: put "
                "@dataclass(frozen=True, kw_only=True) above it."
            )
    public = [field.public for field in fields]
    twice = next((name for name in public if public.count(name) > 1), None)
    if twice is not None:
        raise ContractError(f"two parameters of its analysis {analysis.name!r} are {twice!r} to those who use it.")
    taken = sorted({field.option[2:] for field in fields} & HOST_OPTIONS)
    if taken:
        raise ContractError(f"its parameter {taken[0]!r} would redefine the host's option --{taken[0]}.")


def _check_delivery(analysis: Analysis) -> None:
    if analysis.independent and analysis.sum_up is None:
        raise ContractError(
            f"its analysis {analysis.name!r} is `independent` and declares no `sum_up`, which is to say what holds of "
            "all images together."
        )
    unknown = [name for name in analysis.sometimes if name not in {*analysis.arrays, *analysis.metrics}]
    if unknown:
        known = did_you_mean(unknown[0], [*analysis.arrays, *analysis.metrics])
        raise ContractError(
            f"`sometimes` of its analysis {analysis.name!r} names {unknown[0]!r}, which is no array or metric that it "
            f"declares. {known}"
        )


def _check_widgets(analysis: Analysis, look: Callable[[Named], str]) -> None:
    for widget in named(analysis):
        problem = look(widget)
        if problem:
            where = f"its parameter {widget.of!r}" if widget.exports == "parameter" else f"its drawing {widget.of!r}"
            what = f"the widget of {where} of its analysis {analysis.name!r}"
            raise ContractError(f"{what} is {widget.file!r}, {problem}.")


def _try_defaults(analysis: Analysis) -> None:
    for field in fields_of(analysis.params):
        if field.required:
            continue
        try:
            field.validate(field.default)
        except UsageError as error:
            what = f"a default of its analysis {analysis.name!r} is refused by what it declares itself"
            raise ContractError(f"{what}: {error}") from error


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _misfit(hint: Any, value: object) -> str:
    """Say how a value is not of a type, as the end of a sentence; an empty text where it is."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "" if value in args else f"is {value!r}. {did_you_mean(str(value), map(str, args))}"
    if origin is types.UnionType:
        problems = [_misfit(each, value) for each in args]
        return "" if "" in problems else problems[0]
    if origin is tuple:
        return _misfit_of_tuple(args, value)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _misfit_of_mapping(args[1], value)
    if origin is type:
        return ""  # the parameters, which are read by who knows them
    if isinstance(value, Array) and hint is Array:
        return _misfit(tuple[str, ...], value.axes)
    expected = {str: "a text", int: "an integer", float: "a number", bool: "true or false"}.get(hint)
    if expected is None:
        return "" if hint is Any or isinstance(value, hint) else f"must be {hint.__name__}, {_not(value)}."
    kinds = int | float if hint is float else hint
    fits = isinstance(value, kinds) and (hint is bool or not isinstance(value, bool))
    return "" if fits else f"must be {expected}, {_not(value)}."


def _misfit_of_tuple(args: tuple[Any, ...], value: object) -> str:
    item, endless = args[0], args[-1] is Ellipsis
    many = {str: "names", int: "integers"}.get(item, "names")
    count = "" if endless else f"{len(args)} "
    if not isinstance(value, tuple | list) or (not endless and len(value) != len(args)):
        return f"must be a tuple of {count}{many}, {_not(value)}."
    for each in value:
        problem = _misfit(item, each)
        if problem:
            return (
                f"holds {each!r}. {problem.partition('. ')[2]}"
                if problem.startswith("is ")
                else (f"must be a tuple of {count}{many}; it holds {type(each).__name__} {each!r}.")
            )
    return ""


def _misfit_of_mapping(item: Any, value: object) -> str:
    if not isinstance(value, Mapping):
        return f"must be a mapping of names, {_not(value)}."
    for name, each in value.items():
        problem = "must have a text for its name." if not isinstance(name, str) else _misfit(item, each)
        if problem:
            return f"holds {name!r}, which {problem}"
    return ""


def _not(value: object) -> str:
    return f"not {type(value).__name__} {value!r}"
