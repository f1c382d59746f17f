"""Parameters, declared once.

A frozen dataclass whose annotations carry the bounds (`annotated-types`) and a :class:`Doc` is all that a plugin
writes. From it come the constructor's checks, the command-line options with their help, the reference pages and the
record in ``result.json``. Reading a declaration imports nothing heavy; pydantic is imported when a value is first
checked.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import annotated_types

from cnnlab.errors import UsageError
from cnnlab.pluginhost.of_model import AClass, ALayer, AModel, OfModel, is_model, is_opened, recorded

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier


@dataclass(frozen=True)
class Doc:
    """What a parameter means: a sentence or two with units, for ``Annotated[int, Doc("...")]``.

    Attributes:
        text: What ``--help`` and the reference pages show; it ends in a full stop.

    Example:
        >>> from typing import Annotated
        >>> Patch = Annotated[int, Doc("Side of the square patch, in pixels.")]
    """

    text: str


@dataclass(frozen=True)
class Widget:
    """A control of one's own for a parameter on the lab's page, for ``Annotated[float, Ge(0), Widget("norm.js")]``.

    None needs one: the page makes a control of what is declared. docs/plugins/widgets.md says what the module exports.

    Attributes:
        file: A JavaScript module that the package ships, from the folder of the package on: ``norm.js``.

    Example:
        >>> from typing import Annotated
        >>> from cnnlab.plugin import Doc
        >>> Norm = Annotated[float, Widget("norm.js"), Doc("L2 norm of the noise.")]
    """

    file: str


@dataclass(frozen=True, kw_only=True)
class Params:
    """Base of every analysis' parameters. Derive a ``@dataclass(frozen=True, kw_only=True)`` from it.

    Field types are int, float, bool, str, ``Literal``, ``pathlib.Path``, optional ones (``int | None``), unions of
    these, and ``tuple[T, ...]`` for an option that may be given several times. A trailing underscore keeps a Python
    keyword free: the field ``class_`` is the option ``--class``.

    Values are converted where nothing is lost (``"4"`` and ``4.0`` are 4, a single number is a tuple of one) and
    checked against the declared bounds; override :meth:`check` for what concerns several fields. A class or a layer
    (:class:`AClass`, :class:`ALayer`) is checked by the host once the model is open.

    Raises:
        UsageError: A value is not of the declared type, or out of the declared bounds.

    Example:
        >>> from dataclasses import dataclass
        >>> from typing import Annotated
        >>> from annotated_types import Ge
        >>> from cnnlab.plugin import Doc
        >>> @dataclass(frozen=True, kw_only=True)
        ... class SharpnessParams(Params):
        ...     radius: Annotated[int, Ge(1), Doc("How far to look, in pixels.")] = 2
        >>> SharpnessParams(radius="3").to_json()
        {'radius': 3}
    """

    def __post_init__(self) -> None:
        for field in fields_of(type(self)):
            object.__setattr__(self, field.name, field.validate(getattr(self, field.name)))
        self.check()

    def check(self) -> None:
        """Refuse combinations of values that make no sense, with a :class:`~cnnlab.plugin.UsageError`."""

    def settled(self, classifier: Classifier) -> Self:
        """Return the values with every class as its number, once classes and layers are found in ``classifier``.

        Raises:
            UsageError: The model has no such class or layer.
        """
        found = {
            field.name: field.settle(getattr(self, field.name), classifier)
            for field in fields_of(type(self))
            if field.of_model is not None
        }
        return dataclasses.replace(self, **found) if found else self

    def opened(self, open_model: Callable[[Any], Classifier]) -> Self:
        """Return the values with every other model opened.

        Args:
            open_model: Opens a model, as the host does.
        """
        found = {name: open_model(value) for name, value in self.models().items() if not is_opened(value)}
        return dataclasses.replace(self, **found) if found else self

    def models(self) -> dict[str, Any]:
        """Return the other models, opened or as they were named, by the names of their fields."""
        values = {field.name: getattr(self, field.name) for field in fields_of(type(self)) if field.is_model}
        return {name: value for name, value in values.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """Return the values by their public names, as JSON types; of models where they are."""
        return {
            field.public: (recorded if field.is_model else _plain)(getattr(self, field.name))
            for field in fields_of(type(self))
        }

    @classmethod
    def from_public(cls, values: dict[str, Any]) -> Self:
        """Build from ``values`` by their public names (``class``, not ``class_``), as in ``result.json``.

        Raises:
            UsageError: A name is unknown, or a value is refused.
        """
        from cnnlab.errors import did_you_mean

        names = {field.public: field.name for field in fields_of(cls)}
        names |= {field.name: field.name for field in fields_of(cls)}
        for name in values:
            if name not in names:
                known = [field.public for field in fields_of(cls)]
                raise UsageError(f"there is no parameter {name!r}. {did_you_mean(name, known)}")
        missing = [f.public for f in fields_of(cls) if f.required and not {f.name, f.public} & set(values)]
        if missing:
            raise UsageError(f"the parameter {missing[0]!r} has no default and was not given.")
        return cls(**{names[name]: value for name, value in values.items()})


@dataclass(frozen=True)
class Field:
    """One parameter, as read from its declaration.

    Attributes:
        name: The dataclass field.
        public: The name that users see in Python keywords' place, options and files: without trailing underscore.
        type: The bare type, its ``Annotated`` peeled off.
        constraints: The annotated-types constraints on the value, or on each item's tuple.
        doc: The text of its :class:`Doc`.
        default: Its default, or ``dataclasses.MISSING``.
        widget: The file of its :class:`Widget`; None where it has none.
    """

    name: str
    type: Any
    constraints: tuple[Any, ...]
    doc: str
    default: Any
    widget: str | None = None

    @property
    def public(self) -> str:
        """The name that users see."""
        return self.name.rstrip("_")

    @property
    def option(self) -> str:
        """The command-line option, ``--step-size`` for ``step_size``."""
        return "--" + self.public.replace("_", "-")

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is dataclasses.MISSING

    @property
    def multiple(self) -> bool:
        """Whether it is a tuple: an option that may be given several times."""
        return any(typing.get_origin(kind) is tuple for kind in _alternatives(self.type))

    @property
    def of_model(self) -> OfModel | None:
        """The class or layer of the model that it names; None for others."""
        inner = [part for kind, own in _annotated_alternatives(self.type) for part in (*own, *_of_items(kind))]
        return next((part for part in (*self.constraints, *inner) if isinstance(part, OfModel)), None)

    @property
    def is_model(self) -> bool:
        """Whether it is another model."""
        return isinstance(self.of_model, AModel)

    @property
    def flag(self) -> bool:
        """Whether it is a plain yes or no."""
        return self.type is bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it takes, of every ``Literal`` in its type."""
        return tuple(dict.fromkeys(_literals(self.type)))

    @property
    def expected(self) -> str:
        """What a value must be, for messages and help: ``an integer of at least 1``."""
        return describe(self.type, self.constraints)

    @property
    def default_text(self) -> str:
        """The default as one would type it; empty where there is none."""
        if self.required or self.default is None or self.default == ():
            return ""
        if isinstance(self.default, tuple):
            return ", ".join(map(_typed, self.default))
        return _typed(self.default)

    def validate(self, value: Any) -> Any:
        """Return ``value`` converted to the declared type.

        Raises:
            UsageError: It cannot be, or it is out of bounds.
        """
        if self.is_model:
            if (value is None and type(None) in _alternatives(self.type)) or (is_model(value) and value != ""):
                return value
            raise UsageError(self.refusal(value))
        value = _unwrap(value)
        if self.multiple and value is not None and (isinstance(value, str) or not hasattr(value, "__iter__")):
            value = (value,)
        if _is_stray_bool(self.type, value):
            raise UsageError(self.refusal(value))
        adapter, invalid = _adapter(self.type, self.constraints)
        try:
            return adapter.validate_python(value)
        except invalid:
            raise UsageError(self.refusal(value)) from None

    def settle(self, value: Any, classifier: Classifier) -> Any:
        """Find the class or the layers that ``value`` names in a model; words that mean something else stay.

        Raises:
            UsageError: There is none.
        """
        if isinstance(value, tuple):
            return tuple(self.settle(item, classifier) for item in value)
        if value is None or value in self.choices or self.of_model is None:
            return value
        otherwise = "".join(f", or {word}" for word in self.choices)
        return self.of_model.of(classifier, value, self.public, otherwise)

    def refusal(self, value: Any) -> str:
        """The sentence that refuses ``value``; the same from Python and from the command line."""
        shown = ", ".join(map(_typed, value)) if isinstance(value, tuple) else _typed(value)
        return f"{self.public} must be {self.expected}; received {shown or 'nothing'}."


def checked(name: str, hint: Any, value: Any) -> Any:
    """Return an argument of the host's own, converted and checked as a parameter of that type would be.

    Args:
        name: What it is called.
        hint: Its type and bounds: ``Annotated[int, Ge(1)]``.
        value: What was given; NumPy's numbers count as Python's.

    Raises:
        UsageError: It is not of the type, or out of bounds.

    Example:
        >>> checked("limit", typing.Annotated[int, annotated_types.Ge(1)], "5")
        5
    """
    bare, constraints = _peel(hint)
    return Field(name, bare, constraints, "", dataclasses.MISSING).validate(value)


def fields_of(params: type[Params]) -> tuple[Field, ...]:
    """Read the declaration of ``params``, in order.

    Raises:
        TypeError: It is no dataclass derived from :class:`Params`, or a field's type is none that can be declared.
    """
    if not (isinstance(params, type) and issubclass(params, Params)):
        raise TypeError(f"{params!r} is not derived from cnnlab.plugin.Params")
    declared: Any = params  # mypy takes a dataclass type for unhashable
    return _read(declared)


@functools.cache
def _read(params: Any) -> tuple[Field, ...]:
    hints = typing.get_type_hints(params, include_extras=True)
    return tuple(_field(params, field, hints[field.name]) for field in dataclasses.fields(params))


def _field(params: type, field: dataclasses.Field[Any], hint: Any) -> Field:
    hint, metadata = _peel(hint)
    if not any(isinstance(item, AModel) for item in metadata):
        _check_supported(hint, f"{params.__name__}.{field.name}")
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return Field(
        name=field.name,
        type=hint,
        constraints=tuple(item for item in metadata if not isinstance(item, Doc | Widget)),
        doc=" ".join(item.text for item in metadata if isinstance(item, Doc)),
        default=default,
        widget=next((item.file for item in metadata if isinstance(item, Widget)), None),
    )


_SCALARS = (bool, int, float, str, Path, type(None))


def _check_supported(hint: Any, where: str) -> None:
    for kind in _alternatives(hint):
        origin = typing.get_origin(kind)
        if origin is tuple:
            item, *rest = typing.get_args(kind)
            if rest != [Ellipsis]:
                raise TypeError(f"{where}: a tuple must be declared as tuple[T, ...]")
            if any(typing.get_origin(each) is tuple for each in _alternatives(_peel(item)[0])):
                raise TypeError(f"{where}: a tuple of tuples cannot be a parameter; use tuple[T, ...] of single values")
            _check_supported(_peel(item)[0], where)
        elif origin is not Literal and kind not in _SCALARS:
            raise TypeError(
                f"{where}: {kind!r} cannot be a parameter; use int, float, bool, str, Literal, Path, or tuple[T, ...]"
            )


def describe(hint: Any, constraints: tuple[Any, ...] = ()) -> str:
    """Say in words what values a type and its constraints allow.

    >>> describe(int, (annotated_types.Ge(1),))
    'an integer of at least 1'
    >>> describe(float, (annotated_types.Interval(gt=0, le=1),))
    'a number above 0 and at most 1'
    >>> describe(Literal["min", "max"] | float)
    "'min', 'max' or a number"
    """
    phrases: list[str] = []
    for kind, own in _annotated_alternatives(hint):
        if kind is type(None):
            continue
        if typing.get_origin(kind) is Literal:
            phrases += [repr(word) for word in typing.get_args(kind)]
        elif typing.get_origin(kind) is tuple:
            phrases.append(_describe_tuple(typing.get_args(kind)[0], constraints))
        else:
            bound = _describe_bounds(own + constraints)
            marks = [part for part in own + constraints if isinstance(part, OfModel)]
            noun = _NOUNS[type(marks[0]) if marks else kind]
            phrases.append(noun + (f" {bound}" if bound and kind in (int, float) else ""))
    if len(phrases) == 1:
        return phrases[0]
    return f"{', '.join(phrases[:-1])} or {phrases[-1]}"


_NOUNS: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    Path: "a path",
    AModel: "a model: a folder or file of one",
    AClass: "a class, by number or name",
    ALayer: "a layer, by name",
}


def _describe_tuple(item: Any, constraints: tuple[Any, ...]) -> str:
    item, inner = _peel(item)
    sizes = [part for part in _parts(constraints) if isinstance(part, annotated_types.MinLen)]
    least = max([part.min_length for part in sizes], default=0)
    return f"{'one or more' if least == 1 else 'any number' if not least else f'{least} or more'} of: " + describe(
        item, inner
    )


def _describe_bounds(constraints: tuple[Any, ...]) -> str:
    words = []
    for part in _parts(constraints):
        match part:
            case annotated_types.Ge(ge=bound):
                words.append(f"of at least {bound}")
            case annotated_types.Gt(gt=bound):
                words.append(f"above {bound}")
            case annotated_types.Le(le=bound):
                words.append(f"at most {bound}" if words else f"of at most {bound}")
            case annotated_types.Lt(lt=bound):
                words.append(f"below {bound}")
            case annotated_types.MultipleOf(multiple_of=bound):
                words.append(f"that is a multiple of {bound}")
    return " and ".join(words)


def _parts(constraints: tuple[Any, ...]) -> Iterator[Any]:
    """The single constraints, an Interval or a Len taken apart."""
    for constraint in constraints:
        if isinstance(constraint, annotated_types.GroupedMetadata):
            yield from constraint
        else:
            yield constraint


def _peel(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The bare type, and what it was annotated with."""
    if typing.get_origin(hint) is typing.Annotated:
        bare, *extras = typing.get_args(hint)
        return bare, tuple(extras)
    return hint, ()


def _annotated_alternatives(hint: Any) -> list[tuple[Any, tuple[Any, ...]]]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [_peel(kind) for kind in typing.get_args(hint)]
    return [(hint, ())]


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return tuple(kind for kind, _ in _annotated_alternatives(hint))


def _of_items(kind: Any) -> tuple[Any, ...]:
    """What the items of a tuple type are annotated with."""
    return _peel(typing.get_args(kind)[0])[1] if typing.get_origin(kind) is tuple else ()


def _literals(hint: Any) -> Iterator[str]:
    for kind in _alternatives(hint):
        if typing.get_origin(kind) is Literal:
            yield from (str(word) for word in typing.get_args(kind))
        elif typing.get_origin(kind) is tuple:
            yield from _literals(_peel(typing.get_args(kind)[0])[0])


def _is_stray_bool(hint: Any, value: Any) -> bool:
    """Whether ``True`` was given for a number: Python calls it an integer, a person would not."""
    return isinstance(value, bool) and bool not in _alternatives(hint)


def _unwrap(value: Any) -> Any:
    """Take a NumPy scalar or array for the Python value it holds, without importing NumPy."""
    return value.tolist() if hasattr(value, "tolist") else value


@functools.cache
def _adapter(hint: Any, constraints: tuple[Any, ...]) -> tuple[Any, type[Exception]]:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    bounds = tuple(part for part in constraints if not isinstance(part, OfModel))
    hint = _with_names(hint, any(isinstance(part, AClass) for part in constraints))
    annotated: Any = typing.Annotated[(hint, *bounds)] if bounds else hint
    return TypeAdapter(annotated, config=ConfigDict(allow_inf_nan=False)), ValidationError


def _with_names(hint: Any, is_class: bool = False) -> Any:
    """Let a class be a text too: its name, which is looked up when the model is open."""
    from pydantic import Field as Pydantic

    bare, own = _peel(hint)
    is_class = is_class or any(isinstance(part, AClass) for part in own)
    if typing.get_origin(bare) in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, (_with_names(kind, is_class) for kind in typing.get_args(bare)))
    if typing.get_origin(bare) is tuple:
        return tuple[_with_names(typing.get_args(bare)[0], is_class), ...]  # type: ignore[misc]
    if bare is int and is_class:
        number = typing.Annotated[int, annotated_types.Ge(0)]
        name = typing.Annotated[str, Pydantic(pattern=r"[^-+.0-9\s]")]  # not what was meant as another number
        return typing.Annotated[number | name, Pydantic(union_mode="left_to_right")]
    return hint


def _typed(value: Any) -> str:
    return repr(value) if isinstance(value, str) and not value.strip() else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
