"""Parameters are declared once; the constructor, the command line, the help and the record all come from that."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import click
import numpy as np
import pytest
from annotated_types import Ge, Gt, Interval, Lt, MinLen, MultipleOf
from hypothesis import given, strategies as st

from cnnlab.cli.commands.declared_options import option_for
from cnnlab.errors import UsageError
from cnnlab.pluginhost.params import Doc, Params, describe, fields_of


@dataclass(frozen=True, kw_only=True)
class Every(Params):
    """One field of every kind that can be declared."""

    patch: Annotated[int, Ge(1), Doc("Side of the patch, in pixels.")] = 4
    share: Annotated[float, Interval(gt=0, le=1), Doc("A share.")] = 0.5
    fill: Annotated[Literal["min", "mean", "max"] | Annotated[float, Ge(0)], Doc("What to fill with.")] = "min"
    epsilon: Annotated[tuple[Annotated[float, Interval(ge=0, le=1)], ...], MinLen(1), Doc("Strengths.")] = (0.1,)
    class_: Annotated[int | None, Ge(0), Doc("A class.")] = None
    step_size: Annotated[float | None, Gt(0), Doc("A step.")] = None
    apply: Annotated[Path | None, Doc("A file.")] = None
    random_start: Annotated[bool, Doc("Whether to start anywhere.")] = False
    name: Annotated[str, Doc("A name.")] = "x"


FIELDS = {field.name: field for field in fields_of(Every)}


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        ({"patch": "7"}, 7),
        ({"patch": 7.0}, 7),
        ({"patch": np.int64(7)}, 7),
        ({"share": 1}, 1.0),
        ({"share": np.float32(0.5)}, 0.5),
        ({"fill": "mean"}, "mean"),
        ({"fill": "0.25"}, 0.25),
        ({"epsilon": 0.3}, (0.3,)),
        ({"epsilon": ["0.1", 0.2]}, (0.1, 0.2)),
        ({"epsilon": np.array([0.5])}, (0.5,)),
        ({"class_": "3"}, 3),
        ({"class_": None}, None),
        ({"apply": "a/b.npz"}, Path("a/b.npz")),
        ({"random_start": True}, True),
    ],
)
def test_values_are_converted_where_nothing_is_lost(given_, stored):
    (name,) = given_
    assert getattr(Every(**given_), name) == stored
    assert type(getattr(Every(**given_), name)) is type(stored)


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"patch": 0}, "patch must be an integer of at least 1; received 0."),
        ({"patch": "abc"}, "patch must be an integer of at least 1; received abc."),
        ({"patch": 4.5}, "patch must be an integer of at least 1; received 4.5."),
        ({"patch": True}, "patch must be an integer of at least 1; received True."),
        ({"patch": None}, "patch must be an integer of at least 1; received None."),
        ({"share": 0}, "share must be a number above 0 and at most 1; received 0."),
        ({"share": float("nan")}, "share must be a number above 0 and at most 1; received nan."),
        ({"fill": "foo"}, "fill must be 'min', 'mean', 'max' or a number of at least 0; received foo."),
        ({"fill": -1}, "fill must be 'min', 'mean', 'max' or a number of at least 0; received -1."),
        (
            {"epsilon": ()},
            "epsilon must be one or more of: a number of at least 0 and at most 1; received nothing.",
        ),
        (
            {"epsilon": (0.1, 2)},
            "epsilon must be one or more of: a number of at least 0 and at most 1; received 0.1, 2.",
        ),
        ({"class_": -1}, "class must be an integer of at least 0; received -1."),
        ({"random_start": "perhaps"}, "random_start must be true or false; received perhaps."),
    ],
)
def test_a_refused_value_is_answered_with_one_sentence(given_, sentence):
    with pytest.raises(UsageError) as error:
        Every(**given_)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("patch", ["0", "abc", "4.5"]),
        ("share", ["0", "1.5", "nan", "x"]),
        ("fill", ["foo", "-1"]),
        ("class_", ["-1"]),
    ],
)
def test_the_command_line_refuses_with_the_sentence_of_the_constructor(name, values):
    for value in values:
        with pytest.raises(UsageError) as from_python:
            Every(**{name: value})
        command = click.Command("x", params=[option_for(FIELDS[name])], callback=lambda **kw: Every(**kw))
        with pytest.raises(UsageError) as from_command:
            command.main([f"{FIELDS[name].option}={value}"], standalone_mode=False)
        assert str(from_command.value) == str(from_python.value)


@given(st.integers(), st.integers(1, 50))
def test_a_bound_is_exactly_the_declared_one(value, least):
    field = fields_of(Every)[0].__class__(name="n", type=int, constraints=(Ge(least),), doc="", default=least)
    if value >= least:
        assert field.validate(value) == value
    else:
        with pytest.raises(UsageError, match=f"at least {least}; received {value}"):
            field.validate(value)


def test_public_names_have_no_trailing_underscore():
    assert FIELDS["class_"].option == "--class"
    assert FIELDS["step_size"].option == "--step-size"
    assert Every(class_=3).to_json()["class"] == 3
    assert Every.from_public({"class": 3}) == Every.from_public({"class_": 3}) == Every(class_=3)


def test_the_record_holds_plain_values_and_builds_the_same_parameters():
    params = Every(epsilon=(0.1, 0.2), apply=Path("a/b"), class_=2)
    assert params.to_json()["epsilon"] == [0.1, 0.2]
    assert params.to_json()["apply"] == "a/b"
    assert Every.from_public(params.to_json()) == params


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"no parameter 'pacth'. Did you mean 'patch'"):
        Every.from_public({"pacth": 3})


def test_a_missing_value_without_default_is_named():
    @dataclass(frozen=True, kw_only=True)
    class Needy(Params):
        target: int

    with pytest.raises(UsageError, match="'target' has no default"):
        Needy.from_public({})


def test_help_shows_meaning_type_bounds_default_and_choices():
    command = click.Command("x", params=[option_for(field) for field in fields_of(Every)])
    text = " ".join(command.get_help(click.Context(command)).split())
    assert "--patch INTEGER Side of the patch, in pixels. [an integer of at least 1; default: 4]" in text
    assert "--fill [min|mean|max]|NUMBER" in text
    assert "--random-start / --no-random-start" in text


def test_checks_across_fields_are_the_authors():
    @dataclass(frozen=True, kw_only=True)
    class Pair(Params):
        low: float = 0.0
        high: float = 1.0

        def check(self) -> None:
            if self.low > self.high:
                raise UsageError("low must not be above high.")

    with pytest.raises(UsageError, match="low must not be above high"):
        Pair(low="3", high="2")


def test_types_that_cannot_be_options_are_the_authors_mistake():
    @dataclass(frozen=True, kw_only=True)
    class Odd(Params):
        table: dict = None

    with pytest.raises(TypeError, match=r"Odd\.table"):
        fields_of(Odd)


def test_descriptions():
    assert describe(int, (Gt(0), Lt(5))) == "an integer above 0 and below 5"
    assert describe(float, (Interval(le=3),)) == "a number of at most 3"
    assert describe(int, (MultipleOf(2),)) == "an integer that is a multiple of 2"
    assert describe(Literal["a"]) == "'a'"
    assert describe(tuple[Literal["a", "b"], ...], (MinLen(2),)) == "2 or more of: 'a' or 'b'"


def test_a_default_that_is_made_is_the_default():
    @dataclass(frozen=True, kw_only=True)
    class Made(Params):
        sizes: Annotated[tuple[int, ...], Doc("Sizes.")] = dataclasses.field(default_factory=lambda: (1, 2))

    (field,) = fields_of(Made)
    assert (field.required, field.default, Made().sizes) == (False, (1, 2), (1, 2))


def test_what_is_no_declaration_is_the_authors_mistake():
    @dataclass(frozen=True, kw_only=True)
    class Pair(Params):
        pair: tuple[int, int] = (1, 2)

    with pytest.raises(TypeError, match=r"Pair\.pair: a tuple must be declared as tuple\[T, \.\.\.\]"):
        fields_of(Pair)
    for wrong in (dict, 7):
        with pytest.raises(TypeError, match="is not derived from"):
            fields_of(wrong)
