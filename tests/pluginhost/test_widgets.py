"""Widgets that an analysis names: which there are, and what is said of a file that cannot be served."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import pytest

from cnnlab.pluginhost import widgets
from cnnlab.pluginhost.checks import ContractError, check
from cnnlab.pluginhost.declarations import Analysis
from cnnlab.pluginhost.params import Doc, Params, Widget, fields_of
from cnnlab.pluginhost.widgets import Named, named, problem_of_name, problem_with_file

RUN = "cnnlab_with_widgets.run:run"


@dataclass(frozen=True, kw_only=True)
class P(Params):
    size: Annotated[int, Doc("A size.")] = 1
    norm_: Annotated[float, Widget("parts/norm.js"), Doc("A norm.")] = 1.0


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of a package, which nobody imports."""
    folder = tmp_path / "cnnlab_with_widgets"
    (folder / "parts").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('it was imported')")
    (folder / "run.py").write_text("def run(): ...")
    (folder / "parts" / "norm.js").write_text("export const parameter = () => document.createElement('input');")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def analysis(**more):
    return Analysis(name="one", summary="One.", params=P, run=RUN, **more)


def test_those_of_parameters_and_of_drawings_are_named():
    assert [(each.exports, each.of, each.file) for each in named(analysis(widgets={"map": "map.js"}))] == [
        ("parameter", "norm", "parts/norm.js"),
        ("drawing", "map", "map.js"),
    ]


def test_a_widget_is_no_constraint():
    size, norm = fields_of(P)
    assert (size.widget, norm.widget, norm.constraints, norm.doc) == (None, "parts/norm.js", (), "A norm.")
    assert P(norm_="2").to_json() == {"size": 1, "norm": 2.0}


def test_a_plugin_whose_files_are_there_is_taken_and_not_imported(package):
    check([analysis()], deeply=True)
    assert "cnnlab_with_widgets" not in sys.modules
    (package / "parts" / "norm.js").unlink()
    check([analysis()], deeply=False)
    with pytest.raises(ContractError) as refused:
        check([analysis()], deeply=True)
    assert str(refused.value) == (
        "the widget of its parameter 'norm' of its analysis 'one' is 'parts/norm.js', and there is no such file in "
        f"{package / 'parts'}."
    )


@pytest.mark.parametrize(
    "file",
    [
        "",
        "map",
        "map.mjs",
        ".js",
        "../map.js",
        "/map.js",
        "a/../map.js",
        ".hidden/map.js",
        "a//map.js",
        "a\\map.js",
        "m p.js",
        3,
    ],
)
def test_a_name_that_is_none_of_a_file_in_the_package_is_refused(file):
    assert problem_of_name(Named("drawing", "", file, RUN))


@pytest.mark.parametrize("file", ["map.js", "widgets/map-2.js", "a_b.c.js"])
def test_a_name_of_a_file_in_the_package_is_taken(file):
    assert problem_of_name(Named("drawing", "", file, RUN)) == ""


@pytest.mark.parametrize(
    "text",
    [
        "export const drawing = () => {};",
        "export async function drawing({ element }) {}",
        "const drawing = () => {};\nexport { other, drawing };",
        "const other = () => {};\nexport {\n  other as drawing,\n};",
    ],
)
def test_what_exports_it_is_taken(package, text):
    (package / "map.js").write_text(text)
    assert problem_with_file(Named("drawing", "", "map.js", RUN)) == ""


@pytest.mark.parametrize(
    "text", ["", "const drawing = () => {};", "export const drawings = 3;", "export { redrawing };"]
)
def test_what_exports_it_not_is_told(package, text):
    (package / "map.js").write_text(text)
    assert problem_with_file(Named("drawing", "", "map.js", RUN)) == "which exports no `drawing`"


def test_what_cannot_be_read_and_what_is_too_large_is_told(package, monkeypatch):
    (package / "map.js").write_bytes(b"\xff\xfe")
    assert problem_with_file(Named("drawing", "", "map.js", RUN)).startswith("which cannot be read: ")
    monkeypatch.setattr(widgets, "LARGEST", 1)
    assert "larger than the 1 bytes" in problem_with_file(Named("drawing", "", "map.js", RUN))
    (package / "folder.js").mkdir()
    assert "no such file" in problem_with_file(Named("drawing", "", "folder.js", RUN))
