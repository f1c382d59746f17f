"""Every public name says what its users need: arguments, shapes, units, errors, and an example.

The docstrings are read as the site reads them. What a sentence means, nobody checks here; that it is there, and that it
names a shape where an array is told and a unit or a range where a number is, everybody who adds a name is reminded of.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))  # where the reference is written from the docstrings
import surface  # noqa: E402

ARRAY = re.compile(r"\bndarray\b|\bNDArray\b")
FLOAT = re.compile(r"\bfloat\b")
SHAPE = re.compile(r"\[(?!cnnlab\.)[\w*(.][^\]`]*\]|\[\]|\bshape\b|\bby class\b|\baxes\b|_ARRAYS\b|`Analysis.arrays`")
UNIT = re.compile(
    r"\b(value range|units?|of the range|share|probabilit|percent|logit|score|second|byte|pixel|nats|length|squared|"
    r"distance|ratio|fraction|times|number|rate|weight|from \d|between|at least|at most|at \d|norm|epsilon|strength|"
    r"strides?|METRICS|tolerance|correlation|radius|beta|multiply-adds|loss|quantile|level|interval|values?|momentum|"
    r"coordinate|position|size|standard)",
    re.IGNORECASE,
)


def sections(thing: Any) -> dict[str, Any]:
    return {section.kind.value: section.value for section in thing.docstring.parsed}


def raised(function: Any) -> set[str]:
    """The errors of cnnlab that the body of a function raises itself."""
    lines = function.filepath.read_text(encoding="utf-8").splitlines()[function.lineno - 1 : function.endlineno]
    tree = ast.parse(textwrap.dedent("\n".join(lines)))
    calls = [node.exc.func for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return {node.id if isinstance(node, ast.Name) else node.attr for node in calls} - {"AttributeError"}


def told(kind: str, said: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What a docstring tells one by one: name, type and description."""
    for each in said.get(kind, []):
        yield getattr(each, "name", ""), str(each.annotation), each.description


def lacking(name: str, thing: Any) -> Iterator[str]:
    """What the docstring of a function or a class lacks, a sentence each."""
    if thing.docstring is None:
        yield f"{name} has no docstring."
        return
    said, text = sections(thing), thing.docstring.value
    for kind in ("parameters", "attributes", "returns"):
        for each, annotation, description in told(kind, said):
            if ARRAY.search(annotation) and not SHAPE.search(description):
                yield f"{name} tells no shape of {each or 'what it returns'}: {description}"
            if FLOAT.search(annotation) and not ARRAY.search(annotation) and not UNIT.search(f"{each} {description}"):
                yield f"{name} tells neither unit nor range of {each or 'what it returns'}: {description}"
    if thing.is_function:
        parameters = {each.name for each in thing.parameters if each.name not in ("self", "cls")}
        documented = {each.lstrip("*") for each, _, _ in told("parameters", said)}
        for each in sorted(parameters - documented):
            if f"`{each}`" not in text:
                yield f"{name} does not explain its argument {each}."
        for error in sorted(raised(thing) - {annotation for _, annotation, _ in told("raises", said)}):
            yield f"{name} raises {error}, and does not say when."
        if ARRAY.search(str(thing.returns)) and not SHAPE.search(text):
            yield f"{name} tells no shape of what it returns."
    if thing.is_class:
        for member in thing.members.values():
            if not member.is_alias and not member.name.startswith(("_", "test_")) and is_told(member):
                yield from lacking(f"{name}.{member.name}", member)


def is_told(member: Any) -> bool:
    return member.is_function or "property" in member.labels


@pytest.mark.parametrize("name", surface.public())
def test_it_tells_arguments_shapes_units_and_errors(name):
    assert list(lacking(name, surface.found(name))) == []


@pytest.mark.parametrize("name", sorted(set(surface.public()) - set(surface.returned())))
def test_it_has_an_example(name):
    """What a function returns is seen in the function's example."""
    assert list(surface.examples(name))


def attributes(name: str) -> dict[str, str]:
    return {each.name: each.description for each in sections(surface.found(name))["attributes"]}


def test_a_page_shows_links_for_references_and_what_bases_tell():
    told = attributes("cnnlab.plugin.Analysis")
    assert list(told)[:3] == ["name", "summary", "api"], "those of the base that all declarations have come first"
    assert told["params"].endswith("derived from [`Params`][cnnlab.plugin.Params].")
    assert not [name for name in surface.public() if ":class:" in surface.found(name).docstring.value]


def test_a_page_explains_parameters_by_what_their_annotation_says():
    epsilon = surface.found("cnnlab.plugin.BallParams").members["epsilon"]
    assert epsilon.docstring.value.startswith("How far an image may move")
    assert str(epsilon.annotation) == "tuple[Annotated[float, Ge(0)], ...]"


def test_a_page_tells_how_a_class_is_made_where_users_make_it():
    assert "__init__" not in surface.found("cnnlab.Classifier").members
    assert "__init__" in surface.found("cnnlab.testing.FakeClassifier").members


def test_an_example_on_a_page_imports_what_it_is_about():
    (example,) = surface.examples("cnnlab.plugin.BallParams")
    assert example.startswith(">>> from cnnlab.plugin import BallParams\n>>> BallParams(")
    (example,) = surface.examples("cnnlab.plugin.derive")
    assert example.count("import derive") == 1


WRONG = '''
import numpy as np

class CnnlabError(Exception): ...

def lonely(images: np.ndarray, limit: float) -> np.ndarray:
    """Look at them.

    Args:
        images: The images.
    """
    if limit:
        raise CnnlabError("too many")
    return images
'''


def test_what_a_docstring_lacks_is_said(tmp_path):
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    module = griffe.load("wrong", search_paths=[tmp_path], docstring_parser="google", allow_inspection=False)
    assert list(lacking("lonely", module["lonely"])) == [
        "lonely tells no shape of images: The images.",
        "lonely does not explain its argument limit.",
        "lonely raises CnnlabError, and does not say when.",
        "lonely tells no shape of what it returns.",
    ]
